/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/static_power.h"

#include <gio/gio.h>
#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/intercept.h"
#include "common/units.h"
#include "host/energy/hardware.h"
#include "host/energy/source_model.h"
#include "host/energy/static_file.h"

#define APPROACH_US                                                                                          \
  (G_GUINT64_CONSTANT (600) * VJ_US_PER_S) /* time constant of following an observed value */
#define ARRIVED_UW (VJ_UW_PER_W / 100)
#define SAVE_US    (G_GUINT64_CONSTANT (600) * VJ_US_PER_S)

typedef enum
{
  FROM_NOWHERE,
  FROM_MODEL,
  FROM_OBSERVATION,
  FROM_CALIBRATION,
  FROM_CONFIGURATION
} Origin;

typedef struct
{
  Origin origin;
  VjIntercept *intercept; /* NULL: not to be observed */
  guint64 busy_mark_ns;   /* at the last reading */
  gboolean busy_lost;     /* since then */
  guint64 observed_uw;    /* justified last; 0: never */
  guint64 error_uw;
  guint64 applied_uw; /* on its way to observed_uw */
  char *note;
} ZonePower;

struct VjStaticPower
{
  const VjConfig *config;
  const VjSource *source;
  VjLedger *ledger;
  VjStaticPowerNotice notice;
  gpointer notice_data;
  char *fingerprint;
  ZonePower *zones;
  VjStaticFile *calibrated; /* NULL: none, or of other hardware */
  GFileMonitor *monitor;
  char *problem; /* with the calibration file, as it was last told */
  guint64 busy_ns;
  guint cpus;
  guint64 saved_us;
  gboolean unsaved;
};

static const char *
zone_id (const VjStaticPower *power, guint zone)
{
  return vj_ledger_zone (power->ledger, zone)->id;
}

static void
set_note (ZonePower *zone, char *note)
{
  g_free (zone->note);
  zone->note = note;
}

/* --- which value counts --- */

/* The configured number, VJ_STATIC_AUTO_UW, or NULL. The default is meant for what has static power of its own. */
static const guint64 *
find_configured (const VjStaticPower *power, guint zone)
{
  const VjZoneKind kind = vj_ledger_zone (power->ledger, zone)->kind;
  const guint64 *value = g_hash_table_lookup (power->config->static_uw, zone_id (power, zone));
  if (value == NULL && (kind == VJ_ZONE_PACKAGE || kind == VJ_ZONE_DRAM))
    value = g_hash_table_lookup (power->config->static_uw, VJ_STATIC_DEFAULT);
  return value;
}

static gboolean
is_measured (const VjStaticPower *power)
{
  return power->source->driver->quality == VJ_QUALITY_MEASURED;
}

static const VjStaticZone *
find_calibrated (const VjStaticPower *power, guint zone)
{
  if (power->calibrated == NULL || !is_measured (power))
    return NULL;
  return vj_static_file_find (power->calibrated, zone_id (power, zone));
}

static char *
plus_minus (guint64 error_uw)
{
  return g_strdup_printf ("+-%" G_GUINT64_FORMAT ".%03u W", error_uw / VJ_UW_PER_W,
                          (guint)(error_uw % VJ_UW_PER_W / 1000));
}

static guint64
choose (const VjStaticPower *power, guint index)
{
  ZonePower *zone = &power->zones[index];
  const guint64 *configured = find_configured (power, index);
  const VjStaticZone *calibrated = find_calibrated (power, index);
  zone->origin = FROM_CONFIGURATION;
  if (configured != NULL && *configured != VJ_STATIC_AUTO_UW)
    return *configured;
  zone->origin = FROM_CALIBRATION;
  if (calibrated != NULL)
    {
      set_note (zone, plus_minus (calibrated->error_uw));
      return calibrated->static_uw;
    }
  zone->origin = FROM_OBSERVATION;
  if (zone->intercept != NULL)
    return zone->applied_uw;
  zone->origin = is_measured (power) ? FROM_NOWHERE : FROM_MODEL;
  return is_measured (power) ? 0 : vj_source_model_idle_uw (power->source);
}

static void
apply (VjStaticPower *power)
{
  for (guint i = 0; i < vj_ledger_n_zones (power->ledger); i++)
    {
      const Origin before = power->zones[i].origin;
      vj_ledger_set_static_uw (power->ledger, i, choose (power, i));
      if (before == FROM_CALIBRATION && power->zones[i].origin != before)
        set_note (&power->zones[i], NULL);
    }
}

/* --- the calibration file --- */

/* Takes the message; tells it once. */
static void
tell (VjStaticPower *power, gboolean is_warning, char *message)
{
  if (g_strcmp0 (power->problem, message) != 0)
    power->notice (is_warning, message, power->notice_data);
  g_free (power->problem);
  power->problem = message;
}

