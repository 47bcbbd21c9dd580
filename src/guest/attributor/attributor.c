/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/machine.h"
#include "common/source_powercap.h"
#include "common/units.h"
#include "guest/attributor/owners.h"
#include "guest/attributor/tree_watch.h"

#define LOOK_INTERVALS 16 /* how often it is looked for new zones */
#define GENERATION_MAX 4096
#define PATIENCE       8 /* intervals that everybody's usage waits for a zone that cannot be read */

/* A zone as it is shown; what it was under earlier ledgers is kept. */
typedef struct
{
  VjZone zone;
  int ledger_zone; /* -1: not there now */
  guint64 measured_uj;
  guint64 kernel_uj;
  guint64 gap_uj;
  guint64 power_uw;
  guint missed; /* intervals without a reading */
} ShownZone;

struct VjAttributor
{
  const VjAttributorOptions *options;
  VjNames *names;
  VjTreeWatch *watch;
  VjWorkloads *workloads;
  VjOwners *owners;
  VjSource *source; /* NULL: no tree yet; with ledger and machine */
  VjTreeWatchMode source_mode;
  VjLedger *ledger;
  VjMachine *machine;
  VjSourceReading *readings;
  GArray *shown; /* of ShownZone */
  guint64 read_us;
  guint64 interval_us;
  guint64 intervals;
  char *complaint; /* each is made once */
};

static void
report (VjAttributor *attributor, const char *line)
{
  if (g_strcmp0 (line, attributor->complaint) == 0)
    return;
  g_free (attributor->complaint);
  attributor->complaint = g_strdup (line);
  attributor->options->report (line, attributor->options->user_data);
}

/* --- zones --- */

static ShownZone *
shown_zone (const VjAttributor *attributor, guint i)
{
  return &g_array_index (attributor->shown, ShownZone, i);
}

static int
find_shown (const VjAttributor *attributor, const char *id)
{
  for (guint i = 0; i < attributor->shown->len; i++)
    if (strcmp (shown_zone (attributor, i)->zone.id, id) == 0)
      return (int)i;
  return -1;
}

/* What a zone waits with, and what it will show that cannot be read now, cannot be shared any more: usage goes with its ledger. */
static void
settle_for_good (VjAttributor *attributor)
{
  for (guint i = 0; i < attributor->shown->len; i++)
    if (shown_zone (attributor, i)->ledger_zone >= 0)
      vj_ledger_measure (attributor->ledger, (guint)shown_zone (attributor, i)->ledger_zone, 0, 0, TRUE);
  vj_ledger_settle (attributor->ledger);
}

/* Puts the ledger's figures aside, before it goes. */
static void
keep_totals (VjAttributor *attributor)
{
  settle_for_good (attributor);
  for (guint i = 0; i < attributor->shown->len; i++)
    {
      ShownZone *shown = shown_zone (attributor, i);
      if (shown->ledger_zone < 0)
        continue;
      const VjZoneTotals *totals = vj_ledger_totals (attributor->ledger, (guint)shown->ledger_zone);
      shown->measured_uj += totals->measured_uj;
      shown->kernel_uj += totals->remainder_uj + totals->static_uj;
      shown->gap_uj += totals->gap_uj;
      shown->ledger_zone = -1;
      shown->power_uw = 0;
    }
}

static guint
show_zone (VjAttributor *attributor, const VjLedger *ledger, guint ledger_zone)
{
  const VjZone *zone = vj_ledger_zone (ledger, ledger_zone);
  int index = find_shown (attributor, zone->id);
  if (index < 0)
    {
      ShownZone added = { .zone = *zone };
      if (zone->parent >= 0)
        added.zone.parent = find_shown (attributor, vj_ledger_zone (ledger, (guint)zone->parent)->id);
      index = (int)attributor->shown->len;
      g_array_append_val (attributor->shown, added);
    }
  ShownZone *shown = shown_zone (attributor, (guint)index);
  shown->ledger_zone = (int)ledger_zone;
  shown->missed = shown->missed > 0 ? PATIENCE : 0;
  return (guint)index;
}

