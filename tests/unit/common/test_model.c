/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of the model whatever the machine does; ledger_machine.c has the machines, test_ledger_random.c conservation
 * under every policy, curve and resource. */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/units.h"
#include "ledger_machine.h"

#define MANY 10000

static const VjCurve CURVES[] = {
  { VJ_CURVE_LINEAR, 400, VJ_STACKING_LONGEST_LIVED },
  { VJ_CURVE_GAMMA, 400, VJ_STACKING_LONGEST_LIVED },
  { VJ_CURVE_GAMMA, 400, VJ_STACKING_LARGEST },
};

static VjAccount *
open_numbered (VjLedger *ledger, guint number)
{
  g_autofree char *key = g_strdup_printf ("k%u", number);
  return vj_ledger_open (ledger, key);
}

/* The same machine, with its domains told in two orders. */
static void
test_order_does_not_matter_when_linear (void **state)
{
  static const guint orders[2][6] = { { 0, 1, 2, 3, 4, 5 }, { 3, 5, 0, 4, 2, 1 } };
  g_autoptr (GRand) rand = g_rand_new_with_seed (21);
  for (int round = 0; round < 1000; round++)
    {
      VjLedger *ledgers[2];
      VjAccount *accounts[2][6];
      for (guint l = 0; l < 2; l++)
        {
          ledgers[l] = new_machine (0);
          for (guint i = 0; i < 6; i++)
            accounts[l][orders[l][i]] = open_numbered (ledgers[l], orders[l][i]);
        }
      for (int tick = 0; tick < 5; tick++)
        {
          const guint64 measured_uj = g_rand_int (rand) % 1000000;
          for (guint i = 0; i < 6; i++)
            {
              const guint64 usage_ns = g_rand_int (rand);
              vj_account_add_usage (accounts[0][i], VJ_RESOURCE_CPU, usage_ns);
              vj_account_add_usage (accounts[1][i], VJ_RESOURCE_CPU, usage_ns);
            }
          for (guint l = 0; l < 2; l++)
            {
              vj_ledger_add_busy (ledgers[l], VJ_RESOURCE_CPU, G_GUINT64_CONSTANT (30000000000));
              settle_package (ledgers[l], measured_uj);
            }
        }
      for (guint i = 0; i < 6; i++)
        assert_int_equal (vj_account_energy_uj (accounts[0][i], PACKAGE),
                          vj_account_energy_uj (accounts[1][i], PACKAGE));
      vj_ledger_free (ledgers[0]);
      vj_ledger_free (ledgers[1]);
    }
}

/* Whatever the curve and the resource: who uses nothing is given nothing dynamic. */
static void
test_no_usage_no_energy (void **state)
{
  for (guint32 seed = 1; seed <= 64; seed++)
    {
      World world;
      world_init (&world, seed);
      VjAccount *idle = vj_ledger_open (world.ledger, "idle");
      for (int i = 0; i < 50; i++)
        tick (&world);
      for (guint z = 0; z < N_ZONES; z++)
        assert_int_equal (vj_account_energy_uj (idle, z), vj_account_static_uj (idle, z));
      world_clear (&world);
    }
}

static void
test_the_only_task_gets_it_all (void **state)
{
  for (gsize c = 0; c < G_N_ELEMENTS (CURVES); c++)
    {
      g_autoptr (VjLedger) ledger = new_machine (100);
      VjAccount *a = vj_ledger_open (ledger, "a");
      vj_ledger_open (ledger, "idle");
      vj_ledger_set_curve (ledger, &CURVES[c]);
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 12345);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 12345);
      settle_package (ledger, 1000);
      assert_int_equal (vj_account_energy_uj (a, PACKAGE), 900);
      check_zone (ledger, PACKAGE, 900, 0, 100, 0);
    }
}