static VjStaticFile *
load (VjStaticPower *power, const char *name)
{
  const char *state_dir = power->config->roots.state_dir;
  g_autoptr (GError) error = NULL;
  g_autoptr (VjStaticFile) file = vj_static_file_load (state_dir, name, &error);
  if (file == NULL && vj_error_is_gone (error))
    return NULL;
  if (file == NULL)
    {
      tell (power, TRUE, g_strdup_printf ("%s; it is ignored", error->message));
      return NULL;
    }
  if (strcmp (file->fingerprint, power->fingerprint) == 0)
    return g_steal_pointer (&file);
  tell (power, TRUE,
        g_strdup_printf (
            "%s/%s was found on other hardware and is ignored: run virtjoule calibrate again, or remove "
            "it",
            state_dir, name));
  return NULL;
}

static void
load_calibrated (VjStaticPower *power)
{
  g_clear_pointer (&power->calibrated, vj_static_file_free);
  power->calibrated = load (power, VJ_STATIC_CALIBRATED);
  if (power->calibrated != NULL)
    tell (power, FALSE,
          g_strdup_printf ("static power is as calibrated in %s/%s, where the configuration has no number",
                           power->config->roots.state_dir, VJ_STATIC_CALIBRATED));
  apply (power);
}

static void
on_file_changed (GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event,
                 gpointer user_data)
{
  if (event != G_FILE_MONITOR_EVENT_ATTRIBUTE_CHANGED)
    load_calibrated (user_data);
}

/* Without a monitor a new calibration counts from the next start on. */
static void
follow_file (VjStaticPower *power)
{
  g_autofree char *path = g_build_filename (power->config->roots.state_dir, VJ_STATIC_CALIBRATED, NULL);
  g_autoptr (GFile) file = g_file_new_for_path (path);
  power->monitor = g_file_monitor_file (file, G_FILE_MONITOR_WATCH_MOVES, NULL, NULL);
  if (power->monitor != NULL)
    g_signal_connect (power->monitor, "changed", G_CALLBACK (on_file_changed), power);
}

/* --- what is observed --- */

static void
start_observing (VjStaticPower *power)
{
  g_autoptr (VjStaticFile) earlier = NULL;
  for (guint i = 0; i < vj_ledger_n_zones (power->ledger); i++)
    {
      const guint64 *configured = find_configured (power, i);
      ZonePower *zone = &power->zones[i];
      if (configured == NULL || *configured != VJ_STATIC_AUTO_UW || !is_measured (power))
        continue;
      if (earlier == NULL)
        earlier = load (power, VJ_STATIC_OBSERVED);
      const VjStaticZone *known = earlier != NULL ? vj_static_file_find (earlier, zone_id (power, i)) : NULL;
      zone->intercept = vj_intercept_new ();
      zone->observed_uw = zone->applied_uw = known != NULL ? known->static_uw : 0;
      zone->error_uw = known != NULL ? known->error_uw : 0;
      set_note (zone,
                g_strdup (known != NULL ? "observed before the agent was restarted" : "not yet justified"));
    }
}

static void
save_observed (VjStaticPower *power)
{
  g_autoptr (VjStaticFile) file = vj_static_file_new (power->fingerprint);
  g_autoptr (GError) error = NULL;
  for (guint i = 0; i < vj_ledger_n_zones (power->ledger); i++)
    {
      const ZonePower *zone = &power->zones[i];
      VjStaticZone stored = { .static_uw = zone->applied_uw, .error_uw = zone->error_uw };
      g_strlcpy (stored.id, zone_id (power, i), sizeof stored.id);
      if (zone->intercept != NULL && zone->applied_uw > 0)
        g_array_append_val (file->zones, stored);
    }
  power->unsaved = FALSE;
  power->saved_us = vj_clock_monotonic_us ();
  if (!vj_static_file_save (file, power->config->roots.state_dir, VJ_STATIC_OBSERVED, &error))
    power->notice (TRUE, error->message, power->notice_data);
}

static void
note_estimate (ZonePower *zone, const VjInterceptEstimate *estimate)
{
  const gboolean justified = estimate->verdict == VJ_INTERCEPT_JUSTIFIED;
  g_autofree char *error = plus_minus (zone->error_uw);
  if (justified)
    set_note (zone,
              g_strdup_printf ("%s from %" G_GUINT64_FORMAT " windows of 10 s", error, estimate->windows));
  else if (zone->observed_uw > 0)
    set_note (zone, g_strdup_printf ("%s, as it was last justified", error));
  else
    set_note (zone, g_strdup_printf ("not yet justified: %s", vj_intercept_verdict_text (estimate->verdict)));
}

/* Goes part of the way to what was observed: never past it, nor back while that stays. */
static gboolean
approach (ZonePower *zone, guint64 elapsed_us)
{
  const gint64 gap_uw = (gint64)zone->observed_uw - (gint64)zone->applied_uw;
  if (ABS (gap_uw) <= (gint64)ARRIVED_UW)
    return FALSE;
  const gint64 part_us = (gint64)MIN (elapsed_us, APPROACH_US);
  const gint64 step_uw = (gint64)((VjI128)gap_uw * part_us / (gint64)APPROACH_US);
  zone->applied_uw = (guint64)((gint64)zone->applied_uw + step_uw);
  return TRUE;
}

