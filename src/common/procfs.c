/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/procfs.h"

#include "common/scan.h"

#include <string.h>

/* "user nice system idle iowait irq softirq steal", then guest and guest_nice, which are inside user and nice. */
enum
{
  CPU_USER,
  CPU_NICE,
  CPU_SYSTEM,
  CPU_IDLE,
  CPU_IOWAIT,
  CPU_IRQ,
  CPU_SOFTIRQ,
  CPU_STEAL,
  CPU_FIELDS
};

/* The fields of a "cpu..." line up to its newline: a line without one has been cut short. */
static gboolean
parse_cpu_fields (VjScan *scan, VjProcStat *ret_time)
{
  guint64 ticks[CPU_FIELDS];
  VjScan rest;

  for (gsize i = 0; i < CPU_FIELDS; i++)
    {
      if (!vj_scan_literal (scan, " ") || !vj_scan_u64 (scan, &ticks[i]))
        return FALSE;
    }
  if (vj_scan_left (scan) == 0 || (*scan->at != ' ' && *scan->at != '\n'))
    return FALSE;
  if (!vj_scan_line (scan, &rest) || rest.end == scan->end)
    return FALSE;
  ret_time->steal_ticks = ticks[CPU_STEAL];
  ret_time->used_ticks =
      ticks[CPU_USER] + ticks[CPU_NICE] + ticks[CPU_SYSTEM] + ticks[CPU_IRQ] + ticks[CPU_SOFTIRQ];
  return !__builtin_add_overflow (ticks[CPU_IDLE], ticks[CPU_IOWAIT], &ret_time->idle_ticks)
         && !__builtin_add_overflow (ret_time->idle_ticks, ticks[CPU_STEAL], &ret_time->idle_ticks);
}

static gboolean
take_cpu_line (VjScan *scan, const guint *group_of_cpu, guint n_cpus, VjProcStat *stats)
{
  guint64 cpu;
  VjProcStat time;
  VjProcStat *group;

  if (!vj_scan_u64 (scan, &cpu) || !parse_cpu_fields (scan, &time))
    return FALSE;
  group = &stats[cpu < n_cpus ? group_of_cpu[cpu] : 0];
  group->cpus++;
  group->steal_ticks += time.steal_ticks;
  group->used_ticks += time.used_ticks;
  return !__builtin_add_overflow (group->idle_ticks, time.idle_ticks, &group->idle_ticks);
}

static gboolean
parse_cpu_lines (VjScan scan, const guint *group_of_cpu, guint n_cpus, VjProcStat *stats)
{
  guint lines = 0;
  VjScan aggregate;

  if (!vj_scan_literal (&scan, "cpu ") || !vj_scan_line (&scan, &aggregate))
    return FALSE;
  for (; vj_scan_literal (&scan, "cpu"); lines++)
    {
      if (!take_cpu_line (&scan, group_of_cpu, n_cpus, stats))
        return FALSE;
    }
  return lines > 0;
}

gboolean
vj_procfs_parse_stat_groups (const char *text, gsize length, const guint *group_of_cpu, guint n_cpus,
                             VjProcStat *ret_stats, guint n_groups)
{
  VjProcStat *stats = g_new0 (VjProcStat, n_groups);
  const gboolean ok = parse_cpu_lines (vj_scan_init (text, length), group_of_cpu, n_cpus, stats);

  if (ok)
    memcpy (ret_stats, stats, n_groups * sizeof stats[0]);
  g_free (stats);
  return ok;
}

gboolean
vj_procfs_parse_stat (const char *text, gsize length, VjProcStat *ret_stat)
{
  VjScan scan = vj_scan_init (text, length);
  VjProcStat time;

  if (!vj_scan_literal (&scan, "cpu ") || !parse_cpu_fields (&scan, &time)
      || !vj_procfs_parse_stat_groups (text, length, NULL, 0, ret_stat, 1))
    return FALSE;
  time.cpus = ret_stat->cpus;
  *ret_stat = time;
  return TRUE;
}

/* One " NUMBER", perhaps negative (tpgid, priority, nice). */
static gboolean
skip_field (VjScan *scan)
{
  guint64 value;

  if (!vj_scan_literal (scan, " "))
    return FALSE;
  vj_scan_literal (scan, "-");
  return vj_scan_u64 (scan, &value);
}