/* --- the tree --- */

static VjSource *
open_source (const VjAttributor *attributor, GError **error)
{
  const char *sysfs = attributor->options->roots.sysfs;
  if (vj_tree_watch_mode (attributor->watch) == VJ_TREE_FOLLOWED)
    return vj_source_tree_open (sysfs, error);
  return vj_source_powercap_open (sysfs, VJ_POWERCAP_MAX_POWER_UW, error);
}

static gboolean
has_same_zones (const VjSource *a, const VjSource *b)
{
  if (vj_source_n_zones (a) != vj_source_n_zones (b))
    return FALSE;
  for (guint i = 0; i < vj_source_n_zones (a); i++)
    if (strcmp (vj_source_zone (a, i)->id, vj_source_zone (b, i)->id) != 0)
      return FALSE;
  return TRUE;
}

/* Takes over source: its zones, a ledger of them, and what the machine uses of what they are shared by. Zones go on from where
 * the source before has read them. */
static gboolean
use_source (VjAttributor *attributor, VjSource *source, GError **error)
{
  VjLedger *ledger = vj_ledger_new ();
  guint n_zones = vj_source_n_zones (source);
  g_autofree guint *map = g_new (guint, n_zones);
  for (guint i = 0; i < n_zones; i++)
    vj_ledger_add_zone (ledger, vj_source_zone (source, i), 0);
  VjRoots roots = attributor->options->roots;
  roots.sysfs = attributor->options->device_sysfs;
  VjMachine *machine = vj_machine_open (&roots, ledger, FALSE, error);
  if (machine == NULL)
    {
      vj_ledger_free (ledger);
      vj_source_free (source);
      return FALSE;
    }
  for (guint i = 0; attributor->source != NULL && i < n_zones; i++)
    {
      VjSourceMark mark;
      int before = vj_source_find_zone (attributor->source, vj_source_zone (source, i)->id);
      if (before >= 0 && vj_source_get_mark (attributor->source, (guint)before, &mark))
        vj_source_set_mark (source, i, &mark);
    }
  if (attributor->ledger != NULL)
    keep_totals (attributor);
  for (guint i = 0; i < n_zones; i++)
    map[i] = show_zone (attributor, ledger, i);
  vj_workloads_set_ledger (attributor->workloads, ledger, machine, map, attributor->shown->len);
  g_clear_pointer (&attributor->machine, vj_machine_free);
  g_clear_pointer (&attributor->ledger, vj_ledger_free);
  g_clear_pointer (&attributor->source, vj_source_free);
  attributor->source = source;
  attributor->ledger = ledger;
  attributor->machine = machine;
  g_free (attributor->readings);
  attributor->readings = g_new0 (VjSourceReading, n_zones);
  return TRUE;
}

/* Zones come (migration to a host with more of them), and a ledger's are fixed: then it is a new one. */
static gboolean
ensure_source (VjAttributor *attributor)
{
  g_autoptr (GError) error = NULL;
  VjTreeWatchMode mode = vj_tree_watch_mode (attributor->watch);
  gboolean same_mode = mode == attributor->source_mode;
  if (attributor->source != NULL && same_mode && attributor->intervals % LOOK_INTERVALS != 0)
    return TRUE;
  VjSource *source = open_source (attributor, &error);
  attributor->source_mode = mode;
  if (source != NULL && attributor->source != NULL && same_mode
      && has_same_zones (source, attributor->source))
    {
      vj_source_free (source);
      return TRUE;
    }
  if (source != NULL && use_source (attributor, source, &error))
    return TRUE;
  report (attributor, error->message);
  return attributor->source != NULL;
}

/* --- an interval --- */

/* A zone that stays away is given up, so that what waits for it does not grow: its usage counts as billed, and its next reading
 * is a gap. Returns FALSE while it is still waited for. */
static gboolean
miss (const VjAttributor *attributor, ShownZone *shown)
{
  shown->missed++;
  if (shown->missed < PATIENCE)
    return FALSE;
  vj_ledger_measure (attributor->ledger, (guint)shown->ledger_zone, 0, 0, TRUE);
  return TRUE;
}

