/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/busy.h"

#include "common/error.h"
#include "common/kept_file.h"
#include "common/procfs.h"
#include "common/units.h"

#include <unistd.h>

typedef struct
{
  VjProcStat stat;      /* of the last reading */
  guint64 owed_ns;      /* told as busy and then seen to be idle: 10 ms steps */
  guint64 last_busy_ns; /* of the last interval, for one that cannot be measured */
} Group;

struct VjBusy
{
  char *procfs;
  VjKeptFile *file;
  const guint *group_of_cpu; /* of the first n_cpus; NULL: the machine is one group */
  guint n_cpus;
  guint64 tick_ns;
  gboolean primed;
  guint64 mark_us;
  guint64 last_elapsed_us;
  guint n_groups;
  Group *groups;
  VjProcStat *stats; /* scratch, one per group */
};

static VjBusy *
open_groups (const char *procfs, const guint *group_of_cpu, guint n_cpus, guint n_groups, GError **error)
{
  VjKeptFile *file = vj_kept_file_open (procfs, "stat", error);
  VjBusy *busy;

  if (!file)
    return NULL;
  busy = g_new0 (VjBusy, 1);
  busy->procfs = g_strdup (procfs);
  busy->file = file;
  busy->group_of_cpu = group_of_cpu;
  busy->n_cpus = n_cpus;
  busy->tick_ns = VJ_NS_PER_S / (guint64)sysconf (_SC_CLK_TCK);
  busy->n_groups = n_groups;
  busy->groups = g_new0 (Group, n_groups);
  busy->stats = g_new0 (VjProcStat, n_groups);
  return busy;
}

VjBusy *
vj_busy_open (const char *procfs, GError **error)
{
  return open_groups (procfs, NULL, 0, 1, error);
}

VjBusy *
vj_busy_open_packages (const char *procfs, const VjTopology *topology, GError **error)
{
  guint n_cpus = 0;
  const guint *package_of_cpu = vj_topology_packages_of_cpus (topology, &n_cpus);

  return open_groups (procfs, package_of_cpu, n_cpus, vj_topology_n_packages (topology), error);
}

void
vj_busy_free (VjBusy *busy)
{
  if (!busy)
    return;
  vj_kept_file_free (busy->file);
  g_free (busy->procfs);
  g_free (busy->groups);
  g_free (busy->stats);
  g_free (busy);
}

static gboolean
parse_stats (VjBusy *busy, const char *text, gsize length)
{
  if (!busy->group_of_cpu)
    return vj_procfs_parse_stat (text, length, busy->stats);
  return vj_procfs_parse_stat_groups (text, length, busy->group_of_cpu, busy->n_cpus, busy->stats,
                                      busy->n_groups);
}

static gboolean
read_stats (VjBusy *busy, GError **error)
{
  gsize length = 0;
  const char *text = vj_kept_file_read (busy->file, &length, error);

  if (!text)
    return FALSE;
  if (parse_stats (busy, text, length))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s/stat is not of the kernel's form", busy->procfs);
  return FALSE;
}

/* The idle ticks of CPUs that came or went cannot be told from the sum, so such an interval is taken to be as busy as
 * the one before. */
static guint64
guess_busy_ns (const VjBusy *busy, const Group *group, guint64 elapsed_us)
{
  if (busy->last_elapsed_us == 0)
    return 0;
  return (guint64)((VjU128)group->last_busy_ns * elapsed_us / busy->last_elapsed_us);
}

/* Time in which another hypervisor lets an idle CPU wait to be woken is idle and stolen time at once, and taking both away
 * leaves less than was used, or nothing. Then what the timer saw in use is the better figure. */
static guint64
least_busy_ns (const VjBusy *busy, const Group *group, const VjProcStat *stat)
{
  const gboolean known = group->stat.used_ticks > 0 && stat->used_ticks > group->stat.used_ticks;

  if (!known || stat->steal_ticks == group->stat.steal_ticks)
    return 0;
  return (stat->used_ticks - group->stat.used_ticks) * busy->tick_ns;
}

/* What rounding made too much of is taken back from the next intervals instead of being cut off, or a machine that is
 * nearly idle would seem to be busier than it is. More than the rounding of idle, iowait and steal is not owed. */
static guint64
measure_busy_ns (const VjBusy *busy, Group *group, const VjProcStat *stat, guint64 elapsed_us)
{
  const VjI128 capacity_ns = (VjI128)elapsed_us * VJ_NS_PER_US * stat->cpus;
  const VjI128 idle_ns = ((VjI128)stat->idle_ticks - group->stat.idle_ticks) * busy->tick_ns;
  const VjI128 busy_ns = capacity_ns - idle_ns - group->owed_ns;
  const VjI128 bound_ns = (VjI128)stat->cpus * busy->tick_ns * 3;

  const VjI128 least_ns = least_busy_ns (busy, group, stat);

  group->owed_ns = busy_ns < 0 ? (guint64)MIN (-busy_ns, bound_ns) : 0;
  return (guint64)CLAMP (MAX (busy_ns, least_ns), 0, capacity_ns);
}

static guint64
advance (const VjBusy *busy, Group *group, const VjProcStat *stat, guint64 elapsed_us)
{
  guint64 busy_ns = 0;

  if (busy->primed)
    busy_ns = stat->cpus == group->stat.cpus ? measure_busy_ns (busy, group, stat, elapsed_us)
                                             : guess_busy_ns (busy, group, elapsed_us);
  group->last_busy_ns = busy_ns;
  group->stat = *stat;
  return busy_ns;
}

gboolean
vj_busy_read (VjBusy *busy, guint64 now_us, guint64 *ret_busy_ns, guint *ret_cpus, GError **error)
{
  const guint64 elapsed_us = busy->primed ? now_us - MIN (now_us, busy->mark_us) : 0;

  if (!read_stats (busy, error))
    return FALSE;
  *ret_cpus = 0;
  for (guint i = 0; i < busy->n_groups; i++)
    {
      ret_busy_ns[i] = advance (busy, &busy->groups[i], &busy->stats[i], elapsed_us);
      *ret_cpus += busy->stats[i].cpus;
    }
  busy->primed = TRUE;
  busy->mark_us = now_us;
  busy->last_elapsed_us = elapsed_us;
  return TRUE;
}

void
vj_busy_get_mark (const VjBusy *busy, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us)
{
  *ret_idle_ticks = busy->groups[0].stat.idle_ticks;
  *ret_monotonic_us = busy->mark_us;
}

void
vj_busy_set_mark (VjBusy *busy, guint64 idle_ticks, guint64 monotonic_us, guint cpus)
{
  busy->primed = TRUE;
  busy->mark_us = monotonic_us;
  /* How much was used by then is not known. */
  busy->groups[0].stat = (VjProcStat){ .cpus = cpus, .idle_ticks = idle_ticks };
}
