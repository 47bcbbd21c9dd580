/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/error.h"

#define TICK_US  G_GUINT64_CONSTANT (1000000)
#define DEBT_NS  G_GUINT64_CONSTANT (80000000)
#define MAX_OPEN 24

/* A machine of one package with core, uncore and dram, a second package with core, psys, and something
 * unknown. */
enum
{
  PACKAGE,
  CORE,
  UNCORE,
  DRAM,
  PACKAGE_1,
  CORE_1,
  PSYS,
  OTHER,
  N_ZONES
};

static VjLedger *
new_machine (guint64 static_uw)
{
  static const struct
  {
    const char *name;
    int parent;
  } zones[N_ZONES] = { { "package-0", -1 }, { "core", 0 }, { "uncore", 0 }, { "dram", 0 },
                       { "package-1", -1 }, { "core", 4 }, { "psys", -1 },  { "gpu", -1 } };
  VjLedger *ledger = vj_ledger_new ();
  for (int i = 0; i < N_ZONES; i++)
    {
      VjZone zone;
      const int parent = zones[i].parent;
      assert_true (vj_zone_init (&zone, zones[i].name,
                                 parent < 0 ? NULL : vj_ledger_zone (ledger, (guint)parent), parent));
      const gboolean has_static = zone.kind == VJ_ZONE_PACKAGE || zone.kind == VJ_ZONE_PSYS;
      assert_int_equal (vj_ledger_add_zone (ledger, &zone, has_static ? static_uw : 0), i);
    }
  return ledger;
}

/* In every snapshot. */
static void
check_books (const VjLedger *ledger)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (ledger);
  for (guint z = 0; z < vj_ledger_n_zones (ledger); z++)
    {
      const VjZoneTotals *totals = vj_ledger_totals (ledger, z);
      guint64 sum_uj = 0;
      for (guint i = 0; i < accounts->len; i++)
        sum_uj += vj_account_energy_uj (accounts->pdata[i], z);
      assert_true (sum_uj <= totals->attributed_uj);
      assert_int_equal (totals->measured_uj,
                        totals->attributed_uj + totals->remainder_uj + totals->static_uj);
      assert_true (totals->gap_uj <= totals->remainder_uj);
    }
  for (guint i = 0; i < accounts->len; i++)
    {
      const VjAccount *account = accounts->pdata[i];
      assert_true (vj_account_energy_uj (account, CORE) + vj_account_energy_uj (account, UNCORE)
                   <= vj_account_energy_uj (account, PACKAGE));
      assert_true (vj_account_energy_uj (account, CORE_1) <= vj_account_energy_uj (account, PACKAGE_1));
    }
  const VjZoneTotals *package = vj_ledger_totals (ledger, PACKAGE), *core = vj_ledger_totals (ledger, CORE),
                     *uncore = vj_ledger_totals (ledger, UNCORE);
  assert_true (core->attributed_uj + uncore->attributed_uj <= package->attributed_uj);
  assert_true (core->measured_uj - core->static_uj + uncore->measured_uj - uncore->static_uj
               <= package->measured_uj - package->static_uj);
  assert_int_equal (vj_ledger_totals (ledger, OTHER)->attributed_uj, 0);
}

static void
check_zone (const VjLedger *ledger, guint zone, guint64 attributed_uj, guint64 remainder_uj,
            guint64 static_uj, guint64 gap_uj)
{
  const VjZoneTotals *totals = vj_ledger_totals (ledger, zone);
  assert_int_equal (totals->attributed_uj, attributed_uj);
  assert_int_equal (totals->remainder_uj, remainder_uj);
  assert_int_equal (totals->static_uj, static_uj);
  assert_int_equal (totals->gap_uj, gap_uj);
  check_books (ledger);
}

static void
settle_package (VjLedger *ledger, guint64 measured_uj)
{
  vj_ledger_measure (ledger, PACKAGE, measured_uj, TICK_US, FALSE);
  vj_ledger_settle (ledger, DEBT_NS);
}

