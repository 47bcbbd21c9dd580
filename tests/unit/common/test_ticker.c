/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/ticker.h"
#include "common/units.h"

typedef struct
{
  guint ticks;
  guint64 missed;
  guint64 last_late_us;
} Seen;

static void
on_tick (guint64 late_us, guint64 missed, gpointer user_data)
{
  Seen *seen = user_data;
  seen->ticks++;
  seen->missed += missed;
  seen->last_late_us = late_us;
}

static void
iterate_until (const Seen *seen, guint ticks)
{
  while (seen->ticks < ticks)
    g_main_context_iteration (NULL, TRUE);
}

static void
deadlines_are_absolute (void **state)
{
  Seen seen = { 0 };
  guint64 begin_us = vj_clock_monotonic_us ();
  g_autoptr (VjTicker) ticker = vj_ticker_new (NULL, 10 * VJ_US_PER_MS, on_tick, &seen, NULL);
  assert_non_null (ticker);
  iterate_until (&seen, 5);
  guint64 passed_us = vj_clock_monotonic_us () - begin_us;
  assert_true (passed_us >= 5 * 10 * VJ_US_PER_MS);
  assert_true (passed_us >= (5 + seen.missed) * 10 * VJ_US_PER_MS);
}

static void
a_late_tick_is_one_longer_interval (void **state)
{
  Seen seen = { 0 };
  g_autoptr (VjTicker) ticker = vj_ticker_new (NULL, 10 * VJ_US_PER_MS, on_tick, &seen, NULL);
  assert_non_null (ticker);
  guint64 begin_us = vj_clock_monotonic_us ();
  while (vj_clock_monotonic_us () - begin_us < 35 * VJ_US_PER_MS)
    ; /* the loop is held up over at least three deadlines */
  iterate_until (&seen, 1);
  assert_int_equal (seen.ticks, 1);
  assert_true (seen.missed >= 2);
  assert_true (seen.last_late_us < 10 * VJ_US_PER_MS || seen.missed > 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (deadlines_are_absolute),
    cmocka_unit_test (a_late_tick_is_one_longer_interval),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
