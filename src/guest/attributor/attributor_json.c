/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_snapshot.h"

#include <json-glib/json-glib.h>

static void
put_text (JsonBuilder *json, const char *name, const char *text)
{
  if (text == NULL || *text == '\0')
    return;
  json_builder_set_member_name (json, name);
  json_builder_add_string_value (json, text);
}

static void
put_number (JsonBuilder *json, const char *name, guint64 value)
{
  json_builder_set_member_name (json, name);
  json_builder_add_int_value (json, (gint64)value);
}

static void
put_flag (JsonBuilder *json, const char *name, gboolean value)
{
  if (!value)
    return;
  json_builder_set_member_name (json, name);
  json_builder_add_boolean_value (json, TRUE);
}

static const VjZoneView *
zone_at (const VjAttributorSnapshot *snapshot, guint i)
{
  return &g_array_index (snapshot->zones, VjZoneView, i);
}

static void
put_energy (JsonBuilder *json, const VjAttributorSnapshot *snapshot, const char *name,
            const guint64 *energy_uj)
{
  json_builder_set_member_name (json, name);
  json_builder_begin_object (json);
  for (guint i = 0; i < snapshot->zones->len; i++)
    put_number (json, zone_at (snapshot, i)->zone.id, energy_uj[i]);
  json_builder_end_object (json);
}

static void
put_zones (JsonBuilder *json, const VjAttributorSnapshot *snapshot)
{
  json_builder_set_member_name (json, "zones");
  json_builder_begin_array (json);
  for (guint i = 0; i < snapshot->zones->len; i++)
    {
      const VjZoneView *view = zone_at (snapshot, i);
      json_builder_begin_object (json);
      put_text (json, "id", view->zone.id);
      put_number (json, "measured_uj", view->measured_uj);
      put_number (json, "kernel_uj", view->kernel_uj);
      put_number (json, "gap_uj", view->gap_uj);
      put_number (json, "folded_uj", view->folded_uj);
      put_number (json, "power_uw", view->power_uw);
      json_builder_end_object (json);
    }
  json_builder_end_array (json);
}

static void
put_processes (JsonBuilder *json, const VjAttributorSnapshot *snapshot, const VjGroupSnapshot *group)
{
  put_energy (json, snapshot, "exited_uj", group->exited_uj);
  json_builder_set_member_name (json, "processes");
  json_builder_begin_array (json);
  for (guint i = 0; i < group->processes->len; i++)
    {
      const VjProcessSnapshot *process = g_ptr_array_index (group->processes, i);
      json_builder_begin_object (json);
      put_number (json, "pid", (guint64)process->pid);
      put_number (json, "start_us", process->start_us);
      put_text (json, "command", process->command);
      put_flag (json, "terminated", process->terminated);
      put_number (json, "cpu_ns", process->cpu_ns);
      put_energy (json, snapshot, "energy_uj", process->energy_uj);
      json_builder_end_object (json);
    }
  json_builder_end_array (json);
}

static void
put_labels (JsonBuilder *json, const VjGroupSnapshot *group)
{
  if (group->labels == NULL || group->labels[0] == NULL)
    return;
  json_builder_set_member_name (json, "labels");
  json_builder_begin_object (json);
  for (guint i = 0; group->labels[i] != NULL; i += 2)
    put_text (json, group->labels[i], group->labels[i + 1]);
  json_builder_end_object (json);
}

static void
put_identity (JsonBuilder *json, const VjGroupSnapshot *group)
{
  put_text (json, "kind", vj_cgroup_kind_name (group->class.kind));
  put_text (json, "cgroup", group->path);
  put_text (json, "name", group->name);
  put_text (json, "runtime", group->class.kind == VJ_CGROUP_CONTAINER ? group->class.runtime : NULL);
  put_text (json, "container_id", group->class.id);
  put_text (json, "namespace", group->namespace_);
  put_text (json, "pod", group->pod);
  put_text (json, "pod_uid", group->class.pod_uid);
  put_text (json, "qos", group->class.kind == VJ_CGROUP_POD ? group->class.qos : NULL);
  put_text (json, "workload_kind", group->workload_kind);
  put_text (json, "workload", group->workload);
  put_labels (json, group);
  put_flag (json, "sandbox", group->sandbox);
  put_flag (json, "delegated", group->class.delegated);
  put_flag (json, "terminated", group->terminated);
}

static gboolean
is_shown (const VjGroupSnapshot *group, guint levels)
{
  switch (group->class.kind)
    {
    case VJ_CGROUP_POD:
      return (levels & VJ_LEVEL_POD) != 0;
    case VJ_CGROUP_CONTAINER:
      return (levels & VJ_LEVEL_CONTAINER) != 0;
    case VJ_CGROUP_UNIT:
    case VJ_CGROUP_SLICE:
      return (levels & VJ_LEVEL_UNIT) != 0;
    case VJ_CGROUP_OTHER:
    case VJ_CGROUP_ROOT:
    default:
      return (levels & VJ_LEVEL_PROCESS) != 0;
    }
}

static void
put_groups (JsonBuilder *json, const VjAttributorSnapshot *snapshot, guint levels)
{
  json_builder_set_member_name (json, "groups");
  json_builder_begin_array (json);
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, i);
      if (!is_shown (group, levels))
        continue;
      json_builder_begin_object (json);
      put_identity (json, group);
      put_number (json, "cpu_ns", group->cpu_ns);
      put_energy (json, snapshot, "energy_uj", group->energy_uj);
      put_energy (json, snapshot, "own_uj", group->own_uj);
      put_energy (json, snapshot, "folded_uj", group->folded_uj);
      if (group->processes != NULL && (levels & VJ_LEVEL_PROCESS) != 0)
        put_processes (json, snapshot, group);
      json_builder_end_object (json);
    }
  json_builder_end_array (json);
}

static void
put_owners (JsonBuilder *json, const VjAttributorSnapshot *snapshot)
{
  json_builder_set_member_name (json, "workloads");
  json_builder_begin_array (json);
  for (guint i = 0; i < snapshot->owners->len; i++)
    {
      const VjOwnerSnapshot *owner = g_ptr_array_index (snapshot->owners, i);
      json_builder_begin_object (json);
      put_text (json, "namespace", owner->namespace_);
      put_text (json, "kind", owner->kind);
      put_text (json, "name", owner->name);
      put_energy (json, snapshot, "energy_uj", owner->energy_uj);
      json_builder_end_object (json);
    }
  json_builder_end_array (json);
}

char *
vj_attributor_json (const VjAttributorSnapshot *snapshot, guint levels)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();
  json_builder_begin_object (json);
  put_text (json, "version", VJ_VERSION);
  put_text (json, "quality", snapshot->quality);
  put_text (json, "source", snapshot->source);
  put_text (json, "cgroups", snapshot->cgroup_version);
  if (snapshot->intervals > 0)
    put_number (json, "age_us", snapshot->age_us);
  put_number (json, "interval_us", snapshot->interval_us);
  put_number (json, "intervals", snapshot->intervals);
  put_number (json, "groups_refused", snapshot->groups_refused);
  put_zones (json, snapshot);
  if ((levels & VJ_LEVEL_WORKLOAD) != 0)
    put_owners (json, snapshot);
  put_groups (json, snapshot, levels);
  json_builder_end_object (json);
  g_autoptr (JsonNode) root = json_builder_get_root (json);
  g_autofree char *text = json_to_string (root, TRUE);
  return g_strconcat (text, "\n", NULL);
}
