/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_snapshot.h"

#include <string.h>

#include "common/metrics.h"
#include "common/units.h"

/* Labels of one series are an array of names and values, borrowed. */
static void
label (GPtrArray *labels, const char *name, const char *value)
{
  g_ptr_array_add (labels, (gpointer)name);
  g_ptr_array_add (labels, (gpointer)(value != NULL ? value : ""));
}

static const VjZoneView *
zone_at (const VjAttributorSnapshot *snapshot, guint i)
{
  return &g_array_index (snapshot->zones, VjZoneView, i);
}

static const VjGroupSnapshot *
group_at (const VjAttributorSnapshot *snapshot, guint i)
{
  return g_ptr_array_index (snapshot->groups, i);
}

/* One series per zone; labels without the zone's. */
static void
put_energy (VjMetrics *metrics, const VjAttributorSnapshot *snapshot, GPtrArray *labels,
            const guint64 *energy_uj)
{
  for (guint zone = 0; zone < snapshot->zones->len; zone++)
    {
      guint n = labels->len;
      label (labels, "zone", zone_at (snapshot, zone)->zone.id);
      g_ptr_array_add (labels, NULL);
      vj_metrics_micro_of (metrics, energy_uj[zone], (const char *const *)labels->pdata);
      g_ptr_array_set_size (labels, (int)n);
    }
}

