/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "common/error.h"
#include "common/process.h"
#include "common/units.h"
#include "host/consumption.h"

/* One running domain. process, consumption and account come and go together: they name one run of one QEMU. */
typedef struct
{
  VjDomains *table;
  VjDomainState state;
  const char *manager;
  char *name;
  guint vcpus;           /* 0: not known */
  VjStoredDomain stored; /* identity, epoch and last raw usage, in the form that the store keeps */
  VjProcess *process;
  VjPollWatch *exit_watch;
  VjConsumption *consumption;
  VjAccount *account;
  VjChannel *channel;
  gboolean told;    /* by the watcher; else it is known from the store alone */
  guint64 shown_uj; /* packages + dram at the last tick */
  guint64 power_uw;
} Domain;

struct VjDomains
{
  const VjRoots *roots;
  VjLedger *ledger;
  const VjMachine *machine;
  VjPoll *poll;
  const VjFrameTemplate *template;
  GHashTable *by_id;  /* char* (in Domain) -> Domain */
  guint64 elapsed_us; /* of the interval that is being sampled */
};

/* Names a new run of counters. An id that repeated would add two runs up in the guest. */
static void
new_epoch (char epoch[VJ_SESSION_LENGTH + 1])
{
  guint64 bits = 0;
  if (getrandom (&bits, sizeof bits, 0) != (gssize)sizeof bits)
    bits = ((guint64)g_random_int () << 32) | g_random_int ();
  g_snprintf (epoch, VJ_SESSION_LENGTH + 1, "%016" G_GINT64_MODIFIER "x", bits);
}

static guint64
shown_energy (const Domain *domain)
{
  guint64 sum_uj = 0;
  for (guint zone = 0; zone < vj_ledger_n_zones (domain->table->ledger); zone++)
    {
      VjZoneKind kind = vj_ledger_zone (domain->table->ledger, zone)->kind;
      if (kind == VJ_ZONE_PACKAGE || kind == VJ_ZONE_DRAM)
        sum_uj += vj_account_energy_uj (domain->account, zone);
    }
  return sum_uj;
}

static guint64
round_down (guint64 value, guint64 quantum)
{
  return value - value % quantum;
}

static gboolean
fill_frame (VjFrame *ret_frame, gpointer user_data)
{
  const Domain *domain = user_data;
  if (domain->account == NULL)
    return FALSE;
  const VjFrameTemplate *template = domain->table->template;
  const VjFrame *common = &template->frame;
  gsize n = common->n_zones;
  memcpy (ret_frame, common, G_STRUCT_OFFSET (VjFrame, zones));
  memcpy (ret_frame->zones, common->zones, n * sizeof common->zones[0]);
  g_strlcpy (ret_frame->epoch, domain->stored.epoch, sizeof ret_frame->epoch);
  for (gsize i = 0; i < n; i++)
    ret_frame->energy_uj[i] =
        round_down (vj_account_energy_uj (domain->account, template->ledger_zone[i]), template->quantum_uj);
  return TRUE;
}

/* Adds what the domain used since the last reading. A domain whose usage cannot be read for once is billed
 * from its next reading on: nobody knows in which interval the time in between was used. */
static void
sample (Domain *domain)
{
  if (domain->consumption == NULL)
    return;
  if (vj_consumption_sample (domain->consumption, domain->account, domain->table->elapsed_us))
    domain->stored.usage_ns = vj_consumption_cpu_ns (domain->consumption);
  else
    g_clear_pointer (&domain->consumption, vj_consumption_free);
}

/* The end of one run: the last sample that the kernel still gives is billed, then the account is closed. */
static void
end_run (Domain *domain)
{
  if (domain->account == NULL)
    return;
  sample (domain);
  vj_ledger_close (domain->table->ledger, g_steal_pointer (&domain->account));
  g_clear_pointer (&domain->consumption, vj_consumption_free);
  g_clear_pointer (&domain->exit_watch, vj_poll_remove);
  g_clear_pointer (&domain->process, vj_process_free);
  domain->power_uw = 0;
  domain->stored.pid = 0;
}

