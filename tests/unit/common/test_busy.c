/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/busy.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/units.h"
#include "fake_topology.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define MS      ((guint64)1000 * 1000)
#define TICK_NS (VJ_NS_PER_S / (guint64)sysconf (_SC_CLK_TCK))

/* /proc/stat of a machine with so many CPUs, whose first has been idle for so long; long_line bytes of interrupts. */
static void
write_stat (const char *procfs, guint cpus, guint64 idle_ticks, gsize long_line)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_printf (text, "cpu  5 0 5 %" G_GUINT64_FORMAT " 0 0 0 0 3 0\n", idle_ticks);
  for (guint i = 0; i < cpus; i++)
    g_string_append_printf (text, "cpu%u 5 0 5 %" G_GUINT64_FORMAT " 0 0 0 0 3 0\n", i,
                            i == 0 ? idle_ticks : 0);
  g_string_append (text, "intr 1");
  for (gsize i = 0; i < long_line; i += 2)
    g_string_append (text, " 0");
  g_string_append (text, "\nctxt 1\n");
  tempdir_write (procfs, "stat", text->str);
}

typedef struct
{
  guint64 at_us;
  guint cpus;
  guint64 idle_ticks;
  guint64 busy_ticks; /* expected */
} Step;

typedef struct
{
  const char *title;
  Step steps[6]; /* the first primes */
} Case;

/* With ticks of 10 ms, 100000 µs are 10 of them for each CPU. */
static const Case cases[] = {
  { "busy is what is not idle", { { 1000000, 2, 50, 0 }, { 1100000, 2, 55, 15 }, { 1200000, 2, 75, 0 } } },
  { "a whole machine is the most", { { 0, 2, 50, 0 }, { 100000, 2, 50, 20 }, { 200000, 2, 48, 20 } } },
  { "rounding is given back",
    { { 0, 1, 0, 0 },
      { 100000, 1, 11, 0 },
      { 200000, 1, 20, 0 },
      { 300000, 1, 32, 0 },
      { 400000, 1, 35, 5 } } },
  { "but no more than rounding", { { 0, 1, 0, 0 }, { 100000, 1, 90, 0 }, { 200000, 1, 90, 7 } } },
  { "a CPU comes and goes",
    { { 0, 2, 0, 0 },
      { 100000, 2, 12, 8 },
      { 300000, 3, 9000, 16 },
      { 400000, 3, 9010, 20 },
      { 500000, 1, 1, 20 },
      { 600000, 1, 6, 5 } } },
};

static void
follows_idle_time (void **state)
{
  const Case *c = *state;
  void *root = NULL;
  guint cpus = 0;
  guint64 busy_ns = 0;

  assert_int_equal (tempdir_setup (&root), 0);
  write_stat (root, c->steps[0].cpus, c->steps[0].idle_ticks, 0);
  g_autoptr (VjBusy) busy = vj_busy_open (root, NULL);
  assert_non_null (busy);
  for (gsize i = 0; i < G_N_ELEMENTS (c->steps) && c->steps[i].cpus > 0; i++)
    {
      const Step *step = &c->steps[i];

      write_stat (root, step->cpus, step->idle_ticks, 0);
      assert_true (vj_busy_read (busy, step->at_us, &busy_ns, &cpus, NULL));
      assert_int_equal (cpus, step->cpus);
      assert_int_equal (busy_ns, step->busy_ticks * TICK_NS);
    }
  tempdir_teardown (&root);
}

/* An idle CPU that waits for its hypervisor to wake it is told as idle and as stolen. */
static void
time_stolen_while_idle_is_not_taken_twice (void **state)
{
  guint64 busy_ns = 0;
  guint cpus = 0;

  tempdir_write (*state, "stat", "cpu  100 0 50 500 0 5 5 70 0 0\ncpu0 100 0 50 500 0 5 5 70 0 0\n");
  g_autoptr (VjBusy) busy = vj_busy_open (*state, NULL);
  assert_true (vj_busy_read (busy, 0, &busy_ns, &cpus, NULL));
  tempdir_write (*state, "stat", "cpu  120 1 52 550 0 6 7 120 0 0\ncpu0 120 1 52 550 0 6 7 120 0 0\n");
  assert_true (vj_busy_read (busy, 1000000, &busy_ns, &cpus, NULL));
  assert_int_equal (busy_ns, 26 * TICK_NS);
}

static void
mark_continues_an_earlier_reading (void **state)
{
  g_autoptr (VjBusy) busy = NULL;
  guint64 idle_ticks = 0;
  guint64 at_us = 0;
  guint64 busy_ns = 0;
  guint cpus = 0;

  write_stat (*state, 2, 1000, 0);
  busy = vj_busy_open (*state, NULL);
  vj_busy_set_mark (busy, 990, 500000, 2);
  assert_true (vj_busy_read (busy, 600000, &busy_ns, &cpus, NULL));
  assert_int_equal (busy_ns, 10 * TICK_NS);
  vj_busy_get_mark (busy, &idle_ticks, &at_us);
  assert_int_equal (idle_ticks, 1000);
  assert_int_equal (at_us, 600000);
}

