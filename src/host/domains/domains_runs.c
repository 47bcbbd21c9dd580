/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains_table.h"

#include <string.h>

#include "common/clock.h"

guint64
vj_domain_shown_energy (const VjDomain *domain)
{
  const VjLedger *ledger = domain->table->options.run.ledger;
  guint64 sum_uj = 0;
  for (guint zone = 0; zone < vj_ledger_n_zones (ledger); zone++)
    if (vj_zone_is_component (vj_ledger_zone (ledger, zone)))
      sum_uj += vj_domain_run_energy_uj (domain->run, zone);
  return sum_uj;
}

static gboolean
is_measured (const VjDomain *domain)
{
  return domain->run != NULL && vj_domain_run_account (domain->run) != NULL;
}

/* Since the last tick. */
static guint64
elapsed_us (const VjDomains *domains)
{
  const guint64 now_us = vj_clock_boottime_us ();
  return domains->interval_start_us == 0 ? 0 : now_us - MIN (now_us, domains->interval_start_us);
}

/* --- lifetimes --- */

static VjLifetime *
lifetime_new (guint n_zones)
{
  VjLifetime *lifetime = g_new0 (VjLifetime, 1);
  lifetime->energy_uj = g_new0 (guint64, n_zones);
  lifetime->static_uj = g_new0 (guint64, n_zones);
  return lifetime;
}

void
vj_closing_free (VjClosing *closing)
{
  vj_lifetime_free (closing->base);
  g_free (closing);
}

static gboolean
is_in_use (VjDomains *domains, const char *uuid)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const VjDomain *other = value;
      if (other->run != NULL && vj_domain_run_base (other->run) != NULL
          && strcmp (other->stored.uuid, uuid) == 0)
        return TRUE;
    }
  return FALSE;
}

/* A run that has just ended is gone on with in its own account. */
static VjLifetime *
reopen (VjDomains *domains, const char *uuid, VjAccount **ret_account)
{
  for (guint i = 0; i < domains->closings->len; i++)
    {
      VjClosing *closing = g_ptr_array_index (domains->closings, i);
      if (strcmp (closing->uuid, uuid) != 0)
        continue;
      VjLifetime *base = g_steal_pointer (&closing->base);
      *ret_account = closing->account;
      g_ptr_array_remove_index (domains->closings, i);
      return base;
    }
  return NULL;
}

/* What the domain used before, and under which epoch; NULL: nothing of that is kept. */
static VjLifetime *
find_base (VjDomain *domain, VjAccount **ret_account)
{
  VjDomains *domains = domain->table;
  const char *uuid = domain->stored.uuid;
  const guint n_zones = vj_ledger_n_zones (domains->options.run.ledger);
  if (domains->options.lifetimes == NULL || uuid[0] == '\0' || is_in_use (domains, uuid))
    return NULL;
  VjLifetime *base = reopen (domains, uuid, ret_account);
  if (base != NULL)
    return base;
  const VjLifetime *known = vj_lifetimes_get (domains->options.lifetimes, uuid);
  return known != NULL ? vj_lifetime_copy (known, n_zones) : lifetime_new (n_zones);
}

/* A lifetime is noted when the last sample has been settled. */
static void
close_account (VjDomain *domain, VjAccount *account, VjLifetime *base)
{
  VjDomains *domains = domain->table;
  if (base == NULL || domain->forgotten || domains->options.lifetimes == NULL)
    {
      vj_ledger_close (domains->options.run.ledger, account);
      vj_lifetime_free (base);
      return;
    }
  VjClosing *closing = g_new0 (VjClosing, 1);
  closing->account = account;
  closing->base = base;
  g_strlcpy (closing->uuid, domain->stored.uuid, sizeof closing->uuid);
  g_ptr_array_add (domains->closings, closing);
}

gboolean
vj_domains_settled (VjDomains *domains)
{
  const guint n = domains->closings->len;
  VjLedger *ledger = domains->options.run.ledger;
  for (guint i = 0; i < n; i++)
    {
      const VjClosing *closing = g_ptr_array_index (domains->closings, i);
      VjLifetime *total = vj_lifetime_sum (ledger, closing->base, closing->account);
      if (closing->uuid[0] != '\0')
        vj_lifetimes_note (domains->options.lifetimes, closing->uuid, total);
      vj_ledger_close (ledger, closing->account);
      vj_lifetime_free (total);
    }
  g_ptr_array_set_size (domains->closings, 0);
  return n > 0;
}

void
vj_domains_note_lifetimes (VjDomains *domains)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const VjDomain *domain = value;
      if (!is_measured (domain) || vj_domain_run_base (domain->run) == NULL || domain->forgotten)
        continue;
      VjLifetime *total = vj_lifetime_sum (domains->options.run.ledger, vj_domain_run_base (domain->run),
                                           vj_domain_run_account (domain->run));
      vj_lifetimes_note (domains->options.lifetimes, domain->stored.uuid, total);
      vj_lifetime_free (total);
    }
}