static void
test_one_tick (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (400);
  VjAccount *a = vj_ledger_open (ledger, "a"), *b = vj_ledger_open (ledger, "b");
  vj_account_add_usage (a, 20);
  vj_account_add_usage (b, 30);
  vj_ledger_add_busy (ledger, 100);
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
  vj_account_add_usage (a, 50);
  vj_ledger_add_busy (ledger, 100);
  settle_package (ledger, 1000);
  vj_ledger_add_busy (ledger, 100);
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
      vj_account_add_usage (a, usage_ns[tick]);
      vj_ledger_add_busy (ledger, 100);
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
  vj_ledger_add_busy (ledger, 100);
  settle_package (ledger, 1000);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, 25);
  vj_ledger_add_busy (ledger, 100);
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
  vj_account_add_usage (a, 60);
  vj_ledger_add_busy (ledger, 100);
  vj_ledger_close (ledger, a);
  assert_null (vj_ledger_find (ledger, "a"));
  VjAccount *again = vj_ledger_open (ledger, "a");
  assert_int_equal (vj_account_usage_ns (again), 0);
  settle_package (ledger, 1000);
  check_zone (ledger, PACKAGE, 600, 400, 0, 0);
  vj_ledger_measure (ledger, DRAM, 100, TICK_US, FALSE);
  vj_ledger_settle (ledger, DEBT_NS);
  check_zone (ledger, DRAM, 60, 40, 0, 0);
  assert_int_equal (vj_account_energy_uj (again, PACKAGE), 0);
}

static gboolean
text_has (const VjLedger *ledger, const char *part)
{
  g_autoptr (GString) text = g_string_new (NULL);
  vj_ledger_encode (ledger, text);
  return strstr (text->str, part) != NULL;
}

/* Zones that are never read do not keep the dead for ever; when one comes back, its energy is a gap once. */
static void
test_waiting_is_bounded (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, 60);
  vj_ledger_add_busy (ledger, 100);
  vj_ledger_close (ledger, a);
  for (int tick = 0; tick < VJ_LEDGER_WAIT_SETTLES - 1; tick++)
    settle_package (ledger, 1000);
  assert_true (text_has (ledger, "closed a"));
  settle_package (ledger, 1000);
  assert_false (text_has (ledger, "closed a"));
  VjAccount *b = vj_ledger_open (ledger, "b");
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (b, 100);
      vj_ledger_add_busy (ledger, 100);
      vj_ledger_measure (ledger, DRAM, 70, TICK_US, FALSE);
      settle_package (ledger, 1000);
    }
  check_zone (ledger, DRAM, 70, 70, 0, 70);
}

static void
test_gap_is_the_machines (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (100);
  VjAccount *a = vj_ledger_open (ledger, "a");
  for (int tick = 0; tick < 3; tick++)
    {
      vj_account_add_usage (a, 100);
      vj_ledger_add_busy (ledger, 100);
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
  vj_ledger_settle (ledger, DEBT_NS);
  settle_package (ledger, 1500);
  check_zone (ledger, PACKAGE, 0, 500, 1000, 0);
}

static void
test_sub_zone_is_capped (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (400);
  VjAccount *a = vj_ledger_open (ledger, "a");
  vj_account_add_usage (a, 50);
  vj_ledger_add_busy (ledger, 100);
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
      vj_account_add_usage (a, 50);
      vj_ledger_add_busy (ledger, 100);
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
      vj_account_add_usage (a, tick == 0 ? 100 : 50);
      vj_ledger_add_busy (ledger, 100);
      vj_ledger_measure (ledger, CORE, 300, TICK_US, FALSE);
      if (tick == 2)
        vj_ledger_measure (ledger, PACKAGE, 3000, 3 * TICK_US, FALSE);
      vj_ledger_settle (ledger, DEBT_NS);
      assert_int_equal (vj_ledger_totals (ledger, CORE)->measured_uj, tick == 2 ? 900 : 0);
    }
  check_zone (ledger, CORE, 600, 300, 0, 0);
  /* and the other way round: a package read twice, its core once */
  for (int tick = 0; tick < 2; tick++)
    {
      vj_account_add_usage (a, tick == 0 ? 100 : 50);
      vj_ledger_add_busy (ledger, 100);
      if (tick == 1)
        vj_ledger_measure (ledger, CORE, 1000, 2 * TICK_US, FALSE);
      settle_package (ledger, 600);
    }
  check_zone (ledger, CORE, 600 + 750, 300 + 250, 0, 0);
}

/* Random machines, driven like a tick drives them: readings missing, gaps, births and deaths, bad busy times.
 */
typedef struct
{
  GRand *rand;
  VjLedger *ledger;
  guint born;
  guint64 measured_uj[N_ZONES]; /* per zone, handed to the ledger */
} World;

static VjAccount *
pick (World *world)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (world->ledger);
  return accounts->len == 0 ? NULL : accounts->pdata[g_rand_int (world->rand) % accounts->len];
}

/* An account by key, not by column, so that two worlds of different columns go the same way. */
static VjAccount *
pick_by_key (World *world)
{
  g_autofree char *key =
      g_strdup_printf ("k%u", world->born == 0 ? 0 : g_rand_int (world->rand) % world->born);
  return vj_ledger_find (world->ledger, key);
}

