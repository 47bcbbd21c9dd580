/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger_book.h"

static void
zone_free (gpointer data)
{
  VjLedgerZone *zone = data;
  g_free (zone->energy_uj);
  g_free (zone->static_uj);
  g_free (zone->billed);
  g_free (zone->carry);
  g_free (zone->static_carry);
  g_free (zone);
}

static void
resource_free (gpointer data)
{
  VjLedgerResource *resource = data;
  g_free (resource->used);
  g_free (resource);
}

static void
account_free (gpointer data)
{
  VjAccount *account = data;
  g_free (account->key);
  g_free (account);
}

VjLedgerResource *
vj_ledger_get_resource (const VjLedger *ledger, VjResource id)
{
  for (guint i = 0; i < ledger->resources->len; i++)
    {
      VjLedgerResource *resource = g_ptr_array_index (ledger->resources, i);
      if (resource->id == id)
        return resource;
    }
  return NULL;
}

static VjLedgerResource *
require_resource (VjLedger *ledger, VjResource id)
{
  VjLedgerResource *resource = vj_ledger_get_resource (ledger, id);
  if (resource != NULL)
    return resource;
  resource = g_new0 (VjLedgerResource, 1);
  resource->id = id;
  g_ptr_array_add (ledger->resources, resource);
  return resource;
}

VjLedger *
vj_ledger_new (void)
{
  VjLedger *ledger = g_new0 (VjLedger, 1);
  ledger->zones = g_ptr_array_new_with_free_func (zone_free);
  ledger->resources = g_ptr_array_new_with_free_func (resource_free);
  ledger->accounts = g_ptr_array_new_with_free_func (account_free);
  ledger->by_key = g_hash_table_new (g_str_hash, g_str_equal);
  require_resource (ledger, VJ_RESOURCE_CPU);
  return ledger;
}

void
vj_ledger_free (VjLedger *ledger)
{
  if (ledger == NULL)
    return;
  g_hash_table_unref (ledger->by_key);
  g_ptr_array_unref (ledger->accounts);
  g_ptr_array_unref (ledger->zones);
  g_ptr_array_unref (ledger->resources);
  g_free (ledger->born);
  g_free (ledger->pending);
  g_free (ledger->limit_uj);
  g_free (ledger->part_uj);
  g_free (ledger);
}

VjLedgerZone *
vj_ledger_get_zone (const VjLedger *ledger, guint zone)
{
  return g_ptr_array_index (ledger->zones, zone);
}

VjAccount *
vj_ledger_get_account (const VjLedger *ledger, gsize index)
{
  return g_ptr_array_index (ledger->accounts, index);
}

guint
vj_ledger_add_zone (VjLedger *ledger, const VjZone *zone, guint64 static_uw)
{
  VjLedgerZone *added = g_new0 (VjLedgerZone, 1);
  added->zone = *zone;
  added->resource = require_resource (ledger, VJ_RESOURCE_CPU);
  added->static_uw = static_uw;
  g_ptr_array_add (ledger->zones, added);
  return ledger->zones->len - 1;
}

void
vj_ledger_set_resource (VjLedger *ledger, guint zone, VjResource resource)
{
  vj_ledger_get_zone (ledger, zone)->resource = require_resource (ledger, resource);
}

void
vj_ledger_set_debt_limit (VjLedger *ledger, VjResource resource, guint64 limit)
{
  VjLedgerResource *limited = vj_ledger_get_resource (ledger, resource);
  if (limited != NULL)
    limited->debt_limit = limit;
}

void
vj_ledger_set_static_policy (VjLedger *ledger, VjStaticPolicy policy)
{
  ledger->static_policy = policy;
}

void
vj_ledger_set_curve (VjLedger *ledger, const VjCurve *curve)
{
  ledger->curve = *curve;
}

guint64
vj_ledger_static_owed_uj (const VjLedger *ledger, guint zone)
{
  return vj_ledger_get_zone (ledger, zone)->state.static_owed_uj;
}

VjLedger *
vj_ledger_new_like (const VjLedger *ledger)
{
  VjLedger *like = vj_ledger_new ();
  like->static_policy = ledger->static_policy;
  like->curve = ledger->curve;
  for (guint i = 0; i < ledger->resources->len; i++)
    {
      const VjLedgerResource *resource = g_ptr_array_index (ledger->resources, i);
      require_resource (like, resource->id)->debt_limit = resource->debt_limit;
    }
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      const VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      vj_ledger_add_zone (like, &zone->zone, zone->static_uw);
      vj_ledger_set_resource (like, i, zone->resource->id);
    }
  return like;
}

void
vj_ledger_set_static_uw (VjLedger *ledger, guint zone, guint64 static_uw)
{
  vj_ledger_get_zone (ledger, zone)->static_uw = static_uw;
}

guint64
vj_ledger_static_uw (const VjLedger *ledger, guint zone)
{
  return vj_ledger_get_zone (ledger, zone)->static_uw;
}

guint
vj_ledger_n_zones (const VjLedger *ledger)
{
  return ledger->zones->len;
}

const VjZone *
vj_ledger_zone (const VjLedger *ledger, guint zone)
{
  return &vj_ledger_get_zone (ledger, zone)->zone;
}

const VjZoneTotals *
vj_ledger_totals (const VjLedger *ledger, guint zone)
{
  return &vj_ledger_get_zone (ledger, zone)->totals;
}