static void
measure_zone (const VjAttributor *attributor, ShownZone *shown, const VjSourceReading *reading)
{
  vj_ledger_measure (attributor->ledger, (guint)shown->ledger_zone, reading->delta_uj, reading->elapsed_us,
                     reading->gap || shown->missed >= PATIENCE);
  shown->missed = 0;
  if (reading->elapsed_us > 0)
    shown->power_uw = (guint64)((VjU128)reading->delta_uj * VJ_US_PER_S / reading->elapsed_us);
}

/* Returns whether nobody has usage that still waits for a zone. */
static gboolean
measure (VjAttributor *attributor)
{
  gboolean complete = TRUE;
  for (guint i = 0; i < attributor->shown->len; i++)
    {
      ShownZone *shown = shown_zone (attributor, i);
      if (shown->ledger_zone < 0)
        continue;
      const VjSourceReading *reading = &attributor->readings[shown->ledger_zone];
      if (reading->fresh)
        measure_zone (attributor, shown, reading);
      else
        complete = miss (attributor, shown) && complete;
    }
  return complete;
}

/* The tree has been updated now: energy first, usage right behind it. */
static void
on_update (gpointer user_data)
{
  VjAttributor *attributor = user_data;
  if (!ensure_source (attributor))
    return;
  guint64 now_us = vj_clock_monotonic_us ();
  attributor->interval_us = attributor->read_us != 0 ? now_us - attributor->read_us : 0;
  attributor->read_us = now_us;
  vj_source_read (attributor->source, now_us, attributor->readings);
  vj_machine_read (attributor->machine, now_us);
  vj_workloads_read (attributor->workloads, now_us, attributor->interval_us);
  gboolean complete = measure (attributor);
  vj_ledger_settle (attributor->ledger);
  vj_workloads_settled (attributor->workloads, now_us, complete);
  attributor->intervals++;
  if (attributor->options->updated != NULL)
    attributor->options->updated (attributor->options->user_data);
}

static void
on_folding (const VjCgroupClass *class, const guint64 *energy_uj, guint n_shown, gpointer user_data)
{
  VjAttributor *attributor = user_data;
  if (class->kind != VJ_CGROUP_POD || class->delegated)
    return;
  const VjPodName *pod = vj_names_pod (attributor->names, class->pod_uid);
  if (pod != NULL && pod->workload_kind != NULL && pod->workload != NULL)
    vj_owners_pod_folded (attributor->owners, pod->namespace_, pod->workload_kind, pod->workload, energy_uj,
                          n_shown, vj_clock_monotonic_us ());
}

static void
on_appeared (const VjCgroupClass *class, gpointer user_data)
{
  const VjAttributor *attributor = user_data;
  if (attributor->options->appeared != NULL)
    attributor->options->appeared (class, attributor->options->user_data);
}

static void
open_exit_records (VjAttributor *attributor)
{
  g_autoptr (GError) error = NULL;
  VjExitRecords *exits = vj_exit_records_open (&error);
  if (exits != NULL)
    {
      vj_workloads_use_exit_records (attributor->workloads, exits);
      return;
    }
  g_autofree char *line = g_strdup_printf ("what a process uses between its last reading and its end is told "
                                           "of its control group alone, as exited: %s",
                                           error->message);
  report (attributor, line);
}

