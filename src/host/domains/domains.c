/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains_table.h"

#include <string.h>

#include "common/clock.h"
#include "common/units.h"
#include "host/usage/usage.h"

/* In the order in which they have a right to a process. */
static const char *const managers[] = { "libvirt", "proxmox", "qemu" };

static guint
rank (const char *manager)
{
  guint i = 0;
  while (i < G_N_ELEMENTS (managers) && strcmp (managers[i], manager) != 0)
    i++;
  return i;
}

const char *
vj_domains_manager (const char *name)
{
  const guint at = rank (name);
  return managers[at < G_N_ELEMENTS (managers) ? at : G_N_ELEMENTS (managers) - 1];
}

/* --- the table --- */

VjDomain *
vj_domains_add (VjDomains *domains, const char *id)
{
  VjDomain *domain = g_new0 (VjDomain, 1);
  domain->table = domains;
  domain->manager = managers[0];
  domain->feed = vj_guest_feed_new (domains->options.run.poll, domains->options.template);
  g_strlcpy (domain->stored.id, id, sizeof domain->stored.id);
  g_hash_table_insert (domains->by_id, domain->stored.id, domain);
  g_ptr_array_add (domains->all, domain);
  return domain;
}

static void
domain_free (gpointer data)
{
  VjDomain *domain = data;
  g_ptr_array_remove (domain->table->all, domain);
  vj_domain_end_run (domain, TRUE);
  vj_guest_feed_free (domain->feed);
  g_free (domain->stored.name);
  g_free (domain->stored.channel);
  g_free (domain->settings_problem);
  g_free (domain);
}

void
vj_domain_set_name (VjDomain *domain, const char *name)
{
  if (g_strcmp0 (domain->stored.name, name) == 0)
    return;
  g_free (domain->stored.name);
  domain->stored.name = g_strdup (name);
}

void
vj_domain_set_way (VjDomain *domain, const char *path, gboolean connects)
{
  domain->connects = connects;
  if (g_strcmp0 (domain->stored.channel, path) == 0)
    return;
  g_free (domain->stored.channel);
  domain->stored.channel = g_strdup (path);
}

void
vj_domain_open_way (VjDomain *domain)
{
  const gboolean its_own = !vj_domain_is_shadow (domain);
  vj_guest_feed_set_way (domain->feed, its_own ? domain->stored.channel : NULL, its_own && domain->connects);
}

/* --- whose process is whose --- */

gboolean
vj_domain_is_shadow (const VjDomain *domain)
{
  return domain->run == NULL && domain->wanted_pid != 0
         && g_hash_table_contains (domain->table->by_pid, GINT_TO_POINTER (domain->wanted_pid));
}

/* The process has exited: an ordinary event. The watcher will say what became of the domain, if it has ever
 * told of it. */
static void
on_process_exit (int fd, guint32 events, gpointer user_data)
{
  VjDomain *domain = user_data;
  vj_domain_end_run (domain, TRUE);
  domain->state = VJ_DOMAIN_STOPPED;
  domain->wanted_pid = 0;
  if (!domain->told)
    g_hash_table_remove (domain->table->by_id, domain->stored.id);
}

gboolean
vj_domain_hold (VjDomain *domain, int pid, guint64 start_us)
{
  VjDomains *domains = domain->table;
  domain->run = vj_domain_run_new (&domains->options.run, pid, start_us, on_process_exit, domain);
  if (domain->run == NULL)
    return FALSE;
  g_hash_table_insert (domains->by_pid, GINT_TO_POINTER (pid), domain);
  domain->stored.mark = (VjRunMark){ .usage_ns = 0 };
  return TRUE;
}

static void
set_wanted (VjDomain *domain, int pid)
{
  domain->wanted_pid = pid;
  domain->wanted_us = vj_clock_boottime_us ();
}

static void
begin_run (VjDomain *domain, const VjRunMark *from)
{
  if (vj_domain_hold (domain, domain->wanted_pid, 0)
      && (vj_domain_run_start_us (domain->run) > domain->wanted_us || !vj_domain_begin_run (domain, from)))
    vj_domain_end_run (domain, FALSE);
  vj_domain_open_way (domain);
}

/* The domain and its process part; is_ending: by the watcher's word, the run ends. FALSE: the process has exited, and nobody can have it. *ret_from: what was billed last,
 * for whoever has it next; NULL: nothing was. Valid as long as the domain has no other run. */
