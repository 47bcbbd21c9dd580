/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/calibration.h"

#include <math.h>
#include <string.h>

#include "common/error.h"
#include "common/moments.h"
#include "common/units.h"
#include "host/cli/cli_json.h"

typedef struct
{
  char *id;
  guint64 measured_uj;
  VjMoments power_uw; /* y; weighted by the length of each interval, so that the mean is energy over time */
} Zone;

struct VjCalibration
{
  gboolean force;
  char *hardware;
  GPtrArray *zones; /* of Zone; NULL before the first document */
  guint64 ticks;
  guint64 first_us;
  guint64 last_us;
  guint64 first_busy_us;
  guint64 busy_us;
  guint64 cpus;
  guint64 trouble; /* sum of the counters that tell of it */
  guint64 domains;
};

static void
zone_free (gpointer data)
{
  Zone *zone = data;
  g_free (zone->id);
  g_free (zone);
}

VjCalibration *
vj_calibration_new (gboolean force)
{
  VjCalibration *calibration = g_new0 (VjCalibration, 1);
  calibration->force = force;
  return calibration;
}

void
vj_calibration_free (VjCalibration *calibration)
{
  if (calibration == NULL)
    return;
  g_clear_pointer (&calibration->zones, g_ptr_array_unref);
  g_free (calibration->hardware);
  g_free (calibration);
}

static JsonObject *
zone_at (JsonObject *status, guint i)
{
  JsonNode *node = json_object_get_member (status, "zones");
  JsonArray *zones = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  JsonNode *zone =
      zones != NULL && i < json_array_get_length (zones) ? json_array_get_element (zones, i) : NULL;
  return zone != NULL && JSON_NODE_HOLDS_OBJECT (zone) ? json_node_get_object (zone) : NULL;
}

static guint64
trouble_of (JsonObject *status)
{
  JsonObject *counters = vj_cli_json_object (status, "counters");
  return vj_cli_json_u64 (counters, "resets") + vj_cli_json_u64 (counters, "rejected")
         + vj_cli_json_u64 (counters, "gaps") + vj_cli_json_u64 (counters, "failures");
}

static gboolean
check_domains (VjCalibration *calibration, JsonObject *status, GError **error)
{
  const guint64 domains = vj_cli_json_u64 (status, "domains");
  calibration->domains = MAX (calibration->domains, domains);
  if (domains == 0 || calibration->force)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_BUSY,
               "%" G_GUINT64_FORMAT
               " %s running, and static power is that of a host without any: shut %s down, or "
               "use --force to count what %s at rest as static",
               domains, domains == 1 ? "domain is" : "domains are", domains == 1 ? "it" : "them",
               domains == 1 ? "it draws" : "they draw");
  return FALSE;
}

static gboolean
unavailable (GError **error, const char *problem)
{
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, problem);
  return FALSE;
}

static gboolean
check_zone (JsonObject *zone, GError **error)
{
  if (strcmp (vj_cli_json_text (zone, "quality"), "measured") != 0)
    return unavailable (error,
                        "the agent's figures are estimates: without a meter there is nothing to calibrate");
  if (vj_cli_json_true (zone, "readable"))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, "zone %s cannot be read: see the log of virtjouled",
               vj_cli_json_text (zone, "id"));
  return FALSE;
}