static void
domain_free (gpointer data)
{
  Domain *domain = data;
  end_run (domain);
  g_clear_pointer (&domain->channel, vj_channel_free);
  g_free (domain->stored.name);
  g_free (domain->stored.channel);
  g_free (domain->name);
  g_free (domain);
}

/* The process has exited: an ordinary event. The watcher will say what became of the domain, if it has ever
 * told of it. */
static void
on_process_exit (int fd, guint32 events, gpointer user_data)
{
  Domain *domain = user_data;
  end_run (domain);
  domain->state = VJ_DOMAIN_STOPPED;
  if (!domain->told)
    g_hash_table_remove (domain->table->by_id, domain->stored.id);
}

static gboolean
open_consumption (Domain *domain)
{
  VjDomains *table = domain->table;
  domain->consumption = vj_consumption_open (table->roots, table->machine, domain->process->pid, NULL);
  if (domain->consumption == NULL)
    return FALSE;
  domain->stored.usage_kind = vj_consumption_kind (domain->consumption);
  domain->stored.usage_ns = vj_consumption_cpu_ns (domain->consumption);
  return TRUE;
}

/* Counting goes on from this reading instead of from the one at opening. */
static void
count_from (Domain *domain, guint64 usage_ns)
{
  domain->stored.usage_ns = usage_ns;
  vj_consumption_set_cpu_ns (domain->consumption, usage_ns);
}

/* Holds the process by pidfd. FALSE: it has vanished, or it is another than expected (start_us, 0: any). */
static gboolean
hold_process (Domain *domain, int pid, guint64 start_us)
{
  g_autoptr (VjProcess) process = vj_process_open (domain->table->roots->procfs, pid, NULL);
  if (process == NULL || (start_us != 0 && process->start_us != start_us))
    return FALSE;
  domain->exit_watch =
      vj_poll_add (domain->table->poll, process->pidfd, EPOLLIN, on_process_exit, domain, NULL);
  if (domain->exit_watch == NULL)
    return FALSE;
  domain->stored.pid = pid;
  domain->stored.start_us = process->start_us;
  domain->process = g_steal_pointer (&process);
  return TRUE;
}

static void
release_process (Domain *domain)
{
  g_clear_pointer (&domain->consumption, vj_consumption_free);
  g_clear_pointer (&domain->exit_watch, vj_poll_remove);
  g_clear_pointer (&domain->process, vj_process_free);
  domain->stored.pid = 0;
}

/* A new run: a new epoch whose counters start at zero. */
static void
begin_run (Domain *domain, int pid, guint64 interval_start_us)
{
  if (!hold_process (domain, pid, 0))
    return;
  if (!open_consumption (domain))
    {
      release_process (domain);
      return;
    }
  new_epoch (domain->stored.epoch);
  domain->account = vj_ledger_open (domain->table->ledger, domain->stored.epoch);
  vj_account_set_allocation (domain->account, domain->vcpus);
  domain->shown_uj = 0;
  gboolean born_in_interval = domain->stored.start_us > interval_start_us;
  if (born_in_interval)
    count_from (domain, 0);
}

static Domain *
add_domain (VjDomains *domains, const char *id)
{
  Domain *domain = g_new0 (Domain, 1);
  domain->table = domains;
  domain->manager = "libvirt";
  g_strlcpy (domain->stored.id, id, sizeof domain->stored.id);
  g_hash_table_insert (domains->by_id, domain->stored.id, domain);
  return domain;
}

static void
set_name (Domain *domain, const char *name)
{
  if (g_strcmp0 (domain->name, name) == 0)
    return;
  g_free (domain->name);
  g_free (domain->stored.name);
  domain->name = g_strdup (name);
  domain->stored.name = g_uri_escape_bytes ((const guint8 *)name, strlen (name), NULL);
}

static void
set_channel (Domain *domain, const char *path)
{
  const char *current = domain->channel != NULL ? vj_channel_path (domain->channel) : NULL;
  if (domain->stored.channel != NULL && g_strcmp0 (current, path) == 0)
    return;
  g_clear_pointer (&domain->channel, vj_channel_free);
  if (path != NULL)
    domain->channel = vj_channel_new (domain->table->poll, path, fill_frame, domain);
  g_free (domain->stored.channel);
  domain->stored.channel =
      path != NULL ? g_uri_escape_bytes ((const guint8 *)path, strlen (path), "/") : g_strdup ("-");
}

