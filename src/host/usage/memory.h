/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"
#include "host/usage/scope.h"

#include <glib.h>

/* Memory of one domain (docs: equation 4.9, corrected): anonymous + shared + hugepages. RAM in a memfd (share=on) is the
 * guest's as anonymous RAM is; the page cache of files is nobody's. Picks, once, the first that exists:
 *   cgroup v2  memory.stat of the domain's scope: anon + shmem
 *   cgroup v1  memory.stat: total_rss + total_shmem
 *   process    <procfs>/PID/status: RssAnon + RssShmem
 * The cgroup counts a page once however many processes map it, virtiofsd as well as QEMU; of a process alone QEMU's
 * own is read, which maps all of the guest's RAM. Hugepages, which cgroup memory accounting leaves out as a rule: from
 * hugetlb.SIZE.current or hugetlb.SIZE.usage_in_bytes of the scope, else from QEMU's HugetlbPages. */
typedef struct VjMemoryUsage VjMemoryUsage;

VjMemoryUsage *vj_memory_usage_open (const VjRoots *roots, int pid, GError **error);
void vj_memory_usage_free (VjMemoryUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjMemoryUsage, vj_memory_usage_free)
VjScopeKind vj_memory_usage_kind (const VjMemoryUsage *usage);
/* What it uses now. One pread (2) per file. GONE when the scope or the process has vanished. */
gboolean vj_memory_usage_read (VjMemoryUsage *usage, guint64 *ret_bytes, GError **error);
