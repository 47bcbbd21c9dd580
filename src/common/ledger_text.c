/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <string.h>

#include "common/decimal.h"
#include "common/error.h"
#include "common/ledger_book.h"

#define HEADER "virtjoule-ledger-3"

/* 146 years of ns; a million years of 100 kW in µJ. Sums of two still fit. */
#define NUMBER_MAX (G_GUINT64_CONSTANT (1) << 62)

/* One line per item: a word that names it, then its numbers, with a space before each.
 *   virtjoule-ledger-3 BIRTHS
 *   zone ID RESOURCE  MEASURED ATTRIBUTED REMAINDER STATIC GAP ATTRIBUTED_STATIC  OWED REST HELD RATE CARRY
 *                     PENDING_BUSY MEASURED ELAPSED PACKAGE WAITED GAP FRESH
 *                     {POLICY_CARRY}   for each policy; left out where all are 0
 *   account KEY USAGE_NS ALLOCATION BORN {ENERGY STATIC PENDING CARRY STATIC_CARRY}   for each zone, in the order of the
 *                     zone lines; then the name of its own static policy, if it has one
 *   closed KEY ...    the same, for an account that is closed but not yet settled
 *   end */

/* Room for one with the space before it. */
#define NUMBER_ROOM (VJ_DECIMAL_MAX + 1)

static char *
number (char *at, guint64 value)
{
  *at = ' ';
  return vj_decimal_put (at + 1, value);
}

static char *
signed_number (char *at, gint64 value)
{
  *at = ' ';
  return vj_decimal_put_signed (at + 1, value);
}

static void
put_u64 (GString *out, guint64 value)
{
  char text[NUMBER_ROOM];
  g_string_append_len (out, text, number (text, value) - text);
}

static void
put_signed (GString *out, gint64 value)
{
  char text[NUMBER_ROOM];
  g_string_append_len (out, text, signed_number (text, value) - text);
}

/* Nothing is owed among policies where there is but one. */
static void
encode_policy_carry (const VjLedgerZone *zone, GString *out)
{
  gboolean owed = FALSE;
  for (gsize i = 0; i < VJ_N_STATIC_POLICIES; i++)
    owed = owed || zone->policy_carry[i] != 0;
  for (gsize i = 0; owed && i < VJ_N_STATIC_POLICIES; i++)
    put_signed (out, zone->policy_carry[i]);
}

static void
encode_zone (const VjLedgerZone *zone, GString *out)
{
  const VjZoneTotals *totals = &zone->totals;
  const VjAttributionState *state = &zone->state;
  const guint64 before_carry[] = {
    zone->resource->id,           totals->measured_uj,   totals->attributed_uj,
    totals->remainder_uj,         totals->static_uj,     totals->gap_uj,
    totals->attributed_static_uj, state->static_owed_uj, state->static_rest_pj
  };
  const guint64 after_carry[] = { zone->resource->busy - zone->billed_busy,
                                  zone->measured_uj,
                                  zone->elapsed_us,
                                  zone->package_uj,
                                  zone->waited,
                                  zone->gap ? 1 : 0,
                                  zone->fresh ? 1 : 0 };
  g_string_append (out, "zone ");
  g_string_append (out, zone->zone.id);
  for (gsize i = 0; i < G_N_ELEMENTS (before_carry); i++)
    put_u64 (out, before_carry[i]);
  put_signed (out, state->usage_held);
  put_signed (out, state->usage_rate);
  put_signed (out, state->remainder_carry);
  for (gsize i = 0; i < G_N_ELEMENTS (after_carry); i++)
    put_u64 (out, after_carry[i]);
  encode_policy_carry (zone, out);
  g_string_append_c (out, '\n');
}

/* There is one for each zone of each account: it is put together before it is appended. */
static void
encode_column (const VjLedgerZone *zone, gsize index, GString *out)
{
  char text[5 * NUMBER_ROOM];
  char *at = number (text, zone->energy_uj[index]);
  at = number (at, zone->static_uj[index]);
  at = number (at, zone->resource->used[index] - zone->billed[index]);
  at = signed_number (at, zone->carry[index]);
  at = signed_number (at, zone->static_carry[index]);
  g_string_append_len (out, text, at - text);
}

