/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_machine.h"

static VjLedger *
new_shared (VjStaticPolicy policy, guint64 static_uw)
{
  VjLedger *ledger = new_machine (static_uw);
  vj_ledger_set_static_policy (ledger, policy);
  return ledger;
}

static void
test_names (void **state)
{
  static const char *const names[] = { "separate", "even", "proportional", "allocation" };
  VjStaticPolicy policy = VJ_STATIC_SEPARATE;
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      assert_true (vj_static_policy_parse (names[i], &policy));
      assert_int_equal (policy, i);
      assert_string_equal (vj_static_policy_name (policy), names[i]);
    }
  assert_false (vj_static_policy_parse ("Even", &policy));
  assert_int_equal (policy, VJ_STATIC_ALLOCATION);
}

/* 400 of 1000 are static; a uses 20 and b 40 of 100; they have 1 and 3 vCPUs. */
static void
test_policies (void **state)
{
  static const struct
  {
    VjStaticPolicy policy;
    guint64 a_uj, b_uj, a_static_uj, b_static_uj, static_uj;
  } cases[] = {
    { VJ_STATIC_SEPARATE, 120, 240, 0, 0, 400 },
    { VJ_STATIC_EVEN, 320, 440, 200, 200, 0 },
    { VJ_STATIC_PROPORTIONAL, 253, 507, 133, 267, 0 },
    { VJ_STATIC_ALLOCATION, 220, 540, 100, 300, 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VjLedger) ledger = new_shared (cases[i].policy, 400);
      VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
      vj_account_set_allocation (a, 0);
      vj_account_set_allocation (b, 3);
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 20);
      vj_account_add_usage (b, VJ_RESOURCE_CPU, 40);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      settle_package (ledger, 1000);
      check_zone (ledger, PACKAGE, cases[i].a_uj + cases[i].b_uj, 240, cases[i].static_uj, 0);
      assert_int_equal (vj_account_energy_uj (a, PACKAGE), cases[i].a_uj);
      assert_int_equal (vj_account_energy_uj (b, PACKAGE), cases[i].b_uj);
      assert_int_equal (vj_account_static_uj (a, PACKAGE), cases[i].a_static_uj);
      assert_int_equal (vj_account_static_uj (b, PACKAGE), cases[i].b_static_uj);
      assert_int_equal (vj_ledger_totals (ledger, PACKAGE)->attributed_static_uj, 400 - cases[i].static_uj);
    }
}

/* Nobody there, nobody busy, a gap, a zone that is nobody's: static energy stays apart. */
static void
test_nobody_to_bear_it (void **state)
{
  for (int policy = VJ_STATIC_EVEN; policy <= VJ_STATIC_ALLOCATION; policy++)
    {
      g_autoptr (VjLedger) ledger = new_shared ((VjStaticPolicy)policy, 400);
      settle_package (ledger, 1000);
      check_zone (ledger, PACKAGE, 0, 600, 400, 0);
      vj_ledger_open (ledger, "a");
      vj_ledger_mark_gap (ledger);
      settle_package (ledger, 1000);
      check_zone (ledger, PACKAGE, 0, 1200, 800, 600);
      settle_package (ledger, 1000);
      const guint64 handed_uj = policy == VJ_STATIC_PROPORTIONAL ? 0 : 400;
      check_zone (ledger, PACKAGE, handed_uj, 1800, 1200 - handed_uj, 600);
    }
}

static void
test_closed_accounts_bear_by_their_energy_only (void **state)
{
  for (int policy = VJ_STATIC_EVEN; policy <= VJ_STATIC_ALLOCATION; policy++)
    {
      g_autoptr (VjLedger) ledger = new_shared ((VjStaticPolicy)policy, 400);
      VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
      vj_account_add_usage (b, VJ_RESOURCE_CPU, 50);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      vj_ledger_close (ledger, b);
      settle_package (ledger, 1000);
      check_zone (ledger, PACKAGE, 1000, 0, 0, 0);
      assert_int_equal (vj_account_static_uj (a, PACKAGE), policy == VJ_STATIC_PROPORTIONAL ? 200 : 400);
    }
}

