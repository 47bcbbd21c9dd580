/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "common/cpu_list.h"
#include "common/procfs.h"

#include <string.h>

static void
check_stat (const char *text, gsize size)
{
  g_autoptr (GString) longer = g_string_new_len (text, (gssize)size);
  VjProcStat stat = { .cpus = 77, .idle_ticks = 88 };
  VjProcStat again;

  if (!vj_procfs_parse_stat (text, size, &stat))
    {
      FUZZ_CHECK (stat.cpus == 77 && stat.idle_ticks == 88);
      return;
    }
  FUZZ_CHECK (stat.cpus >= 1 && stat.cpus <= size / strlen ("cpu0 0 0 0 0 0 0 0 0\n"));
  /* The lines that follow the CPUs change nothing. */
  g_string_append (longer, "\nintr 1");
  FUZZ_CHECK (vj_procfs_parse_stat (longer->str, longer->len, &again));
  FUZZ_CHECK (again.cpus == stat.cpus && again.idle_ticks == stat.idle_ticks);
}

/* Every CPU is in one group. Idle time need not add up: the whole is of another line. */
static void
check_stat_groups (const char *text, gsize size)
{
  static const guint group_of_cpu[] = { 2, 1, 0, 1 };
  VjProcStat whole;
  VjProcStat groups[3];

  if (!vj_procfs_parse_stat (text, size, &whole))
    return;
  FUZZ_CHECK (vj_procfs_parse_stat_groups (text, size, group_of_cpu, 4, groups, 3));
  FUZZ_CHECK (groups[0].cpus + groups[1].cpus + groups[2].cpus == whole.cpus);
}

static void
check_thread (const char *text, gsize size)
{
  guint cpu = 77;
  guint64 run_ns = 77;

  if (vj_procfs_parse_processor (text, size, &cpu))
    FUZZ_CHECK (memchr (text, ')', size) != NULL);
  else
    FUZZ_CHECK (cpu == 77);
  guint effective = 77;
  cpu = 77;
  if (vj_procfs_parse_uids (text, size, &cpu, &effective))
    FUZZ_CHECK (memmem (text, size, "Uid:\t", 5) != NULL);
  else
    FUZZ_CHECK (cpu == 77 && effective == 77);
  if (vj_procfs_parse_schedstat (text, size, &run_ns))
    FUZZ_CHECK (g_ascii_isdigit (text[0]));
  else
    FUZZ_CHECK (run_ns == 77);
}

/* The numbers rise, and there are no more of them than the bound allows. */
static void
check_cpu_list (const char *text, gsize size)
{
  g_autoptr (GArray) cpus = g_array_new (FALSE, FALSE, sizeof (guint));

  if (!vj_cpu_list_parse (text, size, cpus))
    FUZZ_CHECK (cpus->len == 0);
  for (guint i = 0; i < cpus->len; i++)
    {
      FUZZ_CHECK (g_array_index (cpus, guint, i) < VJ_CPUS_MAX);
      FUZZ_CHECK (i == 0 || g_array_index (cpus, guint, i) > g_array_index (cpus, guint, i - 1));
    }
}

static void
check_pid_stat (const char *text, gsize size)
{
  VjProcPidStat stat = { .state = '?', .start_ticks = 77, .cpu_ticks = 88 };

  if (vj_procfs_parse_pid_stat (text, size, &stat))
    FUZZ_CHECK (g_ascii_isalpha (stat.state) && memchr (text, ')', size) != NULL);
  else
    FUZZ_CHECK (stat.state == '?' && stat.start_ticks == 77 && stat.cpu_ticks == 88);
}

/* The fields that matter are read back whatever the command's name is. */
static void
check_comm (const char *comm, gsize size)
{
  static const char tail[] = ") R 1 2 3 4 -1 5 6 7 8 9 10 20 30 0 20 0 1 0 4711 1 2 3";
  g_autoptr (GString) text = g_string_new ("99 (");
  VjProcPidStat stat;

  g_string_append_len (text, comm, (gssize)size);
  g_string_append (text, tail);
  FUZZ_CHECK (vj_procfs_parse_pid_stat (text->str, text->len, &stat));
  FUZZ_CHECK (stat.state == 'R' && stat.cpu_ticks == 30 && stat.start_ticks == 4711);
}

static void
check_pid (const char *text, gsize size)
{
  int pid = -7;

  if (vj_procfs_parse_pid (text, size, &pid))
    FUZZ_CHECK (pid > 0 && g_ascii_isdigit (text[0]));
  else
    FUZZ_CHECK (pid == -7);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;

  check_stat (text, size);
  check_stat_groups (text, size);
  check_thread (text, size);
  check_cpu_list (text, size);
  check_pid_stat (text, size);
  check_comm (text, size);
  check_pid (text, size);
  return 0;
}