static void
births_and_deaths (World *world)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (world->ledger);
  if (accounts->len < MAX_OPEN && g_rand_int (world->rand) % 8 == 0)
    {
      g_autofree char *key = g_strdup_printf ("k%u", world->born++);
      vj_ledger_open (world->ledger, key);
    }
  VjAccount *victim = pick_by_key (world);
  if (victim != NULL && g_rand_int (world->rand) % 8 == 0)
    vj_ledger_close (world->ledger, victim);
}

static void
use_time (World *world)
{
  guint64 used_ns = 0;
  for (guint i = 0; i < world->born; i++)
    {
      g_autofree char *key = g_strdup_printf ("k%u", i);
      VjAccount *account = vj_ledger_find (world->ledger, key);
      if (account == NULL || g_rand_int (world->rand) % 3 == 0)
        continue;
      const guint64 usage_ns = g_rand_int (world->rand) >> g_rand_int (world->rand) % 32;
      vj_account_add_usage (account, usage_ns);
      used_ns += usage_ns;
    }
  const guint64 host_ns = g_rand_int (world->rand) % 200000000;
  vj_ledger_add_busy (world->ledger, g_rand_int (world->rand) % 4 == 0 ? used_ns / 2 : used_ns + host_ns);
}

static void
measure_all (World *world)
{
  for (guint z = 0; z < N_ZONES; z++)
    {
      if (g_rand_int (world->rand) % 5 == 0)
        continue;
      const guint64 measured_uj = g_rand_int (world->rand) >> (4 + g_rand_int (world->rand) % 28);
      vj_ledger_measure (world->ledger, z, measured_uj, g_rand_int (world->rand) % (2 * TICK_US),
                         g_rand_int (world->rand) % 40 == 0);
      world->measured_uj[z] += measured_uj;
    }
}

static void
tick (World *world)
{
  births_and_deaths (world);
  use_time (world);
  if (g_rand_int (world->rand) % 50 == 0)
    vj_ledger_mark_gap (world->ledger);
  measure_all (world);
  vj_ledger_settle (world->ledger, DEBT_NS);
}

static void
world_init (World *world, guint32 seed)
{
  *world = (World){ .rand = g_rand_new_with_seed (seed), .ledger = new_machine (seed % 3 * 20000000) };
}

static void
world_clear (World *world)
{
  g_rand_free (world->rand);
  vj_ledger_free (world->ledger);
}

static void
test_random_worlds_are_conserved (void **state)
{
  for (guint32 seed = 1; seed <= 60; seed++)
    {
      World world;
      VjZoneTotals before[N_ZONES] = { 0 };
      world_init (&world, seed);
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
              assert_true (now->remainder_uj >= before[z].remainder_uj
                           && now->static_uj >= before[z].static_uj);
              assert_true (now->measured_uj <= world.measured_uj[z]);
              before[z] = *now;
            }
        }
      for (guint z = 0; z < N_ZONES; z++)
        vj_ledger_measure (world.ledger, z, 0, 0, FALSE);
      vj_ledger_settle (world.ledger, DEBT_NS);
      for (guint z = 0; z < N_ZONES; z++)
        assert_int_equal (vj_ledger_totals (world.ledger, z)->measured_uj, world.measured_uj[z]);
      assert_false (text_has (world.ledger, "closed"));
      world_clear (&world);
    }
}