static void
put_zones (VjMetrics *metrics, const VjAttributorSnapshot *snapshot)
{
  vj_metrics_family (
      metrics, "virtjoule_node_energy_joules_total", "counter",
      "Energy that the powercap tree gave this machine since the attributor began, per zone. Zones "
      "overlap: core is within its package.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, zone_at (snapshot, i)->measured_uj, "zone", zone_at (snapshot, i)->zone.id,
                      NULL);
  vj_metrics_family (
      metrics, "virtjoule_kernel_energy_joules_total", "counter",
      "Part of it that was used outside of every control group: kernel threads, interrupts, and what "
      "could not be matched.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, zone_at (snapshot, i)->kernel_uj, "zone", zone_at (snapshot, i)->zone.id,
                      NULL);
  vj_metrics_family (metrics, "virtjoule_gap_energy_joules_total", "counter",
                     "Part of the kernel's that could not be matched with anybody's usage.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, zone_at (snapshot, i)->gap_uj, "zone", zone_at (snapshot, i)->zone.id, NULL);
  vj_metrics_family (
      metrics, "virtjoule_folded_energy_joules_total", "counter",
      "Energy of outermost control groups that ended and are shown no more. With the kernel's and "
      "that of the outermost groups it is the node's.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, zone_at (snapshot, i)->folded_uj, "zone", zone_at (snapshot, i)->zone.id,
                      NULL);
}

/* --- one group's labels --- */

static gboolean
has_label (const GPtrArray *labels, const char *name)
{
  for (guint i = 0; i < labels->len; i += 2)
    if (strcmp (g_ptr_array_index (labels, i), name) == 0)
      return TRUE;
  return FALSE;
}

/* As kube-state-metrics calls them: app.kubernetes.io/name is label_app_kubernetes_io_name. The first of two that would be
 * called the same stays. There are as many names as the operator allows. */
static void
label_allowed (GPtrArray *labels, const VjGroupSnapshot *group)
{
  for (guint i = 0; group->labels != NULL && group->labels[i] != NULL; i += 2)
    {
      g_autofree char *name = g_strconcat ("label_", group->labels[i], NULL);
      g_strcanon (name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_", '_');
      if (!has_label (labels, name))
        label (labels, g_intern_string (name), group->labels[i + 1]);
    }
}

/* delegated: whoever owns what encloses it has chosen its id, which may be that of another one. */
static void
label_pod (GPtrArray *labels, const VjGroupSnapshot *group)
{
  label (labels, "namespace", group->namespace_);
  label (labels, "pod", group->pod);
  label (labels, "pod_uid", group->class.pod_uid);
  label (labels, "delegated", group->class.delegated ? "true" : "");
  label (labels, "workload_kind", group->workload_kind);
  label (labels, "workload", group->workload);
  label_allowed (labels, group);
}

static void
label_container (GPtrArray *labels, const VjGroupSnapshot *group)
{
  label (labels, "container", group->name);
  label (labels, "container_id", group->class.id);
  label (labels, "runtime", group->class.runtime);
  label_pod (labels, group);
}

static void
label_unit (GPtrArray *labels, const VjGroupSnapshot *group)
{
  label (labels, "unit", group->name);
}

static void
label_slice (GPtrArray *labels, const VjGroupSnapshot *group)
{
  label (labels, "slice", group->name);
}

/* --- levels --- */

typedef struct
{
  VjCgroupKind kind;
  guint level;
  void (*put_labels) (GPtrArray *labels, const VjGroupSnapshot *group);
  const char *energy;
  const char *energy_help;
  const char *cpu;
} Level;

static const Level levels_of_groups[] = {
  { VJ_CGROUP_POD, VJ_LEVEL_POD, label_pod, "virtjoule_pod_energy_joules_total",
    "Energy of the pod, its containers that have ended included.", "virtjoule_pod_cpu_seconds_total" },
  { VJ_CGROUP_CONTAINER, VJ_LEVEL_CONTAINER, label_container, "virtjoule_container_energy_joules_total",
    "Energy of the container, with all that ran in it.", "virtjoule_container_cpu_seconds_total" },
  { VJ_CGROUP_UNIT, VJ_LEVEL_UNIT, label_unit, "virtjoule_unit_energy_joules_total",
    "Energy of the systemd service or scope, with all that ran in it.", "virtjoule_unit_cpu_seconds_total" },
  { VJ_CGROUP_SLICE, VJ_LEVEL_UNIT, label_slice, "virtjoule_slice_energy_joules_total",
    "Energy of the slice, with all that ran in it: units, pods, and what has ended.",
    "virtjoule_slice_cpu_seconds_total" },
};

/* Whoever owns a delegated group may give it any name, that of another one too: paths tell them apart. */
static void
label_group (GPtrArray *labels, const Level *level, const VjGroupSnapshot *group)
{
  g_ptr_array_set_size (labels, 0);
  level->put_labels (labels, group);
  label (labels, "cgroup", group->path);
}

static void
put_level (VjMetrics *metrics, const VjAttributorSnapshot *snapshot, const Level *level)
{
  g_autoptr (GPtrArray) labels = g_ptr_array_new ();
  vj_metrics_family (metrics, level->energy, "counter", level->energy_help);
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = group_at (snapshot, i);
      if (group->class.kind != level->kind)
        continue;
      label_group (labels, level, group);
      put_energy (metrics, snapshot, labels, group->energy_uj);
    }
  vj_metrics_family (metrics, level->cpu, "counter", "CPU time that this energy was attributed by.");
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = group_at (snapshot, i);
      if (group->class.kind != level->kind)
        continue;
      label_group (labels, level, group);
      g_ptr_array_add (labels, NULL);
      vj_metrics_micro_of (metrics, group->cpu_ns / VJ_NS_PER_US, (const char *const *)labels->pdata);
    }
}

static void
put_owners (VjMetrics *metrics, const VjAttributorSnapshot *snapshot)
{
  g_autoptr (GPtrArray) labels = g_ptr_array_new ();
  vj_metrics_family (metrics, "virtjoule_workload_energy_joules_total", "counter",
                     "Energy of all pods of the workload on this node, those that ended included.");
  for (guint i = 0; i < snapshot->owners->len; i++)
    {
      const VjOwnerSnapshot *owner = g_ptr_array_index (snapshot->owners, i);
      g_ptr_array_set_size (labels, 0);
      label (labels, "namespace", owner->namespace_);
      label (labels, "workload_kind", owner->kind);
      label (labels, "workload", owner->name);
      put_energy (metrics, snapshot, labels, owner->energy_uj);
    }
}

static void
put_process (VjMetrics *metrics, const VjAttributorSnapshot *snapshot, const VjGroupSnapshot *group,
             const VjProcessSnapshot *process, GPtrArray *labels)
{
  g_autofree char *pid = g_strdup_printf ("%d", process->pid);
  g_autofree char *start = g_strdup_printf ("%" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT,
                                            process->start_us / VJ_US_PER_S, process->start_us % VJ_US_PER_S);
  g_ptr_array_set_size (labels, 0);
  label (labels, "pid", pid);
  label (labels, "start", start);
  label (labels, "command", process->command);
  label (labels, "cgroup", group->path);
  label (labels, "container_id", group->class.id);
  put_energy (metrics, snapshot, labels, process->energy_uj);
}

