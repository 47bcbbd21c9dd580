/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/moments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* cmocka compares integers: thousandths. */
static gint64
milli (double value)
{
  return (gint64)(value * 1000 + (value < 0 ? -0.5 : 0.5));
}

/* Anscombe's first set: y = 3.000 + 0.500 x, standard error of the intercept 1.125. */
static const double anscombe_x[] = { 10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5 };
static const double anscombe_y[] = { 8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68 };

static void
assert_anscombe (const VjMoments *moments)
{
  VjLine line;
  assert_int_equal (moments->n, 11);
  assert_int_equal (milli (moments->mean_x), 9000);
  assert_int_equal (milli (moments->mean_y), 7501);
  assert_int_equal (milli (vj_moments_deviation_x (moments)), 3317);
  assert_int_equal (milli (vj_moments_deviation_y (moments)), 2032);
  assert_true (vj_moments_line (moments, &line));
  assert_int_equal (milli (line.intercept), 3000);
  assert_int_equal (milli (line.slope), 500);
  assert_int_equal (milli (line.error), 1125);
}

static void
test_line (void **state)
{
  VjMoments moments = { 0 };
  for (gsize i = 0; i < G_N_ELEMENTS (anscombe_x); i++)
    vj_moments_add (&moments, anscombe_x[i], anscombe_y[i], 1);
  assert_anscombe (&moments);
}

static void
test_parts_merge_to_the_whole (void **state)
{
  for (gsize split = 0; split <= G_N_ELEMENTS (anscombe_x); split++)
    {
      VjMoments parts[2] = { 0 };
      for (gsize i = 0; i < G_N_ELEMENTS (anscombe_x); i++)
        vj_moments_add (&parts[i < split], anscombe_x[i], anscombe_y[i], 1);
      vj_moments_merge (&parts[0], &parts[1]);
      assert_anscombe (&parts[0]);
    }
}

/* All weights alike change nothing; a heavier pair counts as so many; weight 0 is left out. */
static void
test_weights (void **state)
{
  VjMoments alike = { 0 }, heavy = { 0 }, twice = { 0 };
  for (gsize i = 0; i < G_N_ELEMENTS (anscombe_x); i++)
    vj_moments_add (&alike, anscombe_x[i], anscombe_y[i], 7);
  vj_moments_add (&alike, 1e9, 1e9, 0);
  assert_anscombe (&alike);
  for (int i = 0; i < 4; i++)
    {
      vj_moments_add (&heavy, i, i * i, 1 + (i == 3));
      vj_moments_add (&twice, i, i * i, 1);
    }
  vj_moments_add (&twice, 3, 9, 1);
  assert_int_equal (milli (heavy.mean_y), milli (twice.mean_y));
  assert_int_equal (milli (heavy.sxy), milli (twice.sxy));
  assert_int_equal (milli (heavy.syy), milli (twice.syy));
}

/* 100 million µW and a spread of 1: sums of squares that are not centred would have lost it. */
static void
test_large_values_keep_their_spread (void **state)
{
  VjMoments moments = { 0 };
  for (int i = 0; i < 1000000; i++)
    vj_moments_add (&moments, i % 2, 1e14 + (i % 2) * 2, 1);
  assert_int_equal (milli (vj_moments_deviation_y (&moments)), 1000);
  assert_int_equal (milli (moments.sxy / moments.sxx), 2000);
}

static void
test_no_line (void **state)
{
  VjMoments moments = { 0 };
  VjLine line;
  assert_false (vj_moments_line (&moments, &line));
  vj_moments_add (&moments, 1, 1, 1);
  vj_moments_add (&moments, 2, 2, 1);
  assert_false (vj_moments_line (&moments, &line));
  moments = (VjMoments){ 0 };
  for (int i = 0; i < 10; i++)
    vj_moments_add (&moments, 0.25, i, 1);
  assert_false (vj_moments_line (&moments, &line));
  assert_int_equal (milli (vj_moments_deviation_x (&moments)), 0);
}

static void
test_student (void **state)
{
  static const struct
  {
    guint64 degrees;
    gint64 factor; /* thousandths, of the published tables */
  } table[] = { { 1, 12706 }, { 2, 4303 },  { 3, 3182 },  { 4, 2776 },   { 5, 2571 },
                { 9, 2262 },  { 30, 2042 }, { 60, 2000 }, { 120, 1980 }, { G_MAXUINT64, 1960 } };
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)
    {
      const gint64 off = milli (vj_student_95 (table[i].degrees)) - table[i].factor;
      assert_in_range (ABS (off), 0, table[i].factor / 100);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_line),    cmocka_unit_test (test_parts_merge_to_the_whole),
    cmocka_unit_test (test_weights), cmocka_unit_test (test_large_values_keep_their_spread),
    cmocka_unit_test (test_no_line), cmocka_unit_test (test_student),
  };
  return cmocka_run_group_tests_name ("moments", tests, NULL, NULL);
}