/* Whoever uses nothing is given nothing, through any number of ticks. */
static void
test_no_usage_no_energy (void **state)
{
  World world;
  world_init (&world, 5);
  VjAccount *idle = vj_ledger_open (world.ledger, "idle");
  for (int i = 0; i < 2000; i++)
    tick (&world);
  for (guint z = 0; z < N_ZONES; z++)
    assert_int_equal (vj_account_energy_uj (idle, z), 0);
  world_clear (&world);
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
      vj_account_add_usage (a, 1000);
      vj_account_add_usage (b, 2000);
      vj_ledger_add_busy (ledger, 7000);
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
      vj_account_add_usage (steady, 1000);
      vj_account_add_usage (brief, 1000);
      vj_ledger_add_busy (ledger, 3000);
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

static void
check_same (const VjLedger *a, const VjLedger *b)
{
  g_autoptr (GString) a_text = g_string_new (NULL);
  g_autoptr (GString) b_text = g_string_new (NULL);
  vj_ledger_encode (a, a_text);
  vj_ledger_encode (b, b_text);
  assert_string_equal (a_text->str, b_text->str);
}

/* A ledger that was stored and read back goes on as if nothing had happened, from whatever state. */
static void
test_round_trip_continues (void **state)
{
  for (guint32 seed = 100; seed < 130; seed++)
    {
      World world, again;
      g_autoptr (GString) text = g_string_new (NULL);
      g_autoptr (GError) error = NULL;
      world_init (&world, seed);
      world_init (&again, seed);
      for (guint i = 0; i < 20 + seed; i++)
        tick (&world);
      use_time (&world);
      if (seed % 2 == 0)
        measure_all (&world);
      vj_ledger_encode (world.ledger, text);
      assert_true (vj_ledger_decode (again.ledger, text->str, text->len, &error));
      assert_null (error);
      check_same (world.ledger, again.ledger);
      check_books (again.ledger);
      g_rand_set_seed (world.rand, seed);
      g_rand_set_seed (again.rand, seed);
      again.born = world.born;
      for (int i = 0; i < 100; i++)
        {
          tick (&world);
          tick (&again);
        }
      check_same (world.ledger, again.ledger);
      world_clear (&world);
      world_clear (&again);
    }
}

static const char STORED[] = "virtjoule-ledger-1 1000\n"
                             "zone package-0 100 60 30 10 5 7 8 9 -10 11 0 0 0 0 0 0\n"
                             "zone package-0/core 50 20 30 0 0 0 0 0 4 11 3 1000 50 2 0 1\n"
                             "zone package-9 8 8 0 0 0 0 0 0 0 0 0 0 0 0 1 0\n"
                             "zone package-9/core 8 8 0 0 0 0 0 0 0 0 0 0 0 0 1 0\n"
                             "account a 500 40 6 -7 15 8 9 8 0 0 8 0 0\n"
                             "closed b 20 10 6 -7 5 8 9 0 0 0 0 0 0\n"
                             "end\n";

static void
test_decode_by_zone_id (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  assert_true (vj_ledger_decode (ledger, STORED, strlen (STORED), NULL));
  VjAccount *a = vj_ledger_find (ledger, "a");
  assert_non_null (a);
  assert_null (vj_ledger_find (ledger, "b"));
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 40);
  assert_int_equal (vj_account_energy_uj (a, CORE), 15);
  assert_int_equal (vj_account_energy_uj (a, DRAM), 0);
  assert_int_equal (vj_account_usage_ns (a), 500);
  check_zone (ledger, PACKAGE, 60, 30, 10, 5);
  check_zone (ledger, CORE, 20, 30, 0, 0);
  check_zone (ledger, PACKAGE_1, 0, 0, 0, 0);
  assert_true (text_has (ledger, "\naccount a 500 40 6 -7 15 8 9 0 0 0 0 0 0 0 0 0"));
  assert_true (text_has (ledger, "\nclosed b 20 10 6 -7 5 8 9 0"));
  assert_true (text_has (ledger, "\nzone package-0/core 50 20 30 0 0 0 0 0 4 11 3 1000 50 2 0 1\n"));
}

/* A core whose package is not stored starts anew with it: else it would stand above it. */
static void
test_decode_drops_orphans (void **state)
{
  static const char text[] = "virtjoule-ledger-1 0\n"
                             "zone package-0/core 50 20 30 0 0 0 0 0 4 0 0 0 0 0 0 0\n"
                             "account a 500 20 0 0\n"
                             "end\n";
  g_autoptr (VjLedger) ledger = new_machine (0);
  assert_true (vj_ledger_decode (ledger, text, strlen (text), NULL));
  assert_int_equal (vj_account_energy_uj (vj_ledger_find (ledger, "a"), CORE), 0);
  check_zone (ledger, CORE, 0, 0, 0, 0);
}

static void
check_refused (const char *text, gsize length)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  g_autoptr (VjLedger) fresh = new_machine (0);
  g_autoptr (GError) error = NULL;
  if (vj_ledger_decode (ledger, text, length, &error))
    print_error ("accepted: %.*s\n", (int)length, text);
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  check_same (ledger, fresh);
}

