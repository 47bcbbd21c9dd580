/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/procfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define PID_HEAD "100 "
#define PID_TAIL(utime, stime, start)                                                                        \
  " S 1 100 100 0 -1 4194560 1 2 3 4 " utime " " stime " 7 8 -20 -19 3 0 " start                             \
  " 1000 2000 18446744073709551615"

/* The text at the very end of an allocation, so that a sanitizer sees any read past it. */
static char *
exact_copy (const char *text, gsize length)
{
  return g_memdup2 (text, MAX (length, 1));
}

static void
test_stat (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint cpus;
    guint64 idle_ticks;
  } cases[] = {
    { "cpu  1 2 3 41 5 6 7 8 9 10\ncpu0 1 2 3 40 5 6 7 8 9 10\nintr 1 2\n", TRUE, 1, 54 },
    { "cpu  0 0 0 1 1 0 0 1\ncpu0 0 0 0 1 1 0 0 1\n", TRUE, 1, 3 },
    { "cpu  0 0 0 4 0 0 0 0\ncpu0 0 0 0 1 0 0 0 0 0 0\ncpu7 0 0 0 2 0 0 0 0 0 0\nintr", TRUE, 2, 4 },
    { "cpu  0 0 0 18446744073709551615 0 0 0 0\ncpu0 0 0 0 1 0 0 0 0\n", TRUE, 1, G_MAXUINT64 },
    { "cpu  0\ncpu0 0 0 0 1 0 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 18446744073709551615 1 0 0 0\ncpu0 0 0 0 1 0 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu0 0 0 0 18446744073709551616 0 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu0 0 0 0 18446744073709551615 1 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu0 0 0 0 1 0 0 0 0\ncpu1 0 0 0 1 0 0 0 0", FALSE, 0, 0 }, /* cut short */
    { "cpu  0 0 0 1 0 0 0 0\ncpu0 0 0 0 1 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu0 0 0 0 -1 0 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu0  0 0 0 1 0 0 0 0\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu0 0 0 0 1 0 0 0 0x\n", FALSE, 0, 0 },
    { "cpu  0 0 0 1 0 0 0 0\ncpu 0 0 0 1 0 0 0 0\n", FALSE, 0, 0 },
    { "cpu  1 2 3 4 5 6 7 8 9 10\nintr 1\n", FALSE, 0, 0 },
    { "cpu0 0 0 0 1 0 0 0 0\n", FALSE, 0, 0 },
    { "", FALSE, 0, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      VjProcStat stat = { .cpus = 77, .idle_ticks = 88 };

      assert_int_equal (vj_procfs_parse_stat (text, length, &stat), cases[i].ok);
      assert_int_equal (stat.cpus, cases[i].ok ? cases[i].cpus : 77);
      assert_int_equal (stat.idle_ticks, cases[i].ok ? cases[i].idle_ticks : 88);
    }
}

static void
test_stat_many_cpus (void **state)
{
  g_autoptr (GString) text = g_string_new ("cpu  1 2 3 40000 5 6 7 8 9 10\n");
  VjProcStat stat;

  for (guint i = 0; i < 256; i++)
    g_string_append_printf (text, "cpu%u 11 22 33 %u 100 44 55 10 66 77\n", i, i);
  g_string_append (text, "intr 1 2 3\nctxt 4\n");
  assert_true (vj_procfs_parse_stat (text->str, text->len, &stat));
  assert_int_equal (stat.cpus, 256);
  assert_int_equal (stat.idle_ticks, 40013);
}

/* No prefix of a /proc/stat counts fewer CPUs or fewer ticks than the lines that it holds whole. */
static void
test_stat_cut (void **state)
{
  const char *text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 40 5 6 7 8 9 10\n";
  VjProcStat stat;

  for (gsize length = 0; length < strlen (text); length++)
    assert_false (vj_procfs_parse_stat (text, length, &stat));
  assert_true (vj_procfs_parse_stat (text, strlen (text), &stat));
}

