/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/agent.h"

#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/http.h"
#include "common/metrics.h"
#include "common/rest.h"
#include "common/ticker.h"
#include "common/units.h"
#include "host/api.h"
#include "host/domains.h"
#include "host/instance.h"
#include "host/libvirt_watch.h"
#include "host/source_model.h"
#include "host/source_powercap.h"
#include "host/static_power.h"
#include "host/store.h"
#include "host/usage.h"

/* /proc/stat rounds idle and iowait of each CPU down to 10 ms. */
#define BUSY_ROUNDING_NS (2 * 10 * 1000 * 1000 * G_GUINT64_CONSTANT (1))
/* A thousand guests acknowledge their frames within some tens of milliseconds. */
#define GATHER_US (10 * VJ_US_PER_MS)
/* Ticks wait this long for the first list of domains, so that a gap can be matched with everybody's usage. */
#define FIRST_LISTING_US (3 * VJ_US_PER_S)

typedef struct
{
  guint64 power_uw;
  guint64 read_us; /* CLOCK_MONOTONIC of the last successful reading; 0: none */
  gboolean readable;
} ZoneView;

struct VjAgent
{
  const VjConfig *config;
  VjInstance *instance;
  VjSource *source;
  VjBusy *busy;
  VjLedger *ledger;
  VjStaticPower *static_power;
  VjPoll *poll;
  VjDomains *domains;
  VjLibvirtWatch *watch;
  VjTicker *ticker;
  VjHttp *http;