/* A core that is set to draw more static power than its package's: a domain's core stays within its package. */
static void
test_static_of_a_sub_zone_is_limited (void **state)
{
  for (int policy = VJ_STATIC_EVEN; policy <= VJ_STATIC_ALLOCATION; policy++)
    {
      g_autoptr (VjLedger) ledger = new_shared ((VjStaticPolicy)policy, 100);
      VjAccount *a = vj_ledger_open (ledger, "a");
      vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      vj_ledger_measure (ledger, CORE, 1500, TICK_US, FALSE);
      settle_package (ledger, 1000);
      assert_int_equal (vj_account_energy_uj (a, PACKAGE), 450 + 100);
      assert_int_equal (vj_account_energy_uj (a, CORE), 450 + 100);
      check_zone (ledger, CORE, 550, 450, 500, 0);
    }
}

/* What a package hands out of its static energy is no dynamic energy for its sub-zones to fill. */
static void
test_dynamic_of_sub_zones_is_limited_by_dynamic (void **state)
{
  g_autoptr (VjLedger) ledger = new_shared (VJ_STATIC_EVEN, 400);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, VJ_RESOURCE_CPU, 50);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_measure (ledger, CORE, 500, TICK_US, FALSE);
  vj_ledger_measure (ledger, UNCORE, 300, TICK_US, FALSE);
  settle_package (ledger, 1000);
  check_zone (ledger, PACKAGE, 700, 300, 0, 0);
  check_zone (ledger, CORE, 250, 250, 0, 0);
  check_zone (ledger, UNCORE, 50 + 200, 50, 0, 0);
  assert_int_equal (vj_account_static_uj (a, UNCORE), 200);
}

static void
test_a_zone_that_is_nobodys_hands_nothing_out (void **state)
{
  g_autoptr (VjLedger) ledger = vj_ledger_new ();
  VjZone zone;
  assert_true (vj_zone_init (&zone, "gpu", NULL, -1));
  vj_ledger_add_zone (ledger, &zone, 400);
  vj_ledger_set_static_policy (ledger, VJ_STATIC_EVEN);
  vj_ledger_open (ledger, "a");
  vj_ledger_measure (ledger, 0, 1000, TICK_US, FALSE);
  vj_ledger_settle (ledger);
  assert_int_equal (vj_ledger_totals (ledger, 0)->attributed_uj, 0);
  assert_int_equal (vj_ledger_totals (ledger, 0)->static_uj, 400);
}

/* Those who stay keep what is owed to them, whoever comes and goes in other columns. */
static void
test_static_of_those_who_stay (void **state)
{
  g_autoptr (VjLedger) ledger = new_shared (VJ_STATIC_EVEN, 100);
  VjAccount *brief = vj_ledger_open (ledger, "brief");
  VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
  for (int i = 1; i <= 10000; i++)
    {
      settle_package (ledger, 100);
      assert_in_range (vj_account_static_uj (a, PACKAGE) * 3 + 9, (guint64)i * 100, (guint64)i * 100 + 18);
      assert_in_range (vj_account_static_uj (b, PACKAGE) * 3 + 9, (guint64)i * 100, (guint64)i * 100 + 18);
      vj_ledger_close (ledger, brief);
      assert_true (i > 1 || text_has (ledger, "\naccount b 0 1 2 33 33 0 0 1431655765 "));
      brief = vj_ledger_open (ledger, "brief");
    }
}

/* 1000 of 2000 are static; five accounts, of which b and c are under "even", d and e under "proportional" (but idle: their
 * part stays apart), f is "separate". */