static void
encode_account (const VjLedger *ledger, const VjAccount *account, GString *out)
{
  const gsize index = account->index;
  g_string_append (out, account->closed ? "closed " : "account ");
  g_string_append (out, account->key);
  put_u64 (out, vj_account_usage_ns (account));
  put_u64 (out, account->allocation);
  put_u64 (out, ledger->born[index]);
  for (guint i = 0; i < ledger->zones->len; i++)
    encode_column (vj_ledger_get_zone (ledger, i), index, out);
  if (account->has_static_policy)
    g_string_append_printf (out, " %s", vj_static_policy_name (account->static_policy));
  g_string_append_c (out, '\n');
}

void
vj_ledger_encode (const VjLedger *ledger, GString *out)
{
  g_string_append (out, HEADER);
  put_u64 (out, ledger->births);
  g_string_append_c (out, '\n');
  for (guint i = 0; i < ledger->zones->len; i++)
    encode_zone (vj_ledger_get_zone (ledger, i), out);
  for (gsize i = 0; i < ledger->accounts->len; i++)
    encode_account (ledger, vj_ledger_get_account (ledger, i), out);
  g_string_append (out, "end\n");
}

/* Reads the text once from start to end; ok is FALSE from the first thing on that is not as expected. */
typedef struct
{
  const char *at, *end;
  guint line;
  gboolean ok;
  guint64 births;
  VjLedger *ledger;   /* being filled */
  GPtrArray *columns; /* VjLedgerZone of each stored zone; NULL: dropped */
  GPtrArray *changed; /* those of them that were shared by another resource */
  GHashTable *seen;   /* ids of stored zones */
} Decoder;

static gboolean
take (Decoder *in, const char *text)
{
  const gsize length = strlen (text);
  if ((gsize)(in->end - in->at) < length || memcmp (in->at, text, length) != 0)
    return FALSE;
  in->at += length;
  return TRUE;
}

static void
require (Decoder *in, gboolean condition)
{
  in->ok = in->ok && condition;
}

static void
take_line_end (Decoder *in)
{
  require (in, take (in, "\n"));
  if (in->ok)
    in->line++;
}

/* Printable bytes up to the next space; the caller's (g_free). */
static char *
take_word (Decoder *in)
{
  const char *start = in->at;
  while (in->at < in->end && (guchar)*in->at > ' ' && *in->at != 0x7f)
    in->at++;
  require (in, in->at > start);
  return g_strndup (start, (gsize)(in->at - start));
}

static guint64
take_digits (Decoder *in, guint64 limit)
{
  const char *start = in->at;
  guint64 value = 0;
  for (; in->at < in->end && g_ascii_isdigit (*in->at); in->at++)
    require (in, g_uint64_checked_mul (&value, value, 10)
                     && g_uint64_checked_add (&value, value, (guint64)(*in->at - '0')));
  require (in, in->at > start && value <= limit);
  return in->ok ? value : 0;
}

static guint64
take_u64 (Decoder *in, guint64 limit)
{
  require (in, take (in, " "));
  return take_digits (in, limit);
}

static gint64
take_signed (Decoder *in, guint64 limit)
{
  require (in, take (in, " "));
  const gboolean negative = take (in, "-");
  const gint64 value = (gint64)take_digits (in, limit);
  return negative ? -value : value;
}

static VjCarry
take_carry (Decoder *in)
{
  return take_signed (in, VJ_CARRY_LIMIT);
}

/* The ledger's zone that a stored one continues, or NULL. */
static VjLedgerZone *
find_zone (const Decoder *in, const char *id)
{
  for (guint i = 0; i < in->ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (in->ledger, i);
      if (strcmp (zone->zone.id, id) != 0)
        continue;
      const gboolean orphan =
          vj_zone_is_within_parent (&zone->zone)
          && !g_ptr_array_find (in->columns, vj_ledger_get_zone (in->ledger, (guint)zone->zone.parent), NULL);
      return orphan ? NULL : zone;
    }
  return NULL;
}