static void
test_stat_groups (void **state)
{
  static const char text[] = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 0 0 0 1 0 0 0 0\ncpu1 0 0 0 10 0 0 0 5\n"
                             "cpu3 0 0 0 100 50 0 0 0\ncpu9 0 0 0 1000 0 0 0 0\nintr 1\n";
  static const guint package_of_cpu[] = { 0, 1, 0, 1 };
  VjProcStat stats[3] = { { .cpus = 77 } };

  assert_true (vj_procfs_parse_stat_groups (text, strlen (text), package_of_cpu, 4, stats, 3));
  assert_int_equal (stats[0].cpus, 2); /* CPU 9 is of no known group */
  assert_int_equal (stats[0].idle_ticks, 1001);
  assert_int_equal (stats[1].cpus, 2);
  assert_int_equal (stats[1].idle_ticks, 165);
  assert_int_equal (stats[2].cpus, 0);
  assert_int_equal (stats[2].idle_ticks, 0);

  stats[0].cpus = 77;
  assert_false (vj_procfs_parse_stat_groups (text, strlen (text) - 20, package_of_cpu, 4, stats, 3));
  assert_int_equal (stats[0].cpus, 77);
}

#define TASK_TAIL(processor)                                                                                 \
  " S 1 100 100 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 98 1000 2000 18446744073709551615 1 1 0 0 0 0 0 "      \
  "4096 0 0 0 0 17 " processor

static void
test_processor (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint cpu;
  } cases[] = {
    { PID_HEAD "(CPU 0/KVM)" TASK_TAIL ("5 0 0 0 0 0\n"), TRUE, 5 },
    { PID_HEAD "(a) R 1 2)" TASK_TAIL ("255 0"), TRUE, 255 },
    { PID_HEAD "(a)" TASK_TAIL ("5"), FALSE, 0 }, /* cut short */
    { PID_HEAD "(a)" TASK_TAIL ("-1 0"), FALSE, 0 },
    { PID_HEAD "(a)" TASK_TAIL ("4294967296 0"), FALSE, 0 },
    { PID_HEAD "(a)" TASK_TAIL (""), FALSE, 0 },
    { PID_HEAD "(a)" PID_TAIL ("5", "6", "7"), FALSE, 0 },
    { "", FALSE, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      guint cpu = 77;

      assert_int_equal (vj_procfs_parse_processor (text, length, &cpu), cases[i].ok);
      assert_int_equal (cpu, cases[i].ok ? cases[i].cpu : 77);
    }
}

static void
test_uids (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint real;
    guint effective;
  } cases[] = {
    { "Name:\tkvm\nUid:\t0\t0\t0\t0\nGid:\t1\t1\t1\t1\n", TRUE, 0, 0 },
    { "Uid:\t1000\t0\t0\t0\n", TRUE, 1000, 0 },
    { "Uid:\t4294967295\t64055\t0\t0\n", TRUE, G_MAXUINT, 64055 },
    { "Name:\tUid:\t0\t0\nUid:\t5\t6\t7\t8\n", TRUE, 5, 6 },
    { "Uid:\t4294967296\t0\t0\t0\n", FALSE, 0, 0 },
    { "Uid:\t0\t-1\t0\t0\n", FALSE, 0, 0 },
    { "Uid:\t0\n", FALSE, 0, 0 },
    { "Name:\tkvm\nGid:\t0\t0\t0\t0\n", FALSE, 0, 0 },
    { "", FALSE, 0, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      guint real = 77;
      guint effective = 77;

      assert_int_equal (vj_procfs_parse_uids (text, length, &real, &effective), cases[i].ok);
      assert_int_equal (real, cases[i].ok ? cases[i].real : 77);
      assert_int_equal (effective, cases[i].ok ? cases[i].effective : 77);
    }
}

