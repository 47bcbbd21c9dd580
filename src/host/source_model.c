/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/source_model.h"

#include "common/error.h"
#include "common/file.h"
#include "common/procfs.h"
#include "common/units.h"

#include <unistd.h>

/* Room for /proc/stat of a few thousand CPUs and as many interrupts. */
#define STAT_MAX ((gsize)512 * 1024)

/* Whole-server power per hardware thread, idle and at full load, as the Cloud Carbon Footprint project publishes it in
 * its methodology (averages over SPECpower_ssj2008 results of the servers that cloud providers run: 0.71 to 0.78 W
 * and 3.5 to 4.3 W). A rough estimate: one server may well be off by a factor of two. */
#define IDLE_UW_PER_CPU 750000
#define FULL_UW_PER_CPU 3750000

typedef struct
{
  VjSource base;
  int stat_fd;
  guint64 idle_uw;
  guint64 full_uw;
  guint64 tick_us;
  VjProcStat last;
  guint64 last_us;
  gboolean primed;
  gint64 busy_rest_us; /* <= 0: by how much idle time, in its 10 ms steps, has exceeded elapsed time */
  guint64 rest_pj;     /* < 10^6 */
  gboolean failing;
  char *text; /* STAT_MAX bytes */
} ModelSource;

void
vj_source_model_default_uw (guint n_cpus, guint64 *ret_idle_uw, guint64 *ret_full_uw)
{
  *ret_idle_uw = (guint64)MAX (n_cpus, 1) * IDLE_UW_PER_CPU;
  *ret_full_uw = (guint64)MAX (n_cpus, 1) * FULL_UW_PER_CPU;
}

static gboolean
read_stat (ModelSource *model, VjProcStat *ret_stat, GError **error)
{
  gsize length = 0;

  if (!vj_file_pread (model->stat_fd, model->text, STAT_MAX, &length, error))
    return FALSE;
  if (vj_procfs_parse_stat (model->text, length, ret_stat) && ret_stat->cpus > 0)
    return TRUE;
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "stat is not of the kernel's form");
  return FALSE;
}

/* Busy time of all CPUs. A negative rest is kept for later intervals, within what 10 ms steps can explain, because
 * cutting it off would turn rounding into energy. */
static guint64
take_busy_us (ModelSource *model, const VjProcStat *stat, guint64 elapsed_us)
{
  const gint64 limit_us = (gint64)(model->tick_us * 2 * stat->cpus);
  const gint64 idle_us = (gint64)((stat->idle_ticks - model->last.idle_ticks) * model->tick_us);
  const gint64 all_us = (gint64)(elapsed_us * stat->cpus);
  const gint64 busy_us = MIN (all_us - idle_us + model->busy_rest_us, all_us);

  model->busy_rest_us = CLAMP (busy_us, -limit_us, 0);
  return busy_us > 0 ? (guint64)busy_us : 0;
}

static guint64
take_energy_uj (ModelSource *model, guint64 elapsed_us, guint64 busy_us, guint cpus)
{
  const VjU128 dynamic_pj = (VjU128)(model->full_uw - model->idle_uw) * busy_us / cpus;
  const VjU128 energy_pj = (VjU128)model->idle_uw * elapsed_us + dynamic_pj + model->rest_pj;

  model->rest_pj = (guint64)(energy_pj % VJ_US_PER_S);
  return (guint64)(energy_pj / VJ_US_PER_S);
}

static void
advance (ModelSource *model, const VjProcStat *stat, guint64 now_us, VjSourceReading *ret_reading)
{
  guint64 busy_us = 0;

  ret_reading->fresh = TRUE;
  if (model->primed)
    {
      ret_reading->elapsed_us = now_us - model->last_us;
      /* A CPU that came or went takes its idle time with it: the interval's share is unknown. */
      ret_reading->gap = stat->cpus != model->last.cpus || stat->idle_ticks < model->last.idle_ticks;
      if (!ret_reading->gap)
        busy_us = take_busy_us (model, stat, ret_reading->elapsed_us);
      ret_reading->delta_uj = take_energy_uj (model, ret_reading->elapsed_us, busy_us, stat->cpus);
    }
  model->last = *stat;
  model->last_us = now_us;
  model->primed = TRUE;
}

static void
model_read (VjSource *source, guint64 now_us, VjSourceReading *ret_readings)
{
  ModelSource *model = (ModelSource *)source;
  VjProcStat stat;
  g_autoptr (GError) error = NULL;
  const gboolean readable = read_stat (model, &stat, &error);

  if (readable)
    advance (model, &stat, now_us, &ret_readings[0]);
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

  if (model->stat_fd >= 0)
    close (model->stat_fd);
  g_free (model->text);
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

static gboolean
start (ModelSource *model, const char *procfs, guint64 idle_uw, guint64 full_uw, GError **error)
{
  VjProcStat stat;
  VjZone zone;

  model->stat_fd = vj_file_open (procfs, "stat", error);
  if (model->stat_fd < 0)
    return FALSE;
  if (!read_stat (model, &stat, error))
    {
      g_prefix_error (error, "%s/stat: ", procfs);
      return FALSE;
    }
  vj_zone_init (&zone, "package-0", NULL, -1);
  g_array_append_val (model->base.zones, zone);
  return set_powers (model, stat.cpus, idle_uw, full_uw, error);
}

VjSource *
vj_source_model_open (const char *procfs, guint64 idle_uw, guint64 full_uw, GError **error)
{
  ModelSource *model = g_new0 (ModelSource, 1);

  model->base.driver = &driver;
  model->base.zones = g_array_new (FALSE, FALSE, sizeof (VjZone));
  model->text = g_malloc (STAT_MAX);
  model->tick_us = VJ_US_PER_S / (guint64)sysconf (_SC_CLK_TCK);
  if (start (model, procfs, idle_uw, full_uw, error))
    return &model->base;
  vj_source_free (&model->base);
  return NULL;
}

guint64
vj_source_model_idle_uw (const VjSource *source)
{
  return ((const ModelSource *)source)->idle_uw;
}
