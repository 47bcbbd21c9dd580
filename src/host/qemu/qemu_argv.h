/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What the arguments of a QEMU process say of its virtual machine. Pure. Nothing here proves anything: whoever starts a
 * process writes its arguments. The forms are those of qemu(1) and of qemu-server (PVE::QemuServer, config_to_command). */

/* As much as is looked at of /proc/PID/cmdline. Real ones have 2 to 20 KiB; a single argument may have 128 KiB. */
#define VJ_QEMU_ARGV_MAX (256 * 1024UL)
/* A name is cut at this many characters. */
#define VJ_QEMU_NAME_MAX 255

typedef struct
{
  guint vmid;               /* -id, which only Proxmox's QEMU has; 0: none */
  char *name;               /* -name, without what stands beside it; NULL: not said */
  char uuid[37];            /* -smbios type=1,uuid=, else -uuid; lower case; "": none, or all zeros */
  guint vcpus;              /* -smp, and CPUs given as devices; those plugged in later are not here */
  gboolean has_channel;     /* a virtserialport is named org.virtjoule.energy.0 */
  gboolean channel_listens; /* its socket is QEMU's own ("bind" way) */
  char *channel_path;       /* of a unix socket, absolute; NULL: none, or QEMU was handed a file descriptor */
} VjQemuArgv;

/* text: /proc/PID/cmdline, arguments that each end with a NUL. A last one without it was cut off and is left out.
 * Always fills *ret_argv, to be cleared. */
void vj_qemu_argv_parse (const char *text, gsize length, VjQemuArgv *ret_argv);
void vj_qemu_argv_clear (VjQemuArgv *argv);

/* bytes as they may be shown: valid UTF-8 without control characters, cut at VJ_QEMU_NAME_MAX; NULL if nothing is left.
 * The caller's. */
char *vj_qemu_name (const char *bytes, gsize length);
/* FALSE, and "" in ret_uuid, if text is no UUID, or is all zeros, which is QEMU's word for none. */
gboolean vj_qemu_uuid (const char *text, char ret_uuid[37]);
/* Proxmox's: 1 to 999999999, in decimal; else 0. */
guint vj_qemu_vmid (const char *text, gsize length);