static void
test_mixed_policies (void **state)
{
  static const VjStaticPolicy policies[] = { VJ_STATIC_EVEN, VJ_STATIC_EVEN, VJ_STATIC_PROPORTIONAL,
                                             VJ_STATIC_PROPORTIONAL, VJ_STATIC_SEPARATE };
  static const struct
  {
    guint64 usage[5], static_uj[5], apart_uj;
  } cases[] = {
    { { 10, 20, 10, 30, 10 }, { 200, 200, 100, 300, 0 }, 200 },
    { { 10, 0, 0, 40, 10 }, { 200, 200, 0, 400, 0 }, 200 },
    { { 10, 20, 0, 0, 10 }, { 200, 200, 0, 0, 0 }, 600 },
    { { 0, 0, 0, 0, 0 }, { 200, 200, 0, 0, 0 }, 600 },
  };
  for (gsize c = 0; c < G_N_ELEMENTS (cases); c++)
    {
      g_autoptr (VjLedger) ledger = new_shared (VJ_STATIC_EVEN, 1000);
      VjAccount *accounts[5];
      for (guint i = 0; i < 5; i++)
        {
          const char key[] = { (char)('b' + i), '\0' };
          accounts[i] = vj_ledger_open (ledger, key);
          if (policies[i] != VJ_STATIC_EVEN)
            vj_account_set_static_policy (accounts[i], policies[i]);
          vj_account_add_usage (accounts[i], VJ_RESOURCE_CPU, cases[c].usage[i]);
        }
      vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
      settle_package (ledger, 2000);
      check_books (ledger);
      assert_int_equal (vj_ledger_totals (ledger, PACKAGE)->static_uj, cases[c].apart_uj);
      for (guint i = 0; i < 5; i++)
        assert_int_equal (vj_account_static_uj (accounts[i], PACKAGE), cases[c].static_uj[i]);
    }
}

static void
tick_of_one_policy (World *world, int i, const VjStaticPolicy *policy)
{
  g_autofree char *key = g_strdup_printf ("k%u", world->born++);
  VjAccount *account = vj_ledger_open (world->ledger, key);
  if (policy != NULL)
    vj_account_set_static_policy (account, *policy);
  use_time (world);
  if (i % 3 > 0)
    vj_ledger_close (world->ledger, account);
  measure_all (world);
  vj_ledger_settle (world->ledger);
}

/* Where all consumers have one policy of their own, it is as if it were the ledger's. */
static void
test_one_policy_said_twice (void **state)
{
  for (guint32 seed = 1; seed <= 16; seed++)
    {
      World by_ledger, by_account;
      world_init (&by_ledger, seed);
      world_init (&by_account, seed);
      const VjStaticPolicy policy = (VjStaticPolicy)(seed % VJ_N_STATIC_POLICIES);
      vj_ledger_set_static_policy (by_ledger.ledger, policy);
      vj_ledger_set_static_policy (by_account.ledger, (VjStaticPolicy)((seed + 1) % VJ_N_STATIC_POLICIES));
      for (int i = 0; i < 100; i++)
        {
          tick_of_one_policy (&by_ledger, i, NULL);
          tick_of_one_policy (&by_account, i, &policy);
        }
      for (guint z = 0; z < N_ZONES; z++)
        {
          const VjZoneTotals *a = vj_ledger_totals (by_ledger.ledger, z);
          const VjZoneTotals *b = vj_ledger_totals (by_account.ledger, z);
          assert_memory_equal (a, b, sizeof *a);
        }
      world_clear (&by_ledger);
      world_clear (&by_account);
    }
}

