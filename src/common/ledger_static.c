/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <string.h>

#include "common/ledger_book.h"

static VjStaticPolicy
policy_of (const VjLedger *ledger, const VjAccount *account)
{
  return account->has_static_policy ? account->static_policy : ledger->static_policy;
}

/* Whoever is open at the end of an interval could bear its static energy; in proportion to dynamic energy, so could who
 * was closed in it. */
static void
count_bearers (const VjLedger *ledger, guint64 *ret_n_by_policy)
{
  memset (ret_n_by_policy, 0, VJ_N_STATIC_POLICIES * sizeof *ret_n_by_policy);
  for (gsize i = 0; i < ledger->accounts->len; i++)
    {
      const VjAccount *account = vj_ledger_get_account (ledger, i);
      const VjStaticPolicy policy = policy_of (ledger, account);
      if (!account->closed || (policy == VJ_STATIC_PROPORTIONAL && ledger->part_uj[i] > 0))
        ret_n_by_policy[policy]++;
    }
}

/* What the accounts under one policy weigh within it; 0 for all others. */
static void
weigh (const VjLedger *ledger, VjStaticPolicy policy, guint64 *ret_weights)
{
  for (gsize i = 0; i < ledger->accounts->len; i++)
    {
      const VjAccount *account = vj_ledger_get_account (ledger, i);
      guint64 weight = account->closed ? 0 : 1;
      if (policy == VJ_STATIC_PROPORTIONAL)
        weight = ledger->part_uj[i];
      if (policy == VJ_STATIC_ALLOCATION)
        weight *= account->allocation;
      ret_weights[i] = policy_of (ledger, account) == policy ? weight : 0;
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

static guint64
hand_out_by (VjLedger *ledger, VjLedgerZone *zone, VjStaticPolicy policy, guint64 static_uj,
             const guint64 *limit_uj)
{
  const gsize n = ledger->accounts->len;
  weigh (ledger, policy, ledger->pending);
  const guint64 handed_uj =
      vj_static_hand_out (static_uj, ledger->pending, limit_uj, n, zone->static_carry, ledger->part_uj);
  for (gsize i = 0; i < n; i++)
    {
      zone->static_uj[i] += ledger->part_uj[i];
      zone->energy_uj[i] += ledger->part_uj[i];
    }
  return handed_uj;
}

guint64
vj_ledger_hand_out_static (VjLedger *ledger, VjLedgerZone *zone, guint64 static_uj)
{
  /* First the one that looks at part_uj, which the others overwrite. */
  static const VjStaticPolicy in_order[] = { VJ_STATIC_PROPORTIONAL, VJ_STATIC_EVEN, VJ_STATIC_ALLOCATION };
  guint64 bearers[VJ_N_STATIC_POLICIES], parts_uj[VJ_N_STATIC_POLICIES];
  const guint64 *limit_uj = NULL;
  guint64 handed_uj = 0;
  if (ledger->accounts->len == 0)
    return 0;
  count_bearers (ledger, bearers);
  vj_apportion (static_uj, bearers, VJ_N_STATIC_POLICIES, zone->policy_carry, parts_uj);
  if (vj_zone_is_within_parent (&zone->zone))
    {
      package_leaves_static (ledger, zone, ledger->limit_uj);
      limit_uj = ledger->limit_uj;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (in_order); i++)
    if (parts_uj[in_order[i]] > 0)
      handed_uj += hand_out_by (ledger, zone, in_order[i], parts_uj[in_order[i]], limit_uj);
  return handed_uj;
}