static gboolean
part (VjDomain *domain, gboolean is_ending, const VjRunMark **ret_from)
{
  const gboolean alive = vj_domain_run_is_alive (domain->run);
  const gboolean billed = vj_domain_run_account (domain->run) != NULL;
  vj_domain_end_run (domain, is_ending || !alive);
  *ret_from = billed ? &domain->stored.mark : NULL;
  return alive;
}

/* The process that the domain wants, unless it belongs to one with a better right. What the one before used up to now is
 * billed to that one, and counting goes on from there. */
static void
claim (VjDomain *domain)
{
  VjDomains *domains = domain->table;
  const VjRunMark *from = NULL;
  VjDomain *holder = g_hash_table_lookup (domains->by_pid, GINT_TO_POINTER (domain->wanted_pid));
  if (holder == NULL)
    {
      begin_run (domain, NULL);
      return;
    }
  if (vj_domain_run_is_alive (holder->run) && rank (holder->manager) <= rank (domain->manager))
    return;
  begin_run (domain, part (holder, FALSE, &from) ? from : NULL);
  vj_domain_open_way (holder);
}

/* Whoever else tells of the process has it now. */
static void
pass_on (VjDomains *domains, int pid, const VjRunMark *from)
{
  GHashTableIter iter;
  gpointer value;
  VjDomain *heir = NULL;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      VjDomain *domain = value;
      if (domain->wanted_pid == pid && domain->run == NULL
          && (heir == NULL || rank (domain->manager) < rank (heir->manager)))
        heir = domain;
    }
  if (heir != NULL)
    begin_run (heir, from);
}

void
vj_domains_remove (VjDomains *domains, VjDomain *domain)
{
  const VjRunMark *from = NULL;
  const int pid = domain->run != NULL ? vj_domain_run_pid (domain->run) : 0;
  const gboolean is_left = domain->run != NULL && part (domain, TRUE, &from);
  domain->wanted_pid = 0;
  vj_guest_feed_set_way (domain->feed, NULL, FALSE);
  if (is_left)
    pass_on (domains, pid, from);
  g_hash_table_remove (domains->by_id, domain->stored.id);
}

/* --- the watchers' word --- */

static void
take_settings (VjDomain *domain, const VjDomainInfo *info)
{
  domain->stored.settings = info->settings;
  if (g_strcmp0 (domain->settings_problem, info->settings_problem) == 0)
    return;
  g_free (domain->settings_problem);
  domain->settings_problem = g_strdup (info->settings_problem);
  if (domain->settings_problem != NULL)
    g_warning ("domain %s: a setting of its own is taken as not said: %s", domain->stored.id,
               domain->settings_problem);
}

/* Another process is another run, and perhaps another machine by the same id: the one before ends as what it was. */
static void
end_other_run (VjDomain *domain, int pid)
{
  if (pid != 0)
    set_wanted (domain, pid);
  if (domain->run != NULL
      && (vj_domain_run_pid (domain->run) != domain->wanted_pid || !vj_domain_run_is_alive (domain->run)))
    vj_domain_end_run (domain, TRUE);
}

void
vj_domains_present (VjDomains *domains, const VjDomainInfo *info)
{
  VjDomain *domain = g_hash_table_lookup (domains->by_id, info->id);
  if (domain == NULL)
    domain = vj_domains_add (domains, info->id);
  end_other_run (domain, info->pid);
  domain->told = TRUE;
  domain->state = info->state;
  domain->manager = vj_domains_manager (info->manager);
  domain->vcpus = info->vcpus;
  domain->stored.vmid = info->vmid;
  g_strlcpy (domain->stored.uuid, info->uuid, sizeof domain->stored.uuid);
  g_strlcpy (domain->stored.manager, domain->manager, sizeof domain->stored.manager);
  vj_domain_set_name (domain, info->name);
  vj_domain_set_way (domain, info->channel_path, info->channel_connects);
  take_settings (domain, info);
  if (domain->run == NULL && domain->wanted_pid != 0)
    claim (domain);
  vj_domain_apply_settings (domain, NULL);
  vj_domain_open_way (domain);
}

void
vj_domains_absent (VjDomains *domains, const char *id)
{
  VjDomain *domain = g_hash_table_lookup (domains->by_id, id);
  if (domain != NULL)
    vj_domains_remove (domains, domain);
}

