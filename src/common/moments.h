/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Weighted first and second moments of pairs (x, y), and the straight line through them. The sums are centred (Welford;
 * merging after Chan, Golub and LeVeque 1979), so that they neither cancel nor grow without bound in precision. Floating
 * point: for estimates and their errors only, never for energy that is accounted for. Pure. Start from zero. */
typedef struct
{
  guint64 n; /* pairs */
  double weight;
  double mean_x;
  double mean_y;
  double sxx; /* weighted sums of products of deviations from the means */
  double sxy;
  double syy;
} VjMoments;

/* weight > 0, else the pair is left out. */
void vj_moments_add (VjMoments *moments, double x, double y, double weight);
/* As if all pairs of other had been added too. */
void vj_moments_merge (VjMoments *moments, const VjMoments *other);
/* Standard deviations; 0 below two pairs. */
double vj_moments_deviation_x (const VjMoments *moments);
double vj_moments_deviation_y (const VjMoments *moments);

/* y = intercept + slope x by least squares. error: standard error of the intercept, taking the pairs to be independent. */
typedef struct
{
  double intercept;
  double slope;
  double error;
} VjLine;

/* FALSE below three pairs and where x does not vary. */
gboolean vj_moments_line (const VjMoments *moments, VjLine *ret_line);

/* Student's factor: the 95 % confidence interval is this many standard errors to either side. Within 1 % from 4 degrees
 * of freedom on. */
double vj_student_95 (guint64 degrees);
