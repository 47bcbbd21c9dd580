/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/procfs.h"

#include "common/scan.h"

#include <string.h>

/* "user nice system idle iowait irq softirq steal", then guest and guest_nice, which are inside user and nice. */
#define CPU_FIELDS 8
#define CPU_IDLE   3
#define CPU_IOWAIT 4
#define CPU_STEAL  7

/* The rest of a "cpuN ..." line, from N on to its newline: a line without one has been cut short. */
static gboolean
parse_cpu_line (VjScan *scan, guint64 *idle_ticks)
{
  guint64 ticks[CPU_FIELDS];
  guint64 cpu;
  VjScan rest;

  if (!vj_scan_u64 (scan, &cpu))
    return FALSE;
  for (gsize i = 0; i < CPU_FIELDS; i++)
    {
      if (!vj_scan_literal (scan, " ") || !vj_scan_u64 (scan, &ticks[i]))
        return FALSE;
    }
  if (vj_scan_left (scan) == 0 || (*scan->at != ' ' && *scan->at != '\n'))
    return FALSE;
  if (!vj_scan_line (scan, &rest) || rest.end == scan->end)
    return FALSE;
  return !__builtin_add_overflow (*idle_ticks, ticks[CPU_IDLE], idle_ticks)
         && !__builtin_add_overflow (*idle_ticks, ticks[CPU_IOWAIT], idle_ticks)
         && !__builtin_add_overflow (*idle_ticks, ticks[CPU_STEAL], idle_ticks);
}

gboolean
vj_procfs_parse_stat (const char *text, gsize length, VjProcStat *ret_stat)
{
  VjScan scan = vj_scan_init (text, length);
  VjProcStat stat = { 0 };
  VjScan aggregate;

  if (!vj_scan_literal (&scan, "cpu ") || !vj_scan_line (&scan, &aggregate))
    return FALSE;
  for (; vj_scan_literal (&scan, "cpu"); stat.cpus++)
    {
      if (!parse_cpu_line (&scan, &stat.idle_ticks))
        return FALSE;
    }
  if (stat.cpus == 0)
    return FALSE;
  *ret_stat = stat;
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