/* Most groups only hold others. */
static gboolean
has_run_processes (const VjAttributorSnapshot *snapshot, const VjGroupSnapshot *group)
{
  gboolean has = group->processes != NULL;
  for (guint i = 0; !has && i < snapshot->zones->len; i++)
    has = group->exited_uj[i] > 0;
  return has;
}

static void
put_processes (VjMetrics *metrics, const VjAttributorSnapshot *snapshot)
{
  g_autoptr (GPtrArray) labels = g_ptr_array_new ();
  vj_metrics_family (
      metrics, "virtjoule_process_energy_joules_total", "counter",
      "Energy of a process, all its threads included, that runs now or was seen to end of late.");
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = group_at (snapshot, i);
      for (guint p = 0; group->processes != NULL && p < group->processes->len; p++)
        put_process (metrics, snapshot, group, g_ptr_array_index (group->processes, p), labels);
    }
  vj_metrics_family (metrics, "virtjoule_exited_energy_joules_total", "counter",
                     "Energy of the group's own processes that have ended and are not shown.");
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = group_at (snapshot, i);
      if (!has_run_processes (snapshot, group))
        continue;
      g_ptr_array_set_size (labels, 0);
      label (labels, "cgroup", group->path);
      put_energy (metrics, snapshot, labels, group->exited_uj);
    }
}

static void
put_self (VjMetrics *metrics, const VjAttributorSnapshot *snapshot)
{
  static const char *const modes[] = {
    [VJ_TREE_ABSENT] = "absent", [VJ_TREE_FOLLOWED] = "followed", [VJ_TREE_CLOCKED] = "clocked"
  };
  vj_metrics_family (metrics, "virtjoule_attributor_info", "gauge",
                     "1; how the tree is read, and how its figures came about.");
  vj_metrics_u64 (metrics, 1, "version", VJ_VERSION, "tree", modes[snapshot->mode], "quality",
                  snapshot->quality, "source", snapshot->source, "cgroups", snapshot->cgroup_version, NULL);
  vj_metrics_family (metrics, "virtjoule_attributor_age_seconds", "gauge",
                     "Since the last interval was attributed; nothing before the first.");
  if (snapshot->intervals > 0)
    vj_metrics_micro (metrics, snapshot->age_us, NULL);
  vj_metrics_family (metrics, "virtjoule_attributor_intervals_total", "counter", "Intervals attributed.");
  vj_metrics_u64 (metrics, snapshot->intervals, NULL);
  vj_metrics_family (metrics, "virtjoule_attributor_groups", "gauge",
                     "Control groups that are followed or still shown.");
  vj_metrics_u64 (metrics, snapshot->groups->len, NULL);
  vj_metrics_family (metrics, "virtjoule_attributor_groups_refused_total", "counter",
                     "Control groups beyond --max-groups, whose usage is their parents'.");
  vj_metrics_u64 (metrics, snapshot->groups_refused, NULL);
  vj_metrics_family (metrics, "virtjoule_attributor_processes", "gauge", "Processes that are followed.");
  vj_metrics_u64 (metrics, snapshot->processes, NULL);
}

char *
vj_attributor_metrics (const VjAttributorSnapshot *snapshot, guint levels)
{
  VjMetrics *metrics = vj_metrics_new ();
  put_zones (metrics, snapshot);
  if ((levels & VJ_LEVEL_WORKLOAD) != 0)
    put_owners (metrics, snapshot);
  for (guint i = 0; i < G_N_ELEMENTS (levels_of_groups); i++)
    if ((levels & levels_of_groups[i].level) != 0)
      put_level (metrics, snapshot, &levels_of_groups[i]);
  if ((levels & VJ_LEVEL_PROCESS) != 0)
    put_processes (metrics, snapshot);
  put_self (metrics, snapshot);
  return vj_metrics_finish (metrics);
}
