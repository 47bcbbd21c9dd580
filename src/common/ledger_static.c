/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <string.h>

#include "common/ledger_book.h"

/* Whoever is open at the end of an interval bears its static energy; in proportion to dynamic energy, so does who was
 * closed in it. */
static void
weigh (VjLedger *ledger, guint64 *ret_weights)
{
  for (gsize i = 0; i < ledger->accounts->len; i++)
    {
      const VjAccount *account = vj_ledger_get_account (ledger, i);
      guint64 weight = account->closed ? 0 : 1;
      if (ledger->static_policy == VJ_STATIC_PROPORTIONAL)
        weight = ledger->part_uj[i];
      if (ledger->static_policy == VJ_STATIC_ALLOCATION)
        weight *= account->allocation;
      ret_weights[i] = weight;
    }
}

/* What each account was handed by a package and not yet by its sub-zones. */
static void
package_leaves_static (const VjLedger *ledger, const VjLedgerZone *sub_zone, guint64 *ret_limit_uj)
{
  const gsize n = ledger->accounts->len;
  const VjLedgerZone *package = vj_ledger_get_zone (ledger, (guint)sub_zone->zone.parent);
  memcpy (ret_limit_uj, package->static_uj, n * sizeof *ret_limit_uj);
  for (guint z = 0; z < ledger->zones->len; z++)
    {
      const VjLedgerZone *zone = vj_ledger_get_zone (ledger, z);
      if (zone->zone.parent != sub_zone->zone.parent || !vj_zone_is_within_parent (&zone->zone))
        continue;
      for (gsize i = 0; i < n; i++)
        ret_limit_uj[i] -= MIN (ret_limit_uj[i], zone->static_uj[i]);
    }
}

guint64
vj_ledger_hand_out_static (VjLedger *ledger, VjLedgerZone *zone, guint64 static_uj)
{
  const gsize n = ledger->accounts->len;
  const guint64 *limit_uj = NULL;
  guint64 *weights = ledger->pending;
  if (n == 0)
    return 0;
  weigh (ledger, weights);
  if (vj_zone_is_within_parent (&zone->zone))
    {
      package_leaves_static (ledger, zone, ledger->limit_uj);
      limit_uj = ledger->limit_uj;
    }
  const guint64 handed_uj =
      vj_static_hand_out (static_uj, weights, limit_uj, n, zone->static_carry, ledger->part_uj);
  for (gsize i = 0; i < n; i++)
    {
      zone->static_uj[i] += ledger->part_uj[i];
      zone->energy_uj[i] += ledger->part_uj[i];
    }
  return handed_uj;
}
