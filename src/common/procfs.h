/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parsers of /proc text (proc(5)). Pure: text in, struct out; FALSE and nothing written where the text is not of the
 * kernel's form. Text need not be NUL-terminated. */

typedef struct
{
  guint cpus;          /* number of cpuN lines: the online CPUs */
  guint64 idle_ticks;  /* Σ over them of idle + iowait + steal, in USER_HZ ticks */
} VjProcStat;

/* /proc/stat: sums the per-CPU lines, because the aggregate line is rounded once and theirs each by itself. Guest time
 * is inside user time; it plays no part here. */
gboolean vj_procfs_parse_stat (const char *text, gsize length, VjProcStat *ret_stat);

typedef struct
{
  char state;              /* R S D Z T ... */
  guint64 start_ticks;     /* field 22: start after boot, in USER_HZ ticks of CLOCK_BOOTTIME */
  guint64 cpu_ticks;       /* utime + stime (fields 14, 15); guest time is inside utime */
} VjProcPidStat;

/* /proc/PID/stat; comm may hold spaces, parentheses and newlines: fields are counted after the last ')'. */
gboolean vj_procfs_parse_pid_stat (const char *text, gsize length, VjProcPidStat *ret_stat);

/* A pidfile: decimal pid, optional white space after it. */
gboolean vj_procfs_parse_pid (const char *text, gsize length, int *ret_pid);
