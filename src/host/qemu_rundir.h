/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/poll.h"

/* The directory in which each of Proxmox's QEMUs has its VMID.pid, by inotify(7). It is made with the first virtual
 * machine; until then its parent is watched. */
typedef struct VjQemuRundir VjQemuRundir;

/* The pid file of this VMID was written; 0: any may have been. */
typedef void (*VjQemuRundirFunc) (guint vmid, gpointer user_data);

/* poll is borrowed. func may be called from within. */
VjQemuRundir *vj_qemu_rundir_new (VjPoll *poll, const char *path, VjQemuRundirFunc func, gpointer user_data,
                                  GError **error);
void vj_qemu_rundir_free (VjQemuRundir *rundir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjQemuRundir, vj_qemu_rundir_free)
/* Now and then: not even the parent may have been there. */
void vj_qemu_rundir_retry (VjQemuRundir *rundir);
