/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_machine.h"

/* Two packages, memory, and a storage device. */
static VjLedger *
new_server (void)
{
  VjLedger *ledger = new_machine (0);
  for (guint z = 0; z < N_ZONES; z++)
    vj_ledger_set_resource (ledger, z, vj_resource_of_zone (vj_ledger_zone (ledger, z), 2));
  return ledger;
}

static void
measure (VjLedger *ledger, guint64 measured_uj)
{
  for (guint z = 0; z < N_ZONES; z++)
    vj_ledger_measure (ledger, z, z == CORE || z == CORE_1 || z == UNCORE ? measured_uj / 2 : measured_uj,
                       TICK_US, FALSE);
}

static void
test_resource_of_a_zone (void **state)
{
  static const struct
  {
    guint zone, n_packages;
    VjResource resource;
  } cases[] = {
    { PACKAGE, 1, VJ_RESOURCE_CPU },
    { PACKAGE, 2, VJ_RESOURCE_PACKAGE (0) },
    { PACKAGE_1, 2, VJ_RESOURCE_PACKAGE (1) },
    { CORE_1, 2, VJ_RESOURCE_PACKAGE (1) },
    { UNCORE, 2, VJ_RESOURCE_PACKAGE (0) },
    { DRAM, 1, VJ_RESOURCE_MEMORY },
    { DRAM, 2, VJ_RESOURCE_MEMORY },
    { PSYS, 2, VJ_RESOURCE_CPU },
    { STORAGE, 1, VJ_RESOURCE_STORAGE },
    { STORAGE, 2, VJ_RESOURCE_STORAGE },
    { OTHER, 2, VJ_RESOURCE_CPU },
  };
  g_autoptr (VjLedger) ledger = new_machine (0);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_int_equal (vj_resource_of_zone (vj_ledger_zone (ledger, cases[i].zone), cases[i].n_packages),
                      cases[i].resource);
}

static void
test_memory_amount (void **state)
{
  assert_int_equal (vj_resource_memory (G_GUINT64_CONSTANT (1) << 40, 1000000),
                    (G_GUINT64_CONSTANT (1) << 30) * 1000);
  assert_int_equal (vj_resource_memory (1024, 1999), 1);
  assert_int_equal (vj_resource_memory (G_MAXUINT64, 1000), G_MAXUINT64 / 1024);
  assert_int_equal (vj_resource_memory (G_MAXUINT64, G_MAXUINT64), G_MAXUINT64);
}

/* One busy domain with little memory, one idle with much; one on each package; one writes. */
static void
test_each_zone_by_its_own_resource (void **state)
{
  g_autoptr (VjLedger) ledger = new_server ();
  VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 90);
  vj_account_add_usage (a, VJ_RESOURCE_PACKAGE (0), 80);
  vj_account_add_usage (a, VJ_RESOURCE_PACKAGE (1), 10);
  vj_account_add_usage (a, VJ_RESOURCE_MEMORY, 100);
  vj_account_add_usage (b, VJ_RESOURCE_MEMORY, 300);
  vj_account_add_usage (b, VJ_RESOURCE_STORAGE, 4096);
  vj_account_add_usage (b, VJ_RESOURCE_PACKAGE (7), 5);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_PACKAGE (0), 80);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_PACKAGE (1), 20);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_MEMORY, 1000);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_STORAGE, 8192);
  measure (ledger, 1000);
  vj_ledger_settle (ledger);
  static const guint64 expected[N_ZONES][2] = { { 1000, 0 }, { 500, 0 }, { 500, 0 }, { 100, 300 }, { 500, 0 },
                                                { 250, 0 },  { 900, 0 }, { 0, 500 }, { 0, 0 } };
  for (guint z = 0; z < N_ZONES; z++)
    {
      assert_int_equal (vj_account_energy_uj (a, z), expected[z][0]);
      assert_int_equal (vj_account_energy_uj (b, z), expected[z][1]);
    }
  assert_int_equal (vj_account_usage_ns (a), 90);
}

/* Eq. 4.11: memory in use is never below the sum of what the domains hold, and nothing of that is owed. */
static void
test_memory_in_use_is_at_least_the_sum (void **state)
{
  g_autoptr (VjLedger) ledger = new_server ();
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_MEMORY, 100);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_MEMORY, tick == 0 ? 60 : 200);
      vj_ledger_measure (ledger, DRAM, 100, TICK_US, FALSE);
      vj_ledger_settle (ledger);
    }
  assert_int_equal (vj_account_energy_uj (a, DRAM), 100 + 50);
}

