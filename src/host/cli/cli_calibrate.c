/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/units.h"
#include "host/cli/calibration.h"
#include "host/cli/cli_json.h"
#include "common/cli_table.h"

#define U64 "%" G_GUINT64_FORMAT

#define BUSY_MAX_PPM 20000 /* more than this is no idle host */
#define POLL_MIN_US  (20 * VJ_US_PER_MS)
#define POLL_MAX_US  VJ_US_PER_S
#define STALL_US     (10 * VJ_US_PER_S) /* without an interval, beyond the interval itself */
#define LINES        6                  /* of progress, where there is no terminal */

typedef struct
{
  const char *runtime_dir;
  guint64 duration_us;
  gboolean as_json;
  VjCalibration *calibration;
  JsonNode *status; /* the newest */
  guint64 interval_us;
  guint lines;
} Run;

/* "12.345" of millionths. */
static char *
thousandths (guint64 millionths)
{
  return vj_cli_joules (millionths);
}

/* --- measuring --- */

static gboolean
take_status (Run *run, GError **error)
{
  g_autofree char *text = vj_cli_get (run->runtime_dir, "/v1/status", error);
  JsonNode *status = text != NULL ? vj_cli_json_parse (text, JSON_NODE_OBJECT, error) : NULL;
  if (status == NULL)
    return FALSE;
  g_clear_pointer (&run->status, json_node_unref);
  run->status = status;
  return vj_calibration_add (run->calibration, json_node_get_object (status), error);
}

static gboolean
check_duration (Run *run, GError **error)
{
  JsonObject *ticks = vj_cli_json_object (json_node_get_object (run->status), "ticks");
  run->interval_us = MAX (vj_cli_json_u64 (ticks, "interval_us"), 1);
  const guint64 least_us = VJ_CALIBRATION_INTERVALS_MIN * run->interval_us;
  if (run->duration_us >= least_us)
    return TRUE;
  g_autofree char *least = thousandths (least_us);
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "--duration is too short: the agent's interval needs at least %s s (%d intervals)", least,
               VJ_CALIBRATION_INTERVALS_MIN);
  return FALSE;
}

/* Before anybody waits for a result that could not be kept. */
static gboolean
check_state_dir (Run *run, GError **error)
{
  const char *state_dir = vj_cli_json_text (json_node_get_object (run->status), "state_dir");
  if (access (state_dir, W_OK) == 0)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_DENIED, "the result cannot be stored in %s, run this as root: %s",
               state_dir, g_strerror (errno));
  return FALSE;
}

static void
show_progress (Run *run)
{
  const guint64 elapsed_us = vj_calibration_elapsed_us (run->calibration);
  const gboolean terminal = isatty (STDERR_FILENO) == 1;
  if (!terminal && elapsed_us < run->duration_us / LINES * (run->lines + 1))
    return;
  g_autoptr (VjStaticFile) result = vj_calibration_result (run->calibration);
  g_autoptr (GString) text = g_string_new (NULL);
  g_string_append_printf (text, U64 " of " U64 " s", elapsed_us / VJ_US_PER_S,
                          run->duration_us / VJ_US_PER_S);
  for (guint i = 0; i < result->zones->len; i++)
    {
      const VjStaticZone *zone = &g_array_index (result->zones, VjStaticZone, i);
      g_autofree char *watts = thousandths (zone->static_uw);
      g_autofree char *id = vj_cli_printable (zone->id);
      if (vj_calibration_intervals (run->calibration) > 0 && strchr (id, '/') == NULL)
        g_string_append_printf (text, ", %s %s W", id, watts);
    }
  run->lines++;
  g_printerr (terminal ? "\r%s\033[K" : "%s\n", text->str);
}

