/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/intercept.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/units.h"

#define W    VJ_UW_PER_W
#define CPUS 16

/* P = S + D u^gamma, with noise on the power of every window; u varies evenly between two loads. */
typedef struct
{
  double static_w, dynamic_w, gamma, noise; /* noise: standard deviation as a part of the power */
  double load_low, load_high;
} Machine;

static const Machine plain = { 80, 200, 1, 0.005, 0.001, 0.3 };

static double
normal (GRand *rand)
{
  double sum = -6;
  for (int i = 0; i < 12; i++)
    sum += g_rand_double (rand);
  return sum;
}

static gboolean
feed_load (VjIntercept *intercept, const Machine *machine, GRand *rand, double load, guint64 elapsed_us)
{
  const double watts = machine->static_w + machine->dynamic_w * pow (load, machine->gamma);
  const double energy_uj = watts * (1 + machine->noise * normal (rand)) * (double)elapsed_us;
  const double busy_ns = load * CPUS * (double)elapsed_us * (double)VJ_NS_PER_US;
  return vj_intercept_add (intercept, (guint64)MAX (energy_uj, 0), elapsed_us, (guint64)busy_ns, CPUS);
}

static void
feed (VjIntercept *intercept, const Machine *machine, GRand *rand, guint windows)
{
  for (guint i = 0; i < windows; i++)
    feed_load (intercept, machine, rand, g_rand_double_range (rand, machine->load_low, machine->load_high),
               VJ_INTERCEPT_WINDOW_US);
}

static VjInterceptEstimate
observe (const Machine *machine, guint32 seed, guint windows)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  feed (intercept, machine, rand, windows);
  vj_intercept_estimate (intercept, &estimate);
  return estimate;
}

/* Within its own error, or 1 % if that is more. */
static void
assert_near (const VjInterceptEstimate *estimate, double watts)
{
  const double truth_uw = watts * (double)W;
  const double off_uw = fabs ((double)estimate->static_uw - truth_uw);
  assert_int_equal (estimate->verdict, VJ_INTERCEPT_JUSTIFIED);
  if (off_uw > MAX ((double)estimate->error_uw, truth_uw / 100))
    fail_msg ("%" G_GUINT64_FORMAT " +- %" G_GUINT64_FORMAT " uW is far from %f W", estimate->static_uw,
              estimate->error_uw, watts);
}

static void
test_straight_line (void **state)
{
  const VjInterceptEstimate estimate = observe (&plain, 1, 1000);
  assert_near (&estimate, 80);
  assert_in_range (estimate.error_uw, 1, 4 * W);
}

static void
test_without_noise_it_is_exact (void **state)
{
  Machine machine = plain;
  machine.noise = 0;
  const VjInterceptEstimate estimate = observe (&machine, 2, 1000);
  assert_in_range (estimate.static_uw, 80 * W - 100, 80 * W + 100);
}

static void
test_no_static_power (void **state)
{
  Machine machine = plain;
  machine.static_w = 0;
  const VjInterceptEstimate estimate = observe (&machine, 3, 1000);
  assert_int_equal (estimate.verdict, VJ_INTERCEPT_JUSTIFIED);
  assert_in_range (estimate.static_uw, 0, W / 10);
}

