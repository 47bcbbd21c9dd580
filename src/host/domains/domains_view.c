/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains_table.h"

#include <string.h>

static void
show_channel (const VjDomain *domain, guint64 newest_us, VjDomainSnapshot *snapshot)
{
  const VjChannel *channel = vj_guest_feed_channel (domain->feed);
  snapshot->has_channel = channel != NULL;
  if (channel == NULL)
    return;
  snapshot->channel_way = vj_channel_path (channel) != NULL ? "bind" : "connect";
  vj_channel_get_status (channel, &snapshot->channel);
  guint64 acked_us = snapshot->channel.acked_monotonic_us;
  snapshot->channel_lag_us = acked_us != 0 && newest_us > acked_us ? newest_us - acked_us : 0;
}

static void
show_energy (const VjDomain *domain, VjDomainSnapshot *snapshot)
{
  const guint n_zones = vj_ledger_n_zones (domain->table->options.run.ledger);
  snapshot->usage = vj_domain_run_usage (domain->run);
  snapshot->package_split = vj_domain_run_package_split (domain->run);
  snapshot->cpu_ns = vj_domain_run_cpu_ns (domain->run);
  g_strlcpy (snapshot->epoch, vj_domain_run_mark (domain->run)->epoch, sizeof snapshot->epoch);
  for (guint zone = 0; zone < n_zones; zone++)
    {
      snapshot->energy_uj[zone] = vj_domain_run_energy_uj (domain->run, zone);
      snapshot->static_uj[zone] = vj_domain_run_static_uj (domain->run, zone);
    }
}

/* A guest is not told more often than the agent reads. */
static void
show_settings (const VjDomain *domain, VjDomainSnapshot *snapshot)
{
  const VjDomainsOptions *options = &domain->table->options;
  const guint64 tick_us = MAX (options->template->interval_us, 1);
  vj_domain_settings_resolve (&domain->stored.settings, options->settings, &snapshot->settings,
                              snapshot->origin);
  snapshot->settings.interval_us =
      MAX ((snapshot->settings.interval_us + tick_us - 1) / tick_us, 1) * tick_us;
  snapshot->settings_problem = g_strdup (domain->settings_problem);
}

static VjDomainSnapshot *
show_domain (const VjDomain *domain, guint64 newest_us)
{
  VjDomainSnapshot *snapshot = vj_domain_snapshot_new (vj_ledger_n_zones (domain->table->options.run.ledger));
  g_strlcpy (snapshot->id, domain->stored.id, sizeof snapshot->id);
  g_strlcpy (snapshot->uuid, domain->stored.uuid, sizeof snapshot->uuid);
  g_strlcpy (snapshot->epoch, domain->stored.mark.epoch, sizeof snapshot->epoch);
  snapshot->vmid = domain->stored.vmid;
  snapshot->name = g_strdup (domain->stored.name);
  snapshot->manager = domain->manager;
  snapshot->state = domain->state;
  snapshot->pid = domain->run != NULL ? vj_domain_run_pid (domain->run) : 0;
  snapshot->power_uw = domain->power_uw;
  if (domain->run != NULL && vj_domain_run_account (domain->run) != NULL)
    show_energy (domain, snapshot);
  show_settings (domain, snapshot);
  show_channel (domain, newest_us, snapshot);
  return snapshot;
}

static int
compare_snapshots (gconstpointer a, gconstpointer b)
{
  const VjDomainSnapshot *first = *(VjDomainSnapshot *const *)a;
  const VjDomainSnapshot *second = *(VjDomainSnapshot *const *)b;
  int order = strcmp (first->name, second->name);
  return order != 0 ? order : strcmp (first->id, second->id);
}

void
vj_domains_snapshot (const VjDomains *domains, guint64 newest_us, GPtrArray *ret_snapshots)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (!vj_domain_is_shadow (value))
      g_ptr_array_add (ret_snapshots, show_domain (value, newest_us));
  g_ptr_array_sort (ret_snapshots, compare_snapshots);
}

const guint64 *
vj_domains_endings (const VjDomains *domains)
{
  return domains->endings;
}
