/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/meter.h"

#include "common/error.h"
#include "common/rest.h"
#include "common/units.h"
#include "host/energy/source_model.h"
#include "common/source_powercap.h"
#include "host/energy/static_power.h"

typedef struct
{
  guint64 power_uw;
  guint64 read_us; /* CLOCK_MONOTONIC of the last successful reading; 0: none */
  gboolean readable;
} ZoneView;

struct VjMeter
{
  VjSource *source;
  VjLedger *ledger;
  VjStaticPower *static_power;
  VjSourceReading *readings; /* scratch, one per zone of the source */
  ZoneView *zones;           /* one per zone of the ledger */
  VjRest rest;
  int rest_zone; /* in the ledger, after the source's zones; -1: no platform is measured */
};

/* --- opening --- */

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
  g_message ("%s; until then figures are estimated from CPU time", local->message);
  return vj_source_model_open (config->roots.procfs, config->model_idle_uw, config->model_full_uw, error);
}

/* The platform's energy without packages and dram is a zone of its own, where exactly one psys tells it. */
static void
add_rest_zone (VjMeter *meter)
{
  int psys = -1;
  guint found = 0;
  VjZone zone;
  for (guint i = 0; i < vj_source_n_zones (meter->source); i++)
    if (vj_source_zone (meter->source, i)->kind == VJ_ZONE_PSYS)
      {
        psys = (int)i;
        found++;
      }
  meter->rest_zone = -1;
  if (found == 1 && vj_zone_init (&zone, "rest", vj_source_zone (meter->source, (guint)psys), psys))
    meter->rest_zone = (int)vj_ledger_add_zone (meter->ledger, &zone, 0);
}

VjMeter *
vj_meter_open (const VjConfig *config, VjLedger *ledger, GError **error)
{
  VjSource *source = open_source (config, error);
  if (source == NULL)
    return NULL;
  VjMeter *meter = g_new0 (VjMeter, 1);
  meter->source = source;
  meter->ledger = ledger;
  vj_source_set_notice (source, on_zone_notice, NULL);
  for (guint i = 0; i < vj_source_n_zones (source); i++)
    vj_ledger_add_zone (ledger, vj_source_zone (source, i), 0);
  add_rest_zone (meter);
  meter->static_power = vj_static_power_new (config, source, ledger, on_static_notice, NULL);
  meter->readings = g_new0 (VjSourceReading, vj_source_n_zones (source));
  meter->zones = g_new0 (ZoneView, vj_ledger_n_zones (ledger));
  return meter;
}

void
vj_meter_free (VjMeter *meter)
{
  if (meter == NULL)
    return;
  vj_static_power_free (meter->static_power);
  vj_source_free (meter->source);
  g_free (meter->readings);
  g_free (meter->zones);
  g_free (meter);
}

const char *
vj_meter_source_name (const VjMeter *meter)
{
  return meter->source->driver->name;
}

VjQuality
vj_meter_quality (const VjMeter *meter)
{
  return meter->source->driver->quality;
}

/* --- the tick --- */

void
vj_meter_read (VjMeter *meter, guint64 now_us)
{
  vj_source_read (meter->source, now_us, meter->readings);
}

static void
measure_zone (VjMeter *meter, guint zone, const VjSourceReading *reading, guint64 now_us)
{
  ZoneView *view = &meter->zones[zone];
  view->readable = reading->fresh;
  vj_static_power_add_reading (meter->static_power, zone, reading);
  if (!reading->fresh)
    return;
  view->read_us = now_us;
  gboolean first = reading->elapsed_us == 0;
  if (!first)
    view->power_uw = (guint64)((VjU128)reading->delta_uj * VJ_US_PER_S / reading->elapsed_us);
  /* Usage from before a zone's first reading must not be billed with the energy after it. */
  vj_ledger_measure (meter->ledger, zone, reading->delta_uj, reading->elapsed_us, reading->gap || first);
}

