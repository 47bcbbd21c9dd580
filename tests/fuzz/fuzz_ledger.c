/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stored ledger: refused, or one whose books balance, that can be stored again and that goes on. */
#include "fuzz.h"

#include "common/ledger.h"

#include <string.h>

#define N_ZONES 3

static VjLedger *
new_ledger (void)
{
  static const char *const ids[N_ZONES] = { "package-0", "package-0/core", "psys" };
  static const VjCurve curve = { VJ_CURVE_GAMMA, 400, VJ_STACKING_LARGEST };
  VjLedger *ledger = vj_ledger_new ();
  VjZone zones[N_ZONES];

  for (guint i = 0; i < N_ZONES; i++)
    {
      FUZZ_CHECK (vj_zone_init_from_id (&zones[i], ids[i], zones, i));
      vj_ledger_add_zone (ledger, &zones[i], 1000000);
    }
  vj_ledger_set_debt_limit (ledger, VJ_RESOURCE_CPU, 20000000);
  vj_ledger_set_resource (ledger, N_ZONES - 1, VJ_RESOURCE_MEMORY);
  vj_ledger_set_static_policy (ledger, VJ_STATIC_ALLOCATION);
  vj_ledger_set_curve (ledger, &curve);
  return ledger;
}

static void
check_books (const VjLedger *ledger)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (ledger);

  for (guint z = 0; z < N_ZONES; z++)
    {
      const VjZoneTotals *totals = vj_ledger_totals (ledger, z);
      guint64 sum_uj = 0;
      FUZZ_CHECK (totals->measured_uj == totals->attributed_uj + totals->remainder_uj + totals->static_uj);
      FUZZ_CHECK (totals->gap_uj <= totals->remainder_uj);
      FUZZ_CHECK (totals->attributed_static_uj <= totals->attributed_uj);
      for (guint i = 0; i < accounts->len; i++)
        sum_uj += vj_account_energy_uj (accounts->pdata[i], z);
      FUZZ_CHECK (sum_uj <= totals->attributed_uj);
    }
}

static void
check_stored_again (const VjLedger *ledger)
{
  g_autoptr (VjLedger) again = new_ledger ();
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GString) again_text = g_string_new (NULL);

  vj_ledger_encode (ledger, text);
  FUZZ_CHECK (vj_ledger_decode (again, text->str, text->len, NULL));
  vj_ledger_encode (again, again_text);
  FUZZ_CHECK (g_string_equal (text, again_text));
}

static void
go_on (VjLedger *ledger)
{
  g_autoptr (GPtrArray) accounts = vj_ledger_accounts (ledger);

  for (guint i = 0; i < accounts->len; i++)
    vj_account_add_usage (accounts->pdata[i], VJ_RESOURCE_CPU, i * 1000000);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, accounts->len * 500000);
  for (guint z = 0; z < N_ZONES; z++)
    vj_ledger_measure (ledger, z, 3000000, 1000000, FALSE);
  vj_ledger_settle (ledger);
  check_books (ledger);
  for (guint i = 0; i < accounts->len; i += 2)
    vj_ledger_close (ledger, accounts->pdata[i]);
  vj_ledger_settle (ledger);
  check_books (ledger);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (GError) error = NULL;

  if (!vj_ledger_decode (ledger, (const char *)data, size, &error))
    {
      FUZZ_CHECK (error != NULL);
      check_books (ledger);
      return 0;
    }
  check_books (ledger);
  check_stored_again (ledger);
  go_on (ledger);
  return 0;
}