/* An additional sample: memory, which counts over time, is left to the next tick. */
void
vj_domains_ending (VjDomains *domains, const char *id)
{
  VjDomain *domain = g_hash_table_lookup (domains->by_id, id);
  if (domain != NULL && domain->run != NULL)
    vj_domain_sample (domain, 0);
}

void
vj_domains_listed (VjDomains *domains, const char *manager)
{
  g_autoptr (GList) all = g_hash_table_get_values (domains->by_id);
  for (GList *item = all; item != NULL; item = item->next)
    {
      VjDomain *domain = item->data;
      if (!domain->told && strcmp (domain->manager, manager) == 0)
        vj_domains_remove (domains, domain);
    }
}

gboolean
vj_domains_connect (VjDomains *domains, int fd, int pid)
{
  const VjDomain *domain = g_hash_table_lookup (domains->by_pid, GINT_TO_POINTER (pid));
  return domain != NULL && vj_domain_run_is_alive (domain->run) && vj_guest_feed_adopt (domain->feed, fd);
}

/* --- the tick --- */

/* No pidfile told the pid: the peer of the channel's socket is QEMU if it lives in a domain's scope (before
 * QEMU runs, the peer is libvirtd). */
static void
ask_peer (VjDomain *domain)
{
  VjChannelStatus status = { 0 };
  const VjChannel *channel = vj_guest_feed_channel (domain->feed);
  if (channel != NULL)
    vj_channel_get_status (channel, &status);
  if (status.peer_pid <= 0)
    return;
  g_autoptr (VjUsage) usage = vj_usage_open (domain->table->options.run.roots, status.peer_pid, NULL);
  if (usage == NULL || vj_usage_kind (usage) == VJ_SCOPE_PROCESS)
    return;
  set_wanted (domain, status.peer_pid);
}

/* One that is known and could not be held, for want of file descriptors perhaps, is tried again. */
static void
find_process (VjDomain *domain)
{
  if (domain->wanted_pid == 0)
    ask_peer (domain);
  if (domain->wanted_pid != 0 && !vj_domain_is_shadow (domain))
    claim (domain);
}

void
vj_domains_begin_interval (VjDomains *domains, guint64 boottime_us)
{
  domains->interval_start_us = boottime_us;
}

void
vj_domains_read_usage (VjDomains *domains, guint64 elapsed_us)
{
  for (guint i = 0; i < domains->all->len; i++)
    {
      VjDomain *domain = g_ptr_array_index (domains->all, i);
      if (domain->run == NULL)
        find_process (domain);
      if (domain->run != NULL)
        vj_domain_sample (domain, elapsed_us);
    }
}

static void
note_power (VjDomain *domain, guint64 elapsed_us)
{
  guint64 now_uj = vj_domain_shown_energy (domain);
  guint64 delta_uj = now_uj - MIN (now_uj, domain->shown_uj);
  domain->shown_uj = now_uj;
  if (elapsed_us > 0)
    domain->power_uw = (guint64)((VjU128)delta_uj * VJ_US_PER_S / elapsed_us);
}

void
vj_domains_publish (VjDomains *domains, guint64 elapsed_us, guint64 now_us)
{
  for (guint i = 0; i < domains->all->len; i++)
    {
      VjDomain *domain = g_ptr_array_index (domains->all, i);
      if (domain->run != NULL && vj_domain_run_account (domain->run) != NULL)
        note_power (domain, elapsed_us);
      vj_guest_feed_tick (domain->feed, now_us);
    }
}

guint
vj_domains_count (const VjDomains *domains)
{
  return g_hash_table_size (domains->by_id);
}

VjDomains *
vj_domains_new (const VjDomainsOptions *options)
{
  VjDomains *domains = g_new0 (VjDomains, 1);
  domains->options = *options;
  domains->by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, domain_free);
  domains->all = g_ptr_array_new ();
  domains->by_pid = g_hash_table_new (NULL, NULL);
  domains->closings = g_ptr_array_new_with_free_func ((GDestroyNotify)vj_closing_free);
  return domains;
}

void
vj_domains_free (VjDomains *domains)
{
  if (domains == NULL)
    return;
  g_hash_table_unref (domains->by_id);
  g_ptr_array_unref (domains->all);
  g_hash_table_unref (domains->by_pid);
  g_ptr_array_unref (domains->closings);
  g_free (domains);
}
