/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/attribution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/units.h"

#define MAX_N     8
#define NO_LIMIT  G_MAXUINT64
#define SECOND_US VJ_US_PER_S

typedef struct
{
  const char *what;
  guint64 measured_uj, static_uw, dynamic_limit_uj, busy;
  guint64 usage[3], limit_uj[3];
  guint64 static_uj, remainder_uj, energy_uj[3];
  guint64 owed_uj, debt_ns; /* afterwards */
} Case;

/* One interval of 1 s, three consumers, from a fresh state. debt_limit is 50. */
static const Case CASES[] = {
  { "by usage, the rest is the remainder's",
    1000,
    0,
    NO_LIMIT,
    100,
    { 20, 30, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    0,
    500,
    { 200, 300, 0 },
    0,
    0 },
  { "static first",
    1000,
    400,
    NO_LIMIT,
    100,
    { 20, 30, 50 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    400,
    0,
    { 120, 180, 300 },
    0,
    0 },
  { "static shortfall is owed",
    300,
    400,
    NO_LIMIT,
    100,
    { 20, 30, 50 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    300,
    0,
    { 0, 0, 0 },
    100,
    0 },
  { "nobody used anything",
    1000,
    400,
    NO_LIMIT,
    0,
    { 0, 0, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    400,
    600,
    { 0, 0, 0 },
    0,
    0 },
  { "consumers used more than the machine",
    1000,
    0,
    NO_LIMIT,
    80,
    { 50, 50, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    0,
    0,
    { 500, 500, 0 },
    0,
    20 },
  { "the debt is bounded",
    1000,
    0,
    NO_LIMIT,
    10,
    { 50, 50, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    0,
    0,
    { 500, 500, 0 },
    0,
    50 },
  { "dynamic energy is limited",
    1000,
    100,
    600,
    100,
    { 50, 0, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    400,
    300,
    { 300, 0, 0 },
    0,
    0 },
  { "a limit that does not bind",
    1000,
    100,
    900,
    100,
    { 50, 0, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    100,
    450,
    { 450, 0, 0 },
    0,
    0 },
  { "a consumer's excess is the remainder's",
    1000,
    0,
    NO_LIMIT,
    100,
    { 50, 40, 0 },
    { 100, 400, 0 },
    0,
    500,
    { 100, 400, 0 },
    0,
    0 },
  { "nothing measured",
    0,
    0,
    NO_LIMIT,
    100,
    { 50, 40, 0 },
    { NO_LIMIT, NO_LIMIT, NO_LIMIT },
    0,
    0,
    { 0, 0, 0 },
    0,
    0 },
};

static void
test_one_interval (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (CASES); i++)
    {
      const Case *c = &CASES[i];
      VjAttributionState book = { 0 };
      VjAttributionResult result;
      VjCarry carry[3] = { 0 };
      guint64 energy_uj[3] = { 77, 77, 77 };
      const VjAttributionInput input = {
        c->measured_uj, SECOND_US, c->static_uw, c->dynamic_limit_uj, c->busy, 50, c->usage, c->limit_uj, 3,
        { 0 },          NULL
      };
      vj_attribution_run (&book, &input, carry, energy_uj, &result);
      if (result.static_uj != c->static_uj || result.remainder_uj != c->remainder_uj)
        print_error ("%s\n", c->what);
      assert_int_equal (result.static_uj, c->static_uj);
      assert_int_equal (result.remainder_uj, c->remainder_uj);
      assert_memory_equal (energy_uj, c->energy_uj, sizeof energy_uj);
      assert_int_equal (result.attributed_uj, energy_uj[0] + energy_uj[1] + energy_uj[2]);
      assert_int_equal (book.static_owed_uj, c->owed_uj);
      assert_int_equal (book.usage_held, -(gint64)c->debt_ns);
    }
}

static VjAttributionResult
run_host_only (VjAttributionState *book, guint64 measured_uj, guint64 elapsed_us, guint64 static_uw)
{
  const VjAttributionInput input = {
    .measured_uj = measured_uj, .elapsed_us = elapsed_us, .static_uw = static_uw, .dynamic_limit_uj = NO_LIMIT
  };
  VjAttributionResult result;
  vj_attribution_run (book, &input, NULL, NULL, &result);
  return result;
}

/* A machine that idles at exactly its static power, read by a noisy counter, has no dynamic energy but the
 * noise's first excursion. */
static void
test_noise_does_not_become_dynamic (void **state)
{
  VjAttributionState book = { 0 };
  guint64 dynamic_uj = 0;
  for (int i = 0; i < 10000; i++)
    dynamic_uj += run_host_only (&book, i % 2 == 0 ? 7000000 : 9000000, SECOND_US, 8000000).remainder_uj;
  assert_int_equal (dynamic_uj, 0);
}

static void
test_shortfall_is_bounded (void **state)
{
  VjAttributionState book = { 0 };
  for (int i = 0; i < 1000; i++)
    run_host_only (&book, 0, SECOND_US, 8000000);
  assert_int_equal (book.static_owed_uj, 60 * 8000000);
  assert_int_equal (run_host_only (&book, 1000000000, SECOND_US, 8000000).static_uj, 61 * 8000000);
  assert_int_equal (book.static_owed_uj, 0);
}

/* 3 µW over 1 s are 3 µJ, however the second is cut. */
static void
test_static_rest_is_carried (void **state)
{
  VjAttributionState book = { 0 };
  guint64 static_uj = 0;
  for (int i = 0; i < 999999; i += 27)
    static_uj += run_host_only (&book, 100, 27, 3).static_uj;
  assert_int_equal (static_uj, 2);
  assert_int_equal (book.static_rest_pj, 999997);
  static_uj += run_host_only (&book, 100, 1, 3).static_uj;
  assert_int_equal (static_uj, 3);
}

static void
test_extremes_do_not_overflow (void **state)
{
  VjAttributionState book = { 0 };
  assert_int_equal (run_host_only (&book, 5, G_MAXUINT64, G_MAXUINT64).static_uj, 5);
  const VjAttributionResult result = run_host_only (&book, G_MAXINT64, G_MAXUINT64, G_MAXUINT64);
  assert_true (result.static_uj == G_MAXINT64 && result.remainder_uj == 0);
}

/* Usage in steps of its own against a busy time in 10 ms steps: over the run the remainder gets its due. */
static void
test_debt_is_paid_down (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  VjAttributionState book = { 0 };
  VjCarry carry = 0;
  guint64 energy_uj = 0, host_uj = 0, total_ns = 0, told_ns = 0, used = 0;
  for (int i = 0; i < 20000; i++)
    {
      /* The consumer uses 7/8 of a CPU's time, the host 1/8; of the sum /proc/stat tells whole 10 ms only. */
      total_ns += 8 * (1000000 + g_rand_int (rand) % 1000000);
      const guint64 busy = total_ns / 10000000 * 10000000 - told_ns;
      const guint64 usage = total_ns / 8 * 7 - used;
      const VjAttributionInput input = { busy,   10000, 0, NO_LIMIT, busy, 20000000,
                                         &usage, NULL,  1, { 0 },    NULL };
      VjAttributionResult result;
      guint64 part_uj;
      used += usage;
      told_ns += busy;
      vj_attribution_run (&book, &input, &carry, &part_uj, &result);
      energy_uj += part_uj;
      host_uj += result.remainder_uj;
    }
  assert_int_equal (energy_uj + host_uj, told_ns);
  assert_in_range (host_uj, told_ns / 1000 * 110, told_ns / 1000 * 140);
}

typedef struct
{
  guint64 tick_us;
  guint64 usage_permille, host_permille; /* of one CPU */
} LowLoad;

/* µJ of 10^6 given to a consumer per 10^6 ns that it used: the meter is exact (1 W per busy CPU), busy time comes in steps
 * of 10 ms. */
static guint64
share_at_low_load (const LowLoad *load, guint seconds)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  VjAttributionState book = { 0 };
  VjCarry carry = 0;
  guint64 given_uj = 0, used_ns = 0, total_ns = 0, told_ns = 0, measured_uj = 0;
  for (guint64 i = 0; i < seconds * SECOND_US / load->tick_us; i++)
    {
      const guint64 usage = load->tick_us * load->usage_permille / 10 * (5 + g_rand_int (rand) % 11);
      VjAttributionResult result;
      guint64 part_uj;
      used_ns += usage;
      total_ns += usage + load->tick_us * load->host_permille / 10 * (5 + g_rand_int (rand) % 11);
      const guint64 busy = total_ns / 10000000 * 10000000 - told_ns;
      const guint64 energy_uj = total_ns / 1000 - measured_uj;
      const VjAttributionInput input = { .measured_uj = energy_uj,
                                         .elapsed_us = load->tick_us,
                                         .busy = busy,
                                         .dynamic_limit_uj = NO_LIMIT,
                                         .debt_limit = 20000000,
                                         .usage = &usage,
                                         .n = 1 };
      told_ns += busy;
      measured_uj += energy_uj;
      vj_attribution_run (&book, &input, &carry, &part_uj, &result);
      given_uj += part_uj;
    }
  return given_uj * 1000 * 10000 / used_ns;
}

/* Busy time that is nothing in one interval and too much in the next is right on the whole, and yet shares of it would not
 * be: a nearly idle machine's consumers would get up to a sixth more than they used. */
static void
test_steps_do_not_favour_low_loads (void **state)
{
  static const LowLoad loads[] = {
    { 100000, 50, 10 }, { 100000, 50, 50 }, { 100000, 50, 300 }, { 100000, 250, 50 }, { 100000, 1000, 100 },
    { 200000, 50, 50 }, { 500000, 50, 50 }, { 1000000, 50, 50 }, { 1000000, 10, 50 }, { 1000000, 250, 50 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (loads); i++)
    assert_in_range (share_at_low_load (&loads[i], 600), 9900, 10100);
}

/* What a limit takes of a rounding is given back as soon as there is room. */
static void
test_limit_keeps_roundings (void **state)
{
  VjAttributionState book = { 0 };
  VjAttributionResult result;
  VjCarry carry = 0;
  guint64 part_uj;
  const guint64 usage = 1, none = 0;
  VjAttributionInput input = { 1, 1, 0, NO_LIMIT, 2, 0, &usage, &none, 1, { 0 }, NULL };
  vj_attribution_run (&book, &input, &carry, &part_uj,
                      &result); /* half a unit each: the consumer's by the tie */
  assert_int_equal (part_uj, 0);
  assert_true (carry == VJ_CARRY_UNIT / 2 && book.remainder_carry == -VJ_CARRY_UNIT / 2);
  input.limit_uj = NULL;
  vj_attribution_run (&book, &input, &carry, &part_uj, &result);
  assert_int_equal (part_uj, 1);
  assert_true (carry == 0 && book.remainder_carry == 0);
}

static void
test_excess_over_a_limit_is_not_owed (void **state)
{
  VjAttributionState book = { 0 };
  VjCarry carry = 0;
  VjAttributionResult result;
  guint64 part_uj;
  const guint64 usage = 1, none = 0, no_limit = NO_LIMIT;
  VjAttributionInput input = { 1000, 1, 0, NO_LIMIT, 2, 0, &usage, &none, 1, { 0 }, NULL };
  for (int i = 0; i < 100; i++)
    vj_attribution_run (&book, &input, &carry, &part_uj, &result);
  input.limit_uj = &no_limit;
  vj_attribution_run (&book, &input, &carry, &part_uj, &result);
  assert_in_range (part_uj, 500, 501);
}

/* Any input is conserved, and zero usage is zero energy. */
static void
test_random_inputs_are_conserved (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);
  VjAttributionState book = { 0 };
  VjCarry carry[MAX_N] = { 0 };
  for (int round = 0; round < 100000; round++)
    {
      guint64 usage[MAX_N], limit_uj[MAX_N], energy_uj[MAX_N], sum_uj = 0;
      for (gsize i = 0; i < MAX_N; i++)
        {
          usage[i] = g_rand_int (rand) % 3 == 0 ? 0 : g_rand_int (rand) >> g_rand_int (rand) % 32;
          limit_uj[i] = g_rand_int (rand) >> g_rand_int (rand) % 32;
        }
      const VjAttributionInput input = { .measured_uj = g_rand_int (rand) >> g_rand_int (rand) % 32,
                                         .elapsed_us = g_rand_int (rand) >> g_rand_int (rand) % 32,
                                         .static_uw = g_rand_int (rand) >> g_rand_int (rand) % 32,
                                         .dynamic_limit_uj =
                                             g_rand_boolean (rand) ? NO_LIMIT : g_rand_int (rand) >> 12,
                                         .busy = (guint64)g_rand_int (rand) << g_rand_int (rand) % 4,
                                         .debt_limit = 20000000,
                                         .usage = usage,
                                         .limit_uj = g_rand_boolean (rand) ? NULL : limit_uj,
                                         .n = g_rand_int (rand) % (MAX_N + 1) };
      VjAttributionResult result;
      vj_attribution_run (&book, &input, carry, energy_uj, &result);
      for (gsize i = 0; i < input.n; i++)
        {
          sum_uj += energy_uj[i];
          assert_true (usage[i] > 0 || energy_uj[i] == 0);
          assert_true (input.limit_uj == NULL || energy_uj[i] <= limit_uj[i]);
        }
      assert_int_equal (result.attributed_uj, sum_uj);
      assert_int_equal (sum_uj + result.remainder_uj + result.static_uj, input.measured_uj);
      assert_true (sum_uj + result.remainder_uj <= input.dynamic_limit_uj);
      assert_true (result.remainder_uj <= input.measured_uj && result.static_uj <= input.measured_uj);
      assert_true (ABS (book.usage_held) <= (gint64)input.debt_limit && book.static_rest_pj < 1000000);
      assert_true (book.static_owed_uj <= input.static_uw * 60);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_one_interval),
    cmocka_unit_test (test_noise_does_not_become_dynamic),
    cmocka_unit_test (test_shortfall_is_bounded),
    cmocka_unit_test (test_static_rest_is_carried),
    cmocka_unit_test (test_extremes_do_not_overflow),
    cmocka_unit_test (test_debt_is_paid_down),
    cmocka_unit_test (test_steps_do_not_favour_low_loads),
    cmocka_unit_test (test_limit_keeps_roundings),
    cmocka_unit_test (test_excess_over_a_limit_is_not_owed),
    cmocka_unit_test (test_random_inputs_are_conserved),
  };
  return cmocka_run_group_tests_name ("attribution", tests, NULL, NULL);
}