/* What packages and dram leave of the platform's energy. */
static void
measure_rest (VjMeter *meter, guint64 now_us)
{
  VjSourceReading left = { 0 };
  if (meter->rest_zone < 0)
    return;
  for (guint i = 0; i < vj_source_n_zones (meter->source); i++)
    {
      const VjSourceReading *reading = &meter->readings[i];
      const VjZoneKind kind = vj_source_zone (meter->source, i)->kind;
      if (kind == VJ_ZONE_PSYS || kind == VJ_ZONE_PACKAGE || kind == VJ_ZONE_DRAM)
        vj_rest_add (&meter->rest, kind == VJ_ZONE_PSYS, reading->fresh, reading->delta_uj,
                     reading->elapsed_us, reading->gap);
    }
  left.fresh = vj_rest_take (&meter->rest, &left.delta_uj, &left.elapsed_us, &left.gap);
  measure_zone (meter, (guint)meter->rest_zone, &left, now_us);
}

void
vj_meter_measure (VjMeter *meter, guint64 now_us, guint64 busy_ns, guint cpus)
{
  vj_static_power_add_busy (meter->static_power, busy_ns, cpus);
  for (guint zone = 0; zone < vj_source_n_zones (meter->source); zone++)
    measure_zone (meter, zone, &meter->readings[zone], now_us);
  measure_rest (meter, now_us);
}

guint64
vj_meter_read_us (const VjMeter *meter, guint zone)
{
  return meter->zones[zone].read_us;
}

/* --- what is kept and shown --- */

void
vj_meter_get_marks (const VjMeter *meter, GArray *ret_marks)
{
  for (guint zone = 0; zone < vj_source_n_zones (meter->source); zone++)
    {
      VjSourceMark mark = { 0 };
      if (vj_source_get_mark (meter->source, zone, &mark))
        g_array_append_val (ret_marks, mark);
    }
}

gboolean
vj_meter_set_marks (VjMeter *meter, const GArray *marks)
{
  gboolean all = TRUE;
  for (guint i = 0; i < marks->len; i++)
    {
      const VjSourceMark *mark = &g_array_index (marks, VjSourceMark, i);
      int zone = vj_source_find_zone (meter->source, mark->id);
      if (zone >= 0)
        vj_source_set_mark (meter->source, (guint)zone, mark);
      all = all && zone >= 0;
    }
  return all;
}

static void
snapshot_static (const VjMeter *meter, guint zone, VjZoneSnapshot *ret_shown)
{
  VjStaticView view;
  vj_static_power_view (meter->static_power, zone, &view);
  ret_shown->static_uw = view.static_uw;
  ret_shown->static_source = view.source;
  g_strlcpy (ret_shown->static_note, view.note != NULL ? view.note : "", sizeof ret_shown->static_note);
}

void
vj_meter_snapshot (const VjMeter *meter, guint64 now_us, VjSnapshot *ret_snapshot)
{
  ret_snapshot->source = vj_meter_source_name (meter);
  ret_snapshot->quality = vj_meter_quality (meter);
  ret_snapshot->counts = meter->source->counts;
  ret_snapshot->hardware = vj_static_power_fingerprint (meter->static_power);
  for (guint zone = 0; zone < vj_ledger_n_zones (meter->ledger); zone++)
    {
      const ZoneView *view = &meter->zones[zone];
      VjZoneSnapshot shown = { .zone = *vj_ledger_zone (meter->ledger, zone),
                               .totals = *vj_ledger_totals (meter->ledger, zone),
                               .static_owed_uj = vj_ledger_static_owed_uj (meter->ledger, zone),
                               .power_uw = view->power_uw,
                               .readable = view->readable,
                               .age_us = now_us - MIN (now_us, view->read_us) };
      snapshot_static (meter, zone, &shown);
      g_array_append_val (ret_snapshot->zones, shown);
    }
}