static gboolean
measure (Run *run, GError **error)
{
  if (!take_status (run, error) || !check_duration (run, error) || !check_state_dir (run, error))
    return FALSE;
  const guint64 pause_us = CLAMP (run->interval_us / 4, POLL_MIN_US, POLL_MAX_US);
  guint64 intervals = 0, moved_us = vj_clock_monotonic_us ();
  while (vj_calibration_elapsed_us (run->calibration) < run->duration_us)
    {
      g_usleep (pause_us);
      if (!take_status (run, error))
        return FALSE;
      const guint64 now_us = vj_clock_monotonic_us ();
      if (vj_calibration_intervals (run->calibration) != intervals)
        {
          intervals = vj_calibration_intervals (run->calibration);
          moved_us = now_us;
          show_progress (run);
        }
      else if (now_us - moved_us > run->interval_us + STALL_US)
        {
          g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                               "the agent answers but measures nothing: see the log of virtjouled");
          return FALSE;
        }
    }
  return TRUE;
}

/* --- the result --- */

static void
warn (const Run *run)
{
  const guint64 busy_ppm = vj_calibration_busy_ppm (run->calibration);
  const guint64 domains = vj_calibration_domains (run->calibration);
  if (busy_ppm > BUSY_MAX_PPM)
    g_printerr ("virtjoule: warning: the host was not idle: its CPUs were " U64
                ".%u %% busy, and what they drew counts as static now\n",
                busy_ppm / 10000, (guint)(busy_ppm % 10000 / 1000));
  if (domains > 0)
    g_printerr ("virtjoule: warning: up to " U64
                " domains were running, and what they drew counts as static now\n",
                domains);
}

static void
put_json_watts (GString *json, const char *key, guint64 power_uw)
{
  g_string_append_printf (json, ",\"%s\":" U64 ".%06u", key, power_uw / VJ_UW_PER_W,
                          (guint)(power_uw % VJ_UW_PER_W));
}

static char *
result_json (const Run *run, const VjStaticFile *result, const char *path)
{
  const guint64 busy_ppm = vj_calibration_busy_ppm (run->calibration);
  g_autoptr (JsonNode) path_node = json_node_init_string (json_node_alloc (), path);
  g_autofree char *path_text = json_to_string (path_node, FALSE);
  GString *json = g_string_new (NULL);
  g_string_append_printf (json,
                          "{\"elapsed_us\":" U64 ",\"intervals\":" U64 ",\"busy_share\":" U64
                          ".%06u,\"domains\":" U64 ",\"stored\":%s,\"zones\":[",
                          vj_calibration_elapsed_us (run->calibration),
                          vj_calibration_intervals (run->calibration), busy_ppm / 1000000,
                          (guint)(busy_ppm % 1000000), vj_calibration_domains (run->calibration), path_text);
  for (guint i = 0; i < result->zones->len; i++)
    {
      const VjStaticZone *zone = &g_array_index (result->zones, VjStaticZone, i);
      g_string_append_printf (json, "%s\n{\"id\":\"%s\"", i > 0 ? "," : "", zone->id);
      put_json_watts (json, "static_watts", zone->static_uw);
      put_json_watts (json, "error_watts", zone->error_uw);
      put_json_watts (json, "sigma_watts", zone->sigma_uw);
      g_string_append_c (json, '}');
    }
  g_string_append (json, "]}\n");
  return g_string_free (json, FALSE);
}

static void
put_table (const VjStaticFile *result, GString *text)
{
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  vj_cli_table_column (table, "Zone", FALSE);
  vj_cli_table_column (table, "Static W", TRUE);
  vj_cli_table_column (table, "+- W (95 %)", TRUE);
  vj_cli_table_column (table, "Sigma W", TRUE);
  for (guint i = 0; i < result->zones->len; i++)
    {
      const VjStaticZone *zone = &g_array_index (result->zones, VjStaticZone, i);
      vj_cli_table_cell (table, zone->id);
      vj_cli_table_take (table, thousandths (zone->static_uw));
      vj_cli_table_take (table, thousandths (zone->error_uw));
      vj_cli_table_take (table, thousandths (zone->sigma_uw));
    }
  vj_cli_table_render (table, text);
}