static void
test_malformed_text_is_refused (void **state)
{
  static const char *const edits[][2] = {
    { "ledger-1", "ledger-2" },
    { " 1000\n", " 1000 \n" },
    { "end\n", "end\nend\n" },
    { "end\n", "end" },
    { "100 60 30", "100 60 31" },
    { "10 5 7", "10 31 7" },
    { "7 8 9 -10", "7 1000000 9 -10" },
    { "-10 11", "- 11" },
    { "-10 11", "-10 1001" },
    { "-10 11", "-274877906945 11" },
    { "zone package-9 ", "zone package-0 " },
    { "closed b", "account a" },
    { "closed b", "closed  b" },
    { "account a", "account " },
    { "a 500 40", "a 500 51" },
    { "40 6 -7", "40 501 -7" },
    { "a 500", "a -500" },
    { "a 500", "a 99999999999999999999" },
    { "8 0 0\nclosed", "8 0\nclosed" },
    { "8 0 0\nclosed", "8 0 0 0\nclosed" },
    { "50 2 0 1", "50 2 2 1" },
    { "50 2 0 1", "50 601 0 1" },
    { "zone package-0 ", "Zone package-0 " },
    { "account a 500", "account a 0500x" },
  };
  check_refused ("", 0);
  for (gsize length = 0; length < strlen (STORED); length++)
    check_refused (STORED, length);
  for (gsize i = 0; i < G_N_ELEMENTS (edits); i++)
    {
      g_autoptr (GString) text = g_string_new (STORED);
      assert_true (g_string_replace (text, edits[i][0], edits[i][1], 1) == 1);
      check_refused (text->str, text->len);
    }
}

static void
test_decode_needs_an_empty_ledger (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  g_autoptr (GError) error = NULL;
  vj_ledger_open (ledger, "x");
  assert_false (vj_ledger_decode (ledger, STORED, strlen (STORED), &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

/* Whatever the bytes: refused and unchanged, or a ledger whose books balance and that can go on. */
static void
test_mutated_text (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (9);
  World world;
  guint accepted = 0;
  world_init (&world, 6);
  for (int i = 0; i < 50; i++)
    tick (&world);
  g_autoptr (GString) text = g_string_new (NULL);
  vj_ledger_encode (world.ledger, text);
  for (int i = 0; i < 20000; i++)
    {
      static const char alphabet[] = "0123456789 -\naceolsz\0\xff";
      g_autoptr (GString) mutant =
          i % 2 == 0 ? g_string_new (STORED) : g_string_new_len (text->str, (gssize)text->len);
      for (guint n = 1 + g_rand_int (rand) % 3; n > 0; n--)
        {
          const gsize at = g_rand_int (rand) % mutant->len;
          const char byte = alphabet[g_rand_int (rand) % (sizeof alphabet - 1)];
          switch (g_rand_int (rand) % 3)
            {
            case 0:
              mutant->str[at] = byte;
              break;
            case 1:
              g_string_insert_c (mutant, (gssize)at, byte);
              break;
            default:
              g_string_erase (mutant, (gssize)at,
                              1 + (gssize)(g_rand_int (rand) % MIN (8, mutant->len - at)));
            }
        }
      g_autoptr (VjLedger) ledger = new_machine (1000);
      if (!vj_ledger_decode (ledger, mutant->str, mutant->len, NULL))
        continue;
      accepted++;
      for (guint z = 0; z < N_ZONES; z++)
        vj_ledger_measure (ledger, z, 1000000, TICK_US, FALSE);
      vj_ledger_settle (ledger, DEBT_NS);
      for (guint z = 0; z < N_ZONES; z++)
        {
          const VjZoneTotals *totals = vj_ledger_totals (ledger, z);
          assert_int_equal (totals->measured_uj,
                            totals->attributed_uj + totals->remainder_uj + totals->static_uj);
          assert_true (totals->gap_uj <= totals->remainder_uj);
        }
    }
  assert_in_range (accepted, 100, 19000);
  world_clear (&world);
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
    cmocka_unit_test (test_gap_is_the_machines),
    cmocka_unit_test (test_gap_owes_no_static),
    cmocka_unit_test (test_sub_zone_is_capped),
    cmocka_unit_test (test_sub_zone_is_capped_by_the_interval),
    cmocka_unit_test (test_sub_zone_waits_for_its_package),
    cmocka_unit_test (test_random_worlds_are_conserved),
    cmocka_unit_test (test_no_usage_no_energy),
    cmocka_unit_test (test_nobody_drifts),
    cmocka_unit_test (test_churn_does_not_drift),
    cmocka_unit_test (test_round_trip_continues),
    cmocka_unit_test (test_decode_by_zone_id),
    cmocka_unit_test (test_decode_drops_orphans),
    cmocka_unit_test (test_malformed_text_is_refused),
    cmocka_unit_test (test_decode_needs_an_empty_ledger),
    cmocka_unit_test (test_mutated_text),
  };
  return cmocka_run_group_tests_name ("ledger", tests, NULL, NULL);
}
