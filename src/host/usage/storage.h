/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/disks.h"
#include "common/roots.h"
#include "host/usage/scope.h"

#include <glib.h>

/* Bytes that one domain has read and written (docs: equation 4.13). Picks, once, the first that exists:
 *   cgroup v2  io.stat of the domain's scope
 *   cgroup v1  blkio.throttle.io_service_bytes_recursive or blkio.throttle.io_service_bytes, where the kernel counts for
 *              these: many kernels do so for a disk only once a limit has been set on it, and the root cgroup's own
 *              figures show whether this one does
 *   process    <procfs>/PID/io, which does not tell disks apart and needs CAP_SYS_PTRACE
 * The kernel counts direct I/O for all of these. What a guest's host writes back later (cache=writeback) counts for the
 * cgroup only in v2 with its memory controller; for the process, when the page becomes dirty. */
typedef struct VjStorageUsage VjStorageUsage;

/* Counts from now on. DENIED where only the process could tell and may not be asked. */
VjStorageUsage *vj_storage_usage_open (const VjRoots *roots, const VjDisks *disks, int pid, GError **error);
void vj_storage_usage_free (VjStorageUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjStorageUsage, vj_storage_usage_free)
VjScopeKind vj_storage_usage_kind (const VjStorageUsage *usage);
/* What the next taking tells begins with the domain. */
void vj_storage_usage_count_from_birth (VjStorageUsage *usage);
/* Bytes since the last taking, of the disks that count in disks' last reading. One system call. GONE when the scope or
 * the process has vanished. */
gboolean vj_storage_usage_take (VjStorageUsage *usage, const VjDisks *disks, guint64 *ret_bytes,
                                GError **error);
