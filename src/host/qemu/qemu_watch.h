/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/poll.h"
#include "common/roots.h"
#include "host/domains/domain.h"

/* Follows QEMU processes that no libvirt tells of: those of Proxmox VE, and, if asked for, any other. Event-driven: inotify on
 * the directory of Proxmox's pid files, pidfds for exits; a slow rescan of /proc is the safety net. /proc/PID/exe and the
 * owner decide whether a process is a virtual machine; its arguments only name it. The listener is called on the thread of
 * the default main context, never from within a function of this module. */
typedef struct VjQemuWatch VjQemuWatch;

typedef struct
{
  gboolean proxmox;
  gboolean plain;           /* manager "qemu" */
  const char *rundir;       /* of Proxmox's pid files: /run/qemu-server */
  const char *pve_dir;      /* /etc/pve; need not be readable */
  const char *guest_socket; /* path of the agent's guest socket, as it stands in QEMU's arguments */
  const char *const
      *executables;  /* accepted targets of /proc/PID/exe: patterns of g_pattern_match_simple () */
  const guint *uids; /* accepted owners; NULL: any */
  guint n_uids;
  guint rescan_s;   /* from one look at everything to the next */
  guint deadline_s; /* for one look; then a process that makes it wait is passed over */
} VjQemuWatchOptions;

/* So many processes can each keep a thread waiting for their arguments, and are passed over meanwhile. Then no others are
 * looked for until one lets go. */
#define VJ_QEMU_WATCH_HELD_MAX 4

/* Of roots, procfs is used. Everything is copied but poll and listener, which are borrowed. */
VjQemuWatch *vj_qemu_watch_new (const VjQemuWatchOptions *options, const VjRoots *roots, VjPoll *poll,
                                const VjDomainListener *listener, gpointer user_data, GError **error);
void vj_qemu_watch_free (VjQemuWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjQemuWatch, vj_qemu_watch_free)
/* Looks at pid soon (somebody connected as it), or at everything if pid is 0 (a hook left a note). Bounded: many calls
 * between two ticks are one scan. */
void vj_qemu_watch_poke (VjQemuWatch *watch, int pid);
