/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <string.h>

#include "common/ledger_book.h"

void
vj_account_add_usage (VjAccount *account, VjResource resource, guint64 amount)
{
  VjLedgerResource *used = vj_ledger_get_resource (account->ledger, resource);
  if (used != NULL)
    used->used[account->index] += amount;
}

void
vj_ledger_add_busy (VjLedger *ledger, VjResource resource, guint64 amount)
{
  VjLedgerResource *used = vj_ledger_get_resource (ledger, resource);
  if (used != NULL)
    used->busy += amount;
}

void
vj_ledger_mark_gap (VjLedger *ledger)
{
  for (guint i = 0; i < ledger->zones->len; i++)
    vj_ledger_get_zone (ledger, i)->gap = TRUE;
}

void
vj_ledger_mark_resource_gap (VjLedger *ledger, VjResource resource)
{
  for (guint i = 0; i < ledger->zones->len; i++)
    if (vj_ledger_get_zone (ledger, i)->resource->id == resource)
      vj_ledger_get_zone (ledger, i)->gap = TRUE;
}

void
vj_ledger_measure (VjLedger *ledger, guint zone, guint64 measured_uj, guint64 elapsed_us, gboolean gap)
{
  VjLedgerZone *measured = vj_ledger_get_zone (ledger, zone);
  measured->measured_uj += measured_uj;
  measured->elapsed_us += elapsed_us;
  measured->gap = measured->gap || gap;
  measured->fresh = TRUE;
}

static guint64
subtract (guint64 from, guint64 amount)
{
  return from > amount ? from - amount : 0;
}

/* Of a zone, without what is static. */
static guint64
dynamic_total (const VjLedgerZone *zone)
{
  return zone->totals.attributed_uj - zone->totals.attributed_static_uj + zone->totals.remainder_uj;
}

/* What a package leaves of its dynamic energy to its sub-zones: to each account in limit_uj[], and as a whole. */
static guint64
package_leaves (VjLedger *ledger, const VjLedgerZone *sub_zone)
{
  const VjLedgerZone *package = vj_ledger_get_zone (ledger, (guint)sub_zone->zone.parent);
  const gsize n = ledger->accounts->len;
  guint64 left_uj = dynamic_total (package);
  for (gsize i = 0; i < n; i++)
    ledger->limit_uj[i] = package->energy_uj[i] - package->static_uj[i];
  for (guint z = 0; z < ledger->zones->len; z++)
    {
      const VjLedgerZone *zone = vj_ledger_get_zone (ledger, z);
      if (zone->zone.parent != sub_zone->zone.parent || !vj_zone_is_within_parent (&zone->zone))
        continue;
      left_uj = subtract (left_uj, dynamic_total (zone));
      for (gsize i = 0; i < n; i++)
        ledger->limit_uj[i] = subtract (ledger->limit_uj[i], zone->energy_uj[i] - zone->static_uj[i]);
    }
  /* Of the same interval too, or else what the package had to spare under load would count as the sub-zone's
   * at idle. */
  return MIN (left_uj, sub_zone->package_uj);
}

/* Nobody knows what drives a zone of unknown name, unless a resource was set for it. */
static gboolean
is_the_machines (const VjLedgerZone *zone)
{
  return zone->zone.kind == VJ_ZONE_OTHER && zone->resource->id == VJ_RESOURCE_CPU;
}

