/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TICK_US 1000000

static guint64 delta_uj, elapsed_us;
static gboolean gap;

/* One tick with a platform, a package and its dram. */
static gboolean
tick (VjRest *rest, guint64 platform_uj, guint64 package_uj, guint64 dram_uj, guint64 us)
{
  vj_rest_add (rest, FALSE, TRUE, package_uj, us, FALSE);
  vj_rest_add (rest, FALSE, TRUE, dram_uj, us, FALSE);
  vj_rest_add (rest, TRUE, TRUE, platform_uj, us, FALSE);
  return vj_rest_take (rest, &delta_uj, &elapsed_us, &gap);
}

static void
test_difference (void **state)
{
  VjRest rest = { 0 };
  assert_true (tick (&rest, 0, 0, 0, 0));
  assert_true (delta_uj == 0 && elapsed_us == 0);
  assert_true (tick (&rest, 1000, 600, 100, TICK_US));
  assert_true (delta_uj == 300 && elapsed_us == TICK_US && !gap);
}

/* Read a moment later, a part seems to have used more than the whole: the next interval makes it good. */
static void
test_skew_is_carried (void **state)
{
  VjRest rest = { 0 };
  assert_true (tick (&rest, 1000, 990, 60, TICK_US));
  assert_int_equal (delta_uj, 0);
  assert_true (tick (&rest, 1000, 800, 100, TICK_US));
  assert_int_equal (delta_uj, 50);
  assert_true (tick (&rest, 1000, 800, 100, TICK_US));
  assert_int_equal (delta_uj, 100);
}

/* Meters need not move in every tick, nor in the same one. */
static void
test_debt_outlives_quiet_ticks (void **state)
{
  VjRest rest = { 0 };
  tick (&rest, 0, 500, 0, TICK_US);
  tick (&rest, 0, 0, 0, TICK_US);
  assert_true (tick (&rest, 900, 0, 0, TICK_US));
  assert_int_equal (delta_uj, 400);
}

/* A platform meter that stands still does not silence the rest for ever. */
static void
test_debt_is_bounded (void **state)
{
  VjRest rest = { 0 };
  for (int i = 0; i < 1000; i++)
    tick (&rest, 0, 500, 0, TICK_US);
  assert_true (tick (&rest, 1100, 500, 0, TICK_US));
  assert_int_equal (delta_uj, 100);
}

static void
test_unread_zone_waits (void **state)
{
  VjRest rest = { 0 };
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, FALSE, FALSE, 0, 0, FALSE);
  assert_false (vj_rest_take (&rest, &delta_uj, &elapsed_us, &gap));
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, FALSE, TRUE, 1500, 2 * TICK_US, FALSE);
  assert_true (vj_rest_take (&rest, &delta_uj, &elapsed_us, &gap));
  assert_true (delta_uj == 500 && elapsed_us == 2 * TICK_US);
}

/* A zone that appears later has not told of the time before. */
static void
test_new_zone_starts_anew (void **state)
{
  VjRest rest = { 0 };
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, FALSE, TRUE, 0, 0, FALSE);
  assert_true (vj_rest_take (&rest, &delta_uj, &elapsed_us, &gap));
  assert_true (delta_uj == 0 && elapsed_us == 0);
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, FALSE, TRUE, 400, TICK_US, FALSE);
  assert_true (vj_rest_take (&rest, &delta_uj, &elapsed_us, &gap));
  assert_int_equal (delta_uj, 600);
}

static void
test_gap_is_passed_on (void **state)
{
  VjRest rest = { 0 };
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, FALSE, TRUE, 400, TICK_US, TRUE);
  assert_true (vj_rest_take (&rest, &delta_uj, &elapsed_us, &gap));
  assert_true (gap);
  tick (&rest, 1000, 0, 0, TICK_US);
  assert_false (gap);
}

static void
test_one_platform_only (void **state)
{
  VjRest rest = { 0 };
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, TRUE, TRUE, 1000, TICK_US, FALSE);
  vj_rest_add (&rest, FALSE, TRUE, 400, TICK_US, FALSE);
  assert_false (vj_rest_take (&rest, &delta_uj, &elapsed_us, &gap));
  VjRest alone = { 0 };
  vj_rest_add (&alone, TRUE, TRUE, 1000, TICK_US, FALSE);
  assert_false (vj_rest_take (&alone, &delta_uj, &elapsed_us, &gap));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_difference),           cmocka_unit_test (test_skew_is_carried),
    cmocka_unit_test (test_debt_is_bounded),      cmocka_unit_test (test_unread_zone_waits),
    cmocka_unit_test (test_new_zone_starts_anew), cmocka_unit_test (test_gap_is_passed_on),
    cmocka_unit_test (test_one_platform_only),    cmocka_unit_test (test_debt_outlives_quiet_ticks),
  };
  return cmocka_run_group_tests_name ("rest", tests, NULL, NULL);
}
