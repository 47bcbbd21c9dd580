/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"
#include "host/usage/scope.h"

#include <glib.h>

/* CPU time of one QEMU process with everything that belongs to its domain. Picks, once, the first that exists:
 *   cgroup v2  <cgroupfs>[/unified]/SCOPE/cpu.stat usage_usec   (Documentation/admin-guide/cgroup-v2.rst)
 *   cgroup v1  <cgroupfs>/cpuacct/SCOPE/cpuacct.usage           (ns)
 *   process    clock_getcpuclockid (3): ns, keeps exited threads
 * where SCOPE is the domain's own (vj_cgroup_domain_scope ()). Guest time is inside user time and is not added. */
typedef struct VjUsage VjUsage;

/* Without roots->cgroupfs: the process alone. */
VjUsage *vj_usage_open (const VjRoots *roots, int pid, GError **error);
void vj_usage_free (VjUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjUsage, vj_usage_free)
VjScopeKind vj_usage_kind (const VjUsage *usage);
/* Names the scope that is read, as long as it is open: two with the same one would count the same time. 0: of the process
 * alone. */
guint64 vj_usage_scope (const VjUsage *usage);
/* Cumulative CPU time. One system call. GONE when the scope or the process has vanished. Never decreases. */
gboolean vj_usage_read (VjUsage *usage, guint64 *ret_cpu_ns, GError **error);
/* Of the process alone, whatever scope it is in, as of now. */
gboolean vj_usage_read_process (const VjUsage *usage, guint64 *ret_cpu_ns, GError **error);
