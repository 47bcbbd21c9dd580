/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_machine.h"

static void
test_one_tick (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (400);
  VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 20);
  vj_account_add_usage (b, VJ_RESOURCE_CPU, 30);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_measure (ledger, OTHER, 50, TICK_US, FALSE);
  settle_package (ledger, 1000);
  check_zone (ledger, PACKAGE, 300, 300, 400, 0);
  check_zone (ledger, OTHER, 0, 50, 0, 0);
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 120);
  assert_int_equal (vj_account_energy_uj (b, PACKAGE), 180);
  assert_int_equal (vj_account_usage_ns (b), 30);
}

static void
test_usage_is_billed_once (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  settle_package (ledger, 1000);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  settle_package (ledger, 1000);
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 500);
}

/* A zone that cannot be read for two ticks meets the usage of all three later; the others went on. */
static void
test_unread_zone_waits (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  static const guint64 usage_ns[3] = { 100, 0, 50 };
  for (int tick = 0; tick < 3; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, usage_ns[tick]);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      if (tick == 2)
        vj_ledger_measure (ledger, DRAM, 3000, 3 * TICK_US, FALSE);
      settle_package (ledger, 1000);
    }
  check_zone (ledger, PACKAGE, 1500, 1500, 0, 0);
  check_zone (ledger, DRAM, 1500, 1500, 0, 0);
}

static void
test_born_between (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  settle_package (ledger, 1000);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 25);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_measure (ledger, DRAM, 800, 2 * TICK_US, FALSE);
  settle_package (ledger, 1000);
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 250);
  assert_int_equal (vj_account_energy_uj (a, DRAM), 100); /* 25 of 200 */
}

/* What was used before the end is billed; the key is free at once. */
static void
test_closed_with_pending_usage (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  assert_ptr_equal (vj_ledger_open (ledger, "a"), a);
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 60);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_close (ledger, a);
  assert_null (vj_ledger_find (ledger, "a"));
  VjAccount *again = vj_ledger_open (ledger, "a");
  assert_int_equal (vj_account_usage_ns (again), 0);
  settle_package (ledger, 1000);
  check_zone (ledger, PACKAGE, 600, 400, 0, 0);
  vj_ledger_measure (ledger, DRAM, 100, TICK_US, FALSE);
  vj_ledger_settle (ledger);
  check_zone (ledger, DRAM, 60, 40, 0, 0);
  assert_int_equal (vj_account_energy_uj (again, PACKAGE), 0);
}

/* Zones that are never read do not keep the dead for ever; when one comes back, its energy is a gap once. */
static void
test_waiting_is_bounded (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 60);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_close (ledger, a);
  for (int tick = 0; tick < VJ_LEDGER_WAIT_SETTLES - 1; tick++)
    settle_package (ledger, 1000);
  assert_true (text_has (ledger, "closed a"));
  settle_package (ledger, 1000);
  assert_false (text_has (ledger, "closed a"));
  VjAccount *b = vj_ledger_open (ledger, "b");
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (b, VJ_RESOURCE_CPU, 100);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      vj_ledger_measure (ledger, DRAM, 70, TICK_US, FALSE);
      settle_package (ledger, 1000);
    }
  check_zone (ledger, DRAM, 70, 70, 0, 70);
}

/* Only ticks since the last reading count. */
static void
test_waiting_starts_anew (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (guint64 tick = 1; tick <= 2 * (VJ_LEDGER_WAIT_SETTLES - 1); tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 1);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 1);
      if (tick % (VJ_LEDGER_WAIT_SETTLES - 1) == 0)
        vj_ledger_measure (ledger, DRAM, 70, TICK_US, FALSE);
      settle_package (ledger, 1000);
    }
  check_zone (ledger, DRAM, 140, 0, 0, 0);
}

static void
test_readings_add_up (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (100);
  vj_ledger_measure (ledger, PACKAGE, 500, TICK_US, FALSE);
  settle_package (ledger, 300);
  check_zone (ledger, PACKAGE, 0, 600, 200, 0);
}

/* Of one unit between two the first gets it, half of it too much; that goes with it to the remainder, and the second,
 * who takes over its column, keeps what it is owed. */