void
vj_domains_present (VjDomains *domains, const VjDomainInfo *info, guint64 interval_start_us)
{
  Domain *domain = g_hash_table_lookup (domains->by_id, info->id);
  if (domain == NULL)
    domain = add_domain (domains, info->id);
  domain->told = TRUE;
  domain->state = info->state;
  domain->manager = info->manager;
  set_name (domain, info->name);
  set_channel (domain, info->channel_path);
  if (info->pid != 0 && info->pid != domain->stored.pid)
    {
      end_run (domain);
      begin_run (domain, info->pid, interval_start_us);
    }
  domain->vcpus = info->vcpus;
  if (domain->account != NULL)
    vj_account_set_allocation (domain->account, domain->vcpus);
}

void
vj_domains_absent (VjDomains *domains, const char *id)
{
  g_hash_table_remove (domains->by_id, id);
}

static char *
unescape (const char *text)
{
  g_autoptr (GBytes) bytes = g_uri_unescape_bytes (text, -1, NULL, NULL);
  return bytes == NULL ? g_strdup ("") : g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

/* FALSE: the run is over, or can no longer be read as it was. */
static gboolean
resume_run (Domain *domain, const VjStoredDomain *stored)
{
  if (domain->account == NULL || !hold_process (domain, stored->pid, stored->start_us))
    return FALSE;
  if (open_consumption (domain) && domain->stored.usage_kind == stored->usage_kind)
    {
      count_from (domain, stored->usage_ns);
      return TRUE;
    }
  release_process (domain);
  return FALSE;
}

static void
renew_epoch (Domain *domain)
{
  vj_ledger_close (domain->table->ledger, domain->account);
  new_epoch (domain->stored.epoch);
  domain->account = vj_ledger_open (domain->table->ledger, domain->stored.epoch);
}

gboolean
vj_domains_restore (VjDomains *domains, const VjStoredDomain *stored, gboolean same_epoch)
{
  Domain *domain = add_domain (domains, stored->id);
  g_strlcpy (domain->stored.epoch, stored->epoch, sizeof domain->stored.epoch);
  domain->account = vj_ledger_find (domains->ledger, stored->epoch);
  if (!resume_run (domain, stored))
    {
      if (domain->account != NULL)
        vj_ledger_close (domains->ledger, g_steal_pointer (&domain->account));
      g_hash_table_remove (domains->by_id, stored->id);
      return FALSE;
    }
  if (!same_epoch)
    renew_epoch (domain);
  g_autofree char *name = unescape (stored->name);
  g_autofree char *path = strcmp (stored->channel, "-") == 0 ? NULL : unescape (stored->channel);
  set_name (domain, name);
  set_channel (domain, path);
  domain->shown_uj = shown_energy (domain);
  return TRUE;
}

void
vj_domains_store (VjDomains *domains, VjStored *stored)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Domain *)value)->account != NULL)
      g_ptr_array_add (stored->domains, &((Domain *)value)->stored);
}

/* No pidfile told the pid: the peer of the channel's socket is QEMU if it lives in a domain's scope (before
 * QEMU runs, the peer is libvirtd). */
static void
find_process (Domain *domain, guint64 interval_start_us)
{
  VjChannelStatus status = { 0 };
  if (domain->channel != NULL)
    vj_channel_get_status (domain->channel, &status);
  if (status.peer_pid <= 0)
    return;
  g_autoptr (VjUsage) usage = vj_usage_open (domain->table->roots, status.peer_pid, NULL);
  if (usage != NULL && vj_usage_kind (usage) != VJ_SCOPE_PROCESS)
    begin_run (domain, status.peer_pid, interval_start_us);
}

void
vj_domains_read_usage (VjDomains *domains, guint64 interval_start_us, guint64 elapsed_us)
{
  GHashTableIter iter;
  gpointer value;
  domains->elapsed_us = elapsed_us;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Domain *domain = value;
      if (domain->account == NULL)
        find_process (domain, interval_start_us);
      /* Its scope has vanished while the process lives (moved by hand): counting goes on from what is found now. */
      if (domain->process != NULL && domain->consumption == NULL)
        open_consumption (domain);
      sample (domain);
    }
}