static void
follow_estimate (VjStaticPower *power, guint index, guint64 elapsed_us)
{
  ZonePower *zone = &power->zones[index];
  VjInterceptEstimate estimate;
  vj_intercept_estimate (zone->intercept, &estimate);
  if (estimate.verdict == VJ_INTERCEPT_JUSTIFIED)
    {
      zone->observed_uw = estimate.static_uw;
      zone->error_uw = estimate.error_uw;
    }
  if (zone->origin == FROM_OBSERVATION)
    note_estimate (zone, &estimate);
  if (!approach (zone, MAX (elapsed_us, VJ_INTERCEPT_WINDOW_US)))
    return;
  power->unsaved = TRUE;
  if (zone->origin == FROM_OBSERVATION)
    vj_ledger_set_static_uw (power->ledger, index, zone->applied_uw);
  if (vj_clock_monotonic_us () - power->saved_us >= SAVE_US)
    save_observed (power);
}

void
vj_static_power_add_busy (VjStaticPower *power, guint64 busy_ns, guint cpus)
{
  power->busy_ns += busy_ns;
  power->cpus = cpus;
  for (guint i = 0; cpus == 0 && i < vj_ledger_n_zones (power->ledger); i++)
    power->zones[i].busy_lost = TRUE;
}

void
vj_static_power_add_reading (VjStaticPower *power, guint index, const VjSourceReading *reading)
{
  ZonePower *zone = &power->zones[index];
  if (zone->intercept == NULL || !reading->fresh)
    return;
  const guint64 busy_ns = power->busy_ns - zone->busy_mark_ns;
  const gboolean usable = !zone->busy_lost && !reading->gap;
  zone->busy_mark_ns = power->busy_ns;
  zone->busy_lost = FALSE;
  if (!usable)
    vj_intercept_skip (zone->intercept);
  else if (vj_intercept_add (zone->intercept, reading->delta_uj, reading->elapsed_us, busy_ns, power->cpus))
    follow_estimate (power, index, reading->elapsed_us);
}

/* --- opening, showing --- */

static gboolean
has_zone (const VjStaticPower *power, const char *id)
{
  for (guint i = 0; i < vj_ledger_n_zones (power->ledger); i++)
    if (strcmp (zone_id (power, i), id) == 0)
      return TRUE;
  return FALSE;
}

/* A mistyped zone id would silently leave static energy with the domains. */
static void
warn_of_unknown_zones (const VjStaticPower *power)
{
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, power->config->static_uw);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    {
      if (strcmp (id, VJ_STATIC_DEFAULT) == 0 || has_zone (power, id))
        continue;
      g_autofree char *message = g_strdup_printf (
          "static-watts names zone %s, which this host does not have: see the zones in `virtjoule status`",
          (const char *)id);
      power->notice (TRUE, message, power->notice_data);
    }
}

VjStaticPower *
vj_static_power_new (const VjConfig *config, const VjSource *source, VjLedger *ledger,
                     VjStaticPowerNotice notice, gpointer user_data)
{
  VjStaticPower *power = g_new0 (VjStaticPower, 1);
  power->config = config;
  power->source = source;
  power->ledger = ledger;
  power->notice = notice;
  power->notice_data = user_data;
  power->fingerprint = vj_hardware_fingerprint (config->roots.procfs, source);
  power->zones = g_new0 (ZonePower, vj_ledger_n_zones (ledger));
  power->saved_us = vj_clock_monotonic_us ();
  warn_of_unknown_zones (power);
  start_observing (power);
  load_calibrated (power);
  follow_file (power);
  return power;
}

void
vj_static_power_free (VjStaticPower *power)
{
  if (power == NULL)
    return;
  if (power->unsaved)
    save_observed (power);
  g_clear_object (&power->monitor);
  for (guint i = 0; i < vj_ledger_n_zones (power->ledger); i++)
    {
      vj_intercept_free (power->zones[i].intercept);
      g_free (power->zones[i].note);
    }
  g_clear_pointer (&power->calibrated, vj_static_file_free);
  g_free (power->zones);
  g_free (power->fingerprint);
  g_free (power->problem);
  g_free (power);
}

void
vj_static_power_view (const VjStaticPower *power, guint zone, VjStaticView *ret_view)
{
  static const char *const names[] = { [FROM_NOWHERE] = "none",
                                       [FROM_MODEL] = "model",
                                       [FROM_OBSERVATION] = "auto",
                                       [FROM_CALIBRATION] = "calibrated",
                                       [FROM_CONFIGURATION] = "configured" };
  const ZonePower *shown = &power->zones[zone];
  const gboolean noted = shown->origin == FROM_OBSERVATION || shown->origin == FROM_CALIBRATION;
  *ret_view = (VjStaticView){ .static_uw = vj_ledger_static_uw (power->ledger, zone),
                              .source = names[shown->origin],
                              .note = noted ? shown->note : NULL };
}

const char *
vj_static_power_fingerprint (const VjStaticPower *power)
{
  return power->fingerprint;
}