/* Ten thousand of them: the sum is exact, and when linear everybody is within a microjoule of the ideal share. */
static void
test_ten_thousand_tasks (void **state)
{
  static VjAccount *accounts[MANY];
  static guint64 usage_ns[MANY];
  const guint64 measured_uj = 987654321;
  for (gsize c = 0; c < G_N_ELEMENTS (CURVES); c++)
    {
      g_autoptr (GRand) rand = g_rand_new_with_seed (22);
      g_autoptr (VjLedger) ledger = new_machine (0);
      guint64 busy_ns = 0, sum_uj = 0;
      vj_ledger_set_curve (ledger, &CURVES[c]);
      for (guint i = 0; i < MANY; i++)
        {
          accounts[i] = open_numbered (ledger, i);
          usage_ns[i] = g_rand_int (rand) % 1000000;
          busy_ns += usage_ns[i];
          vj_account_add_usage (accounts[i], VJ_RESOURCE_CPU, usage_ns[i]);
        }
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, busy_ns);
      settle_package (ledger, measured_uj);
      for (guint i = 0; i < MANY; i++)
        {
          const guint64 given_uj = vj_account_energy_uj (accounts[i], PACKAGE);
          const guint64 ideal_uj = (guint64)((VjU128)measured_uj * usage_ns[i] / busy_ns);
          sum_uj += given_uj;
          if (CURVES[c].kind == VJ_CURVE_LINEAR)
            assert_in_range (given_uj, ideal_uj, ideal_uj + 1);
        }
      assert_int_equal (sum_uj, measured_uj);
    }
}

/* One starts and one ends within the interval: each is given by what it used, and the one who stayed as well. */
static void
test_births_and_deaths_within_an_interval (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (23);
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *stays = vj_ledger_open (ledger, "stays");
  VjAccount *ends = vj_ledger_open (ledger, "0");
  guint64 stays_due_uj = 0, attributed_due_uj = 0;
  for (guint i = 1; i <= 5000; i++)
    {
      g_autofree char *key = g_strdup_printf ("%u", i);
      const guint64 part_uj = 1 + g_rand_int (rand) % 10000;
      vj_account_add_usage (ends, VJ_RESOURCE_CPU, 1000);
      vj_ledger_close (ledger, ends);
      ends = vj_ledger_open (ledger, key);
      vj_account_add_usage (ends, VJ_RESOURCE_CPU, 2000);
      vj_account_add_usage (stays, VJ_RESOURCE_CPU, 3000);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 10000);
      settle_package (ledger, 10 * part_uj);
      for (guint z = 1; z < N_ZONES; z++)
        vj_ledger_measure (ledger, z, 0, TICK_US, FALSE);
      settle_package (ledger, 0);
      stays_due_uj += 3 * part_uj;
      attributed_due_uj += 6 * part_uj;
      assert_int_equal (vj_account_energy_uj (ends, PACKAGE), 2 * part_uj);
    }
  assert_int_equal (vj_account_energy_uj (stays, PACKAGE), stays_due_uj);
  check_zone (ledger, PACKAGE, attributed_due_uj, attributed_due_uj / 3 * 2, 0, 0);
}

/* Ten ticks, or one that comes ten intervals late: the same power is shared the same way. */
static void
test_late_ticks_change_nothing (void **state)
{
  g_autoptr (VjLedger) punctual = new_machine (333);
  g_autoptr (VjLedger) late = new_machine (333);
  VjAccount *a = vj_ledger_open (punctual, "a"), *late_a = vj_ledger_open (late, "a");
  for (int i = 1; i <= 1000; i++)
    {
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 30);
      vj_ledger_add_busy (punctual, VJ_RESOURCE_CPU, 70);
      settle_package (punctual, 1000);
      vj_account_add_usage (late_a, VJ_RESOURCE_CPU, 30);
      vj_ledger_add_busy (late, VJ_RESOURCE_CPU, 70);
      if (i % 10 != 0)
        continue;
      vj_ledger_measure (late, PACKAGE, 10000, 10 * TICK_US, FALSE);
      vj_ledger_settle (late);
    }
  assert_int_equal (vj_ledger_totals (late, PACKAGE)->static_uj,
                    vj_ledger_totals (punctual, PACKAGE)->static_uj);
  assert_in_range (vj_account_energy_uj (late_a, PACKAGE), vj_account_energy_uj (a, PACKAGE) - 1,
                   vj_account_energy_uj (a, PACKAGE) + 1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_order_does_not_matter_when_linear),
    cmocka_unit_test (test_no_usage_no_energy),
    cmocka_unit_test (test_the_only_task_gets_it_all),
    cmocka_unit_test (test_ten_thousand_tasks),
    cmocka_unit_test (test_births_and_deaths_within_an_interval),
    cmocka_unit_test (test_late_ticks_change_nothing),
  };
  return cmocka_run_group_tests_name ("the model", tests, NULL, NULL);
}
