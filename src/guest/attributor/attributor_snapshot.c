/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_snapshot.h"

static void
process_free (gpointer data)
{
  VjProcessSnapshot *process = data;
  g_free (process->command);
  g_free (process->energy_uj);
  g_free (process);
}

static void
group_free (gpointer data)
{
  VjGroupSnapshot *group = data;
  g_free (group->path);
  g_free (group->name);
  g_free (group->namespace_);
  g_free (group->pod);
  g_free (group->workload_kind);
  g_free (group->workload);
  g_strfreev (group->labels);
  g_free (group->energy_uj);
  g_free (group->own_uj);
  g_free (group->folded_uj);
  g_free (group->exited_uj);
  g_clear_pointer (&group->processes, g_ptr_array_unref);
  g_free (group);
}

static void
owner_free (gpointer data)
{
  VjOwnerSnapshot *owner = data;
  g_free (owner->namespace_);
  g_free (owner->kind);
  g_free (owner->name);
  g_free (owner->energy_uj);
  g_free (owner);
}

VjAttributorSnapshot *
vj_attributor_snapshot_new (void)
{
  VjAttributorSnapshot *snapshot = g_new0 (VjAttributorSnapshot, 1);
  snapshot->zones = g_array_new (FALSE, TRUE, sizeof (VjZoneView));
  snapshot->groups = g_ptr_array_new_with_free_func (group_free);
  snapshot->owners = g_ptr_array_new_with_free_func (owner_free);
  return snapshot;
}

void
vj_attributor_snapshot_free (VjAttributorSnapshot *snapshot)
{
  if (snapshot == NULL)
    return;
  g_array_unref (snapshot->zones);
  g_ptr_array_unref (snapshot->groups);
  g_ptr_array_unref (snapshot->owners);
  g_free (snapshot);
}

VjGroupSnapshot *
vj_group_snapshot_new (guint n_zones)
{
  VjGroupSnapshot *group = g_new0 (VjGroupSnapshot, 1);
  group->energy_uj = g_new0 (guint64, n_zones);
  group->own_uj = g_new0 (guint64, n_zones);
  group->folded_uj = g_new0 (guint64, n_zones);
  group->exited_uj = g_new0 (guint64, n_zones);
  return group;
}

GPtrArray *
vj_process_snapshots_new (void)
{
  return g_ptr_array_new_with_free_func (process_free);
}