static void
test_carry_of_the_dead (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 1);
  vj_account_add_usage (b, VJ_RESOURCE_CPU, 1);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 2);
  for (guint z = 1; z < N_ZONES; z++)
    vj_ledger_measure (ledger, z, 0, 0, FALSE);
  settle_package (ledger, 1);
  vj_ledger_close (ledger, a);
  assert_true (text_has (ledger, "\nzone package-0 0 1 1 0 0 0 0 0 0 0 0 -2147483648 "));
  assert_true (text_has (ledger, "\naccount b 1 1 1 0 0 0 2147483648 0 0 0 0 0 0 "));
}

static void
test_gap_is_the_machines (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (100);
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (int tick = 0; tick < 3; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 100);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      if (tick == 0)
        vj_ledger_mark_gap (ledger);
      if (tick != 0) /* the mark waits for dram's next reading */
        vj_ledger_measure (ledger, DRAM, 10, TICK_US, FALSE);
      vj_ledger_measure (ledger, PACKAGE_1, 1000, TICK_US, tick == 1);
      settle_package (ledger, 1000);
    }
  check_zone (ledger, PACKAGE, 1800, 900, 300, 900);
  check_zone (ledger, PACKAGE_1, 900, 1800, 300, 1800);
  check_zone (ledger, DRAM, 10, 10, 0, 10);
}

/* The energy of a gap is not known in full, so that static energy missing in it is not owed by later
 * intervals. */
static void
test_gap_owes_no_static (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (1000);
  vj_ledger_measure (ledger, PACKAGE, 0, 30 * TICK_US, TRUE);
  vj_ledger_settle (ledger);
  settle_package (ledger, 1500);
  check_zone (ledger, PACKAGE, 0, 500, 1000, 0);
}

static void
test_sub_zone_is_capped (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (400);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_measure (ledger, CORE, 500, TICK_US, FALSE);
  vj_ledger_measure (ledger, UNCORE, 300, TICK_US, FALSE);
  settle_package (ledger, 1000);
  check_zone (ledger, PACKAGE, 300, 300, 400, 0);
  check_zone (ledger, CORE, 250, 250, 0, 0);
  check_zone (ledger, UNCORE, 50, 50, 200, 0);
}

/* What the package has had to spare under load does not count at idle. */
static void
test_sub_zone_is_capped_by_the_interval (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (400);
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      vj_ledger_measure (ledger, CORE, 200, TICK_US, FALSE);
      settle_package (ledger, tick == 0 ? 2000 : 400);
    }
  check_zone (ledger, CORE, 100, 100, 200, 0);
}

static void
test_sub_zone_waits_for_its_package (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (int tick = 0; tick < 3; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, tick == 0 ? 100 : 50);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      vj_ledger_measure (ledger, CORE, 300, TICK_US, FALSE);
      if (tick == 2)
        vj_ledger_measure (ledger, PACKAGE, 3000, 3 * TICK_US, FALSE);
      vj_ledger_settle (ledger);
      assert_int_equal (vj_ledger_totals (ledger, CORE)->measured_uj, tick == 2 ? 900 : 0);
    }
  check_zone (ledger, CORE, 600, 300, 0, 0);
  /* and the other way round: a package read twice, its core once */
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, tick == 0 ? 100 : 50);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      if (tick == 1)
        vj_ledger_measure (ledger, CORE, 1000, 2 * TICK_US, FALSE);
      settle_package (ledger, 600);
    }
  check_zone (ledger, CORE, 600 + 750, 300 + 250, 0, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_one_tick),
    cmocka_unit_test (test_usage_is_billed_once),
    cmocka_unit_test (test_unread_zone_waits),
    cmocka_unit_test (test_born_between),
    cmocka_unit_test (test_closed_with_pending_usage),
    cmocka_unit_test (test_waiting_is_bounded),
    cmocka_unit_test (test_waiting_starts_anew),
    cmocka_unit_test (test_readings_add_up),
    cmocka_unit_test (test_carry_of_the_dead),
    cmocka_unit_test (test_gap_is_the_machines),
    cmocka_unit_test (test_gap_owes_no_static),
    cmocka_unit_test (test_sub_zone_is_capped),
    cmocka_unit_test (test_sub_zone_is_capped_by_the_interval),
    cmocka_unit_test (test_sub_zone_waits_for_its_package),
  };
  return cmocka_run_group_tests_name ("ledger", tests, NULL, NULL);
}