static void
test_schedstat (void **state)
{
  static const struct
  {
    const char *text;
    guint64 run_ns; /* 0: malformed */
  } cases[] = {
    { "123456789 72363 1\n", 123456789 },
    { "18446744073709551615 0 0\n", G_MAXUINT64 },
    { "18446744073709551616 0 0\n", 0 },
    { "123", 0 },
    { "-1 0 0\n", 0 },
    { " 1 0 0\n", 0 },
    { "", 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      guint64 run_ns = 77;

      assert_int_equal (vj_procfs_parse_schedstat (text, length, &run_ns), cases[i].run_ns != 0);
      assert_int_equal (run_ns, cases[i].run_ns != 0 ? cases[i].run_ns : 77);
    }
}

static void
test_pid_stat (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint64 cpu_ticks;
    guint64 start_ticks;
  } cases[] = {
    { PID_HEAD "(sh)" PID_TAIL ("5", "6", "9876"), TRUE, 11, 9876 },
    { PID_HEAD "(a b) S 1 (c\n)" PID_TAIL ("5", "6", "9876"), TRUE, 11, 9876 },
    { PID_HEAD "()))" PID_TAIL ("0", "0", "0"), TRUE, 0, 0 },
    { PID_HEAD "(x)" PID_TAIL ("18446744073709551615", "0", "1"), TRUE, G_MAXUINT64, 1 },
    { PID_HEAD "(x)" PID_TAIL ("18446744073709551615", "1", "1"), FALSE, 0, 0 },
    { PID_HEAD "(x)" PID_TAIL ("18446744073709551616", "0", "1"), FALSE, 0, 0 },
    { PID_HEAD "(x)" PID_TAIL ("-5", "0", "1"), FALSE, 0, 0 },
    { PID_HEAD "(x)" PID_TAIL ("5", "6", "-1"), FALSE, 0, 0 },
    { PID_HEAD "(x)" PID_TAIL ("5", "6", "1x"), FALSE, 0, 0 },
    { PID_HEAD "(x) S 1 100 100 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98", FALSE, 0, 0 }, /* cut short */
    { PID_HEAD "(x) 5 1 100 100 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98 1", FALSE, 0, 0 },
    { PID_HEAD "(x", FALSE, 0, 0 },
    { PID_HEAD "(x)", FALSE, 0, 0 },
    { PID_HEAD "(x) ", FALSE, 0, 0 },
    { "(x) S 1", FALSE, 0, 0 },
    { "", FALSE, 0, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      VjProcPidStat stat = { .state = '?', .start_ticks = 77, .cpu_ticks = 88 };

      assert_int_equal (vj_procfs_parse_pid_stat (text, length, &stat), cases[i].ok);
      assert_int_equal (stat.state, cases[i].ok ? 'S' : '?');
      assert_int_equal (stat.cpu_ticks, cases[i].ok ? cases[i].cpu_ticks : 88);
      assert_int_equal (stat.start_ticks, cases[i].ok ? cases[i].start_ticks : 77);
    }
}

static void
test_pid (void **state)
{
  static const struct
  {
    const char *text;
    int pid;
  } cases[] = {
    { "1", 1 },
    { "4711\n", 4711 },
    { "4711 \t\r\n", 4711 },
    { "2147483647\n", G_MAXINT },
    { "2147483648\n", 0 },
    { "0", 0 },
    { "-1", 0 },
    { "+1", 0 },
    { " 1", 0 },
    { "1 2", 0 },
    { "1x", 0 },
    { "0x10", 0 },
    { "", 0 },
    { "\n", 0 },
    { "18446744073709551617", 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      int pid = -7;

      assert_int_equal (vj_procfs_parse_pid (text, length, &pid), cases[i].pid != 0);
      assert_int_equal (pid, cases[i].pid != 0 ? cases[i].pid : -7);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_stat),      cmocka_unit_test (test_stat_many_cpus),
    cmocka_unit_test (test_stat_cut),  cmocka_unit_test (test_pid_stat),
    cmocka_unit_test (test_pid),       cmocka_unit_test (test_stat_groups),
    cmocka_unit_test (test_processor), cmocka_unit_test (test_schedstat),
    cmocka_unit_test (test_uids),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