static void
test_gap_of_one_resource (void **state)
{
  g_autoptr (VjLedger) ledger = new_server ();
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, VJ_RESOURCE_PACKAGE (0), 100);
  vj_account_add_usage (a, VJ_RESOURCE_MEMORY, 100);
  vj_ledger_mark_resource_gap (ledger, VJ_RESOURCE_MEMORY);
  measure (ledger, 1000);
  vj_ledger_settle (ledger);
  assert_int_equal (vj_ledger_totals (ledger, DRAM)->gap_uj, 1000);
  assert_int_equal (vj_account_energy_uj (a, DRAM), 0);
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 1000);
  assert_int_equal (vj_ledger_totals (ledger, PACKAGE)->gap_uj, 0);
}

static void
test_debt_limits_are_apart (void **state)
{
  g_autoptr (VjLedger) ledger = new_server ();
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_ledger_set_debt_limit (ledger, VJ_RESOURCE_PACKAGE (0), 10);
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_PACKAGE (0), 100);
      vj_account_add_usage (a, VJ_RESOURCE_PACKAGE (1), 100);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_PACKAGE (0), tick == 0 ? 80 : 110);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_PACKAGE (1), tick == 0 ? 80 : 110);
      vj_ledger_measure (ledger, PACKAGE, 1100, TICK_US, FALSE);
      vj_ledger_measure (ledger, PACKAGE_1, 1100, TICK_US, FALSE);
      vj_ledger_settle (ledger);
    }
  assert_int_equal (vj_account_energy_uj (a, PACKAGE),
                    2148); /* half of the debt is within doubt: 1100 of 105 shares */
  assert_int_equal (vj_account_energy_uj (a, PACKAGE_1), 2100);
}

/* Amounts of a machine of 4 TiB run past 64 bits within weeks: only differences count. */
static void
test_sums_may_wrap (void **state)
{
  g_autoptr (VjLedger) ledger = new_server ();
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (int tick = 0; tick < 9; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_MEMORY, G_MAXUINT64 / 4);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_MEMORY, G_MAXUINT64 / 2);
      vj_ledger_measure (ledger, DRAM, 100, TICK_US, FALSE);
      vj_ledger_settle (ledger);
    }
  assert_in_range (vj_account_energy_uj (a, DRAM), 449, 451);
}

/* CPU time that waited for a zone is no measure of memory. */
static void
test_stored_under_another_resource (void **state)
{
  g_autoptr (VjLedger) before = new_machine (0);
  g_autoptr (VjLedger) after = new_server ();
  g_autoptr (GString) text = g_string_new (NULL);
  VjAccount *a = vj_ledger_open (before, "a");
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
      vj_ledger_add_busy (before, VJ_RESOURCE_CPU, 100);
      if (tick == 0)
        vj_ledger_measure (before, DRAM, 100, TICK_US, FALSE);
      settle_package (before, 1000);
    }
  vj_ledger_encode (before, text);
  assert_true (vj_ledger_decode (after, text->str, text->len, NULL));
  a = vj_ledger_find (after, "a");
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_MEMORY, 10);
      vj_ledger_add_busy (after, VJ_RESOURCE_MEMORY, 100);
      vj_ledger_measure (after, DRAM, 100, TICK_US, FALSE);
      vj_ledger_settle (after);
    }
  assert_int_equal (vj_account_energy_uj (a, DRAM), 50 + 10);
  assert_int_equal (vj_ledger_totals (after, DRAM)->gap_uj, 100);
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 1000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_resource_of_a_zone),
    cmocka_unit_test (test_memory_amount),
    cmocka_unit_test (test_each_zone_by_its_own_resource),
    cmocka_unit_test (test_memory_in_use_is_at_least_the_sum),
    cmocka_unit_test (test_gap_of_one_resource),
    cmocka_unit_test (test_debt_limits_are_apart),
    cmocka_unit_test (test_sums_may_wrap),
    cmocka_unit_test (test_stored_under_another_resource),
  };
  return cmocka_run_group_tests_name ("ledger, resources", tests, NULL, NULL);
}
