/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/agent.h"

#include <malloc.h>
#include <string.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/machine.h"
#include "common/metrics.h"
#include "common/ticker.h"
#include "common/units.h"
#include "host/api.h"
#include "host/domains/domains.h"
#include "host/domains/instance.h"
#include "host/energy/meter.h"
#include "host/store.h"
#include "host/watchers.h"

/* A thousand guests acknowledge their frames within some tens of milliseconds. */
#define GATHER_US (10 * VJ_US_PER_MS)
/* Ticks wait this long for the first list of domains, so that a gap can be matched with everybody's usage. */
#define FIRST_LISTING_US (3 * VJ_US_PER_S)
/* What a crash of the host may take of lifetimes. */
#define LIFETIMES_US (60 * VJ_US_PER_S)

struct VjAgent
{
  const VjConfig *config;
  VjInstance *instance;
  VjLedger *ledger;
  VjMeter *meter;
  VjMachine *machine;
  VjPoll *poll;
  VjDomains *domains;
  VjWatchers *watchers;
  VjGuestSocket *guest_socket;
  VjExitRecords *exits;
  VjLifetimes *lifetimes; /* NULL: counters last for one run */
  VjTicker *ticker;
  VjHttp *http;

  VjFrameTemplate template;
  char store_context[80];
  guint64 started_us;
  guint64 tick_us;          /* CLOCK_MONOTONIC of the last tick; 0: none yet */
  guint64 tick_boottime_us; /* the same moment on CLOCK_BOOTTIME */
  guint64 ticks;
  guint64 ticks_late;
  guint64 ticks_skipped;
  guint64 lifetimes_us; /* when they were last written */
  gboolean ready;       /* everybody has told what runs */
  gboolean store_failed;
  gboolean lifetimes_failed;
};

/* --- the tick --- */

/* Of the zones that guests are shown. */
static guint64
oldest_reading_us (const VjAgent *agent)
{
  guint64 oldest_us = G_MAXUINT64;
  for (gsize i = 0; i < agent->template.frame.n_zones; i++)
    oldest_us = MIN (oldest_us, vj_meter_read_us (agent->meter, agent->template.ledger_zone[i]));
  return oldest_us;
}

static void
renew_template (VjAgent *agent, guint64 now_us)
{
  agent->template.frame.monotonic_us = now_us;
  agent->template.frame.age_us = now_us - MIN (now_us, oldest_reading_us (agent));
}

/* Puts the tick aside before any frame goes out. A failure is told once; the agent goes on, without
 * continuity. */
static void
store_tick (VjAgent *agent)
{
  g_autoptr (VjStored) stored = vj_stored_new ();
  g_autoptr (GError) error = NULL;
  g_strlcpy (stored->context, agent->store_context, sizeof stored->context);
  stored->monotonic_us = agent->tick_us;
  stored->boottime_us = agent->tick_boottime_us;
  vj_machine_get_mark (agent->machine, &stored->busy_idle_ticks, &stored->busy_monotonic_us);
  stored->cpus = vj_machine_cpus (agent->machine);
  vj_meter_get_marks (agent->meter, stored->marks);
  vj_domains_store (agent->domains, stored);
  gboolean ok = vj_store_save (agent->config->roots.runtime_dir, stored, agent->ledger, &error);
  if (!ok && !agent->store_failed)
    g_warning ("the ledger cannot be put aside, so a restart would begin anew: %s", error->message);
  agent->store_failed = !ok;
}

/* The state directory outlives the host; what is lost with it is at most what the last minute used. */
static void
save_lifetimes (VjAgent *agent)
{
  g_autoptr (GError) error = NULL;
  vj_domains_note_lifetimes (agent->domains);
  gboolean ok = vj_lifetimes_save (agent->lifetimes, &error);
  if (!ok && !agent->lifetimes_failed)
    g_warning ("lifetimes of counters cannot be kept: %s", error->message);
  agent->lifetimes_failed = !ok;
  agent->lifetimes_us = agent->tick_us;
}