static void
long_files_and_odd_files (void **state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjBusy) busy = NULL;
  guint64 busy_ns = 0;
  guint cpus = 0;

  assert_null (vj_busy_open (*state, &error));
  assert_true (vj_error_is_gone (error));
  g_clear_error (&error);

  write_stat (*state, 300, 1000, 200000);
  busy = vj_busy_open (*state, NULL);
  assert_true (vj_busy_read (busy, 0, &busy_ns, &cpus, NULL));
  assert_int_equal (cpus, 300);
  tempdir_write (*state, "stat", "intr 0\n");
  assert_false (vj_busy_read (busy, 1, &busy_ns, &cpus, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

static void
this_machine_is_readable (void **state)
{
  g_autoptr (VjBusy) busy = vj_busy_open ("/proc", NULL);
  guint64 busy_ns = 0;
  guint cpus = 0;

  assert_non_null (busy);
  assert_true (vj_busy_read (busy, vj_clock_monotonic_us (), &busy_ns, &cpus, NULL));
  assert_int_equal (cpus, sysconf (_SC_NPROCESSORS_ONLN));
  assert_int_equal (busy_ns, 0);
}

/* The aggregate line is rounded once, and every CPU's for itself: their sum is less. */
static void
machine_is_read_from_the_line_that_is_rounded_once (void **state)
{
  const char *root = *state;
  guint64 busy_ns = 0;
  guint cpus = 0;

  tempdir_write (root, "stat",
                 "cpu  0 0 0 100 0 0 0 0 0 0\ncpu0 0 0 0 50 0 0 0 0 0 0\ncpu1 0 0 0 50 0 0 0 0 0 0\n");
  g_autoptr (VjBusy) busy = vj_busy_open (root, NULL);
  assert_true (vj_busy_read (busy, 0, &busy_ns, &cpus, NULL));
  tempdir_write (root, "stat",
                 "cpu  0 0 0 111 0 0 0 0 0 0\ncpu0 0 0 0 55 0 0 0 0 0 0\ncpu1 0 0 0 55 0 0 0 0 0 0\n");
  assert_true (vj_busy_read (busy, 100000, &busy_ns, &cpus, NULL));
  assert_int_equal (cpus, 2);
  assert_int_equal (busy_ns, 9 * TICK_NS);
}

/* Ticks are of 10 ms. */
static void
write_package_stat (const char *root, guint idle0, guint idle1, guint idle2, gboolean has_cpu3)
{
  g_autofree char *text = g_strdup_printf ("cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 9 9 9 %u 0 0 0 0 0 0\n"
                                           "cpu1 9 9 9 0 %u 0 0 0 0 0\ncpu2 9 9 9 0 0 0 0 %u 0 0\n%sintr 1\n",
                                           idle0, idle1, idle2, has_cpu3 ? "cpu3 0 0 0 0 0 0 0 0 0 0\n" : "");

  tempdir_write (root, "stat", text);
}

static void
busy_time_is_by_package (void **state)
{
  static const guint package_of_cpu[] = { 0, 1, 1, 0 };
  static const struct
  {
    guint idle[3];
    gboolean has_cpu3;
    guint64 now_us;
    guint64 busy_ms[2];
  } steps[] = {
    { { 100, 200, 300 }, FALSE, 1000000, { 0, 0 } },
    { { 200, 300, 400 }, FALSE, 2000000, { 0, 0 } }, /* idle */
    { { 200, 350, 500 }, FALSE, 3000000, { 1000, 500 } },
    { { 301, 350, 500 }, FALSE, 4000000, { 0, 2000 } }, /* 10 ms too much idle time: owed */
    { { 351, 450, 600 }, FALSE, 5000000, { 490, 0 } },
    { { 351, 451, 601 }, TRUE, 6000000, { 490, 1980 } }, /* a CPU came: as busy as before */
    { { 351, 451, 601 }, TRUE, 6500000, { 1000, 1000 } },
  };
  const char *root = *state;
  g_autoptr (GError) error = NULL;
  guint64 busy_ns[2];
  guint cpus = 0;

  fake_topology_write (root, package_of_cpu, 4);
  write_package_stat (root, 0, 0, 0, FALSE);
  g_autoptr (VjTopology) topology = vj_topology_open (root);
  g_autoptr (VjBusy) busy = vj_busy_open_packages (root, topology, &error);
  assert_non_null (busy);
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      write_package_stat (root, steps[i].idle[0], steps[i].idle[1], steps[i].idle[2], steps[i].has_cpu3);
      assert_true (vj_busy_read (busy, steps[i].now_us, busy_ns, &cpus, &error));
      assert_int_equal (cpus, steps[i].has_cpu3 ? 4 : 3);
      assert_int_equal (busy_ns[0], steps[i].busy_ms[0] * MS);
      assert_int_equal (busy_ns[1], steps[i].busy_ms[1] * MS);
    }
  tempdir_write (root, "stat", "cpu  1\n");
  assert_false (vj_busy_read (busy, 7000000, busy_ns, &cpus, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

int
main (void)
{
  struct CMUnitTest follows[G_N_ELEMENTS (cases)] = { 0 };
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (time_stolen_while_idle_is_not_taken_twice),
    tempdir_unit_test (mark_continues_an_earlier_reading),
    tempdir_unit_test (long_files_and_odd_files),
    tempdir_unit_test (machine_is_read_from_the_line_that_is_rounded_once),
    tempdir_unit_test (busy_time_is_by_package),
    cmocka_unit_test (this_machine_is_readable),
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    follows[i] = (struct CMUnitTest){ cases[i].title, follows_idle_time, NULL, NULL, (void *)&cases[i] };
  return cmocka_run_group_tests (follows, NULL, NULL) + cmocka_run_group_tests (tests, NULL, NULL);
}