static gboolean
totals_are_conserved (const VjZoneTotals *totals)
{
  guint64 sum = 0;
  return g_uint64_checked_add (&sum, totals->attributed_uj, totals->remainder_uj)
         && g_uint64_checked_add (&sum, sum, totals->static_uj) && sum == totals->measured_uj
         && totals->gap_uj <= totals->remainder_uj && totals->attributed_static_uj <= totals->attributed_uj;
}

/* What has been waiting is of another resource than what will come. */
static void
forget_usage (const Decoder *in, VjLedgerZone *zone)
{
  g_ptr_array_add (in->changed, zone);
  zone->gap = TRUE;
  zone->billed_busy = zone->resource->busy;
  zone->state.usage_held = zone->state.usage_rate = 0;
}

static gboolean
line_goes_on (const Decoder *in)
{
  return in->ok && in->at < in->end && *in->at == ' ';
}

static void
decode_zone (Decoder *in)
{
  VjLedgerResource no_resource = { 0 };
  VjLedgerZone dropped = { .resource = &no_resource };
  char *id = take_word (in);
  VjLedgerZone *zone = find_zone (in, id);
  g_ptr_array_add (in->columns, zone);
  require (in, g_hash_table_add (in->seen, id));
  if (zone == NULL)
    zone = &dropped;
  const gboolean same_resource = take_u64 (in, VJ_RESOURCE_MAX) == zone->resource->id;
  zone->totals.measured_uj = take_u64 (in, NUMBER_MAX);
  zone->totals.attributed_uj = take_u64 (in, NUMBER_MAX);
  zone->totals.remainder_uj = take_u64 (in, NUMBER_MAX);
  zone->totals.static_uj = take_u64 (in, NUMBER_MAX);
  zone->totals.gap_uj = take_u64 (in, NUMBER_MAX);
  zone->totals.attributed_static_uj = take_u64 (in, NUMBER_MAX);
  zone->state.static_owed_uj = take_u64 (in, NUMBER_MAX);
  zone->state.static_rest_pj = take_u64 (in, 999999);
  zone->state.usage_held = take_signed (in, NUMBER_MAX);
  zone->state.usage_rate = take_signed (in, NUMBER_MAX);
  zone->state.remainder_carry = take_carry (in);
  zone->billed_busy = zone->resource->busy - take_u64 (in, NUMBER_MAX);
  zone->measured_uj = take_u64 (in, NUMBER_MAX);
  zone->elapsed_us = take_u64 (in, NUMBER_MAX);
  zone->package_uj = take_u64 (in, NUMBER_MAX);
  zone->waited = take_u64 (in, VJ_LEDGER_WAIT_SETTLES);
  zone->gap = take_u64 (in, 1) != 0;
  zone->fresh = take_u64 (in, 1) != 0;
  if (line_goes_on (in))
    for (gsize i = 0; i < VJ_N_STATIC_POLICIES; i++)
      zone->policy_carry[i] = take_carry (in);
  require (in, totals_are_conserved (&zone->totals));
  take_line_end (in);
  if (!same_resource && zone != &dropped)
    forget_usage (in, zone);
}

/* What one zone's column holds of an account. */
static void
decode_column (Decoder *in, VjLedgerZone *zone, gsize index)
{
  const guint64 energy_uj = take_u64 (in, NUMBER_MAX);
  const guint64 static_uj = take_u64 (in, energy_uj);
  const guint64 pending = take_u64 (in, NUMBER_MAX);
  const VjCarry carry = take_carry (in);
  const VjCarry static_carry = take_carry (in);
  if (zone == NULL || !in->ok)
    return;
  zone->energy_uj[index] = energy_uj;
  zone->static_uj[index] = static_uj;
  zone->carry[index] = carry;
  zone->static_carry[index] = static_carry;
  if (!g_ptr_array_find (in->changed, zone, NULL))
    zone->billed[index] -= pending;
}

