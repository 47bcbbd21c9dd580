/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/counter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct
{
  const char *what;
  guint64 last_uj, max_range_uj, raw_uj, plausible_uj;
  VjCounterStep step;
  guint64 delta_uj;
} Case;

static const Case CASES[] = {
  { "forward", 100, 1000, 150, 200, VJ_COUNTER_ADVANCED, 50 },
  { "no change", 100, 1000, 100, 200, VJ_COUNTER_ADVANCED, 0 },
  { "no change, nothing plausible", 100, 1000, 100, 0, VJ_COUNTER_ADVANCED, 0 },
  { "forward to the bound", 100, 1000, 300, 200, VJ_COUNTER_ADVANCED, 200 },
  { "forward past the bound", 100, 1000, 301, 200, VJ_COUNTER_REJECTED, 0 },
  { "forward, range unknown", 100, 0, 150, 200, VJ_COUNTER_ADVANCED, 50 },
  { "wrap", 950, 1000, 20, 200, VJ_COUNTER_WRAPPED, 70 },
  { "wrap from the end of the range", 1000, 1000, 0, 200, VJ_COUNTER_WRAPPED, 0 },
  { "wrap to the bound", 900, 1000, 100, 200, VJ_COUNTER_WRAPPED, 200 },
  { "one past the bound is a reset", 900, 1000, 101, 200, VJ_COUNTER_RESET, 101 },
  { "reset, range unknown", 950, 0, 20, 200, VJ_COUNTER_RESET, 20 },
  { "reset far from the wrap", 500, 1000, 20, 200, VJ_COUNTER_RESET, 20 },
  { "reset to the bound", 500, 1000, 200, 200, VJ_COUNTER_RESET, 200 },
  { "reset to an implausible value", 500, 1000, 201, 200, VJ_COUNTER_RESET, 0 },
  { "reset of a counter past its range", 1500, 1000, 20, 200, VJ_COUNTER_RESET, 20 },
  { "a counter past its range cannot wrap", 1500, 1000, 600, 200, VJ_COUNTER_RESET, 0 },
  { "real range, wrap", G_GUINT64_CONSTANT (262143328849), G_GUINT64_CONSTANT (262143328850), 9, 1000000,
    VJ_COUNTER_WRAPPED, 10 },
  { "real range, reset is not 262 kJ", 5000000, G_GUINT64_CONSTANT (262143328850), 1000, 400000000,
    VJ_COUNTER_RESET, 1000 },
  { "widest range", G_MAXUINT64, G_MAXUINT64, 5, 10, VJ_COUNTER_WRAPPED, 5 },
  { "forward, more than one wrap possible", 100, 1000, 150, 1000, VJ_COUNTER_AMBIGUOUS, 0 },
  { "backward, more than one wrap possible", 150, 1000, 100, 5000, VJ_COUNTER_AMBIGUOUS, 0 },
  { "one below the range is not ambiguous", 100, 1000, 99, 999, VJ_COUNTER_WRAPPED, 999 },
};

static void
test_steps (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (CASES); i++)
    {
      const Case *c = &CASES[i];
      VjCounter counter = { .last_uj = c->last_uj, .max_range_uj = c->max_range_uj, .primed = TRUE };
      guint64 delta_uj = 77;
      VjCounterStep step = vj_counter_advance (&counter, c->raw_uj, c->plausible_uj, &delta_uj);
      if (step != c->step || delta_uj != c->delta_uj)
        print_error ("%s\n", c->what);
      assert_int_equal (step, c->step);
      assert_int_equal (delta_uj, c->delta_uj);
      assert_int_equal (counter.last_uj, c->raw_uj);
      assert_true (counter.primed);
    }
}

static void
test_first_reading_primes (void **state)
{
  VjCounter counter = { .max_range_uj = 1000 };
  guint64 delta_uj = 77;
  assert_int_equal (vj_counter_advance (&counter, 500, 100, &delta_uj), VJ_COUNTER_PRIMED);
  assert_int_equal (delta_uj, 0);
  assert_int_equal (vj_counter_advance (&counter, 560, 100, &delta_uj), VJ_COUNTER_ADVANCED);
  assert_int_equal (delta_uj, 60);
}

/* Priming wins over ambiguity: there is no interval yet. */
static void
test_first_reading_after_any_time (void **state)
{
  VjCounter counter = { .max_range_uj = 1000 };
  guint64 delta_uj = 77;
  assert_int_equal (vj_counter_advance (&counter, 500, G_MAXUINT64, &delta_uj), VJ_COUNTER_PRIMED);
  assert_int_equal (delta_uj, 0);
}

/* Many wraps of a small range lose nothing. The kernel wraps from max_range to 0 in one step of nothing. */
static void
test_sum_over_wraps (void **state)
{
  VjCounter counter = { .max_range_uj = 1000 };
  guint64 true_uj = 0, sum_uj = 0, delta_uj = 0, wraps = 0;
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  vj_counter_advance (&counter, 0, 500, &delta_uj);
  for (int i = 0; i < 100000; i++)
    {
      true_uj += g_rand_int (rand) % 501;
      VjCounterStep step = vj_counter_advance (&counter, true_uj % 1000, 500, &delta_uj);
      wraps += step == VJ_COUNTER_WRAPPED;
      sum_uj += delta_uj;
    }
  assert_int_equal (sum_uj, true_uj);
  assert_int_equal (wraps, true_uj / 1000);
}

static void
test_delta_is_always_plausible (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (8);
  for (int i = 0; i < 100000; i++)
    {
      VjCounter counter = { .last_uj = (guint64)g_rand_int (rand) << (g_rand_int (rand) % 33),
                            .max_range_uj = (guint64)g_rand_int (rand) << (g_rand_int (rand) % 33),
                            .primed = TRUE };
      guint64 plausible_uj = (guint64)g_rand_int (rand) << (g_rand_int (rand) % 33);
      guint64 delta_uj = 0;
      vj_counter_advance (&counter, (guint64)g_rand_int (rand) << (g_rand_int (rand) % 33), plausible_uj,
                          &delta_uj);
      assert_true (delta_uj <= plausible_uj);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_steps),
    cmocka_unit_test (test_first_reading_primes),
    cmocka_unit_test (test_first_reading_after_any_time),
    cmocka_unit_test (test_sum_over_wraps),
    cmocka_unit_test (test_delta_is_always_plausible),
  };
  return cmocka_run_group_tests_name ("counter", tests, NULL, NULL);
}
