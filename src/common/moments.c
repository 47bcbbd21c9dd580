/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/moments.h"

#include <math.h>

void
vj_moments_add (VjMoments *moments, double x, double y, double weight)
{
  const VjMoments pair = { .n = 1, .weight = weight, .mean_x = x, .mean_y = y };
  if (weight > 0)
    vj_moments_merge (moments, &pair);
}

void
vj_moments_merge (VjMoments *moments, const VjMoments *other)
{
  if (other->n == 0)
    return;
  const double weight = moments->weight + other->weight;
  const double part = other->weight / weight;
  const double dx = other->mean_x - moments->mean_x;
  const double dy = other->mean_y - moments->mean_y;
  const double cross = moments->weight * part;
  moments->sxx += other->sxx + dx * dx * cross;
  moments->sxy += other->sxy + dx * dy * cross;
  moments->syy += other->syy + dy * dy * cross;
  moments->mean_x += dx * part;
  moments->mean_y += dy * part;
  moments->weight = weight;
  moments->n += other->n;
}

static double
deviation (const VjMoments *moments, double sum)
{
  if (moments->n < 2)
    return 0;
  const double n = (double)moments->n;
  return sqrt (sum / moments->weight * n / (n - 1));
}

double
vj_moments_deviation_x (const VjMoments *moments)
{
  return deviation (moments, moments->sxx);
}

double
vj_moments_deviation_y (const VjMoments *moments)
{
  return deviation (moments, moments->syy);
}

gboolean
vj_moments_line (const VjMoments *moments, VjLine *ret_line)
{
  if (moments->n < 3 || !(moments->sxx > 0))
    return FALSE;
  const double slope = moments->sxy / moments->sxx;
  const double residual = MAX (moments->syy - slope * moments->sxy, 0);
  const double variance = residual / ((double)moments->n - 2);
  ret_line->slope = slope;
  ret_line->intercept = moments->mean_y - slope * moments->mean_x;
  ret_line->error =
      sqrt (variance * (1 / moments->weight + moments->mean_x * moments->mean_x / moments->sxx));
  return TRUE;
}

double
vj_student_95 (guint64 degrees)
{
  /* Expansion of the quantile in 1/degrees (Cornish and Fisher); exact where that is not enough. */
  static const double few[] = { 12.706, 12.706, 4.303, 3.182 };
  if (degrees < G_N_ELEMENTS (few))
    return few[degrees];
  const double d = (double)degrees;
  return 1.95996 + 2.37227 / d + 2.82250 / (d * d) + 2.55585 / (d * d * d);
}