static void
grow (VjLedger *ledger)
{
  ledger->capacity = MAX (16, ledger->capacity * 2);
  ledger->born = g_renew (guint64, ledger->born, ledger->capacity);
  ledger->pending = g_renew (guint64, ledger->pending, ledger->capacity);
  ledger->limit_uj = g_renew (guint64, ledger->limit_uj, ledger->capacity);
  ledger->part_uj = g_renew (guint64, ledger->part_uj, ledger->capacity);
  for (guint i = 0; i < ledger->resources->len; i++)
    {
      VjLedgerResource *resource = g_ptr_array_index (ledger->resources, i);
      resource->used = g_renew (guint64, resource->used, ledger->capacity);
    }
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      zone->energy_uj = g_renew (guint64, zone->energy_uj, ledger->capacity);
      zone->static_uj = g_renew (guint64, zone->static_uj, ledger->capacity);
      zone->static_carry = g_renew (VjCarry, zone->static_carry, ledger->capacity);
      zone->billed = g_renew (guint64, zone->billed, ledger->capacity);
      zone->carry = g_renew (VjCarry, zone->carry, ledger->capacity);
    }
}

VjAccount *
vj_ledger_open (VjLedger *ledger, const char *key)
{
  VjAccount *account = vj_ledger_find (ledger, key);
  if (account != NULL)
    return account;
  account = g_new0 (VjAccount, 1);
  account->ledger = ledger;
  account->index = ledger->accounts->len;
  account->key = g_strdup (key);
  account->allocation = 1;
  if (account->index == ledger->capacity)
    grow (ledger);
  g_ptr_array_add (ledger->accounts, account);
  ledger->born[account->index] = ledger->births++;
  g_hash_table_insert (ledger->by_key, account->key, account);
  for (guint i = 0; i < ledger->resources->len; i++)
    ((VjLedgerResource *)g_ptr_array_index (ledger->resources, i))->used[account->index] = 0;
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      zone->energy_uj[account->index] = 0;
      zone->static_uj[account->index] = 0;
      zone->static_carry[account->index] = 0;
      zone->billed[account->index] = 0;
      zone->carry[account->index] = 0;
    }
  return account;
}

static gboolean
account_is_settled (const VjAccount *account)
{
  const VjLedger *ledger = account->ledger;
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      const VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      if (zone->billed[account->index] != zone->resource->used[account->index])
        return FALSE;
    }
  return TRUE;
}

/* Frees an account and moves the last column into its place. Carries of all participants add up to zero; that
 * of one who leaves goes to the remainder, or else those who stay would settle its account among them. (Of static
 * energy they do: it has no remainder that could take part.) */
static void
account_remove (VjAccount *account)
{
  VjLedger *ledger = account->ledger;
  const gsize to = account->index, from = ledger->accounts->len - 1;
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      const VjCarry carry = zone->state.remainder_carry + zone->carry[to];
      zone->state.remainder_carry = CLAMP (carry, -VJ_CARRY_LIMIT, VJ_CARRY_LIMIT);
      zone->energy_uj[to] = zone->energy_uj[from];
      zone->static_uj[to] = zone->static_uj[from];
      zone->static_carry[to] = zone->static_carry[from];
      zone->billed[to] = zone->billed[from];
      zone->carry[to] = zone->carry[from];
    }
  for (guint i = 0; i < ledger->resources->len; i++)
    {
      VjLedgerResource *resource = g_ptr_array_index (ledger->resources, i);
      resource->used[to] = resource->used[from];
    }
  ledger->born[to] = ledger->born[from];
  vj_ledger_get_account (ledger, from)->index = to;
  g_ptr_array_remove_index_fast (ledger->accounts, (guint)to);
}

void
vj_ledger_close (VjLedger *ledger, VjAccount *account)
{
  g_hash_table_remove (ledger->by_key, account->key);
  if (account_is_settled (account))
    {
      account_remove (account);
      return;
    }
  account->closed = TRUE;
}

void
vj_ledger_free_settled (VjLedger *ledger)
{
  for (gsize i = ledger->accounts->len; i-- > 0;)
    {
      VjAccount *account = vj_ledger_get_account (ledger, i);
      if (account->closed && account_is_settled (account))
        account_remove (account);
    }
}

VjAccount *
vj_ledger_find (const VjLedger *ledger, const char *key)
{
  return g_hash_table_lookup (ledger->by_key, key);
}

GPtrArray *
vj_ledger_accounts (const VjLedger *ledger)
{
  GPtrArray *accounts = g_ptr_array_sized_new (ledger->accounts->len);
  for (gsize i = 0; i < ledger->accounts->len; i++)
    if (!vj_ledger_get_account (ledger, i)->closed)
      g_ptr_array_add (accounts, vj_ledger_get_account (ledger, i));
  return accounts;
}

const char *
vj_account_key (const VjAccount *account)
{
  return account->key;
}

guint64
vj_account_energy_uj (const VjAccount *account, guint zone)
{
  return vj_ledger_get_zone (account->ledger, zone)->energy_uj[account->index];
}

guint64
vj_account_static_uj (const VjAccount *account, guint zone)
{
  return vj_ledger_get_zone (account->ledger, zone)->static_uj[account->index];
}

void
vj_account_set_allocation (VjAccount *account, guint64 vcpus)
{
  account->allocation = CLAMP (vcpus, 1, VJ_ALLOCATION_MAX);
}

void
vj_account_set_static_policy (VjAccount *account, VjStaticPolicy policy)
{
  account->has_static_policy = TRUE;
  account->static_policy = policy;
}

guint64
vj_account_usage_ns (const VjAccount *account)
{
  return vj_ledger_get_resource (account->ledger, VJ_RESOURCE_CPU)->used[account->index];
}
