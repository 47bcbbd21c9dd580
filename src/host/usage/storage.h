/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/io_text.h"
#include "common/roots.h"
#include "host/usage/scope.h"

#include <glib.h>

/* Bytes moved by the machine's disks (docs: equation 4.14) from <procfs>/diskstats. Each byte counts once: partitions
 * are left out, and so is what passes its traffic on to other disks or to memory (dm, md, loop, zram, ram, bcache). What
 * counts has, below <sysfs>/block, a device, no slaves, and is not one of several hidden paths to another. A mirror's
 * two writes are two. */
typedef struct VjDisks VjDisks;
VjDisks *vj_disks_open (const VjRoots *roots, GError **error);
void vj_disks_free (VjDisks *disks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjDisks, vj_disks_free)
/* Fills an array of VjDiskBytes, cumulative since each disk came; vj_disk_bytes_delta () compares two of them. One
 * system call, and a few for each disk that has not been seen before. */
gboolean vj_disks_read (VjDisks *disks, GArray *ret_disks, GError **error);

/* Bytes that one domain has read and written (docs: equation 4.13). Picks, once, the first that exists:
 *   cgroup v2  io.stat of the domain's scope
 *   cgroup v1  blkio.throttle.io_service_bytes_recursive or blkio.throttle.io_service_bytes, where the kernel counts for
 *              these: many kernels do so for a disk only once a limit has been set on it, and the root cgroup's own
 *              figures show whether this one does
 *   process    <procfs>/PID/io, which does not tell disks apart and needs CAP_SYS_PTRACE
 * The kernel counts direct I/O for all of these. What a guest's host writes back later (cache=writeback) counts for the
 * cgroup only in v2 with its memory controller; for the process, when the page becomes dirty. */
typedef struct VjStorageUsage VjStorageUsage;

/* The major number in the one entry of VJ_SCOPE_PROCESS, which is over all disks. */
#define VJ_DISK_MAJOR_ALL 0

/* disks: with one reading at least. DENIED where only the process could tell and may not be asked. */
VjStorageUsage *vj_storage_usage_open (const VjRoots *roots, const VjDisks *disks, int pid, GError **error);
void vj_storage_usage_free (VjStorageUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjStorageUsage, vj_storage_usage_free)
VjScopeKind vj_storage_usage_kind (const VjStorageUsage *usage);
/* Fills an array of VjDiskBytes, cumulative, with those of the disks that count in disks' last reading. One system call.
 * GONE when the scope or the process has vanished. */
gboolean vj_storage_usage_read (VjStorageUsage *usage, const VjDisks *disks, GArray *ret_disks,
                                GError **error);