/* What no straight line should be drawn through, or not so far. */
static void
test_no_value (void **state)
{
  static const struct
  {
    const char *what;
    Machine machine;
    guint windows;
    VjInterceptVerdict verdict;
  } cases[] = {
    { "nothing observed", { 80, 200, 1, 0, 0, 1 }, 0, VJ_INTERCEPT_FEW },
    { "a few minutes", { 80, 200, 1, 0, 0, 0.3 }, 59, VJ_INTERCEPT_FEW },
    { "constant load", { 80, 200, 1, 0.005, 0.03, 0.03 }, 2000, VJ_INTERCEPT_STEADY },
    { "constant load, its rounding", { 80, 200, 1, 0.005, 0.0298, 0.0302 }, 2000, VJ_INTERCEPT_STEADY },
    { "always idle", { 80, 200, 1, 0.005, 0.001, 0.004 }, 2000, VJ_INTERCEPT_STEADY },
    { "always busy", { 80, 200, 1, 0.005, 0.5, 1 }, 2000, VJ_INTERCEPT_BUSY },
    { "never near idle", { 80, 200, 1, 0.005, 0.06, 0.4 }, 4000, VJ_INTERCEPT_BUSY },
    { "a curve", { 80, 200, 0.4, 0.005, 0.001, 0.3 }, 4000, VJ_INTERCEPT_CURVED },
    { "a counter that stands still", { 0, 0, 1, 0, 0, 0.3 }, 2000, VJ_INTERCEPT_FEW },
    { "one range of loads", { 80, 200, 1, 0.005, 0.0, 0.0125 }, 2000, VJ_INTERCEPT_UNCHECKED },
    { "noise", { 80, 200, 1, 0.5, 0.001, 0.3 }, 400, VJ_INTERCEPT_NOISY },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const VjInterceptEstimate estimate = observe (&cases[i].machine, 4, cases[i].windows);
      if (estimate.verdict != cases[i].verdict)
        print_error ("%s: %s\n", cases[i].what, vj_intercept_verdict_text (estimate.verdict));
      assert_int_equal (estimate.verdict, cases[i].verdict);
      assert_int_equal (estimate.static_uw, 0);
      assert_non_null (vj_intercept_verdict_text (estimate.verdict));
    }
}

/* Two loads only, however long: a curve could go through both. */
static void
test_two_loads_are_no_line (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  const Machine curve = { 80, 200, 0.4, 0.002, 0, 0 };
  for (int i = 0; i < 2000; i++)
    feed_load (intercept, &curve, rand, i % 2 == 0 ? 0.004 : 0.08, VJ_INTERCEPT_WINDOW_US);
  vj_intercept_estimate (intercept, &estimate);
  assert_int_equal (estimate.verdict, VJ_INTERCEPT_UNCHECKED);
}

/* Over all kinds of machines: where a value is given it is right within 11 %, however power bends (8 % on a line), and mostly one is given
 * where power is a line. */
static void
test_many_machines (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (6);
  int lines = 0, lines_justified = 0;
  for (int i = 0; i < 300; i++)
    {
      const gboolean line = i % 2 == 0;
      const Machine machine = {
        g_rand_double_range (rand, 10, 150),           g_rand_double_range (rand, 20, 300),
        line ? 1 : g_rand_double_range (rand, 0.3, 1), g_rand_double_range (rand, 0, 0.02),
        g_rand_double_range (rand, 0, 0.05),           g_rand_double_range (rand, 0.06, 1)
      };
      const VjInterceptEstimate estimate = observe (&machine, g_rand_int (rand), 3000);
      lines += line;
      lines_justified += line && estimate.verdict == VJ_INTERCEPT_JUSTIFIED;
      if (estimate.verdict != VJ_INTERCEPT_JUSTIFIED)
        continue;
      const double off = fabs ((double)estimate.static_uw / (double)W / machine.static_w - 1);
      const double allowed = line ? 0.08 : 0.11;
      if (off > allowed)
        fail_msg ("S %f D %f gamma %f noise %f load %f..%f: %" G_GUINT64_FORMAT " uW", machine.static_w,
                  machine.dynamic_w, machine.gamma, machine.noise, machine.load_low, machine.load_high,
                  estimate.static_uw);
    }
  print_message ("%d of %d straight machines justified\n", lines_justified, lines);
  assert_true (lines_justified * 3 > lines);
}

