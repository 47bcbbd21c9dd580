/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ledger_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MAX_OPEN 24

VjLedger *
new_machine (guint64 static_uw)
{
  static const struct
  {
    const char *name;
    int parent;
  } zones[N_ZONES] = { { "package-0", -1 }, { "core", 0 },       { "uncore", 0 },
                       { "dram", 0 },       { "package-1", -1 }, { "core", 4 },
                       { "psys", -1 },      { "storage", -1 },   { "gpu", -1 } };
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

static guint64
dynamic_uj (const VjZoneTotals *totals)
{
  return totals->measured_uj - totals->static_uj - totals->attributed_static_uj;
}

static guint64
account_dynamic_uj (const VjAccount *account, guint zone)
{
  return vj_account_energy_uj (account, zone) - vj_account_static_uj (account, zone);
}

/* In every snapshot. */
void
check_books (const VjLedger *ledger)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (ledger);
  for (guint z = 0; z < vj_ledger_n_zones (ledger); z++)
    {
      const VjZoneTotals *totals = vj_ledger_totals (ledger, z);
      guint64 sum_uj = 0, static_uj = 0;
      for (guint i = 0; i < accounts->len; i++)
        {
          sum_uj += vj_account_energy_uj (accounts->pdata[i], z);
          static_uj += vj_account_static_uj (accounts->pdata[i], z);
          assert_true (vj_account_static_uj (accounts->pdata[i], z)
                       <= vj_account_energy_uj (accounts->pdata[i], z));
        }
      assert_true (sum_uj <= totals->attributed_uj);
      assert_true (static_uj <= totals->attributed_static_uj);
      assert_true (totals->attributed_static_uj <= totals->attributed_uj);
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
      assert_true (vj_account_static_uj (account, CORE) + vj_account_static_uj (account, UNCORE)
                   <= vj_account_static_uj (account, PACKAGE));
      assert_true (account_dynamic_uj (account, CORE) + account_dynamic_uj (account, UNCORE)
                   <= account_dynamic_uj (account, PACKAGE));
    }
  const VjZoneTotals *package = vj_ledger_totals (ledger, PACKAGE), *core = vj_ledger_totals (ledger, CORE),
                     *uncore = vj_ledger_totals (ledger, UNCORE);
  assert_true (core->attributed_uj + uncore->attributed_uj <= package->attributed_uj);
  assert_true (core->attributed_static_uj + uncore->attributed_static_uj <= package->attributed_static_uj);
  assert_true (dynamic_uj (core) + dynamic_uj (uncore) <= dynamic_uj (package));
  assert_int_equal (vj_ledger_totals (ledger, OTHER)->attributed_uj, 0);
}

void
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

void
settle_package (VjLedger *ledger, guint64 measured_uj)
{
  vj_ledger_measure (ledger, PACKAGE, measured_uj, TICK_US, FALSE);
  vj_ledger_settle (ledger);
}

gboolean
text_has (const VjLedger *ledger, const char *part)
{
  g_autoptr (GString) text = g_string_new (NULL);
  vj_ledger_encode (ledger, text);
  return strstr (text->str, part) != NULL;
}

void
check_same (const VjLedger *a, const VjLedger *b)
{
  g_autoptr (GString) a_text = g_string_new (NULL);
  g_autoptr (GString) b_text = g_string_new (NULL);
  vj_ledger_encode (a, a_text);
  vj_ledger_encode (b, b_text);
  assert_string_equal (a_text->str, b_text->str);
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
      vj_account_set_allocation (vj_ledger_open (world->ledger, key), g_rand_int (world->rand) % 9);
    }
  VjAccount *victim = pick_by_key (world);
  if (victim != NULL && g_rand_int (world->rand) % 8 == 0)
    vj_ledger_close (world->ledger, victim);
}

void
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
      vj_account_add_usage (account, VJ_RESOURCE_CPU, usage_ns);
      vj_account_add_usage (account, VJ_RESOURCE_MEMORY, usage_ns * 1000);
      vj_account_add_usage (account, VJ_RESOURCE_PACKAGE (1), usage_ns / 2);
      vj_account_add_usage (account, VJ_RESOURCE_STORAGE, usage_ns % 1000);
      used_ns += usage_ns;
    }
  vj_ledger_add_busy (world->ledger, VJ_RESOURCE_MEMORY,
                      g_rand_int (world->rand) * G_GUINT64_CONSTANT (5000));
  vj_ledger_add_busy (world->ledger, VJ_RESOURCE_PACKAGE (1), used_ns / 2 + 7);
  vj_ledger_add_busy (world->ledger, VJ_RESOURCE_STORAGE, 10000);
  const guint64 host_ns = g_rand_int (world->rand) % 200000000;
  vj_ledger_add_busy (world->ledger, VJ_RESOURCE_CPU,
                      g_rand_int (world->rand) % 4 == 0 ? used_ns / 2 : used_ns + host_ns);
}

void
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
change_policies (World *world)
{
  g_autofree char *key = g_strdup_printf ("k%u", g_rand_int (world->policies) % (world->born + 1));
  const guint32 policy = g_rand_int (world->policies) % VJ_N_STATIC_POLICIES;
  VjAccount *account = vj_ledger_find (world->ledger, key);
  if (account != NULL)
    vj_account_set_static_policy (account, (VjStaticPolicy)policy);
}

void
tick (World *world)
{
  births_and_deaths (world);
  if (world->mixed)
    change_policies (world);
  use_time (world);
  if (g_rand_int (world->rand) % 50 == 0)
    vj_ledger_mark_gap (world->ledger);
  if (g_rand_int (world->rand) % 20 == 0)
    vj_ledger_mark_resource_gap (world->ledger, VJ_RESOURCE_MEMORY);
  measure_all (world);
  vj_ledger_settle (world->ledger);
}

void
world_init (World *world, guint32 seed)
{
  *world = (World){ .rand = g_rand_new_with_seed (seed),
                    .policies = g_rand_new_with_seed (seed),
                    .ledger = new_machine (seed % 3 * 19999999) };
  vj_ledger_set_static_policy (world->ledger, (VjStaticPolicy)(seed / 2 % 4));
  const VjCurve curve = { seed / 8 % 2 == 0 ? VJ_CURVE_LINEAR : VJ_CURVE_GAMMA, 1 + seed * 7 % 1000,
                          seed / 16 % 2 == 0 ? VJ_STACKING_LONGEST_LIVED : VJ_STACKING_LARGEST };
  vj_ledger_set_curve (world->ledger, &curve);
  vj_ledger_set_debt_limit (world->ledger, VJ_RESOURCE_CPU, DEBT_NS);
  if (seed % 2 == 0)
    return;
  vj_ledger_set_resource (world->ledger, DRAM, VJ_RESOURCE_MEMORY);
  vj_ledger_set_resource (world->ledger, PACKAGE_1, VJ_RESOURCE_PACKAGE (1));
  vj_ledger_set_resource (world->ledger, CORE_1, VJ_RESOURCE_PACKAGE (1));
  vj_ledger_set_resource (world->ledger, STORAGE, VJ_RESOURCE_STORAGE);
  vj_ledger_set_debt_limit (world->ledger, VJ_RESOURCE_PACKAGE (1), DEBT_NS);
}

void
world_clear (World *world)
{
  g_rand_free (world->rand);
  g_rand_free (world->policies);
  vj_ledger_free (world->ledger);
}
