/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/intercept.h"

#include <math.h>

#include "common/moments.h"
#include "common/units.h"

#define INTERVAL_MAX_US   (G_GUINT64_CONSTANT (120) * VJ_US_PER_S)
#define GENERATION_US     (G_GUINT64_CONSTANT (3600) * VJ_US_PER_S)
#define GENERATIONS       12
#define N_RANGES          6
#define NEAR_RANGES       4      /* a line may be fitted up to 10 %; wider ranges only check it */
#define WINDOWS_MIN       60     /* 10 minutes */
#define WINDOWS_MORE      20     /* what a wider range must add */
#define DEVIATION_MIN     0.0025 /* of the busy share: well above the rounding of idle time in a window */
#define EXTRAPOLATION_MAX 2.5    /* from the mean load to zero, in standard deviations of the load */
#define COMPARABLE_MAX    3      /* between the mean loads of an hour and of those before, in the same */
#define WIDER_MIN         1.5    /* standard deviation of a wider range that can check */
#define TOLERANCE         0.05   /* of the mean power in the range, for curvature and change */
#define ERROR_MAX         0.10   /* of the same, for the error as a whole */

/* Busy shares up to which a range goes. */
static const double ranges[N_RANGES] = { 0.0125, 0.025, 0.05, 0.10, 0.20, 0.40 };

/* An hour of windows, by the range that each falls into. */
typedef struct
{
  VjMoments bins[N_RANGES];
  double lowest_uw;
  guint64 windows; /* busier ones included */
  guint64 elapsed_us;
} Generation;

struct VjIntercept
{
  Generation generations[GENERATIONS];
  guint newest;
  guint64 energy_uj; /* of the window that is being filled */
  guint64 elapsed_us;
  guint64 busy_ns;
  guint64 capacity_ns;
};

VjIntercept *
vj_intercept_new (void)
{
  return g_new0 (VjIntercept, 1);
}

void
vj_intercept_free (VjIntercept *intercept)
{
  g_free (intercept);
}

/* Everything up to and including a range. */
static VjMoments
gather (const Generation *generation, guint range)
{
  VjMoments sum = { 0 };
  for (guint i = 0; i <= range; i++)
    vj_moments_merge (&sum, &generation->bins[i]);
  return sum;
}

/* What is known without one generation (GENERATIONS: with all of them). */
static Generation
merge_all (const VjIntercept *intercept, guint without)
{
  Generation sum = { 0 };
  for (guint i = 0; i < GENERATIONS; i++)
    {
      const Generation *part = &intercept->generations[i];
      if (i == without || part->windows == 0)
        continue;
      sum.lowest_uw = sum.windows == 0 ? part->lowest_uw : MIN (sum.lowest_uw, part->lowest_uw);
      sum.windows += part->windows;
      for (guint range = 0; range < N_RANGES; range++)
        vj_moments_merge (&sum.bins[range], &part->bins[range]);
    }
  return sum;
}

static VjInterceptVerdict
judge (const VjMoments *moments, VjLine *ret_line)
{
  const double deviation = vj_moments_deviation_x (moments);
  if (moments->n < WINDOWS_MIN)
    return VJ_INTERCEPT_BUSY;
  if (deviation < DEVIATION_MIN || !vj_moments_line (moments, ret_line))
    return VJ_INTERCEPT_STEADY;
  if (moments->mean_x > EXTRAPOLATION_MAX * deviation)
    return VJ_INTERCEPT_BUSY;
  return VJ_INTERCEPT_JUSTIFIED;
}

/* An hour whose power is not what the hours before it foretell at its load: the machine has changed, and what came before
 * is forgotten. */
static void
forget_if_changed (VjIntercept *intercept)
{
  const Generation rest = merge_all (intercept, intercept->newest);
  const VjMoments before = gather (&rest, NEAR_RANGES - 1);
  const VjMoments now = gather (&intercept->generations[intercept->newest], NEAR_RANGES - 1);
  const double deviation = vj_moments_deviation_x (&before);
  const gboolean comparable = fabs (now.mean_x - before.mean_x) <= COMPARABLE_MAX * deviation;
  VjLine line;
  if (MIN (now.n, before.n) < WINDOWS_MIN || !comparable || !vj_moments_line (&before, &line))
    return;
  const double foretold = line.intercept + line.slope * now.mean_x;
  if (fabs (now.mean_y - foretold) <= TOLERANCE * foretold)
    return;
  for (guint i = 0; i < GENERATIONS; i++)
    if (i != intercept->newest)
      intercept->generations[i] = (Generation){ 0 };
}

static void
add_window (Generation *generation, double share, double power_uw, guint64 elapsed_us)
{
  guint range = 0;
  while (range < N_RANGES && share > ranges[range])
    range++;
  if (range < N_RANGES)
    vj_moments_add (&generation->bins[range], share, power_uw,
                    (double)elapsed_us / (double)VJ_INTERCEPT_WINDOW_US);
  if (generation->windows == 0 || power_uw < generation->lowest_uw)
    generation->lowest_uw = power_uw;
  generation->windows++;
  generation->elapsed_us += elapsed_us;
}

