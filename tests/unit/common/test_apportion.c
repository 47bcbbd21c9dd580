/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/apportion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/units.h"

#define MAX_N 64

static guint64
sum_of (const guint64 *values, gsize n)
{
  guint64 sum = 0;
  for (gsize i = 0; i < n; i++)
    sum += values[i];
  return sum;
}

static guint64
random_u64 (GRand *rand, guint bits)
{
  guint64 value = (guint64)g_rand_int (rand) << 32 | g_rand_int (rand);
  return bits == 0 ? 0 : value >> (64 - bits);
}

static void
test_examples (void **state)
{
  static const struct
  {
    guint64 total;
    gsize n;
    guint64 weights[4];
    gint carry_percent[4]; /* of a unit */
    guint64 parts[4];
  } cases[] = {
    { 100, 2, { 1, 1 }, { 0 }, { 50, 50 } },
    { 0, 2, { 1, 1 }, { 0 }, { 0, 0 } },
    { 1, 3, { 1, 1, 1 }, { 0 }, { 1, 0, 0 } }, /* a tie: the lower index */
    { 10, 3, { 1, 1, 1 }, { 0 }, { 4, 3, 3 } },
    { 10, 3, { 1, 2, 4 }, { 0 }, { 1, 3, 6 } }, /* 1.43 2.86 5.71 */
    { 7, 4, { 0, 3, 0, 0 }, { 0 }, { 0, 7, 0, 0 } },
    { 1, 2, { 1, 1 }, { -10, 10 }, { 0, 1 } },          /* the carry breaks the tie */
    { 10, 2, { 1, 1 }, { 90, -90 }, { 6, 4 } },         /* 5.9 4.1 */
    { 1, 2, { 1, 99 }, { -200, 200 }, { 0, 1 } },       /* too much before: not below zero */
    { 1, 3, { 1, 1, 1 }, { 95, 90, 92 }, { 1, 0, 0 } }, /* carries promise 3: two are taken back */
    { 0, 2, { 1, 1 }, { 6400, -6400 }, { 0, 0 } },
    { 10, 2, { 1, 1 }, { 6400, 6400 }, { 5, 5 } },   /* rounds of taking back */
    { 10, 2, { 1, 1 }, { -6400, -6400 }, { 5, 5 } }, /* all of it left over */
    { G_GUINT64_CONSTANT (1) << 63,
      2,
      { 1, 3 },
      { 0 },
      { G_GUINT64_CONSTANT (1) << 61, G_GUINT64_CONSTANT (3) << 61 } },
    { 9, 3, { G_MAXUINT64, G_MAXUINT64, G_MAXUINT64 }, { 0 }, { 3, 3, 3 } },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjCarry carry[4];
      guint64 parts[4] = { 77, 77, 77, 77 };
      for (gsize j = 0; j < 4; j++)
        carry[j] = cases[i].carry_percent[j] * VJ_CARRY_UNIT / 100;
      assert_true (vj_apportion (cases[i].total, cases[i].weights, cases[i].n, carry, parts));
      assert_memory_equal (parts, cases[i].parts, cases[i].n * sizeof *parts);
    }
}

static void
test_nobody_takes_part (void **state)
{
  const guint64 weights[3] = { 0, 0, 0 };
  VjCarry carry[3] = { 1, -2, 3 };
  guint64 parts[3] = { 7, 7, 7 };
  assert_false (vj_apportion (10, weights, 3, carry, parts));
  assert_int_equal (sum_of (parts, 3), 0);
  assert_true (carry[0] == 1 && carry[1] == -2 && carry[2] == 3);
  assert_false (vj_apportion (10, NULL, 0, NULL, NULL));
}

/* Any input: the sum is exact, a weight of zero gets nothing and keeps its carry, and carries stay in their
 * bounds. */
static void
test_random_inputs (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  for (int round = 0; round < 20000; round++)
    {
      guint64 weights[MAX_N], parts[MAX_N];
      VjCarry carry[MAX_N], before[MAX_N];
      gboolean anybody = FALSE;
      const gsize n = 1 + g_rand_int (rand) % MAX_N;
      const guint bits = g_rand_int (rand) % 65;
      const guint64 total = random_u64 (rand, g_rand_int (rand) % 64);
      for (gsize i = 0; i < n; i++)
        {
          weights[i] = g_rand_int (rand) % 4 == 0 ? 0 : random_u64 (rand, bits);
          carry[i] = (VjCarry)random_u64 (rand, g_rand_int (rand) % 65);
          anybody = anybody || weights[i] > 0;
        }
      memcpy (before, carry, n * sizeof *carry);
      const gboolean any = vj_apportion (total, weights, n, carry, parts);
      assert_int_equal (any, anybody);
      assert_int_equal (sum_of (parts, n), any ? total : 0);
      for (gsize i = 0; i < n; i++)
        {
          if (weights[i] == 0)
            assert_true (parts[i] == 0 && carry[i] == before[i]);
          else if (total > 0)
            assert_true (carry[i] >= -VJ_CARRY_LIMIT && carry[i] <= VJ_CARRY_LIMIT);
        }
    }
}

