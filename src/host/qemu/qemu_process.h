/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/process.h"
#include "host/qemu/qemu_argv.h"

/* Decides whether a process is a virtual machine, and holds it. For worker threads: it reads of other processes what can
 * take as long as they like. */

typedef struct
{
  const char *procfs;
  const char *rundir; /* of Proxmox's pid files; NULL: Proxmox's are nobody's */
  gboolean plain;     /* those of no manager count too */
  const char *guest_socket;
  const char *const *executables; /* as in VjQemuWatchOptions */
  const guint *uids;              /* NULL: any */
  guint n_uids;
} VjQemuRules;

typedef struct
{
  VjProcess *process;
  gboolean proxmox;  /* it is the one that VMID.pid names, VMID being its own -id; else a plain one */
  gboolean connects; /* its port's socket is guest_socket */
  VjQemuArgv argv;
} VjQemuProcess;

typedef enum
{
  VJ_QEMU_YES,
  VJ_QEMU_NO,      /* or it has gone */
  VJ_QEMU_UNKNOWN, /* its executable may not be asked for: that takes CAP_SYS_PTRACE */
  VJ_QEMU_EARLY,   /* it has that executable, and no arguments yet: execve (2) has not ended */
} VjQemuAnswer;

/* Cheap, for a look at many: whether pid runs an accepted executable. /proc/PID/exe is what decides, and names the path
 * as the process's own mount namespace has it; so the file must be root's or ours, too, which nobody else can make. */
VjQemuAnswer vj_qemu_executable_is_accepted (const VjQemuRules *rules, int pid);
/* YES: fills *ret_qemu, to be freed. Its real and its effective user are accepted, too, and nothing of it was
 * another process's. */
VjQemuAnswer vj_qemu_process_open (const VjQemuRules *rules, int pid, VjQemuProcess **ret_qemu);
void vj_qemu_process_free (VjQemuProcess *qemu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjQemuProcess, vj_qemu_process_free)