/* A window that drew less than the line foretells: static power is at most that; far less, and the line is wrong. */
static void
test_never_more_than_was_ever_drawn (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  feed (intercept, &plain, rand, 1000);
  vj_intercept_add (intercept, 78 * W * 10, VJ_INTERCEPT_WINDOW_US, CPUS * VJ_NS_PER_S, CPUS);
  vj_intercept_estimate (intercept, &estimate);
  assert_int_equal (estimate.verdict, VJ_INTERCEPT_JUSTIFIED);
  assert_int_equal (estimate.static_uw, 78 * W);
  vj_intercept_add (intercept, 71 * W * 10, VJ_INTERCEPT_WINDOW_US, CPUS * VJ_NS_PER_S, CPUS);
  vj_intercept_estimate (intercept, &estimate);
  assert_int_equal (estimate.verdict, VJ_INTERCEPT_NOISY);
}

/* The machine draws 30 W more or less from now on: within two hours that is what is known of it. */
static void
test_change_of_the_machine (void **state)
{
  static const double after[] = { 110, 50 };
  for (gsize i = 0; i < G_N_ELEMENTS (after); i++)
    {
      g_autoptr (GRand) rand = g_rand_new_with_seed (8);
      g_autoptr (VjIntercept) intercept = vj_intercept_new ();
      VjInterceptEstimate estimate;
      Machine changed = plain;
      changed.static_w = after[i];
      feed (intercept, &plain, rand, 5 * 360 + 100);
      vj_intercept_estimate (intercept, &estimate);
      assert_near (&estimate, 80);
      feed (intercept, &changed, rand, 2 * 360);
      vj_intercept_estimate (intercept, &estimate);
      assert_near (&estimate, after[i]);
    }
}

/* Half a day later nothing is left of a load, and of the value that it gave. */
static void
test_the_past_is_forgotten (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (9);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  Machine busy = plain;
  busy.load_low = 0.6;
  busy.load_high = 0.9;
  feed (intercept, &plain, rand, 1000);
  feed (intercept, &busy, rand, 6 * 360);
  vj_intercept_estimate (intercept, &estimate);
  assert_near (&estimate, 80);
  feed (intercept, &busy, rand, 8 * 360);
  vj_intercept_estimate (intercept, &estimate);
  assert_int_equal (estimate.verdict, VJ_INTERCEPT_BUSY);
}

/* Ticks of any length: windows of at least ten seconds, and the same value. */
static void
test_intervals_make_windows (void **state)
{
  static const guint64 intervals_us[] = { 100000, 1000000, 7000000, 60000000 };
  for (gsize i = 0; i < G_N_ELEMENTS (intervals_us); i++)
    {
      g_autoptr (GRand) rand = g_rand_new_with_seed (10);
      g_autoptr (VjIntercept) intercept = vj_intercept_new ();
      VjInterceptEstimate estimate;
      int windows = 0;
      for (guint n = 0; windows < 500; n++)
        windows += feed_load (intercept, &plain, rand, 0.001 + 0.3 * fabs (sin (windows)), intervals_us[i]);
      vj_intercept_estimate (intercept, &estimate);
      assert_near (&estimate, 80);
    }
}

/* What cannot be matched takes its window with it, and nothing else. */
static void
test_skipped_windows (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  feed (intercept, &plain, rand, 500);
  assert_false (vj_intercept_add (intercept, 1, 5 * VJ_US_PER_S, 0, CPUS));
  vj_intercept_skip (intercept);
  assert_false (feed_load (intercept, &plain, rand, 0.1, 5 * VJ_US_PER_S));
  assert_false (vj_intercept_add (intercept, 1, 121 * VJ_US_PER_S, 0, CPUS));
  assert_false (vj_intercept_add (intercept, 1, 0, 0, CPUS));
  assert_false (vj_intercept_add (intercept, 1, VJ_US_PER_S, 0, 0));
  assert_false (feed_load (intercept, &plain, rand, 0.1, 5 * VJ_US_PER_S));
  assert_true (feed_load (intercept, &plain, rand, 0.1, 5 * VJ_US_PER_S));
  vj_intercept_estimate (intercept, &estimate);
  assert_near (&estimate, 80);
}