  VjFrameTemplate template;
  char store_context[80];
  VjSourceReading *readings; /* scratch, one per zone of the source */
  ZoneView *zones;           /* one per zone of the ledger */
  VjRest rest;
  int rest_zone; /* in the ledger, after the source's zones; -1: no platform is measured */
  guint cpus;
  guint64 busy_ns; /* cumulative */
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

static void
read_usage (VjAgent *agent, guint64 now_us)
{
  guint64 busy_ns = 0;
  g_autoptr (GError) error = NULL;
  gboolean known = vj_busy_read (agent->busy, now_us, &busy_ns, &agent->cpus, &error);
  if (known)
    vj_ledger_add_busy (agent->ledger, VJ_RESOURCE_CPU, busy_ns);
  else
    vj_ledger_mark_gap (agent->ledger);
  agent->busy_ns += busy_ns;
  vj_static_power_add_busy (agent->static_power, busy_ns, known ? agent->cpus : 0);
  vj_domains_read_usage (agent->domains, agent->tick_boottime_us);
}

static void
measure_zone (VjAgent *agent, guint zone, const VjSourceReading *reading, guint64 now_us)
{
  ZoneView *view = &agent->zones[zone];
  view->readable = reading->fresh;
  vj_static_power_add_reading (agent->static_power, zone, reading);
  if (!reading->fresh)
    return;
  view->read_us = now_us;
  gboolean first = reading->elapsed_us == 0;
  if (!first)
    view->power_uw = (guint64)((VjU128)reading->delta_uj * VJ_US_PER_S / reading->elapsed_us);
  /* Usage from before a zone's first reading must not be billed with the energy after it. */
  vj_ledger_measure (agent->ledger, zone, reading->delta_uj, reading->elapsed_us, reading->gap || first);
}

/* What packages and dram leave of the platform's energy. */
static void
measure_rest (VjAgent *agent, guint64 now_us)
{
  VjSourceReading left = { 0 };
  if (agent->rest_zone < 0)
    return;
  for (guint i = 0; i < vj_source_n_zones (agent->source); i++)
    {
      const VjSourceReading *reading = &agent->readings[i];
      const VjZoneKind kind = vj_source_zone (agent->source, i)->kind;
      if (kind == VJ_ZONE_PSYS || kind == VJ_ZONE_PACKAGE || kind == VJ_ZONE_DRAM)
        vj_rest_add (&agent->rest, kind == VJ_ZONE_PSYS, reading->fresh, reading->delta_uj,
                     reading->elapsed_us, reading->gap);
    }
  left.fresh = vj_rest_take (&agent->rest, &left.delta_uj, &left.elapsed_us, &left.gap);
  measure_zone (agent, (guint)agent->rest_zone, &left, now_us);
}

/* Of the zones that guests are shown. */
static guint64
oldest_reading_us (const VjAgent *agent)
{
  guint64 oldest_us = G_MAXUINT64;
  for (gsize i = 0; i < agent->template.frame.n_zones; i++)
    oldest_us = MIN (oldest_us, agent->zones[agent->template.ledger_zone[i]].read_us);
  return oldest_us;
}

static void
renew_template (VjAgent *agent, guint64 now_us)
{
  agent->template.frame.monotonic_us = now_us;
  agent->template.frame.age_us = now_us - MIN (now_us, oldest_reading_us (agent));
}

static void
store_marks (VjAgent *agent, VjStored *stored)
{
  for (guint zone = 0; zone < vj_source_n_zones (agent->source); zone++)
    {
      VjSourceMark mark = { 0 };
      if (vj_source_get_mark (agent->source, zone, &mark))
        g_array_append_val (stored->marks, mark);
    }
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
  vj_busy_get_mark (agent->busy, &stored->busy_idle_ticks, &stored->busy_monotonic_us);
  stored->cpus = agent->cpus;
  store_marks (agent, stored);
  vj_domains_store (agent->domains, stored);
  gboolean ok = vj_store_save (agent->config->roots.runtime_dir, stored, agent->ledger, &error);
  if (!ok && !agent->store_failed)
    g_warning ("the ledger cannot be put aside, so a restart would begin anew: %s", error->message);
  agent->store_failed = !ok;
}

static void
take_tick (VjAgent *agent)
{
  guint64 before_us = agent->tick_us;
  guint64 boottime_us = vj_clock_boottime_us ();
  guint64 now_us = vj_clock_monotonic_us ();

  vj_source_read (agent->source, now_us, agent->readings);
  read_usage (agent, now_us);
  for (guint zone = 0; zone < vj_source_n_zones (agent->source); zone++)
    measure_zone (agent, zone, &agent->readings[zone], now_us);
  measure_rest (agent, now_us);
  vj_ledger_set_debt_limit (agent->ledger, VJ_RESOURCE_CPU, agent->cpus * BUSY_ROUNDING_NS);
  vj_ledger_settle (agent->ledger);

  agent->tick_us = now_us;
  agent->tick_boottime_us = boottime_us;
  agent->ticks++;
  renew_template (agent, now_us);
  store_tick (agent);
  vj_domains_publish (agent->domains, before_us != 0 ? now_us - before_us : 0, now_us);
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

static void
on_zone_notice (const VjZone *zone, const GError *error, gpointer user_data)
{
  if (error != NULL)
    g_warning ("zone %s cannot be read: %s", zone->id, error->message);
  else
    g_message ("zone %s can be read again", zone->id);
}

static void
on_static_notice (gboolean is_warning, const char *message, gpointer user_data)
{
  if (is_warning)
    g_warning ("%s", message);
  else
    g_message ("%s", message);
}

/* --- opening --- */

static VjSource *
open_source (const VjConfig *config, GError **error)
{
  g_autoptr (GError) local = NULL;
  if (config->source == VJ_SOURCE_MODEL)
    return vj_source_model_open (config->roots.procfs, config->model_idle_uw, config->model_full_uw, error);
  VjSource *source = vj_source_powercap_open (config->roots.sysfs, config->max_power_uw, &local);
  if (source != NULL)
    return source;
  gboolean no_meter = g_error_matches (local, VJ_ERROR, VJ_ERROR_UNAVAILABLE);
  if (config->source == VJ_SOURCE_POWERCAP || !no_meter)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return NULL;
    }
  g_message ("no energy meter (%s); figures are estimated from CPU time", local->message);
  return vj_source_model_open (config->roots.procfs, config->model_idle_uw, config->model_full_uw, error);
}

static void
add_to_template (VjFrameTemplate *template, const VjZone *zone, guint ledger_zone)
{
  VjFrame *frame = &template->frame;
  gboolean shown = zone->kind != VJ_ZONE_PSYS && zone->kind != VJ_ZONE_REST && zone->kind != VJ_ZONE_OTHER;
  if (!shown || frame->n_zones == VJ_FRAME_ZONES_MAX)
    return;
  template->ledger_zone[frame->n_zones] = ledger_zone;
  frame->zones[frame->n_zones] = *zone;
  frame->n_zones++;
}

/* The platform's energy without packages and dram is a zone of its own, where exactly one psys tells it. */
static void
add_rest_zone (VjAgent *agent)
{
  int psys = -1;
  guint found = 0;
  VjZone zone;
  for (guint i = 0; i < vj_source_n_zones (agent->source); i++)
    if (vj_source_zone (agent->source, i)->kind == VJ_ZONE_PSYS)
      {
        psys = (int)i;
        found++;
      }
  agent->rest_zone = -1;
  if (found == 1 && vj_zone_init (&zone, "rest", vj_source_zone (agent->source, (guint)psys), psys))
    agent->rest_zone = (int)vj_ledger_add_zone (agent->ledger, &zone, 0);
}

static void
open_ledger (VjAgent *agent)
{
  VjFrame *frame = &agent->template.frame;
  guint n_zones = vj_source_n_zones (agent->source);
  agent->ledger = vj_ledger_new ();
  vj_ledger_set_curve (agent->ledger, &agent->config->curve);
  vj_ledger_set_static_policy (agent->ledger, agent->config->static_policy);
  for (guint i = 0; i < n_zones; i++)
    {
      const VjZone *zone = vj_source_zone (agent->source, i);
      vj_ledger_add_zone (agent->ledger, zone, 0);
      add_to_template (&agent->template, zone, i);
    }
  add_rest_zone (agent);
  agent->static_power =
      vj_static_power_new (agent->config, agent->source, agent->ledger, on_static_notice, NULL);
  agent->readings = g_new0 (VjSourceReading, n_zones);
  agent->zones = g_new0 (ZoneView, vj_ledger_n_zones (agent->ledger));

  agent->template.quantum_uj = MAX (agent->config->quantum_uj, 1);
  g_strlcpy (frame->host, vj_instance_host_id (agent->instance), sizeof frame->host);
  g_strlcpy (frame->source, agent->source->driver->name, sizeof frame->source);
  g_strlcpy (frame->static_policy, vj_static_policy_name (agent->config->static_policy),
             sizeof frame->static_policy);
  frame->quality = agent->source->driver->quality;
  frame->interval_us = agent->config->interval_us;
}

/* FALSE: a zone that was measured is not there now. */
static gboolean
restore_marks (VjAgent *agent, const VjStored *stored)
{
  gboolean all = TRUE;
  vj_busy_set_mark (agent->busy, stored->busy_idle_ticks, stored->busy_monotonic_us, stored->cpus);
  for (guint i = 0; i < stored->marks->len; i++)
    {
      const VjSourceMark *mark = &g_array_index (stored->marks, VjSourceMark, i);
      int zone = vj_source_find_zone (agent->source, mark->id);
      if (zone >= 0)
        vj_source_set_mark (agent->source, (guint)zone, mark);
      all = all && zone >= 0;
    }
  return all;
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
  gboolean same_epochs = restore_marks (agent, stored);
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
  agent->source = open_source (config, error);
  if (agent->source == NULL)
    return FALSE;
  vj_source_set_notice (agent->source, on_zone_notice, agent);
  g_snprintf (agent->store_context, sizeof agent->store_context, "%s/%s",
              vj_instance_boot_id (agent->instance), agent->source->driver->name);
  agent->busy = vj_busy_open (config->roots.procfs, error);
  if (agent->busy == NULL)
    return FALSE;
  open_ledger (agent);
  agent->poll = vj_poll_new (NULL, error);
  if (agent->poll == NULL)
    return FALSE;
  vj_poll_set_gather (agent->poll, GATHER_US);
  agent->domains = vj_domains_new (&config->roots, agent->ledger, agent->poll, &agent->template);
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
  g_clear_pointer (&agent->static_power, vj_static_power_free);
  g_clear_pointer (&agent->ledger, vj_ledger_free);
  g_clear_pointer (&agent->busy, vj_busy_free);
  g_clear_pointer (&agent->source, vj_source_free);
  g_clear_pointer (&agent->instance, vj_instance_free);
  g_free (agent->readings);
  g_free (agent->zones);
  g_free (agent);
}

/* --- what it shows --- */

static void
snapshot_zones (const VjAgent *agent, VjSnapshot *snapshot)
{
  for (guint zone = 0; zone < vj_ledger_n_zones (agent->ledger); zone++)
    {
      const ZoneView *view = &agent->zones[zone];
      VjZoneSnapshot shown = { .zone = *vj_ledger_zone (agent->ledger, zone),
                               .totals = *vj_ledger_totals (agent->ledger, zone),
                               .static_owed_uj = vj_ledger_static_owed_uj (agent->ledger, zone),
                               .power_uw = view->power_uw,
                               .readable = view->readable };
      guint64 now_us = vj_clock_monotonic_us ();
      shown.age_us = now_us - MIN (now_us, view->read_us);
      VjStaticView static_view;
      vj_static_power_view (agent->static_power, zone, &static_view);
      shown.static_uw = static_view.static_uw;
      shown.static_source = static_view.source;
      g_strlcpy (shown.static_note, static_view.note != NULL ? static_view.note : "",
                 sizeof shown.static_note);
      g_array_append_val (snapshot->zones, shown);
    }
}

VjSnapshot *
vj_agent_snapshot (VjAgent *agent)
{
  VjSnapshot *snapshot = vj_snapshot_new ();
  guint64 now_us = vj_clock_monotonic_us ();
  snapshot->version = VJ_VERSION;
  g_strlcpy (snapshot->host, vj_instance_host_id (agent->instance), sizeof snapshot->host);
  snapshot->source = agent->source->driver->name;
  snapshot->quality = agent->source->driver->quality;
  snapshot->static_policy = agent->config->static_policy;
  snapshot->counts = agent->source->counts;
  snapshot->age_us = now_us - MIN (now_us, agent->tick_us);
  snapshot->interval_us = agent->config->interval_us;
  snapshot->ticks = agent->ticks;
  snapshot->tick_us = agent->tick_us;
  snapshot->busy_ns = agent->busy_ns;
  snapshot->cpus = agent->cpus;
  snapshot->hardware = vj_static_power_fingerprint (agent->static_power);
  snapshot->state_dir = agent->config->roots.state_dir;
  snapshot->ticks_late = agent->ticks_late;
  snapshot->ticks_skipped = agent->ticks_skipped;
  snapshot->libvirt_uri = agent->config->libvirt_uri;
  snapshot->libvirt_connected = agent->watch != NULL && vj_libvirt_watch_is_connected (agent->watch);
  snapshot_zones (agent, snapshot);
  vj_domains_snapshot (agent->domains, agent->tick_us, snapshot->domains);
  return snapshot;
}