/* Zones whose number in the configuration comes before what was found here. */
static void
put_configured (const Run *run, GString *text)
{
  JsonNode *zones = json_object_get_member (json_node_get_object (run->status), "zones");
  JsonArray *array = zones != NULL && JSON_NODE_HOLDS_ARRAY (zones) ? json_node_get_array (zones) : NULL;
  for (guint i = 0; array != NULL && i < json_array_get_length (array); i++)
    {
      JsonObject *zone = json_array_get_object_element (array, i);
      g_autofree char *id = vj_cli_printable (vj_cli_json_text (zone, "id"));
      if (strcmp (vj_cli_json_text (zone, "static_source"), "configured") == 0)
        g_string_append_printf (text, "For %s the configuration has a number, which comes first.\n", id);
    }
}

static char *
result_text (const Run *run, const VjStaticFile *result, const char *path)
{
  const guint64 busy_ppm = vj_calibration_busy_ppm (run->calibration);
  GString *text = g_string_new (NULL);
  g_autofree char *seconds = thousandths (vj_calibration_elapsed_us (run->calibration));
  put_table (result, text);
  g_string_append_printf (text,
                          "\n" U64 " intervals in %s s, CPUs " U64
                          ".%u %% busy.\nStored in %s; the agent applies it at once.\n",
                          vj_calibration_intervals (run->calibration), seconds, busy_ppm / 10000,
                          (guint)(busy_ppm % 10000 / 1000), path);
  put_configured (run, text);
  return g_string_free (text, FALSE);
}

/* The result's text, once it is stored. */
static char *
store (const Run *run, GError **error)
{
  const char *state_dir = vj_cli_json_text (json_node_get_object (run->status), "state_dir");
  g_autoptr (VjStaticFile) result = vj_calibration_result (run->calibration);
  g_autofree char *path = g_build_filename (state_dir, VJ_STATIC_CALIBRATED, NULL);
  if (!vj_static_file_save (result, state_dir, VJ_STATIC_CALIBRATED, error))
    {
      g_prefix_error (error, "the result cannot be stored, run this as root: ");
      return NULL;
    }
  return run->as_json ? result_json (run, result, path) : result_text (run, result, path);
}

static char *
calibrate (Run *run, GError **error)
{
  const gboolean measured = measure (run, error);
  if (run->lines > 0 && isatty (STDERR_FILENO) == 1)
    g_printerr ("\n");
  if (!measured)
    return NULL;
  warn (run);
  return store (run, error);
}

int
vj_cli_calibrate_run (const char *runtime_dir, int argc, char **argv)
{
  Run run = { .runtime_dir = runtime_dir };
  g_autofree char *duration = NULL;
  gboolean force = FALSE;
  const GOptionEntry entries[] = {
    { "duration", 0, 0, G_OPTION_ARG_STRING, &duration, "How long to measure (60s)", "DURATION" },
    { "force", 0, 0, G_OPTION_ARG_NONE, &force, "Although domains run", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &run.as_json, "Print the result as JSON", NULL },
    { 0 },
  };
  g_autoptr (GError) error = NULL;
  if (!vj_cli_options (entries, "Measures the static power of the idle host and stores it for the agent.",
                       argc, argv))
    return VJ_EXIT_USAGE;
  if (!vj_duration_parse (duration != NULL ? duration : "60s", &run.duration_us, &error))
    {
      g_printerr ("virtjoule calibrate: --duration: %s\n", error->message);
      return VJ_EXIT_USAGE;
    }
  run.calibration = vj_calibration_new (force);
  g_autofree char *text = calibrate (&run, &error);
  g_clear_pointer (&run.status, json_node_unref);
  vj_calibration_free (run.calibration);
  return vj_cli_finish (text, error);
}