static gboolean
skip_fields (VjScan *scan, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      if (!skip_field (scan))
        return FALSE;
    }
  return TRUE;
}

static gboolean
parse_field (VjScan *scan, guint64 *ret_value)
{
  return vj_scan_literal (scan, " ") && vj_scan_u64 (scan, ret_value);
}

/* "PID (COMM": leaves scan after the last ')'. */
static gboolean
skip_comm (VjScan *scan)
{
  guint64 pid;
  const char *paren;

  if (!vj_scan_u64 (scan, &pid) || !vj_scan_literal (scan, " ("))
    return FALSE;
  paren = memrchr (scan->at, ')', vj_scan_left (scan));
  if (paren == NULL)
    return FALSE;
  scan->at = paren + 1;
  return TRUE;
}

static gboolean
parse_state (VjScan *scan, char *ret_state)
{
  if (!vj_scan_literal (scan, " ") || vj_scan_left (scan) == 0 || !g_ascii_isalpha (*scan->at))
    return FALSE;
  *ret_state = *scan->at++;
  return TRUE;
}

gboolean
vj_procfs_parse_pid_stat (const char *text, gsize length, VjProcPidStat *ret_stat)
{
  VjScan scan = vj_scan_init (text, length);
  VjProcPidStat stat = { 0 };
  guint64 utime;
  guint64 stime;

  if (!skip_comm (&scan) || !parse_state (&scan, &stat.state))
    return FALSE;
  if (!skip_fields (&scan, 10)) /* ppid (4) to cmajflt (13) */
    return FALSE;
  if (!parse_field (&scan, &utime) || !parse_field (&scan, &stime))
    return FALSE;
  if (!skip_fields (&scan, 6)) /* cutime (16) to itrealvalue (21) */
    return FALSE;
  if (!parse_field (&scan, &stat.start_ticks))
    return FALSE;
  /* More fields follow: without them the last number may have been cut short. */
  if (vj_scan_left (&scan) == 0 || *scan.at != ' ' || __builtin_add_overflow (utime, stime, &stat.cpu_ticks))
    return FALSE;
  *ret_stat = stat;
  return TRUE;
}

gboolean
vj_procfs_parse_processor (const char *text, gsize length, guint *ret_cpu)
{
  VjScan scan = vj_scan_init (text, length);
  char state;
  guint64 cpu;

  if (!skip_comm (&scan) || !parse_state (&scan, &state))
    return FALSE;
  if (!skip_fields (&scan, 35) || !parse_field (&scan, &cpu)) /* ppid (4) to exit_signal (38) */
    return FALSE;
  if (vj_scan_left (&scan) == 0 || *scan.at != ' ' || cpu > G_MAXUINT)
    return FALSE;
  *ret_cpu = (guint)cpu;
  return TRUE;
}

gboolean
vj_procfs_parse_schedstat (const char *text, gsize length, guint64 *ret_run_ns)
{
  VjScan scan = vj_scan_init (text, length);
  guint64 run_ns;

  if (!vj_scan_u64 (&scan, &run_ns) || !vj_scan_literal (&scan, " "))
    return FALSE;
  *ret_run_ns = run_ns;
  return TRUE;
}

gboolean
vj_procfs_parse_pid (const char *text, gsize length, int *ret_pid)
{
  VjScan scan = vj_scan_init (text, length);
  guint64 pid;

  if (!vj_scan_u64 (&scan, &pid) || pid == 0 || pid > G_MAXINT)
    return FALSE;
  for (; scan.at < scan.end; scan.at++)
    {
      if (!g_ascii_isspace (*scan.at))
        return FALSE;
    }
  *ret_pid = (int)pid;
  return TRUE;
}

gboolean
vj_procfs_parse_uids (const char *text, gsize length, guint *ret_real, guint *ret_effective)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;
  guint64 real;
  guint64 effective;

  while (vj_scan_line (&scan, &line))
    {
      if (!vj_scan_literal (&line, "Uid:\t"))
        continue;
      if (!vj_scan_u64 (&line, &real) || !vj_scan_literal (&line, "\t") || !vj_scan_u64 (&line, &effective)
          || real > G_MAXUINT || effective > G_MAXUINT)
        return FALSE;
      *ret_real = (guint)real;
      *ret_effective = (guint)effective;
      return TRUE;
    }
  return FALSE;
}