static void
take_tick (VjAgent *agent)
{
  guint64 boottime_us = vj_clock_boottime_us ();
  guint64 now_us = vj_clock_monotonic_us ();
  guint64 elapsed_us = agent->tick_us != 0 ? now_us - agent->tick_us : 0;

  vj_meter_read (agent->meter, now_us);
  gboolean known = vj_machine_read (agent->machine, now_us);
  vj_domains_read_usage (agent->domains, elapsed_us);
  vj_meter_measure (agent->meter, now_us, vj_machine_busy_ns (agent->machine),
                    known ? vj_machine_cpus (agent->machine) : 0);
  vj_ledger_settle (agent->ledger);
  gboolean ended = vj_domains_settled (agent->domains);
  vj_domains_begin_interval (agent->domains, boottime_us);

  agent->tick_us = now_us;
  agent->tick_boottime_us = boottime_us;
  agent->ticks++;
  renew_template (agent, now_us);
  /* First, so that a run that has ended is never in neither. */
  if (agent->lifetimes != NULL && (ended || now_us - agent->lifetimes_us >= LIFETIMES_US))
    save_lifetimes (agent);
  store_tick (agent);
  vj_domains_publish (agent->domains, elapsed_us, now_us);
  if (agent->guest_socket != NULL)
    vj_guest_socket_tick (agent->guest_socket);
  if (agent->exits != NULL)
    vj_exit_records_tick (agent->exits);
}

static gboolean
may_begin (const VjAgent *agent)
{
  return agent->ticks > 0 || agent->ready || vj_clock_monotonic_us () - agent->started_us > FIRST_LISTING_US;
}

static void
on_tick (guint64 late_us, guint64 missed, gpointer user_data)
{
  VjAgent *agent = user_data;
  if (!may_begin (agent))
    return;
  agent->ticks_skipped += missed;
  if (late_us > agent->config->interval_us / 2)
    agent->ticks_late++;
  take_tick (agent);
}

/* --- what happens outside --- */

static void
on_ready (gpointer user_data)
{
  VjAgent *agent = user_data;
  agent->ready = TRUE;
  if (agent->ticks == 0)
    take_tick (agent);
  /* To hear of what runs takes more memory, for a moment, than to keep it. */
  malloc_trim (0);
}

/* Nobody has told of that process yet, or it is none of ours. */
static gboolean
on_guest (int fd, int pid, gpointer user_data)
{
  VjAgent *agent = user_data;
  if (vj_domains_connect (agent->domains, fd, pid))
    return TRUE;
  if (agent->watchers != NULL)
    vj_watchers_poke (agent->watchers, pid);
  return FALSE;
}

/* --- opening --- */

/* A reader refuses a frame that has a zone without its parent. */
static gboolean
is_for_guests (const VjFrameTemplate *template, const VjZone *zone)
{
  if (zone->kind == VJ_ZONE_PSYS || zone->kind == VJ_ZONE_REST || zone->kind == VJ_ZONE_OTHER)
    return FALSE;
  for (gsize i = 0; i < template->frame.n_zones; i++)
    if ((int)template->ledger_zone[i] == zone->parent)
      return TRUE;
  return zone->parent < 0;
}

static void
add_to_template (VjFrameTemplate *template, const VjZone *zone, guint ledger_zone)
{
  VjFrame *frame = &template->frame;
  if (!is_for_guests (template, zone) || frame->n_zones == VJ_FRAME_ZONES_MAX)
    return;
  template->ledger_zone[frame->n_zones] = ledger_zone;
  frame->zones[frame->n_zones] = *zone;
  frame->n_zones++;
}