void
vj_domains_forgotten (VjDomains *domains, const char *id)
{
  VjDomain *domain = g_hash_table_lookup (domains->by_id, id);
  const char *uuid = domain != NULL ? domain->stored.uuid : id;
  if (domain != NULL)
    domain->forgotten = TRUE;
  if (domains->options.lifetimes == NULL || !g_uuid_string_is_valid (uuid))
    return;
  for (guint i = 0; i < domains->closings->len; i++)
    {
      VjClosing *closing = g_ptr_array_index (domains->closings, i);
      if (strcmp (closing->uuid, uuid) == 0)
        closing->uuid[0] = '\0';
    }
  vj_lifetimes_forget (domains->options.lifetimes, uuid);
}

/* --- runs --- */

/* Two that read one scope would both be billed for it. */
static void
keep_scopes_apart (VjDomain *domain)
{
  GHashTableIter iter;
  gpointer value;
  const guint64 scope = vj_domain_run_scope (domain->run);
  gboolean shared = FALSE;
  g_hash_table_iter_init (&iter, domain->table->by_pid);
  while (scope != 0 && g_hash_table_iter_next (&iter, NULL, &value))
    {
      const VjDomain *other = value;
      if (other == domain || vj_domain_run_scope (other->run) != scope)
        continue;
      vj_domain_run_leave_scope (other->run, 0);
      shared = TRUE;
    }
  if (shared)
    vj_domain_run_leave_scope (domain->run, 0);
}

/* One whose scope has vanished may be found in another's. */
void
vj_domain_sample (VjDomain *domain, guint64 since_us)
{
  const guint64 scope = vj_domain_run_scope (domain->run);
  vj_domain_run_sample (domain->run, since_us);
  if (vj_domain_run_scope (domain->run) != scope)
    keep_scopes_apart (domain);
}

static gboolean
begin_to_measure (VjDomain *domain, const VjRunMark *from)
{
  VjAccount *account = NULL;
  VjLifetime *base = find_base (domain, &account);
  if (!vj_domain_run_measure (domain->run, from, base, account))
    {
      if (account != NULL)
        close_account (domain, account, base);
      else
        vj_lifetime_free (base);
      return FALSE;
    }
  keep_scopes_apart (domain);
  domain->shown_uj = vj_domain_shown_energy (domain);
  vj_guest_feed_set_run (domain->feed, domain->run);
  return TRUE;
}

static void
stop_measuring (VjDomain *domain, gboolean is_ending)
{
  VjLifetime *base = NULL;
  if (!is_measured (domain))
    return;
  const VjEnding ending = vj_domain_run_sample_last (domain->run, elapsed_us (domain->table));
  if (is_ending)
    domain->table->endings[ending]++;
  domain->stored.mark = *vj_domain_run_mark (domain->run);
  VjAccount *account = vj_domain_run_stop (domain->run, &base);
  close_account (domain, account, base);
  domain->power_uw = 0;
}

static void
take_part (VjDomain *domain, const VjDomainSettings *settings)
{
  VjAccount *account = vj_domain_run_account (domain->run);
  vj_account_set_allocation (account, domain->vcpus);
  vj_account_set_static_policy (account, settings->static_policy);
}

void
vj_domain_apply_settings (VjDomain *domain, VjSettingOrigin ret_origin[VJ_N_SETTINGS])
{
  VjDomainSettings settings;
  VjSettingOrigin origin[VJ_N_SETTINGS];
  vj_domain_settings_resolve (&domain->stored.settings, domain->table->options.settings, &settings,
                              ret_origin != NULL ? ret_origin : origin);
  vj_guest_feed_set_settings (domain->feed, &settings);
  if (domain->run == NULL)
    return;
  if (!settings.measure)
    stop_measuring (domain, FALSE);
  else if (!is_measured (domain) && !begin_to_measure (domain, NULL))
    return;
  if (is_measured (domain))
    take_part (domain, &settings);
}

gboolean
vj_domain_begin_run (VjDomain *domain, const VjRunMark *from)
{
  VjDomainSettings settings;
  VjSettingOrigin origin[VJ_N_SETTINGS];
  const VjRunMark zero = { .usage_kind = VJ_RUN_ANY_KIND };
  const gboolean born_in_interval = vj_domain_run_start_us (domain->run) > domain->table->interval_start_us;
  vj_domain_settings_resolve (&domain->stored.settings, domain->table->options.settings, &settings, origin);
  domain->forgotten = FALSE;
  if (settings.measure && !begin_to_measure (domain, from != NULL || !born_in_interval ? from : &zero))
    return FALSE;
  vj_domain_apply_settings (domain, NULL);
  return TRUE;
}

void
vj_domain_end_run (VjDomain *domain, gboolean is_ending)
{
  if (domain->run == NULL)
    return;
  stop_measuring (domain, is_ending);
  vj_guest_feed_set_run (domain->feed, NULL);
  g_hash_table_remove (domain->table->by_pid, GINT_TO_POINTER (vj_domain_run_pid (domain->run)));
  g_clear_pointer (&domain->run, vj_domain_run_free);
}
