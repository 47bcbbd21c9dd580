/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/source_model.h"

#include "common/error.h"
#include "common/units.h"
#include "common/busy.h"

/* Whole-server power per hardware thread, idle and at full load, as the Cloud Carbon Footprint project publishes it in
 * its methodology (averages over SPECpower_ssj2008 results of the servers that cloud providers run: 0.71 to 0.78 W
 * and 3.5 to 4.3 W). A rough estimate: one server may well be off by a factor of two. */
#define IDLE_UW_PER_CPU 750000
#define FULL_UW_PER_CPU 3750000

typedef struct
{
  VjSource base;
  VjBusy *busy;
  guint64 idle_uw;
  guint64 full_uw;
  guint64 last_us; /* of the last reading; 0: none yet */
  guint64 rest_fj; /* < 10^9 */
  gboolean failing;
} ModelSource;

void
vj_source_model_default_uw (guint n_cpus, guint64 *ret_idle_uw, guint64 *ret_full_uw)
{
  *ret_idle_uw = (guint64)MAX (n_cpus, 1) * IDLE_UW_PER_CPU;
  *ret_full_uw = (guint64)MAX (n_cpus, 1) * FULL_UW_PER_CPU;
}

/* µW x ns = fJ */
static guint64
take_energy_uj (ModelSource *model, guint64 elapsed_us, guint64 busy_ns, guint cpus)
{
  const VjU128 static_fj = (VjU128)model->idle_uw * elapsed_us * VJ_NS_PER_US;
  const VjU128 dynamic_fj = (VjU128)(model->full_uw - model->idle_uw) * busy_ns / cpus;
  const VjU128 energy_fj = static_fj + dynamic_fj + model->rest_fj;

  model->rest_fj = (guint64)(energy_fj % VJ_NS_PER_S);
  return (guint64)(energy_fj / VJ_NS_PER_S);
}

static void
model_read (VjSource *source, guint64 now_us, VjSourceReading *ret_readings)
{
  ModelSource *model = (ModelSource *)source;
  VjSourceReading *reading = &ret_readings[0];
  g_autoptr (GError) error = NULL;
  guint64 busy_ns = 0;
  guint cpus = 0;
  const gboolean readable = vj_busy_read (model->busy, now_us, &busy_ns, &cpus, &error);

  if (readable)
    {
      reading->fresh = TRUE;
      reading->elapsed_us = model->last_us != 0 ? now_us - model->last_us : 0;
      if (model->last_us != 0)
        reading->delta_uj = take_energy_uj (model, reading->elapsed_us, busy_ns, cpus);
      model->last_us = now_us;
    }
  else
    source->counts.failures++;
  if (readable == model->failing)
    vj_source_report (source, 0, error);
  model->failing = !readable;
}

static void
model_free (VjSource *source)
{
  ModelSource *model = (ModelSource *)source;

  g_clear_pointer (&model->busy, vj_busy_free);
  g_free (model);
}

static const VjSourceDriver driver = {
  .name = "model",
  .quality = VJ_QUALITY_ESTIMATED,
  .read = model_read,
  .free = model_free,
};

static gboolean
set_powers (ModelSource *model, guint cpus, guint64 idle_uw, guint64 full_uw, GError **error)
{
  vj_source_model_default_uw (cpus, &model->idle_uw, &model->full_uw);
  if (idle_uw != 0)
    model->idle_uw = idle_uw;
  if (full_uw != 0)
    model->full_uw = full_uw;
  if (model->idle_uw <= model->full_uw)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "idle power (%" G_GUINT64_FORMAT " uW) is above full-load power (%" G_GUINT64_FORMAT
               " uW): set both",
               model->idle_uw, model->full_uw);
  return FALSE;
}

VjSource *
vj_source_model_open (const char *procfs, guint64 idle_uw, guint64 full_uw, GError **error)
{
  ModelSource *model = g_new0 (ModelSource, 1);
  g_autoptr (VjSource) source = &model->base;
  guint64 busy_ns = 0;
  guint cpus = 0;
  VjZone zone;

  source->driver = &driver;
  source->zones = g_array_new (FALSE, FALSE, sizeof (VjZone));
  model->busy = vj_busy_open (procfs, error);
  if (model->busy == NULL || !vj_busy_read (model->busy, 0, &busy_ns, &cpus, error))
    return NULL;
  if (!set_powers (model, cpus, idle_uw, full_uw, error))
    return NULL;

  vj_zone_init (&zone, "package-0", NULL, -1);
  g_array_append_val (source->zones, zone);
  return g_steal_pointer (&source);
}

guint64
vj_source_model_idle_uw (const VjSource *source)
{
  return ((const ModelSource *)source)->idle_uw;
}
