/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/agent.h"

#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/http.h"
#include "common/metrics.h"
#include "common/ticker.h"
#include "common/units.h"
#include "host/api.h"
#include "host/domains.h"
#include "host/instance.h"
#include "host/libvirt_watch.h"
#include "common/machine.h"
#include "host/meter.h"
#include "host/store.h"

/* A thousand guests acknowledge their frames within some tens of milliseconds. */
#define GATHER_US (10 * VJ_US_PER_MS)
/* Ticks wait this long for the first list of domains, so that a gap can be matched with everybody's usage. */
#define FIRST_LISTING_US (3 * VJ_US_PER_S)

struct VjAgent
{
  const VjConfig *config;
  VjInstance *instance;
  VjLedger *ledger;
  VjMeter *meter;
  VjMachine *machine;
  VjPoll *poll;
  VjDomains *domains;
  VjLibvirtWatch *watch;
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
  gboolean libvirt_listed;
  gboolean libvirt_failed;
  gboolean store_failed;
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

static void
take_tick (VjAgent *agent)
{
  guint64 boottime_us = vj_clock_boottime_us ();
  guint64 now_us = vj_clock_monotonic_us ();
  guint64 elapsed_us = agent->tick_us != 0 ? now_us - agent->tick_us : 0;

  vj_meter_read (agent->meter, now_us);
  gboolean known = vj_machine_read (agent->machine, now_us);
  vj_domains_read_usage (agent->domains, agent->tick_boottime_us, elapsed_us);
  vj_meter_measure (agent->meter, now_us, vj_machine_busy_ns (agent->machine),
                    known ? vj_machine_cpus (agent->machine) : 0);
  vj_ledger_settle (agent->ledger);

  agent->tick_us = now_us;
  agent->tick_boottime_us = boottime_us;
  agent->ticks++;
  renew_template (agent, now_us);
  store_tick (agent);
  vj_domains_publish (agent->domains, elapsed_us, now_us);
}

static gboolean
may_begin (const VjAgent *agent)
{
  return agent->ticks > 0 || agent->watch == NULL || agent->libvirt_listed || agent->libvirt_failed
         || vj_clock_monotonic_us () - agent->started_us > FIRST_LISTING_US;
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

/* --- the watcher's word --- */

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  VjAgent *agent = user_data;
  vj_domains_present (agent->domains, info, agent->tick_boottime_us);
}

static void
on_absent (const char *uuid, gpointer user_data)
{
  VjAgent *agent = user_data;
  vj_domains_absent (agent->domains, uuid);
}

static void
begin_if_first (VjAgent *agent)
{
  if (agent->ticks == 0)
    take_tick (agent);
}

static void
on_listed (gpointer user_data)
{
  VjAgent *agent = user_data;
  agent->libvirt_listed = TRUE;
  begin_if_first (agent);
}

static void
on_connection (gboolean connected, const char *message, gpointer user_data)
{
  VjAgent *agent = user_data;
  if (connected)
    {
      g_message ("%s", message);
      return;
    }
  g_warning ("%s", message);
  agent->libvirt_failed = TRUE;
  begin_if_first (agent);
}

static const VjDomainListener listener = {
  .present = on_present, .absent = on_absent, .listed = on_listed, .connection = on_connection
};

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

static void
open_template (VjAgent *agent)
{
  VjFrame *frame = &agent->template.frame;
  for (guint i = 0; i < vj_ledger_n_zones (agent->ledger); i++)
    add_to_template (&agent->template, vj_ledger_zone (agent->ledger, i), i);
  agent->template.quantum_uj = agent->config->domain.resolution_uj;
  g_strlcpy (frame->host, vj_instance_host_id (agent->instance), sizeof frame->host);
  g_strlcpy (frame->source, vj_meter_source_name (agent->meter), sizeof frame->source);
  g_strlcpy (frame->static_policy, vj_static_policy_name (agent->config->domain.static_policy),
             sizeof frame->static_policy);
  frame->quality = vj_meter_quality (agent->meter);
  frame->interval_us = agent->config->interval_us;
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
  agent->domains =
      vj_domains_new (&config->roots, agent->ledger, agent->machine, agent->poll, &agent->template);
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
  restore (agent);
  agent->ticker = vj_ticker_new (NULL, config->interval_us, on_tick, agent, error);
  if (agent->ticker == NULL || !open_http (agent, error))
    return FALSE;
  if (g_strcmp0 (config->libvirt_uri, "none") != 0)
    agent->watch = vj_libvirt_watch_new (config->libvirt_uri, &config->roots, &listener, agent);
  else
    take_tick (agent);
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
  g_clear_pointer (&agent->http, vj_http_free);
  g_clear_pointer (&agent->watch, vj_libvirt_watch_free); /* iterates the main loop for a while */
  g_clear_pointer (&agent->domains, vj_domains_free);
  g_clear_pointer (&agent->poll, vj_poll_free);
  g_clear_pointer (&agent->machine, vj_machine_free);
  g_clear_pointer (&agent->meter, vj_meter_free);
  g_clear_pointer (&agent->ledger, vj_ledger_free);
  g_clear_pointer (&agent->instance, vj_instance_free);
  g_free (agent);
}

/* --- what it shows --- */

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
  snapshot->libvirt_connected = agent->watch != NULL && vj_libvirt_watch_is_connected (agent->watch);
  vj_meter_snapshot (agent->meter, now_us, snapshot);
  vj_domains_snapshot (agent->domains, agent->tick_us, snapshot->domains);
  return snapshot;
}