/* A line of the channel has an end: of more zones than go into one, guests are told the first. */
static void
fit_template (VjAgent *agent)
{
  g_autoptr (GString) line = g_string_new (NULL);
  VjFrame *longest = g_memdup2 (&agent->template.frame, sizeof agent->template.frame);
  const gsize n_zones = longest->n_zones;
  g_strlcpy (longest->session, "0000000000000000", sizeof longest->session);
  g_strlcpy (longest->epoch, "0000000000000000", sizeof longest->epoch);
  g_strlcpy (longest->static_policy, vj_static_policy_name (VJ_STATIC_PROPORTIONAL),
             sizeof longest->static_policy);
  longest->sequence = longest->monotonic_us = longest->age_us = G_MAXINT64;
  longest->interval_us = VJ_FRAME_INTERVAL_MAX_US;
  for (gsize i = 0; i < n_zones; i++)
    longest->energy_uj[i] = G_MAXINT64;
  while (longest->n_zones > 0 && !vj_frame_encode (longest, line))
    longest->n_zones--;
  agent->template.frame.n_zones = longest->n_zones;
  if (longest->n_zones < n_zones)
    g_warning ("guests are told the first %u of %u zones: more do not fit into one frame",
               (guint)longest->n_zones, (guint)n_zones);
  g_free (longest);
}

static void
open_template (VjAgent *agent)
{
  VjFrame *frame = &agent->template.frame;
  for (guint i = 0; i < vj_ledger_n_zones (agent->ledger); i++)
    add_to_template (&agent->template, vj_ledger_zone (agent->ledger, i), i);
  agent->template.interval_us = agent->config->interval_us;
  g_strlcpy (frame->host, vj_instance_host_id (agent->instance), sizeof frame->host);
  g_strlcpy (frame->source, vj_meter_source_name (agent->meter), sizeof frame->source);
  frame->quality = vj_meter_quality (agent->meter);
  fit_template (agent);
}

static gboolean
open_ledger (VjAgent *agent, GError **error)
{
  agent->ledger = vj_ledger_new ();
  vj_ledger_set_curve (agent->ledger, &agent->config->curve);
  vj_ledger_set_static_policy (agent->ledger, agent->config->domain.static_policy);
  agent->meter = vj_meter_open (agent->config, agent->ledger, error);
  if (agent->meter == NULL)
    return FALSE;
  agent->machine = vj_machine_open (&agent->config->roots, agent->ledger, TRUE, error);
  return agent->machine != NULL;
}

/* Goes on where an agent of the same boot stopped. The time in between is one long interval; it is the host's
 * if a domain has gone whose last usage nobody knows. A zone that is missing now would count from zero again
 * when it comes back: hence new epochs. */
static void
restore (VjAgent *agent)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjStored) stored =
      vj_store_load (agent->config->roots.runtime_dir, agent->store_context, agent->ledger, &error);
  if (error != NULL)
    g_warning ("%s", error->message);
  if (stored == NULL)
    return;
  vj_machine_set_mark (agent->machine, stored->busy_idle_ticks, stored->busy_monotonic_us, stored->cpus);
  gboolean same_epochs = vj_meter_set_marks (agent->meter, stored->marks);
  agent->tick_us = stored->monotonic_us;
  agent->tick_boottime_us = stored->boottime_us;
  vj_domains_begin_interval (agent->domains, stored->boottime_us);
  for (guint i = 0; i < stored->domains->len; i++)
    if (!vj_domains_restore (agent->domains, g_ptr_array_index (stored->domains, i), same_epochs))
      vj_ledger_mark_gap (agent->ledger);
  g_message ("continuing with %u domains of %u", vj_domains_count (agent->domains), stored->domains->len);
}

static char *
serve_list (const char **ret_content_type, gpointer user_data, GError **error)
{
  g_autoptr (VjSnapshot) snapshot = vj_agent_snapshot (user_data);
  *ret_content_type = "application/json";
  return vj_api_list_json (snapshot);
}

static char *
serve_status (const char **ret_content_type, gpointer user_data, GError **error)
{
  g_autoptr (VjSnapshot) snapshot = vj_agent_snapshot (user_data);
  *ret_content_type = "application/json";
  return vj_api_status_json (snapshot);
}

static char *
serve_metrics (const char **ret_content_type, gpointer user_data, GError **error)
{
  g_autoptr (VjSnapshot) snapshot = vj_agent_snapshot (user_data);
  *ret_content_type = VJ_METRICS_CONTENT_TYPE;
  return vj_api_metrics (snapshot);
}

