/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/attribution.h"

#include <string.h>

#include "common/units.h"

#define PJ_PER_UJ  G_GUINT64_CONSTANT (1000000)
#define RATE_LIMIT ((VjI128)G_MAXINT64 / 8)

static guint64
saturate (VjU128 value)
{
  return value > G_MAXUINT64 ? G_MAXUINT64 : (guint64)value;
}

/* Eq. 4.2. Energy counters are noisy over short intervals: what static energy an interval could not cover is
 * owed on, or else clamping alone would turn the noise into dynamic energy. */
static guint64
take_static (VjAttributionState *state, const VjAttributionInput *input)
{
  const VjU128 new_pj = (VjU128)input->static_uw * input->elapsed_us + state->static_rest_pj;
  const guint64 owed_uj = saturate (new_pj / PJ_PER_UJ + state->static_owed_uj);
  const guint64 static_uj = MIN (owed_uj, input->measured_uj);
  const guint64 bound_uj = saturate ((VjU128)input->static_uw * VJ_STATIC_OWED_LIMIT_US / PJ_PER_UJ);
  state->static_rest_pj = (guint64)(new_pj % PJ_PER_UJ);
  state->static_owed_uj = MIN (owed_uj - static_uj, bound_uj);
  return static_uj;
}

static gint64
scale (VjI128 value, guint64 factor, guint64 divisor)
{
  return (gint64)CLAMP (value * (VjI128)factor / (VjI128)divisor, -RATE_LIMIT, RATE_LIMIT);
}

/* What the remainder would use in this interval if it went on as of late. */
static gint64
expect_remainder (VjAttributionState *state, VjI128 measured, guint64 elapsed_us)
{
  const gint64 rate = scale (measured, VJ_US_PER_S, elapsed_us);
  const gint64 change = scale ((VjI128)rate - state->usage_rate, MIN (elapsed_us, VJ_US_PER_S), VJ_US_PER_S);
  state->usage_rate = state->usage_rate == 0 ? rate : scale ((VjI128)state->usage_rate + change, 1, 1);
  return scale (state->usage_rate, elapsed_us, VJ_US_PER_S);
}

/* The usage that is no consumer's. Measured in steps it may be nothing in one interval and twice as much in the next;
 * it follows expectation as long as the sum stays within half a step's uncertainty of what was measured. */
static guint64
smooth_remainder (VjAttributionState *state, VjI128 measured, const VjAttributionInput *input)
{
  const VjI128 held = state->usage_held + measured, slack = input->debt_limit / 2;
  const guint64 elapsed_us = MAX (input->elapsed_us, 1);
  const gint64 expected = expect_remainder (state, measured, elapsed_us);
  const VjI128 weight = MAX (CLAMP (expected, held - slack, held + slack), 0);
  if (weight != expected)
    state->usage_rate = scale (state->usage_rate + (weight - expected) * VJ_US_PER_S / elapsed_us / 2, 1, 1);
  state->usage_held = (gint64)MAX (held - weight, -(VjI128)input->debt_limit);
  return saturate ((VjU128)weight);
}

static guint64
take_remainder_usage (VjAttributionState *state, const VjAttributionInput *input)
{
  VjU128 used = 0;
  for (gsize i = 0; i < input->n; i++)
    used += input->usage[i];
  const VjI128 measured = (VjI128)input->busy - (VjI128)used;
  if (input->debt_limit == 0)
    return saturate ((VjU128)MAX (measured, 0));
  return smooth_remainder (state, measured, input);
}

/* Eq. 4.7, 4.8. The remainder has lived longest. */
static void
bend (const VjAttributionInput *input, guint64 *weights)
{
  if (input->curve.kind == VJ_CURVE_LINEAR)
    return;
  guint64 *age = g_new (guint64, input->n + 1);
  for (gsize i = 0; i < input->n; i++)
    age[i] = input->born[i] + 1;
  age[input->n] = 0;
  vj_curve_bend (&input->curve, age, input->n + 1, weights);
  g_free (age);
}

/* Eq. 4.3-4.6. The remainder is one more participant, so that its rounding is carried like anybody's. */
static void
share (VjAttributionState *state, const VjAttributionInput *input, guint64 dynamic_uj, VjCarry *carry,
       guint64 *ret_energy_uj)
{
  const gsize n = input->n;
  guint64 *weights = g_new (guint64, n + 1);
  guint64 *parts = g_new (guint64, n + 1);
  VjCarry *carries = g_new (VjCarry, n + 1);
  if (n > 0)
    {
      memcpy (weights, input->usage, n * sizeof *weights);
      memcpy (carries, carry, n * sizeof *carries);
    }
  weights[n] = take_remainder_usage (state, input);
  carries[n] = state->remainder_carry;
  bend (input, weights);
  vj_apportion (dynamic_uj, weights, n + 1, carries, parts);
  if (n > 0)
    {
      memcpy (ret_energy_uj, parts, n * sizeof *parts);
      memcpy (carry, carries, n * sizeof *carries);
    }
  state->remainder_carry = carries[n];
  g_free (weights);
  g_free (parts);
  g_free (carries);
}

static void
apply_limits (VjAttributionState *state, const VjAttributionInput *input, VjCarry *carry, guint64 *energy_uj)
{
  for (gsize i = 0; i < input->n; i++)
    {
      if (energy_uj[i] <= input->limit_uj[i])
        continue;
      const guint64 excess_uj = energy_uj[i] - input->limit_uj[i];
      const VjCarry before = carry[i];
      energy_uj[i] = input->limit_uj[i];
      carry[i] = MAX (before, MIN (before + (VjCarry)MIN (excess_uj, 2) * VJ_CARRY_UNIT, VJ_CARRY_UNIT));
      state->remainder_carry =
          CLAMP (state->remainder_carry - (carry[i] - before), -VJ_CARRY_LIMIT, VJ_CARRY_LIMIT);
    }
}

void
vj_attribution_run (VjAttributionState *state, const VjAttributionInput *input, VjCarry *carry,
                    guint64 *ret_energy_uj, VjAttributionResult *ret_result)
{
  VjAttributionResult result = { .static_uj = take_static (state, input) };
  const guint64 measured_uj = input->measured_uj;
  const guint64 dynamic_uj = MIN (measured_uj - result.static_uj, input->dynamic_limit_uj);
  result.static_uj = measured_uj - dynamic_uj;
  share (state, input, dynamic_uj, carry, ret_energy_uj);
  if (input->limit_uj != NULL)
    apply_limits (state, input, carry, ret_energy_uj);
  for (gsize i = 0; i < input->n; i++)
    result.attributed_uj += ret_energy_uj[i];
  result.remainder_uj = dynamic_uj - result.attributed_uj;
  *ret_result = result;
}
