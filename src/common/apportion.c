/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/apportion.h"

#include "common/units.h"

/* One participant with a weight. rest is its ideal share, carry included, minus its part. */
typedef struct
{
  VjCarry rest;
  gsize index;
} Claim;

/* A total order, so that the outcome is the same however the claims are arranged. */
static gboolean
claim_goes_before (const Claim *a, const Claim *b)
{
  return a->rest != b->rest ? a->rest > b->rest : a->index < b->index;
}

/* Hoare's selection: arranges claims so that the first k are the k greatest. */
static void
select_greatest (Claim *claims, gsize n, gsize k)
{
  gssize low = 0, high = (gssize)n - 1, boundary = (gssize)k;
  while (low < high)
    {
      const Claim pivot = claims[boundary];
      gssize i = low, j = high;
      while (i <= j)
        {
          while (claim_goes_before (&claims[i], &pivot))
            i++;
          while (claim_goes_before (&pivot, &claims[j]))
            j--;
          if (i > j)
            break;
          const Claim other = claims[i];
          claims[i++] = claims[j];
          claims[j--] = other;
        }
      if (j < boundary)
        low = i;
      if (boundary < i)
        high = j;
    }
}

/* Hands out what rounding down has left: everybody's part of it first (only after freak carries is there
 * one), then a unit each to the greatest remainders. */
static void
give (guint64 units, Claim *claims, gsize n, guint64 *parts)
{
  const guint64 each = units / n;
  const gsize greatest = units % n;
  if (greatest > 0)
    select_greatest (claims, n, greatest);
  for (gsize i = 0; i < n; i++)
    {
      guint64 more = each + (i < greatest ? 1 : 0);
      parts[claims[i].index] += more;
      /* more is at most VJ_CARRY_LIMIT in units and a few, see claim_share () */
      claims[i].rest -= (VjCarry)more * VJ_CARRY_UNIT;
    }
}

/* Moves claims whose part can be reduced to the front; returns how many there are. */
static gsize
gather_reducible (Claim *claims, gsize n, const guint64 *parts)
{
  gsize count = 0;
  for (gsize i = 0; i < n; i++)
    if (parts[claims[i].index] > 0)
      {
        const Claim other = claims[count];
        claims[count++] = claims[i];
        claims[i] = other;
      }
  return count;
}

/* Takes back what carries have given too much, a unit each from the smallest remainders. One round is the
 * rule. */
static void
take_back (guint64 units, Claim *claims, gsize n, guint64 *parts)
{
  while (units > 0)
    {
      const gsize reducible = gather_reducible (claims, n, parts);
      const gsize round = MIN (units, reducible);
      if (round < reducible)
        select_greatest (claims, reducible, reducible - round);
      for (gsize i = reducible - round; i < reducible; i++)
        {
          parts[claims[i].index]--;
          claims[i].rest += VJ_CARRY_UNIT;
        }
      units -= round;
    }
}

/* The whole part of total x weight / sum + carry, never negative; *ret_rest is what it leaves. */
static guint64
claim_share (guint64 total, guint64 weight, guint64 sum, VjCarry carry, VjCarry *ret_rest)
{
  const VjU128 product = (VjU128)total * weight;
  const guint64 quotient = (guint64)(product / sum);
  const VjU128 remainder = product % sum;
  /* To the nearest: rounding down would cheat everybody a little each time. */
  const VjCarry fraction = (VjCarry)(((remainder << 32) + sum / 2) / sum);
  const VjCarry rest = CLAMP (carry, -VJ_CARRY_LIMIT, VJ_CARRY_LIMIT) + fraction;
  const gint64 whole = rest >> 32;
  if (whole < 0 && quotient < (guint64)-whole)
    {
      *ret_rest = rest + (VjCarry)quotient * VJ_CARRY_UNIT;
      return 0;
    }
  *ret_rest = rest - whole * VJ_CARRY_UNIT;
  return quotient + (guint64)whole;
}

/* By how many bits weights are to be shifted for their sum to need no more than 63. */
static guint
scale_of_weights (const guint64 *weights, gsize n, guint64 *ret_sum)
{
  VjU128 sum = 0;
  guint shift = 0;
  for (gsize i = 0; i < n; i++)
    sum += weights[i];
  while (sum >> shift > G_MAXINT64)
    shift++;
  *ret_sum = 0;
  for (gsize i = 0; i < n; i++)
    *ret_sum += weights[i] >> shift;
  return shift;
}

gboolean
vj_apportion (guint64 total, const guint64 *weights, gsize n, VjCarry *carry, guint64 *ret_parts)
{
  guint64 sum = 0, given = 0;
  gsize claimants = 0;
  const guint shift = scale_of_weights (weights, n, &sum);
  for (gsize i = 0; i < n; i++)
    ret_parts[i] = 0;
  if (sum == 0 || total == 0)
    return sum > 0;

  Claim *claims = g_new (Claim, n);
  for (gsize i = 0; i < n; i++)
    {
      const guint64 weight = weights[i] >> shift;
      if (weight == 0)
        continue;
      Claim *claim = &claims[claimants++];
      claim->index = i;
      ret_parts[i] = claim_share (total, weight, sum, carry[i], &claim->rest);
      given += ret_parts[i];
    }
  if (given < total && claimants > 0)
    give (total - given, claims, claimants, ret_parts);
  else if (given > total)
    take_back (given - total, claims, claimants, ret_parts);
  for (gsize i = 0; i < claimants; i++)
    carry[claims[i].index] = CLAMP (claims[i].rest, -VJ_CARRY_LIMIT, VJ_CARRY_LIMIT);
  g_free (claims);
  return TRUE;
}
