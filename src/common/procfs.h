/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parsers of /proc text (proc(5)). Pure: text in, struct out; FALSE and nothing written where the text is not of the
 * kernel's form. Text need not be NUL-terminated. */

typedef struct
{
  guint cpus;          /* number of cpuN lines: the online CPUs */
  guint64 idle_ticks;  /* Σ over them of idle + iowait + steal, in USER_HZ ticks */
  guint64 steal_ticks; /* steal alone; the lines' modulo 2^64, as the next */
  guint64 used_ticks;  /* user + nice + system + irq + softirq, which the timer samples */
} VjProcStat;

/* /proc/stat: counts the per-CPU lines and takes time from the aggregate line, because that is rounded to ticks once, and
 * theirs each by itself. Guest time is inside user time; it plays no part here. */
gboolean vj_procfs_parse_stat (const char *text, gsize length, VjProcStat *ret_stat);

/* The same by groups of CPUs (packages), all from the per-CPU lines: group_of_cpu[cpu] < n_groups for the first n_cpus
 * CPUs, group 0 for the others. ret_stats: n_groups entries. */
gboolean vj_procfs_parse_stat_groups (const char *text, gsize length, const guint *group_of_cpu, guint n_cpus,
                                      VjProcStat *ret_stats, guint n_groups);

typedef struct
{
  char state;          /* R S D Z T ... */
  guint64 start_ticks; /* field 22: start after boot, in USER_HZ ticks of CLOCK_BOOTTIME */
  guint64 cpu_ticks;   /* utime + stime (fields 14, 15); guest time is inside utime */
} VjProcPidStat;

/* /proc/PID/stat; comm may hold spaces, parentheses and newlines: fields are counted after the last ')'. */
gboolean vj_procfs_parse_pid_stat (const char *text, gsize length, VjProcPidStat *ret_stat);

/* The real and the effective user of /proc/PID/status, which the owner of /proc/PID need not be: that is root for every
 * process that forbids core dumps. */
gboolean vj_procfs_parse_uids (const char *text, gsize length, guint *ret_real, guint *ret_effective);

/* Field 39 of /proc/PID/task/TID/stat: the CPU that the thread runs on or last ran on. */
gboolean vj_procfs_parse_processor (const char *text, gsize length, guint *ret_cpu);

/* The first number of /proc/PID/task/TID/schedstat: time spent on a CPU, in ns (Documentation/scheduler/sched-stats). */
gboolean vj_procfs_parse_schedstat (const char *text, gsize length, guint64 *ret_run_ns);

/* A pidfile: decimal pid, optional white space after it. */
gboolean vj_procfs_parse_pid (const char *text, gsize length, int *ret_pid);
