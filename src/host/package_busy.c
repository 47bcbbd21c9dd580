/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/package_busy.h"

#include "common/error.h"
#include "common/kept_file.h"
#include "common/procfs.h"
#include "common/units.h"

#include <string.h>
#include <unistd.h>

typedef struct
{
  VjProcStat stat;      /* of the last reading */
  guint64 owed_ns;      /* told as busy and then seen to be idle: 10 ms steps */
  guint64 last_busy_ns; /* of the last interval, for one that cannot be measured */
} Package;

struct VjPackageBusy
{
  const VjTopology *topology;
  VjKeptFile *file;
  guint64 tick_ns;
  guint64 mark_us; /* 0: not read yet */
  guint64 last_elapsed_us;
  VjProcStat *stats; /* scratch */
  Package *packages;
};

VjPackageBusy *
vj_package_busy_open (const char *procfs, const VjTopology *topology, GError **error)
{
  VjKeptFile *file = vj_kept_file_open (procfs, "stat", error);
  const guint n = vj_topology_n_packages (topology);
  VjPackageBusy *busy;

  if (!file)
    return NULL;
  busy = g_new0 (VjPackageBusy, 1);
  busy->topology = topology;
  busy->file = file;
  busy->tick_ns = VJ_NS_PER_S / (guint64)sysconf (_SC_CLK_TCK);
  busy->stats = g_new0 (VjProcStat, n);
  busy->packages = g_new0 (Package, n);
  return busy;
}

void
vj_package_busy_free (VjPackageBusy *busy)
{
  if (!busy)
    return;
  vj_kept_file_free (busy->file);
  g_free (busy->stats);
  g_free (busy->packages);
  g_free (busy);
}

/* As in busy.c: what rounding made too much of is taken back from later intervals, and no more than rounding can make;
 * the time of CPUs that came or went cannot be told from the sum, so they are taken to be as busy as before. */
static guint64
measure_ns (const VjPackageBusy *busy, Package *package, const VjProcStat *stat, guint64 elapsed_us)
{
  const VjI128 capacity_ns = (VjI128)elapsed_us * VJ_NS_PER_US * stat->cpus;
  const VjI128 idle_ns = ((VjI128)stat->idle_ticks - package->stat.idle_ticks) * busy->tick_ns;
  const VjI128 busy_ns = capacity_ns - idle_ns - package->owed_ns;
  const VjI128 bound_ns = (VjI128)stat->cpus * busy->tick_ns * 3;

  if (stat->cpus != package->stat.cpus)
    return busy->last_elapsed_us == 0
               ? 0
               : (guint64)((VjU128)package->last_busy_ns * elapsed_us / busy->last_elapsed_us);
  package->owed_ns = busy_ns < 0 ? (guint64)MIN (-busy_ns, bound_ns) : 0;
  return (guint64)CLAMP (busy_ns, 0, capacity_ns);
}

gboolean
vj_package_busy_read (VjPackageBusy *busy, guint64 now_us, guint64 *ret_busy_ns, GError **error)
{
  const guint n = vj_topology_n_packages (busy->topology);
  const guint64 elapsed_us = busy->mark_us > 0 ? now_us - MIN (now_us, busy->mark_us) : 0;
  guint n_cpus = 0;
  const guint *packages_of_cpus = vj_topology_packages_of_cpus (busy->topology, &n_cpus);
  gsize length = 0;
  const char *text = vj_kept_file_read (busy->file, &length, error);

  if (!text)
    return FALSE;
  if (!vj_procfs_parse_stat_groups (text, length, packages_of_cpus, n_cpus, busy->stats, n))
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "stat is not of the kernel's form");
      return FALSE;
    }
  for (guint i = 0; i < n; i++)
    {
      Package *package = &busy->packages[i];

      ret_busy_ns[i] = elapsed_us > 0 ? measure_ns (busy, package, &busy->stats[i], elapsed_us) : 0;
      package->last_busy_ns = ret_busy_ns[i];
      package->stat = busy->stats[i];
    }
  busy->mark_us = now_us;
  busy->last_elapsed_us = elapsed_us;
  return TRUE;
}