static gboolean
open_http (VjAgent *agent, GError **error)
{
  const VjConfig *config = agent->config;
  g_autofree char *path = g_build_filename (config->roots.runtime_dir, VJ_API_SOCKET, NULL);
  agent->http = vj_http_new ();
  vj_http_handle (agent->http, "/v1/domains", serve_list, agent);
  vj_http_handle (agent->http, "/v1/status", serve_status, agent);
  vj_http_handle (agent->http, "/metrics", serve_metrics, agent);
  if (!vj_http_listen_unix (agent->http, path, 0660, error))
    return FALSE;
  return config->metrics_listen == NULL || vj_http_listen_tcp (agent->http, config->metrics_listen, error);
}

/* Without them, what a machine used just before its end stays with the host in some cases. */
static void
open_exits (VjAgent *agent)
{
  g_autoptr (GError) error = NULL;
  agent->exits = vj_exit_records_open (&error);
  if (agent->exits == NULL)
    g_info ("no exit records: %s", error->message);
}

static gboolean
open_lifetimes (VjAgent *agent, GError **error)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new ();
  g_autofree char *problem = NULL;
  for (guint i = 0; i < vj_ledger_n_zones (agent->ledger); i++)
    g_ptr_array_add (ids, (gpointer)vj_ledger_zone (agent->ledger, i)->id);
  g_ptr_array_add (ids, NULL);
  agent->lifetimes =
      vj_lifetimes_open (agent->config->roots.state_dir, (const char *const *)ids->pdata, &problem, error);
  if (problem != NULL)
    g_warning ("%s", problem);
  return agent->lifetimes != NULL;
}

static void
open_domains (VjAgent *agent)
{
  const VjDomainsOptions options = { .run = { .roots = &agent->config->roots,
                                              .ledger = agent->ledger,
                                              .machine = agent->machine,
                                              .poll = agent->poll,
                                              .exits = agent->exits },
                                     .template = &agent->template,
                                     .settings = &agent->config->domain,
                                     .lifetimes = agent->lifetimes };
  agent->domains = vj_domains_new (&options);
}

/* Guests are told nothing by this way without it, but all else goes on. */
static void
open_guest_socket (VjAgent *agent)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_build_filename (agent->config->roots.runtime_dir, VJ_GUEST_SOCKET, NULL);
  agent->guest_socket = vj_guest_socket_open (agent->poll, path, on_guest, agent, &error);
  if (agent->guest_socket == NULL)
    g_warning ("guests cannot connect: %s", error->message);
}

static gboolean
open_accounting (VjAgent *agent, GError **error)
{
  const VjConfig *config = agent->config;
  agent->instance = vj_instance_open (config->roots.runtime_dir, config->roots.state_dir, error);
  if (agent->instance == NULL)
    return FALSE;
  if (!open_ledger (agent, error))
    return FALSE;
  open_template (agent);
  g_snprintf (agent->store_context, sizeof agent->store_context, "%s/%s",
              vj_instance_boot_id (agent->instance), vj_meter_source_name (agent->meter));
  agent->poll = vj_poll_new (NULL, error);
  if (agent->poll == NULL)
    return FALSE;
  vj_poll_set_gather (agent->poll, GATHER_US);
  open_exits (agent);
  if (config->counter_forever && !open_lifetimes (agent, error))
    return FALSE;
  open_domains (agent);
  return TRUE;
}

static gboolean
open_agent (VjAgent *agent, GError **error)
{
  const VjConfig *config = agent->config;
  if (!open_accounting (agent, error))
    return FALSE;
  agent->started_us = vj_clock_monotonic_us ();
  agent->tick_boottime_us = vj_clock_boottime_us ();
  vj_domains_begin_interval (agent->domains, agent->tick_boottime_us);
  restore (agent);
  agent->ticker = vj_ticker_new (NULL, config->interval_us, on_tick, agent, error);
  if (agent->ticker == NULL || !open_http (agent, error))
    return FALSE;
  open_guest_socket (agent);
  agent->watchers = vj_watchers_new (config, agent->poll, agent->domains, on_ready, agent);
  return TRUE;
}