static void
decode_static_policy (Decoder *in, VjAccount *account)
{
  if (!line_goes_on (in))
    return;
  require (in, take (in, " "));
  g_autofree char *name = take_word (in);
  account->has_static_policy = TRUE;
  require (in, vj_static_policy_parse (name, &account->static_policy));
}

static void
decode_account (Decoder *in, gboolean closed)
{
  g_autofree char *key = take_word (in);
  require (in, in->ok && vj_ledger_find (in->ledger, key) == NULL);
  if (!in->ok)
    return;
  VjAccount *account = vj_ledger_open (in->ledger, key);
  const gsize index = account->index;
  vj_ledger_get_resource (in->ledger, VJ_RESOURCE_CPU)->used[index] = take_u64 (in, NUMBER_MAX);
  account->allocation = take_u64 (in, VJ_ALLOCATION_MAX);
  require (in, account->allocation > 0);
  in->ledger->born[index] = take_u64 (in, in->births);
  require (in, in->ledger->born[index] < in->births);
  for (guint i = 0; i < in->ledger->zones->len; i++)
    {
      VjLedgerZone *zone = vj_ledger_get_zone (in->ledger, i);
      zone->billed[index] = zone->resource->used[index];
    }
  for (guint i = 0; i < in->columns->len && in->ok; i++)
    decode_column (in, g_ptr_array_index (in->columns, i), index);
  decode_static_policy (in, account);
  take_line_end (in);
  if (closed)
    vj_ledger_close (in->ledger, account);
}

/* No more may have been given to accounts than their zone has attributed. */
static gboolean
accounts_are_covered (const VjLedger *ledger)
{
  for (guint z = 0; z < ledger->zones->len; z++)
    {
      const VjLedgerZone *zone = vj_ledger_get_zone (ledger, z);
      guint64 left_uj = zone->totals.attributed_uj, static_uj = zone->totals.attributed_static_uj;
      for (gsize i = 0; i < ledger->accounts->len; i++)
        {
          if (zone->energy_uj[i] > left_uj || zone->static_uj[i] > static_uj)
            return FALSE;
          left_uj -= zone->energy_uj[i];
          static_uj -= zone->static_uj[i];
        }
    }
  return TRUE;
}

static gboolean
decode_all (Decoder *in)
{
  require (in, take (in, HEADER));
  in->births = take_u64 (in, NUMBER_MAX);
  take_line_end (in);
  while (in->ok && take (in, "zone "))
    decode_zone (in);
  while (in->ok && !take (in, "end\n"))
    {
      const gboolean closed = take (in, "closed ");
      require (in, closed || take (in, "account "));
      decode_account (in, closed);
    }
  in->ledger->births = in->births;
  return in->ok && in->at == in->end && accounts_are_covered (in->ledger);
}

/* Exchanges the insides of two ledgers of the same zones. */
static void
swap (VjLedger *a, VjLedger *b)
{
  const VjLedger other = *a;
  *a = *b;
  *b = other;
  for (gsize i = 0; i < a->accounts->len; i++)
    vj_ledger_get_account (a, i)->ledger = a;
}

gboolean
vj_ledger_decode (VjLedger *ledger, const char *text, gsize length, GError **error)
{
  g_autoptr (VjLedger) filled = vj_ledger_new_like (ledger);
  g_autoptr (GPtrArray) columns = g_ptr_array_new ();
  g_autoptr (GPtrArray) changed = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Decoder in = { .at = text,
                 .end = text + length,
                 .line = 1,
                 .ok = TRUE,
                 .ledger = filled,
                 .columns = columns,
                 .changed = changed,
                 .seen = seen };
  if (ledger->accounts->len > 0)
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID,
                           "a stored ledger can only be read before any account is open");
      return FALSE;
    }
  if (!decode_all (&in))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                   "line %u of the stored ledger is not of the form this version writes", in.line);
      return FALSE;
    }
  swap (ledger, filled);
  return TRUE;
}