VjAttributor *
vj_attributor_new (const VjAttributorOptions *options, VjNames *names, GError **error)
{
  static const VjWorkloadsFuncs funcs = { .appeared = on_appeared, .folding = on_folding };
  g_autoptr (VjAttributor) attributor = g_new0 (VjAttributor, 1);
  attributor->options = options;
  attributor->names = names;
  attributor->shown = g_array_new (FALSE, TRUE, sizeof (ShownZone));
  attributor->owners = vj_owners_new (options->workloads.keep_us);
  attributor->workloads = vj_workloads_open (&options->roots, &options->workloads, &funcs, attributor, error);
  if (attributor->workloads == NULL)
    return NULL;
  if (options->workloads.processes)
    open_exit_records (attributor);
  attributor->watch =
      vj_tree_watch_new (options->roots.sysfs, options->interval_us, on_update, attributor, error);
  if (attributor->watch == NULL)
    return NULL;
  if (vj_tree_watch_mode (attributor->watch) == VJ_TREE_ABSENT)
    {
      g_autofree char *line = g_strdup_printf ("no energy counters below %s/class/powercap yet: in a virtual "
                                               "machine start virtjoule-reader; waiting",
                                               options->roots.sysfs);
      report (attributor, line);
    }
  else
    on_update (attributor); /* from now on it counts */
  return g_steal_pointer (&attributor);
}

void
vj_attributor_free (VjAttributor *attributor)
{
  if (attributor == NULL)
    return;
  g_clear_pointer (&attributor->watch, vj_tree_watch_free);
  g_clear_pointer (&attributor->workloads, vj_workloads_free);
  g_clear_pointer (&attributor->owners, vj_owners_free);
  g_clear_pointer (&attributor->machine, vj_machine_free);
  g_clear_pointer (&attributor->ledger, vj_ledger_free);
  g_clear_pointer (&attributor->source, vj_source_free);
  g_array_unref (attributor->shown);
  g_free (attributor->readings);
  g_free (attributor->complaint);
  g_free (attributor);
}

/* --- what it shows --- */

static void
take_word (JsonObject *object, const char *member, char *ret_word, gsize size)
{
  JsonNode *node = json_object_get_member (object, member);
  if (node != NULL && json_node_get_value_type (node) == G_TYPE_STRING)
    g_strlcpy (ret_word, json_node_get_string (node), size);
}

/* How the reader's figures came about. */
static void
read_generation (const VjAttributor *attributor, VjAttributorSnapshot *snapshot)
{
  gsize length = 0;
  g_autofree char *text =
      vj_file_read (attributor->options->roots.sysfs, "class/generation", GENERATION_MAX, &length, NULL);
  g_autoptr (JsonNode) root = text != NULL ? json_from_string (text, NULL) : NULL;
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return;
  take_word (json_node_get_object (root), "quality", snapshot->quality, sizeof snapshot->quality);
  take_word (json_node_get_object (root), "source", snapshot->source, sizeof snapshot->source);
}

static void
snapshot_zone (const VjAttributor *attributor, const ShownZone *shown, VjZoneView *view)
{
  view->zone = shown->zone;
  view->measured_uj = shown->measured_uj;
  view->kernel_uj = shown->kernel_uj;
  view->gap_uj = shown->gap_uj;
  view->power_uw = shown->power_uw;
  if (shown->ledger_zone < 0)
    return;
  const VjZoneTotals *totals = vj_ledger_totals (attributor->ledger, (guint)shown->ledger_zone);
  view->measured_uj += totals->measured_uj;
  view->kernel_uj += totals->remainder_uj + totals->static_uj;
  view->gap_uj += totals->gap_uj;
}

VjAttributorSnapshot *
vj_attributor_snapshot (const VjAttributor *attributor)
{
  VjAttributorSnapshot *snapshot = vj_attributor_snapshot_new ();
  guint64 now_us = vj_clock_monotonic_us ();
  snapshot->mode = vj_tree_watch_mode (attributor->watch);
  snapshot->age_us = attributor->read_us != 0 ? now_us - attributor->read_us : 0;
  snapshot->intervals = attributor->intervals;
  snapshot->interval_us = attributor->interval_us;
  read_generation (attributor, snapshot);
  g_array_set_size (snapshot->zones, attributor->shown->len);
  for (guint i = 0; i < attributor->shown->len; i++)
    snapshot_zone (attributor, shown_zone (attributor, i), &g_array_index (snapshot->zones, VjZoneView, i));
  vj_workloads_snapshot (attributor->workloads, attributor->names, snapshot);
  vj_owners_snapshot (attributor->owners, snapshot, now_us);
  return snapshot;
}