/* Without carries every part is the ideal share rounded down or up. */
static void
test_quota (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);
  for (int round = 0; round < 20000; round++)
    {
      guint64 weights[MAX_N], parts[MAX_N];
      VjCarry carry[MAX_N] = { 0 };
      const gsize n = 1 + g_rand_int (rand) % MAX_N;
      const guint64 total = random_u64 (rand, g_rand_int (rand) % 40);
      for (gsize i = 0; i < n; i++)
        weights[i] = random_u64 (rand, g_rand_int (rand) % 50);
      weights[0]++;
      const guint64 sum = sum_of (weights, n);
      assert_true (vj_apportion (total, weights, n, carry, parts));
      for (gsize i = 0; i < n; i++)
        {
          const guint64 floor = (guint64)((VjU128)total * weights[i] / sum);
          assert_in_range (parts[i], floor, floor + ((VjU128)total * weights[i] % sum > 0 ? 1 : 0));
        }
    }
}

/* Turning the participants about turns the parts about with them. Odd random carries leave no ties. */
static void
test_order_does_not_matter (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  for (int round = 0; round < 10000; round++)
    {
      guint64 weights[MAX_N], parts[MAX_N], turned_weights[MAX_N], turned_parts[MAX_N];
      VjCarry carry[MAX_N], turned_carry[MAX_N];
      const gsize n = 2 + g_rand_int (rand) % (MAX_N - 1), by = 1 + g_rand_int (rand) % (n - 1);
      for (gsize i = 0; i < n; i++)
        {
          turned_weights[(i * (n - 1) + by) % n] = weights[i] = random_u64 (rand, 20);
          turned_carry[(i * (n - 1) + by) % n] = carry[i] =
              (VjCarry)random_u64 (rand, 34) - 2 * VJ_CARRY_UNIT;
        }
      const guint64 total = random_u64 (rand, 25);
      vj_apportion (total, weights, n, carry, parts);
      vj_apportion (total, turned_weights, n, turned_carry, turned_parts);
      for (gsize i = 0; i < n; i++)
        {
          assert_int_equal (parts[i], turned_parts[(i * (n - 1) + by) % n]);
          assert_true (carry[i] == turned_carry[(i * (n - 1) + by) % n]);
        }
    }
}

/* Over 10^5 divisions each participant's parts stay within two units of its ideal shares, which are summed
 * here in 2^-56 of a unit. */
static void
check_drift (guint32 seed, guint total_bits, guint idle_percent)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  enum
  {
    N = 12
  };
  VjI128 difference[N] = { 0 };
  VjCarry carry[N] = { 0 };
  for (int round = 0; round < 100000; round++)
    {
      guint64 weights[N], parts[N];
      const guint64 total = random_u64 (rand, total_bits);
      for (gsize i = 0; i < N; i++)
        weights[i] = g_rand_int (rand) % 100 < idle_percent ? 0 : 1 + random_u64 (rand, 3 * (guint)i + 1);
      const guint64 sum = sum_of (weights, N);
      if (!vj_apportion (total, weights, N, carry, parts))
        continue;
      for (gsize i = 0; i < N; i++)
        {
          const VjU128 product = (VjU128)total * weights[i];
          difference[i] += ((VjI128)(product / sum) << 56) + (VjI128)((product % sum << 56) / sum);
          difference[i] -= (VjI128)parts[i] << 56;
          assert_true (difference[i] < (VjI128)2 << 56 && difference[i] > -((VjI128)2 << 56));
        }
    }
  /* Nor do all of them together: rounding ideal shares down would show here. */
  VjCarry sum = 0;
  for (gsize i = 0; i < N; i++)
    sum += carry[i];
  assert_true (ABS (sum) < 10000);
}

static void
test_nobody_drifts (void **state)
{
  check_drift (4, 27, 0);
  check_drift (5, 27, 40);
  check_drift (6, 4, 0);  /* less than a unit each */
  check_drift (7, 3, 70); /* and seldom anybody */
  check_drift (8, 1, 20);
}

/* The worst case for greedy division: always two who stand alike share one unit. */
static void
test_alternating_pairs_stay_bounded (void **state)
{
  enum
  {
    N = 64
  };
  VjCarry carry[N] = { 0 };
  for (int round = 0; round < 2000; round++)
    {
      guint64 weights[N] = { 0 }, parts[N];
      gsize a = 0, b = 1;
      gint64 best = G_MAXINT64;
      for (gsize i = 0; i < N; i++)
        for (gsize j = i + 1; j < N; j++)
          {
            const gint64 apart = ABS (carry[i] - carry[j]) - ABS (carry[i]) / 4;
            if (apart >= best)
              continue;
            best = apart;
            a = i;
            b = j;
          }
      weights[a] = weights[b] = 1;
      assert_true (vj_apportion (1, weights, N, carry, parts));
      for (gsize i = 0; i < N; i++)
        assert_true (ABS (carry[i]) < 8 * VJ_CARRY_UNIT);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_examples),
    cmocka_unit_test (test_nobody_takes_part),
    cmocka_unit_test (test_random_inputs),
    cmocka_unit_test (test_quota),
    cmocka_unit_test (test_order_does_not_matter),
    cmocka_unit_test (test_nobody_drifts),
    cmocka_unit_test (test_alternating_pairs_stay_bounded),
  };
  return cmocka_run_group_tests_name ("apportion", tests, NULL, NULL);
}
