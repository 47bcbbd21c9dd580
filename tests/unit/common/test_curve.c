/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/attribution.h"

#define WHOLE (G_GUINT64_CONSTANT (1) << 52)

/* The thesis's example: shares of 0.3, 0.5 and 0.2 and the exponent 0.4. */
static void
test_worked_example (void **state)
{
  static const struct
  {
    VjStacking stacking;
    guint64 born[3], permille[3];
  } cases[] = {
    { VJ_STACKING_LONGEST_LIVED, { 0, 1, 2 }, { 618, 297, 85 } },
    { VJ_STACKING_LONGEST_LIVED, { 2, 0, 1 }, { 133, 758, 109 } }, /* the first evaluated last */
    { VJ_STACKING_LARGEST, { 2, 1, 0 }, { 157, 758, 85 } },
  };
  const guint64 usage[3] = { 3, 5, 2 };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjAttributionState book = { 0 };
      VjAttributionResult result;
      VjCarry carry[3] = { 0 };
      guint64 energy_uj[3];
      const VjAttributionInput input = { .measured_uj = 1000,
                                         .dynamic_limit_uj = G_MAXUINT64,
                                         .busy = 10,
                                         .usage = usage,
                                         .n = 3,
                                         .curve = { VJ_CURVE_GAMMA, 400, cases[i].stacking },
                                         .born = cases[i].born };
      vj_attribution_run (&book, &input, carry, energy_uj, &result);
      for (int p = 0; p < 3; p++)
        assert_int_equal (energy_uj[p], cases[i].permille[p]);
      assert_int_equal (result.remainder_uj, 0);
    }
}

/* It has lived longest; by size it stands where its usage puts it. */
static void
test_position_of_the_remainder (void **state)
{
  const guint64 usage = 5, born = 0;
  for (int stacking = VJ_STACKING_LONGEST_LIVED; stacking <= VJ_STACKING_LARGEST; stacking++)
    {
      VjAttributionState book = { 0 };
      VjAttributionResult result;
      VjCarry carry = 0;
      guint64 energy_uj;
      const VjAttributionInput input = { .measured_uj = 1000,
                                         .dynamic_limit_uj = G_MAXUINT64,
                                         .busy = 8,
                                         .usage = &usage,
                                         .n = 1,
                                         .curve = { VJ_CURVE_GAMMA, 400, (VjStacking)stacking },
                                         .born = &born };
      vj_attribution_run (&book, &input, &carry, &energy_uj, &result);
      /* (3/8)^0.4 = 0.675; (5/8)^0.4 = 0.829 */
      assert_int_equal (result.remainder_uj, stacking == VJ_STACKING_LARGEST ? 171 : 675);
    }
}

static void
test_linear_is_left_alone (void **state)
{
  const VjCurve linear = { VJ_CURVE_LINEAR, 400, VJ_STACKING_LARGEST };
  const guint64 age[2] = { 1, 0 };
  guint64 weights[2] = { 7, G_MAXUINT64 };
  vj_curve_bend (&linear, age, 2, weights);
  assert_true (weights[0] == 7 && weights[1] == G_MAXUINT64);
}

/* An exponent of 1 is a straight line, in any order. */
static void
test_exponent_of_one (void **state)
{
  const VjCurve straight = { VJ_CURVE_GAMMA, 1000, VJ_STACKING_LARGEST };
  const guint64 age[3] = { 1, 0, 2 };
  guint64 weights[3] = { 250, 500, 250 };
  vj_curve_bend (&straight, age, 3, weights);
  assert_true (weights[0] == WHOLE / 4 && weights[1] == WHOLE / 2 && weights[2] == WHOLE / 4);
}

static void
test_sum_is_whole (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (12);
  for (int round = 0; round < 20000; round++)
    {
      guint64 weights[9], age[9], sum = 0;
      gboolean used[9], any = FALSE;
      const gsize n = g_rand_int (rand) % 10;
      const VjCurve curve = { VJ_CURVE_GAMMA, 1 + g_rand_int (rand) % 1000,
                              g_rand_boolean (rand) ? VJ_STACKING_LARGEST : VJ_STACKING_LONGEST_LIVED };
      for (gsize i = 0; i < n; i++)
        {
          weights[i] = ((guint64)g_rand_int (rand) << 32) >> g_rand_int (rand) % 64;
          weights[i] = g_rand_int (rand) % 4 == 0 ? 0 : weights[i];
          age[i] = g_rand_int (rand) % 5;
          used[i] = weights[i] > 0;
          any = any || used[i];
        }
      vj_curve_bend (&curve, age, n, weights);
      for (gsize i = 0; i < n; i++)
        {
          sum += weights[i];
          assert_true (used[i] || weights[i] == 0);
        }
      assert_int_equal (sum, any ? WHOLE : 0);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_worked_example),       cmocka_unit_test (test_position_of_the_remainder),
    cmocka_unit_test (test_linear_is_left_alone), cmocka_unit_test (test_exponent_of_one),
    cmocka_unit_test (test_sum_is_whole),
  };
  return cmocka_run_group_tests_name ("curve", tests, NULL, NULL);
}
