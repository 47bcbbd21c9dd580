/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/apportion.h"
#include "common/curve.h"

/* The attribution model for one zone and one interval. Pure; used by host and guest alike. docs/model.md.
 *
 * measured = static + Σ consumers + remainder, to the microjoule (design law 8):
 *   static    = min (owed static energy, measured)                                          (eq. 4.2)
 *   dynamic   = measured - static
 *   consumer  = dynamic x usage / (Σ usage + remainder usage)                               (eq. 4.3-4.6)
 *               or along a bent curve                                                       (eq. 4.7, 4.8)
 *   remainder = what is left: the host's own (or the guest kernel's own) usage
 */

/* What a zone carries from interval to interval. Start from zero. */
typedef struct
{
  guint64 static_owed_uj;  /* shortfall of static energy still owed */
  guint64 static_rest_pj;  /* < 10^6: static power x elapsed is µW x µs = pJ */
  gint64 usage_held;       /* remainder usage measured but not yet weighed (< 0: weighed before measured) */
  gint64 usage_rate;       /* of the remainder, per second, as of late; 0: not known yet */
  VjCarry remainder_carry; /* rounding of the remainder */
} VjAttributionState;

typedef struct
{
  guint64 measured_uj; /* energy of the interval */
  guint64 elapsed_us;  /* its length */
  guint64 static_uw;   /* static power of the zone; 0 if unknown */
  /* Dynamic energy is at most this (a sub-zone: its package's); G_MAXUINT64: no limit. The excess counts as static. */
  guint64 dynamic_limit_uj;
  guint64 busy;         /* what the whole machine used of the zone's resource in the interval */
  guint64 debt_limit;   /* how far off busy may be for the steps that it is measured in; 0: exact */
  const guint64 *usage; /* what each consumer used in the same interval */
  /* Per consumer upper bound (a sub-zone: what its package leaves), or NULL; the excess is the remainder's. */
  const guint64 *limit_uj;
  gsize n;
  VjCurve curve;       /* all zero: linear */
  const guint64 *born; /* order of birth of each consumer, for a bent curve only */
} VjAttributionInput;

typedef struct
{
  guint64 static_uj;
  guint64 remainder_uj;
  guint64 attributed_uj; /* Σ ret_energy_uj[] */
} VjAttributionResult;

/* At most this much shortfall of static energy is carried on: 60 s of it (design law 8). */
#define VJ_STATIC_OWED_LIMIT_US G_GUINT64_CONSTANT (60000000)

/* carry[] and ret_energy_uj[] have n entries, one per consumer. Cannot fail.
 *
 * Static energy owed is paid before anything is dynamic, so an excess over dynamic_limit_uj arises only when nothing is
 * owed any more; it pays nothing ahead. The remainder's usage is what busy leaves, taken to flow evenly within the
 * uncertainty of busy (debt_limit): else a steppy busy would give consumers of a nearly idle machine too much, as shares
 * are not linear in it; usage beyond busy is a debt that later remainder usage pays down. With no usage at all (no
 * consumer's, no remainder's) all dynamic energy is the remainder's. What limit_uj takes from a consumer stays owed to it
 * by at most one unit: a rounding is made good, an excess is not. */
void vj_attribution_run (VjAttributionState *state, const VjAttributionInput *input, VjCarry *carry,
                         guint64 *ret_energy_uj, VjAttributionResult *ret_result);