/* Where power bends a little there is a value, too high, and the error says by how much. */
static void
test_the_error_allows_for_a_bend (void **state)
{
  for (guint32 seed = 20; seed < 30; seed++)
    {
      const Machine bent = { 80, 200, 0.8, 0.0001, 0.001, 0.3 };
      const VjInterceptEstimate estimate = observe (&bent, seed, 4000);
      assert_int_equal (estimate.verdict, VJ_INTERCEPT_JUSTIFIED);
      assert_in_range (estimate.static_uw, 80 * W + W / 2, 80 * W + estimate.error_uw);
    }
}

/* A few windows at another load are no check of the line. */
static void
test_few_other_loads_check_nothing (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (12);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  Machine near = plain;
  near.load_high = 0.0125;
  feed (intercept, &near, rand, 500);
  for (int i = 0; i < 15; i++)
    feed_load (intercept, &plain, rand, 0.049, VJ_INTERCEPT_WINDOW_US);
  vj_intercept_estimate (intercept, &estimate);
  assert_int_equal (estimate.verdict, VJ_INTERCEPT_UNCHECKED);
  for (int i = 0; i < 15; i++)
    feed_load (intercept, &plain, rand, 0.049, VJ_INTERCEPT_WINDOW_US);
  vj_intercept_estimate (intercept, &estimate);
  assert_near (&estimate, 80);
}

/* Two idle hours foretell nothing of a busy one: that power bends is no change of the machine. */
static void
test_a_curve_is_no_change (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (13);
  g_autoptr (VjIntercept) intercept = vj_intercept_new ();
  VjInterceptEstimate estimate;
  Machine curve = { 80, 300, 0.6, 0.005, 0.002, 0.0125 };
  feed (intercept, &curve, rand, 2 * 360);
  curve.load_low = 0.08;
  curve.load_high = 0.1;
  feed (intercept, &curve, rand, 360);
  vj_intercept_estimate (intercept, &estimate);
  assert_int_not_equal (estimate.verdict, VJ_INTERCEPT_JUSTIFIED);
  assert_int_equal (estimate.windows, 3 * 360);
}

/* How often the interval holds the truth. 95 % of the time, were there no curvature to allow for; and not less. */
static void
test_the_interval_holds_the_truth (void **state)
{
  int held = 0, justified = 0;
  for (guint32 seed = 100; seed < 300; seed++)
    {
      const VjInterceptEstimate estimate = observe (&plain, seed, 500);
      const double off_uw = fabs ((double)estimate.static_uw - 80 * (double)W);
      justified += estimate.verdict == VJ_INTERCEPT_JUSTIFIED;
      held += estimate.verdict == VJ_INTERCEPT_JUSTIFIED && off_uw <= (double)estimate.error_uw;
    }
  print_message ("%d of %d intervals hold the truth\n", held, justified);
  assert_true (justified >= 190);
  assert_true (held * 100 >= justified * 92);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_straight_line),
    cmocka_unit_test (test_without_noise_it_is_exact),
    cmocka_unit_test (test_no_static_power),
    cmocka_unit_test (test_no_value),
    cmocka_unit_test (test_two_loads_are_no_line),
    cmocka_unit_test (test_many_machines),
    cmocka_unit_test (test_never_more_than_was_ever_drawn),
    cmocka_unit_test (test_change_of_the_machine),
    cmocka_unit_test (test_the_past_is_forgotten),
    cmocka_unit_test (test_intervals_make_windows),
    cmocka_unit_test (test_skipped_windows),
    cmocka_unit_test (test_the_error_allows_for_a_bend),
    cmocka_unit_test (test_few_other_loads_check_nothing),
    cmocka_unit_test (test_a_curve_is_no_change),
    cmocka_unit_test (test_the_interval_holds_the_truth),
  };
  return cmocka_run_group_tests_name ("intercept", tests, NULL, NULL);
}