/* They become names in a file. */
static gboolean
is_zone_id (const char *id)
{
  return *id != '\0' && strlen (id) <= VJ_ZONE_ID_MAX
         && id[strspn (id, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_./-")] == '\0';
}

static gboolean
take_first (VjCalibration *calibration, JsonObject *status, GError **error)
{
  gboolean ok = zone_at (status, 0) != NULL && *vj_cli_json_text (status, "hardware") != '\0';
  calibration->zones = g_ptr_array_new_with_free_func (zone_free);
  for (guint i = 0; zone_at (status, i) != NULL; i++)
    {
      Zone *zone = g_new0 (Zone, 1);
      zone->id = g_strdup (vj_cli_json_text (zone_at (status, i), "id"));
      zone->measured_uj = vj_cli_json_u64 (zone_at (status, i), "measured_uj");
      g_ptr_array_add (calibration->zones, zone);
      ok = ok && is_zone_id (zone->id);
    }
  if (!ok)
    return unavailable (
        error, "the agent's answer has no zones or no fingerprint of the hardware: are virtjoule and "
               "virtjouled of one version?");
  calibration->hardware = g_strdup (vj_cli_json_text (status, "hardware"));
  calibration->first_us = vj_cli_json_u64 (vj_cli_json_object (status, "ticks"), "monotonic_us");
  calibration->first_busy_us = vj_cli_json_u64 (status, "busy_us");
  calibration->trouble = trouble_of (status);
  return TRUE;
}

/* Since the document before. */
static gboolean
is_continuous (const VjCalibration *calibration, JsonObject *status)
{
  JsonObject *ticks = vj_cli_json_object (status, "ticks");
  gboolean same = strcmp (vj_cli_json_text (status, "hardware"), calibration->hardware) == 0
                  && vj_cli_json_u64 (ticks, "count") >= calibration->ticks
                  && vj_cli_json_u64 (ticks, "monotonic_us") >= calibration->last_us
                  && vj_cli_json_u64 (status, "busy_us") >= calibration->busy_us
                  && zone_at (status, calibration->zones->len) == NULL;
  for (guint i = 0; same && i < calibration->zones->len; i++)
    {
      const Zone *zone = g_ptr_array_index (calibration->zones, i);
      JsonObject *now = zone_at (status, i);
      same = now != NULL && strcmp (vj_cli_json_text (now, "id"), zone->id) == 0
             && vj_cli_json_u64 (now, "measured_uj") >= zone->measured_uj;
    }
  return same;
}

static void
take_interval (VjCalibration *calibration, JsonObject *status, guint64 elapsed_us)
{
  for (guint i = 0; i < calibration->zones->len; i++)
    {
      Zone *zone = g_ptr_array_index (calibration->zones, i);
      const guint64 measured_uj = vj_cli_json_u64 (zone_at (status, i), "measured_uj");
      const double power_uw =
          (double)(measured_uj - zone->measured_uj) * (double)VJ_US_PER_S / (double)elapsed_us;
      vj_moments_add (&zone->power_uw, 0, power_uw, (double)elapsed_us);
      zone->measured_uj = measured_uj;
    }
}

static gboolean
take_next (VjCalibration *calibration, JsonObject *status, GError **error)
{
  const guint64 now_us = vj_cli_json_u64 (vj_cli_json_object (status, "ticks"), "monotonic_us");
  if (!is_continuous (calibration, status))
    return unavailable (error, "the agent was restarted: start the calibration again");
  if (trouble_of (status) != calibration->trouble)
    return unavailable (error,
                        "an energy counter was reset or could not be read: start the calibration again");
  if (now_us > calibration->last_us)
    take_interval (calibration, status, now_us - calibration->last_us);
  return TRUE;
}

gboolean
vj_calibration_add (VjCalibration *calibration, JsonObject *status, GError **error)
{
  JsonObject *ticks = vj_cli_json_object (status, "ticks");
  for (guint i = 0; zone_at (status, i) != NULL; i++)
    if (!check_zone (zone_at (status, i), error))
      return FALSE;
  if (!check_domains (calibration, status, error))
    return FALSE;
  if (!(calibration->zones == NULL ? take_first (calibration, status, error)
                                   : take_next (calibration, status, error)))
    return FALSE;
  calibration->ticks = vj_cli_json_u64 (ticks, "count");
  calibration->last_us = vj_cli_json_u64 (ticks, "monotonic_us");
  calibration->busy_us = vj_cli_json_u64 (status, "busy_us");
  calibration->cpus = vj_cli_json_u64 (status, "cpus");
  return TRUE;
}

guint64
vj_calibration_elapsed_us (const VjCalibration *calibration)
{
  return calibration->last_us - calibration->first_us;
}

guint64
vj_calibration_intervals (const VjCalibration *calibration)
{
  if (calibration->zones == NULL || calibration->zones->len == 0)
    return 0;
  return ((const Zone *)g_ptr_array_index (calibration->zones, 0))->power_uw.n;
}

guint64
vj_calibration_busy_ppm (const VjCalibration *calibration)
{
  const VjU128 capacity_us = (VjU128)vj_calibration_elapsed_us (calibration) * calibration->cpus;
  const VjU128 busy_us = calibration->busy_us - calibration->first_busy_us;
  return capacity_us == 0 ? 0 : (guint64)(busy_us * 1000000 / capacity_us);
}

guint64
vj_calibration_domains (const VjCalibration *calibration)
{
  return calibration->domains;
}

static VjStaticZone
result_of (const Zone *zone)
{
  VjStaticZone result = { 0 };
  const VjMoments *power = &zone->power_uw;
  const double sigma = vj_moments_deviation_y (power);
  const double error = power->n < 2 ? 0 : sigma * vj_student_95 (power->n - 1) / sqrt ((double)power->n);
  g_strlcpy (result.id, zone->id, sizeof result.id);
  result.static_uw = (guint64)llround (power->mean_y);
  result.error_uw = (guint64)llround (error);
  result.sigma_uw = (guint64)llround (sigma);
  return result;
}

VjStaticFile *
vj_calibration_result (const VjCalibration *calibration)
{
  VjStaticFile *file = vj_static_file_new (calibration->hardware != NULL ? calibration->hardware : "");
  for (guint i = 0; calibration->zones != NULL && i < calibration->zones->len; i++)
    {
      const VjStaticZone zone = result_of (g_ptr_array_index (calibration->zones, i));
      g_array_append_val (file->zones, zone);
    }
  return file;
}
