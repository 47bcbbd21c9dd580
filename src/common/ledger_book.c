/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger_book.h"

static void
zone_free (gpointer data)
{
  VjLedgerZone *zone = data;
  g_free (zone->energy_uj);
  g_free (zone->settled_ns);
  g_free (zone->carry);
  g_free (zone);
}

static void
account_free (gpointer data)
{
  VjAccount *account = data;
  g_free (account->key);
  g_free (account);
}

VjLedger *
vj_ledger_new (void)
{
  VjLedger *ledger = g_new0 (VjLedger, 1);
  ledger->zones = g_ptr_array_new_with_free_func (zone_free);
  ledger->accounts = g_ptr_array_new_with_free_func (account_free);
  ledger->by_key = g_hash_table_new (g_str_hash, g_str_equal);
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
  g_free (ledger->usage_ns);
  g_free (ledger->pending_ns);
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
  added->static_uw = static_uw;
  g_ptr_array_add (ledger->zones, added);
  return ledger->zones->len - 1;
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
  ledger->usage_ns = g_renew (guint64, ledger->usage_ns, ledger->capacity);
  ledger->pending_ns = g_renew (guint64, ledger->pending_ns, ledger->capacity);
  ledger->limit_uj = g_renew (guint64, ledger->limit_uj, ledger->capacity);
  ledger->part_uj = g_renew (guint64, ledger->part_uj, ledger->capacity);
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      zone->energy_uj = g_renew (guint64, zone->energy_uj, ledger->capacity);
      zone->settled_ns = g_renew (guint64, zone->settled_ns, ledger->capacity);
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
  if (account->index == ledger->capacity)
    grow (ledger);
  g_ptr_array_add (ledger->accounts, account);
  g_hash_table_insert (ledger->by_key, account->key, account);
  ledger->usage_ns[account->index] = 0;
  for (guint i = 0; i < ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (ledger, i);
      zone->energy_uj[account->index] = 0;
      zone->settled_ns[account->index] = 0;
      zone->carry[account->index] = 0;
    }
  return account;
}

static gboolean
account_is_settled (const VjAccount *account)
{
  const VjLedger *ledger = account->ledger;
  for (guint i = 0; i < ledger->zones->len; i++)
    if (vj_ledger_get_zone (ledger, i)->settled_ns[account->index] != ledger->usage_ns[account->index])
      return FALSE;
  return TRUE;
}

/* Frees an account and moves the last column into its place. Carries of all participants add up to zero; that
 * of one who leaves goes to the remainder, or else those who stay would settle its account among them. */
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
      zone->settled_ns[to] = zone->settled_ns[from];
      zone->carry[to] = zone->carry[from];
    }
  ledger->usage_ns[to] = ledger->usage_ns[from];
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
vj_account_usage_ns (const VjAccount *account)
{
  return account->ledger->usage_ns[account->index];
}
