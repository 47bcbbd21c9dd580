/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains_table.h"

#include <string.h>

static void
take_identity (VjDomain *domain, const VjStoredDomain *stored)
{
  domain->manager = vj_domains_manager (stored->manager);
  domain->stored.vmid = stored->vmid;
  domain->stored.settings = stored->settings;
  g_strlcpy (domain->stored.uuid, stored->uuid, sizeof domain->stored.uuid);
  g_strlcpy (domain->stored.manager, domain->manager, sizeof domain->stored.manager);
  vj_domain_set_name (domain, stored->name);
  vj_domain_set_way (domain, stored->channel, FALSE);
}

/* A zone that was not there when the store was written is not in it, and must not fall when it comes back: the book of
 * lifetimes has kept it. */
static VjLifetime *
restore_base (const VjDomainsOptions *options, const VjStoredDomain *stored)
{
  const VjLifetime *known =
      options->lifetimes != NULL ? vj_lifetimes_get (options->lifetimes, stored->uuid) : NULL;
  VjAccount *account = vj_ledger_find (options->run.ledger, stored->mark.epoch);
  const guint n_zones = vj_ledger_n_zones (options->run.ledger);
  VjLifetime *base = vj_lifetime_copy (stored->base, n_zones);
  if (known == NULL || account == NULL || strcmp (known->epoch, stored->mark.epoch) != 0)
    return base;
  for (guint zone = 0; zone < n_zones; zone++)
    {
      if (known->energy_uj[zone] <= base->energy_uj[zone] + vj_account_energy_uj (account, zone))
        continue;
      base->energy_uj[zone] = known->energy_uj[zone] - vj_account_energy_uj (account, zone);
      const guint64 static_uj =
          known->static_uj[zone] - MIN (known->static_uj[zone], vj_account_static_uj (account, zone));
      base->static_uj[zone] = MIN (static_uj, base->energy_uj[zone]);
    }
  return base;
}

/* FALSE: the run is over, or can no longer be read as it was. */
static gboolean
resume_run (VjDomain *domain, const VjStoredDomain *stored)
{
  VjLifetime *base = NULL;
  if (g_hash_table_contains (domain->table->by_pid, GINT_TO_POINTER (stored->pid))
      || !vj_domain_hold (domain, stored->pid, stored->start_us))
    return FALSE;
  if (stored->base != NULL)
    base = restore_base (&domain->table->options, stored);
  domain->wanted_pid = stored->pid;
  domain->wanted_us = stored->start_us;
  if (vj_domain_run_resume (domain->run, &stored->mark, base))
    return TRUE;
  vj_lifetime_free (base);
  return FALSE;
}

/* Its last sample is what the store has. */
static void
close_for_good (VjDomain *domain, const VjStoredDomain *stored)
{
  const VjDomainsOptions *options = &domain->table->options;
  VjAccount *account = vj_ledger_find (options->run.ledger, stored->mark.epoch);
  if (account == NULL)
    return;
  domain->table->endings[VJ_ENDING_UNKNOWN]++;
  if (options->lifetimes != NULL && stored->base != NULL && stored->uuid[0] != '\0')
    {
      VjLifetime *base = restore_base (options, stored);
      VjLifetime *total = vj_lifetime_sum (options->run.ledger, base, account);
      vj_lifetimes_note (options->lifetimes, stored->uuid, total);
      vj_lifetime_free (total);
      vj_lifetime_free (base);
    }
  vj_ledger_close (options->run.ledger, account);
}

gboolean
vj_domains_restore (VjDomains *domains, const VjStoredDomain *stored, gboolean same_epoch)
{
  VjDomain *domain = vj_domains_add (domains, stored->id);
  const gboolean lasting = domains->options.lifetimes != NULL;
  take_identity (domain, stored);
  if (!resume_run (domain, stored))
    {
      close_for_good (domain, stored);
      vj_domain_end_run (domain, FALSE);
      vj_domains_remove (domains, domain);
      return FALSE;
    }
  /* What earlier runs used is told under one epoch, or no more. */
  if (stored->base != NULL ? !lasting : !same_epoch)
    vj_domain_run_renew (domain->run);
  vj_guest_feed_set_run (domain->feed, domain->run);
  domain->shown_uj = vj_domain_shown_energy (domain);
  vj_domain_apply_settings (domain, NULL);
  vj_domain_open_way (domain);
  return TRUE;
}

void
vj_domains_store (VjDomains *domains, VjStored *stored)
{
  for (guint i = 0; i < domains->all->len; i++)
    {
      VjDomain *domain = g_ptr_array_index (domains->all, i);
      if (domain->run == NULL || vj_domain_run_account (domain->run) == NULL)
        continue;
      domain->stored.pid = vj_domain_run_pid (domain->run);
      domain->stored.start_us = vj_domain_run_start_us (domain->run);
      domain->stored.mark = *vj_domain_run_mark (domain->run);
      domain->stored.base = vj_domain_run_base (domain->run);
      g_ptr_array_add (stored->domains, &domain->stored);
    }
}