/* Three policies of one account each, odd amounts: each policy keeps to its third. */
static void
test_policies_do_not_drift (void **state)
{
  g_autoptr (VjLedger) ledger = new_shared (VJ_STATIC_SEPARATE, 1000003);
  g_autoptr (GRand) rand = g_rand_new_with_seed (9);
  VjAccount *even = vj_ledger_open (ledger, "even"), *allocation = vj_ledger_open (ledger, "allocation");
  vj_ledger_open (ledger, "separate");
  vj_account_set_static_policy (even, VJ_STATIC_EVEN);
  vj_account_set_static_policy (allocation, VJ_STATIC_ALLOCATION);
  for (int i = 0; i < 20000; i++)
    settle_package (ledger, g_rand_int (rand) % 1500000);
  const VjZoneTotals *totals = vj_ledger_totals (ledger, PACKAGE);
  const guint64 third_uj = (totals->static_uj + totals->attributed_static_uj) / 3;
  assert_in_range (vj_account_static_uj (even, PACKAGE), third_uj - 1, third_uj + 2);
  assert_in_range (vj_account_static_uj (allocation, PACKAGE), third_uj - 1, third_uj + 2);
  assert_in_range (totals->static_uj, third_uj - 1, third_uj + 2);
}

/* Odd amounts among three, for a long time: exactly divided, and nobody drifts. */
static void
test_static_does_not_drift (void **state)
{
  g_autoptr (VjLedger) ledger = new_shared (VJ_STATIC_EVEN, 1000003);
  g_autoptr (GRand) rand = g_rand_new_with_seed (8);
  VjAccount *accounts[3];
  static const char *const keys[] = { "a", "b", "c" };
  for (int i = 0; i < 3; i++)
    accounts[i] = vj_ledger_open (ledger, keys[i]);
  for (int i = 0; i < 20000; i++)
    settle_package (ledger, g_rand_int (rand) % 1500000);
  const VjZoneTotals *totals = vj_ledger_totals (ledger, PACKAGE);
  assert_int_equal (totals->static_uj, 0);
  for (int i = 0; i < 3; i++)
    assert_in_range (vj_account_static_uj (accounts[i], PACKAGE), totals->attributed_uj / 3 - 1,
                     totals->attributed_uj / 3 + 2);
}

/* What a policy hands out changes neither what is dynamic nor what is the host's. */
static void
test_policies_differ_in_static_only (void **state)
{
  for (guint32 seed = 1; seed <= 48; seed++)
    {
      World world, apart;
      world_init (&world, seed);
      world_init (&apart, seed);
      vj_ledger_set_static_policy (apart.ledger, VJ_STATIC_SEPARATE);
      world.mixed = seed > 24;
      for (int i = 0; i < 100; i++)
        {
          tick (&world);
          tick (&apart);
        }
      for (guint z = 0; z < N_ZONES; z++)
        {
          const VjZoneTotals *shared = vj_ledger_totals (world.ledger, z);
          const VjZoneTotals *separate = vj_ledger_totals (apart.ledger, z);
          assert_int_equal (shared->measured_uj, separate->measured_uj);
          assert_int_equal (shared->remainder_uj, separate->remainder_uj);
          assert_int_equal (shared->attributed_uj - shared->attributed_static_uj, separate->attributed_uj);
          assert_int_equal (separate->attributed_static_uj, 0);
        }
      world_clear (&world);
      world_clear (&apart);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_names),
    cmocka_unit_test (test_policies),
    cmocka_unit_test (test_nobody_to_bear_it),
    cmocka_unit_test (test_closed_accounts_bear_by_their_energy_only),
    cmocka_unit_test (test_static_of_a_sub_zone_is_limited),
    cmocka_unit_test (test_dynamic_of_sub_zones_is_limited_by_dynamic),
    cmocka_unit_test (test_a_zone_that_is_nobodys_hands_nothing_out),
    cmocka_unit_test (test_static_of_those_who_stay),
    cmocka_unit_test (test_static_does_not_drift),
    cmocka_unit_test (test_mixed_policies),
    cmocka_unit_test (test_one_policy_said_twice),
    cmocka_unit_test (test_policies_do_not_drift),
    cmocka_unit_test (test_policies_differ_in_static_only),
  };
  return cmocka_run_group_tests_name ("ledger, static energy", tests, NULL, NULL);
}
