/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_machine.h"

static VjAccount *
pick (World *world)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (world->ledger);
  return accounts->len == 0 ? NULL : accounts->pdata[g_rand_int (world->rand) % accounts->len];
}

static void
check_world_is_conserved (guint32 seed, gboolean mixed)
{
  World world;
  VjZoneTotals before[N_ZONES] = { 0 };
  world_init (&world, seed);
  world.mixed = mixed;
  for (int i = 0; i < 100; i++)
    {
      VjAccount *account = pick (&world);
      g_autofree char *key = account == NULL ? NULL : g_strdup (vj_account_key (account));
      const guint64 energy_uj = account == NULL ? 0 : vj_account_energy_uj (account, PACKAGE);
      tick (&world);
      check_books (world.ledger);
      account = key == NULL ? NULL : vj_ledger_find (world.ledger, key);
      assert_true (account == NULL || vj_account_energy_uj (account, PACKAGE) >= energy_uj);
      for (guint z = 0; z < N_ZONES; z++)
        {
          const VjZoneTotals *now = vj_ledger_totals (world.ledger, z);
          assert_true (now->attributed_uj >= before[z].attributed_uj && now->gap_uj >= before[z].gap_uj);
          assert_true (now->remainder_uj >= before[z].remainder_uj && now->static_uj >= before[z].static_uj);
          assert_true (now->measured_uj <= world.measured_uj[z]);
          before[z] = *now;
        }
    }
  for (guint z = 0; z < N_ZONES; z++)
    vj_ledger_measure (world.ledger, z, 0, 0, FALSE);
  vj_ledger_settle (world.ledger);
  for (guint z = 0; z < N_ZONES; z++)
    assert_int_equal (vj_ledger_totals (world.ledger, z)->measured_uj, world.measured_uj[z]);
  assert_false (text_has (world.ledger, "closed"));
  world_clear (&world);
}

/* Every policy, curve and order of stacking, and zones of one resource and of several: see world_init (). */
static void
test_random_worlds_are_conserved (void **state)
{
  for (guint32 seed = 1; seed <= 128; seed++)
    check_world_is_conserved (seed, FALSE);
}

/* Accounts under different policies, which change at random. */
static void
test_mixed_worlds_are_conserved (void **state)
{
  for (guint32 seed = 1; seed <= 128; seed++)
    check_world_is_conserved (seed, TRUE);
}

/* Over 10^5 ticks two accounts of steady usage 1:2 and the host's 4 keep to their shares of 1/7 and 2/7. */
static void
test_nobody_drifts (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
  for (int i = 0; i < 100000; i++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 1000);
      vj_account_add_usage (b, VJ_RESOURCE_CPU, 2000);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 7000);
      const guint64 measured_uj = g_rand_int (rand) % 5000;
      vj_ledger_measure (ledger, CORE, measured_uj, TICK_US, FALSE);
      settle_package (ledger, measured_uj);
    }
  const guint64 sum_uj = vj_ledger_totals (ledger, PACKAGE)->measured_uj;
  const guint zones[] = { PACKAGE, CORE };
  for (gsize i = 0; i < G_N_ELEMENTS (zones); i++)
    {
      assert_in_range (vj_account_energy_uj (a, zones[i]), sum_uj / 7 - 3, sum_uj / 7 + 3);
      assert_in_range (vj_account_energy_uj (b, zones[i]), sum_uj * 2 / 7 - 3, sum_uj * 2 / 7 + 3);
    }
  check_books (ledger);
}

/* Those who come and go leave no trace in what the others are given. */
static void
test_churn_does_not_drift (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  g_autoptr (GRand) rand = g_rand_new_with_seed (4);
  VjAccount *steady = vj_ledger_open (ledger, "steady");
  guint64 sum_uj = 0;
  for (int i = 0; i < 50000; i++)
    {
      VjAccount *brief = vj_ledger_open (ledger, "brief");
      vj_account_add_usage (steady, VJ_RESOURCE_CPU, 1000);
      vj_account_add_usage (brief, VJ_RESOURCE_CPU, 1000);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 3000);
      const guint64 measured_uj = 3 * (g_rand_int (rand) % 100) + 1;
      sum_uj += measured_uj;
      settle_package (ledger, measured_uj);
      for (guint z = 1; z < N_ZONES; z++)
        vj_ledger_measure (ledger, z, 0, 0, FALSE);
      settle_package (ledger, 0);
      vj_ledger_close (ledger, brief);
    }
  assert_in_range (vj_account_energy_uj (steady, PACKAGE), sum_uj / 3 - 3, sum_uj / 3 + 3);
  check_books (ledger);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_random_worlds_are_conserved),
    cmocka_unit_test (test_mixed_worlds_are_conserved),
    cmocka_unit_test (test_nobody_drifts),
    cmocka_unit_test (test_churn_does_not_drift),
  };
  return cmocka_run_group_tests_name ("ledger, random", tests, NULL, NULL);
}