/* Attributes what the zone has been waiting with. */
static VjAttributionResult
attribute (VjLedger *ledger, VjLedgerZone *zone)
{
  const VjLedgerResource *resource = zone->resource;
  VjAttributionInput input = { .measured_uj = zone->measured_uj,
                               .elapsed_us = zone->elapsed_us,
                               .static_uw = zone->static_uw,
                               .dynamic_limit_uj = G_MAXUINT64 };
  VjAttributionResult result;
  if (vj_zone_is_within_parent (&zone->zone))
    {
      input.dynamic_limit_uj = package_leaves (ledger, zone);
      input.limit_uj = ledger->limit_uj;
    }
  if (!zone->gap && !is_the_machines (zone))
    {
      input.n = ledger->accounts->len;
      input.busy = resource->busy - zone->billed_busy;
      input.debt_limit = resource->debt_limit;
      input.usage = ledger->pending;
      input.curve = ledger->curve;
      input.born = ledger->born;
      for (gsize i = 0; i < input.n; i++)
        ledger->pending[i] = resource->used[i] - zone->billed[i];
    }
  vj_attribution_run (&zone->state, &input, zone->carry, ledger->part_uj, &result);
  for (gsize i = 0; i < input.n; i++)
    zone->energy_uj[i] += ledger->part_uj[i];
  return result;
}

/* From here on, usage waits for the zone's next settlement. */
static void
rebase_usage (const VjLedger *ledger, VjLedgerZone *zone)
{
  zone->billed_busy = zone->resource->busy;
  if (ledger->accounts->len > 0)
    memcpy (zone->billed, zone->resource->used, ledger->accounts->len * sizeof *zone->billed);
}

/* Nobody knows who was there during a gap. */
static gboolean
shares_static (const VjLedgerZone *zone)
{
  return !zone->gap && !is_the_machines (zone);
}

static void
tell_sub_zones (const VjLedger *ledger, gint parent, guint64 dynamic_uj)
{
  for (guint i = 0; i < ledger->zones->len; i++)
    if (vj_ledger_get_zone (ledger, i)->zone.parent == parent)
      vj_ledger_get_zone (ledger, i)->package_uj += dynamic_uj;
}

static void
settle_zone (VjLedger *ledger, guint index)
{
  VjLedgerZone *zone = vj_ledger_get_zone (ledger, index);
  const guint64 owed_before_uj = zone->state.static_owed_uj;
  const VjAttributionResult result = attribute (ledger, zone);
  const guint64 handed_uj =
      shares_static (zone) ? vj_ledger_hand_out_static (ledger, zone, result.static_uj) : 0;
  zone->totals.measured_uj += zone->measured_uj;
  zone->totals.attributed_uj += result.attributed_uj + handed_uj;
  zone->totals.attributed_static_uj += handed_uj;
  zone->totals.remainder_uj += result.remainder_uj;
  zone->totals.static_uj += result.static_uj - handed_uj;
  if (zone->gap)
    {
      zone->totals.gap_uj += result.remainder_uj;
      /* Nobody measured all of a gap, so that what is missing in it is not noise and is not owed. */
      zone->state.static_owed_uj = MIN (zone->state.static_owed_uj, owed_before_uj);
    }
  rebase_usage (ledger, zone);
  tell_sub_zones (ledger, (gint)index, result.attributed_uj + result.remainder_uj);
  zone->measured_uj = zone->elapsed_us = zone->package_uj = zone->waited = 0;
  zone->gap = FALSE;
}

/* Closed accounts live until every zone has settled their usage; a zone that stays away must not keep them
 * for ever. */
static void
let_wait (const VjLedger *ledger, VjLedgerZone *zone)
{
  zone->waited = MIN (zone->waited + 1, VJ_LEDGER_WAIT_SETTLES);
  if (zone->waited < VJ_LEDGER_WAIT_SETTLES)
    return;
  zone->gap = TRUE;
  rebase_usage (ledger, zone);
}

void
vj_ledger_settle (VjLedger *ledger)
{
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      zone->settled = zone->fresh;
      if (vj_zone_is_within_parent (&zone->zone))
        zone->settled = zone->fresh && vj_ledger_get_zone (ledger, (guint)zone->zone.parent)->settled;
      if (zone->settled)
        settle_zone (ledger, i);
      else
        let_wait (ledger, zone);
      zone->fresh = FALSE;
    }
  vj_ledger_free_settled (ledger);
}
