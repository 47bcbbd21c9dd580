/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"

#include <glib.h>

/* CPU time of one QEMU process with everything that belongs to its domain. Picks, once, the first that exists:
 *   cgroup v2  <cgroupfs>[/unified]/SCOPE/cpu.stat usage_usec   (Documentation/admin-guide/cgroup-v2.rst)
 *   cgroup v1  <cgroupfs>/cpuacct/SCOPE/cpuacct.usage           (ns)
 *   process    clock_getcpuclockid (3): ns, keeps exited threads
 * where SCOPE is the domain's own (vj_cgroup_domain_scope ()). Guest time is inside user time and is not added. */
typedef struct VjUsage VjUsage;

typedef enum { VJ_USAGE_CGROUP_V2, VJ_USAGE_CGROUP_V1, VJ_USAGE_PROCESS } VjUsageKind;

VjUsage *vj_usage_open (const VjRoots *roots, int pid, GError **error);
void vj_usage_free (VjUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjUsage, vj_usage_free)
VjUsageKind vj_usage_kind (const VjUsage *usage);
const char *vj_usage_kind_name (VjUsageKind kind); /* "cgroup-v2", "cgroup-v1", "process" */
/* Cumulative CPU time. One system call. GONE when the scope or the process has vanished. Never decreases. */
gboolean vj_usage_read (VjUsage *usage, guint64 *ret_cpu_ns, GError **error);

/* Busy time of the whole machine from <procfs>/stat: elapsed x online CPUs - idle - iowait - steal. */
typedef struct VjBusy VjBusy;
VjBusy *vj_busy_open (const char *procfs, GError **error);
void vj_busy_free (VjBusy *busy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjBusy, vj_busy_free)
/* Busy time since the last call (0 at the first). now_us: CLOCK_MONOTONIC. A CPU that comes or goes makes one interval
 * approximate, never negative. *ret_cpus: online CPUs. */
gboolean vj_busy_read (VjBusy *busy, guint64 now_us, guint64 *ret_busy_ns, guint *ret_cpus, GError **error);
/* Continue from an earlier process's reading in the same boot. */
void vj_busy_get_mark (const VjBusy *busy, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us);
void vj_busy_set_mark (VjBusy *busy, guint64 idle_ticks, guint64 monotonic_us, guint cpus);