static void
note_power (Domain *domain, guint64 elapsed_us)
{
  guint64 now_uj = shown_energy (domain);
  guint64 delta_uj = now_uj - domain->shown_uj;
  domain->shown_uj = now_uj;
  if (elapsed_us > 0)
    domain->power_uw = (guint64)((VjU128)delta_uj * VJ_US_PER_S / elapsed_us);
}

void
vj_domains_publish (VjDomains *domains, guint64 elapsed_us, guint64 now_us)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Domain *domain = value;
      if (domain->account != NULL)
        note_power (domain, elapsed_us);
      if (domain->channel != NULL)
        vj_channel_tick (domain->channel, now_us);
    }
}

guint
vj_domains_count (const VjDomains *domains)
{
  return g_hash_table_size (domains->by_id);
}

static void
snapshot_channel (const Domain *domain, guint64 newest_us, VjDomainSnapshot *snapshot)
{
  snapshot->has_channel = domain->channel != NULL;
  if (!snapshot->has_channel)
    return;
  vj_channel_get_status (domain->channel, &snapshot->channel);
  guint64 acked_us = snapshot->channel.acked_monotonic_us;
  snapshot->channel_lag_us = acked_us != 0 && newest_us > acked_us ? newest_us - acked_us : 0;
}

static VjDomainSnapshot *
snapshot_domain (const Domain *domain, guint64 newest_us)
{
  guint n_zones = vj_ledger_n_zones (domain->table->ledger);
  VjDomainSnapshot *snapshot = vj_domain_snapshot_new (n_zones);
  g_strlcpy (snapshot->uuid, domain->stored.id, sizeof snapshot->uuid);
  g_strlcpy (snapshot->epoch, domain->stored.epoch, sizeof snapshot->epoch);
  snapshot->name = g_strdup (domain->name);
  snapshot->manager = domain->manager;
  snapshot->state = domain->state;
  snapshot->pid = domain->stored.pid;
  snapshot->power_uw = domain->power_uw;
  if (domain->consumption != NULL)
    {
      snapshot->usage = vj_scope_kind_name (vj_consumption_kind (domain->consumption));
      snapshot->package_split = vj_consumption_split (domain->consumption);
    }
  if (domain->account != NULL)
    {
      snapshot->cpu_ns = vj_account_usage_ns (domain->account);
      for (guint zone = 0; zone < n_zones; zone++)
        {
          snapshot->energy_uj[zone] = vj_account_energy_uj (domain->account, zone);
          snapshot->static_uj[zone] = vj_account_static_uj (domain->account, zone);
        }
    }
  snapshot_channel (domain, newest_us, snapshot);
  return snapshot;
}

static int
compare_snapshots (gconstpointer a, gconstpointer b)
{
  const VjDomainSnapshot *first = *(VjDomainSnapshot *const *)a;
  const VjDomainSnapshot *second = *(VjDomainSnapshot *const *)b;
  int order = strcmp (first->name, second->name);
  return order != 0 ? order : strcmp (first->uuid, second->uuid);
}

void
vj_domains_snapshot (const VjDomains *domains, guint64 newest_us, GPtrArray *ret_snapshots)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, domains->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_ptr_array_add (ret_snapshots, snapshot_domain (value, newest_us));
  g_ptr_array_sort (ret_snapshots, compare_snapshots);
}

VjDomains *
vj_domains_new (const VjRoots *roots, VjLedger *ledger, const VjMachine *machine, VjPoll *poll,
                const VjFrameTemplate *template)
{
  VjDomains *domains = g_new0 (VjDomains, 1);
  domains->roots = roots;
  domains->ledger = ledger;
  domains->machine = machine;
  domains->poll = poll;
  domains->template = template;
  domains->by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, domain_free);
  return domains;
}

void
vj_domains_free (VjDomains *domains)
{
  if (domains == NULL)
    return;
  g_hash_table_unref (domains->by_id);
  g_free (domains);
}