VjAgent *
vj_agent_new (const VjConfig *config, GError **error)
{
  g_autoptr (VjAgent) agent = g_new0 (VjAgent, 1);
  agent->config = config;
  return open_agent (agent, error) ? g_steal_pointer (&agent) : NULL;
}

void
vj_agent_free (VjAgent *agent)
{
  if (agent == NULL)
    return;
  g_clear_pointer (&agent->ticker, vj_ticker_free);
  if (agent->ticks > 0)
    take_tick (agent);
  if (agent->ticks > 0 && agent->lifetimes != NULL)
    save_lifetimes (agent);
  g_clear_pointer (&agent->http, vj_http_free);
  g_clear_pointer (&agent->guest_socket, vj_guest_socket_free);
  g_clear_pointer (&agent->watchers, vj_watchers_free); /* iterates the main loop for a while */
  g_clear_pointer (&agent->domains, vj_domains_free);
  g_clear_pointer (&agent->lifetimes, vj_lifetimes_free);
  g_clear_pointer (&agent->exits, vj_exit_records_free);
  g_clear_pointer (&agent->poll, vj_poll_free);
  g_clear_pointer (&agent->machine, vj_machine_free);
  g_clear_pointer (&agent->meter, vj_meter_free);
  g_clear_pointer (&agent->ledger, vj_ledger_free);
  g_clear_pointer (&agent->instance, vj_instance_free);
  g_free (agent);
}

/* --- what it shows --- */

static void
snapshot_guests (const VjAgent *agent, VjSnapshot *snapshot)
{
  guint n = 0;
  if (vj_config_follows (agent->config, VJ_MANAGER_LIBVIRT))
    snapshot->managers[n++] = "libvirt";
  if (vj_config_follows (agent->config, VJ_MANAGER_PROXMOX))
    snapshot->managers[n++] = "proxmox";
  if (vj_config_follows (agent->config, VJ_MANAGER_QEMU))
    snapshot->managers[n++] = "qemu";
  snapshot->counter_forever = agent->config->counter_forever;
  snapshot->guest_socket_open = agent->guest_socket != NULL;
  if (agent->guest_socket != NULL)
    snapshot->guest_socket = *vj_guest_socket_counts (agent->guest_socket);
  snapshot->hook_notes = agent->watchers != NULL ? vj_watchers_notes (agent->watchers) : 0;
  snapshot->exit_records = agent->exits != NULL;
  memcpy (snapshot->endings, vj_domains_endings (agent->domains), sizeof snapshot->endings);
}

VjSnapshot *
vj_agent_snapshot (VjAgent *agent)
{
  VjSnapshot *snapshot = vj_snapshot_new ();
  guint64 now_us = vj_clock_monotonic_us ();
  snapshot->version = VJ_VERSION;
  g_strlcpy (snapshot->host, vj_instance_host_id (agent->instance), sizeof snapshot->host);
  snapshot->static_policy = agent->config->domain.static_policy;
  snapshot->age_us = now_us - MIN (now_us, agent->tick_us);
  snapshot->interval_us = agent->config->interval_us;
  snapshot->ticks = agent->ticks;
  snapshot->tick_us = agent->tick_us;
  snapshot->busy_ns = vj_machine_total_ns (agent->machine);
  snapshot->cpus = vj_machine_cpus (agent->machine);
  snapshot->state_dir = agent->config->roots.state_dir;
  snapshot->ticks_late = agent->ticks_late;
  snapshot->ticks_skipped = agent->ticks_skipped;
  snapshot->libvirt_uri = agent->config->libvirt_uri;
  snapshot->libvirt_connected = agent->watchers != NULL && vj_watchers_libvirt_connected (agent->watchers);
  snapshot_guests (agent, snapshot);
  vj_meter_snapshot (agent->meter, now_us, snapshot);
  vj_domains_snapshot (agent->domains, agent->tick_us, snapshot->domains);
  return snapshot;
}
