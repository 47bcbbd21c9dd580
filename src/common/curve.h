/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* How dynamic energy follows usage. Pure. docs/model.md says why linear is the fair default.
 *   linear  a share of the usage is that share of the energy                                      (eq. 4.3-4.6)
 *   gamma   consumers are stacked along y = x^gamma, 0 < gamma <= 1, x being the usage so far and y the energy:
 *           C'_p = (C_p + x_prev)^gamma - y_prev, so that the first on the stack pays most        (eq. 4.7, 4.8) */
typedef enum
{
  VJ_CURVE_LINEAR,
  VJ_CURVE_GAMMA,
} VjCurveKind;

/* Who comes first on the stack. */
typedef enum
{
  VJ_STACKING_LONGEST_LIVED, /* the remainder, then consumers in the order of their birth */
  VJ_STACKING_LARGEST,       /* by usage in the interval, the remainder among them; then as above */
} VjStacking;

typedef struct
{
  VjCurveKind kind;
  guint gamma_permille; /* 1 to 1000 */
  VjStacking stacking;
} VjCurve;

/* Replaces n amounts of usage by what each is to weigh. age[] orders them, least first. The sum of the weights of a bent
 * curve is 2^52 whatever the input, or 0 if nobody used anything; no usage is no weight. */
void vj_curve_bend (const VjCurve *curve, const guint64 *age, gsize n, guint64 *weights);