static gboolean
close_window (VjIntercept *intercept)
{
  Generation *generation = &intercept->generations[intercept->newest];
  if (intercept->energy_uj == 0) /* a counter that stands still has measured nothing */
    {
      vj_intercept_skip (intercept);
      return FALSE;
    }
  const double share = (double)intercept->busy_ns / (double)intercept->capacity_ns;
  const double power_uw = (double)intercept->energy_uj * (double)VJ_US_PER_S / (double)intercept->elapsed_us;
  add_window (generation, MIN (share, 1), power_uw, intercept->elapsed_us);
  vj_intercept_skip (intercept);
  if (generation->elapsed_us < GENERATION_US)
    return TRUE;
  forget_if_changed (intercept);
  intercept->newest = (intercept->newest + 1) % GENERATIONS;
  intercept->generations[intercept->newest] = (Generation){ 0 };
  return TRUE;
}

gboolean
vj_intercept_add (VjIntercept *intercept, guint64 energy_uj, guint64 elapsed_us, guint64 busy_ns, guint cpus)
{
  if (elapsed_us == 0 || elapsed_us > INTERVAL_MAX_US || cpus == 0)
    {
      vj_intercept_skip (intercept);
      return FALSE;
    }
  intercept->energy_uj += energy_uj;
  intercept->elapsed_us += elapsed_us;
  intercept->busy_ns += busy_ns;
  intercept->capacity_ns += elapsed_us * VJ_NS_PER_US * cpus;
  return intercept->elapsed_us >= VJ_INTERCEPT_WINDOW_US && close_window (intercept);
}

void
vj_intercept_skip (VjIntercept *intercept)
{
  intercept->energy_uj = intercept->elapsed_us = 0;
  intercept->busy_ns = intercept->capacity_ns = 0;
}

/* Compares a fit with those of wider ranges: on a curve they differ. *ret_difference: by how much at the most. */
static VjInterceptVerdict
check_curvature (const Generation *all, guint near, const VjLine *line, double *ret_difference)
{
  const VjMoments inner = gather (all, near);
  gboolean checked = FALSE;
  *ret_difference = 0;
  for (guint range = near + 1; range < N_RANGES && range <= near + 2; range++)
    {
      const VjMoments outer = gather (all, range);
      VjLine wide;
      if (outer.n < inner.n + WINDOWS_MORE
          || vj_moments_deviation_x (&outer) < WIDER_MIN * vj_moments_deviation_x (&inner)
          || !vj_moments_line (&outer, &wide))
        continue;
      checked = TRUE;
      *ret_difference = MAX (*ret_difference, fabs (wide.intercept - line->intercept));
    }
  if (!checked)
    return VJ_INTERCEPT_UNCHECKED;
  return *ret_difference > TOLERANCE * inner.mean_y ? VJ_INTERCEPT_CURVED : VJ_INTERCEPT_JUSTIFIED;
}

/* The narrowest range that carries a line; where none does, what is wrong with the widest. */
static VjInterceptVerdict
fit (const Generation *all, VjLine *ret_line, VjMoments *ret_moments, double *ret_difference)
{
  VjInterceptVerdict verdict = VJ_INTERCEPT_FEW;
  for (guint range = 0; range < NEAR_RANGES; range++)
    {
      *ret_moments = gather (all, range);
      verdict = judge (ret_moments, ret_line);
      if (verdict == VJ_INTERCEPT_JUSTIFIED)
        return check_curvature (all, range, ret_line, ret_difference);
    }
  return verdict;
}

void
vj_intercept_estimate (const VjIntercept *intercept, VjInterceptEstimate *ret_estimate)
{
  const Generation all = merge_all (intercept, GENERATIONS);
  VjInterceptEstimate estimate = { .verdict = VJ_INTERCEPT_FEW, .windows = all.windows };
  VjMoments moments = { 0 };
  VjLine line = { 0 };
  double difference = 0;
  if (all.windows >= WINDOWS_MIN)
    estimate.verdict = fit (&all, &line, &moments, &difference);
  const double static_uw = CLAMP (line.intercept, 0, all.lowest_uw);
  const double half_uw = moments.n > 2 ? line.error * vj_student_95 (moments.n - 2) : 0;
  const double error_uw = MAX (half_uw, difference) + fabs (line.intercept - static_uw);
  if (estimate.verdict == VJ_INTERCEPT_JUSTIFIED && error_uw > ERROR_MAX * moments.mean_y)
    estimate.verdict = VJ_INTERCEPT_NOISY;
  if (estimate.verdict == VJ_INTERCEPT_JUSTIFIED)
    {
      estimate.windows = moments.n;
      estimate.static_uw = (guint64)static_uw;
      estimate.error_uw = (guint64)ceil (error_uw);
    }
  *ret_estimate = estimate;
}

const char *
vj_intercept_verdict_text (VjInterceptVerdict verdict)
{
  static const char *const texts[] = {
    [VJ_INTERCEPT_JUSTIFIED] = "justified",
    [VJ_INTERCEPT_FEW] = "too few intervals so far",
    [VJ_INTERCEPT_BUSY] = "the machine is hardly ever near idle",
    [VJ_INTERCEPT_STEADY] = "the load hardly varies",
    [VJ_INTERCEPT_UNCHECKED] = "too few different loads to tell a line from a curve",
    [VJ_INTERCEPT_CURVED] = "power does not follow a straight line near idle",
    [VJ_INTERCEPT_NOISY] = "power varies with more than the load",
  };
  return texts[verdict];
}
