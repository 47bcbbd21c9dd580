/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/workload_io.h"

#include "guest/attributor/processes.h"

static guint64
members_bytes (const VjGroup *group)
{
  guint64 sum = 0;
  for (guint i = 0; group->members != NULL && i < group->members->len; i++)
    sum += ((const VjThreadGroup *)g_ptr_array_index (group->members, i))->io_bytes;
  return sum;
}

/* Of the children that are there, and what was billed to the others and to the group itself. */
static guint64
taken_bytes (const VjGroup *group)
{
  guint64 sum = group->io_ended_bytes + group->io_billed_bytes;
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      const VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL)
        sum += child->io_bytes;
    }
  return sum;
}

static void
bill (VjGroup *group)
{
  guint64 taken = taken_bytes (group);
  guint64 left = group->io_bytes - MIN (taken, group->io_bytes);
  group->io_billed_bytes += left;
  for (guint i = 0; group->members != NULL && i < group->members->len; i++)
    {
      const VjThreadGroup *process = g_ptr_array_index (group->members, i);
      guint64 bytes = MIN (process->io_bytes, left);
      left -= bytes;
      vj_account_add_usage (process->account, VJ_RESOURCE_STORAGE, bytes);
    }
  if (group->account != NULL)
    vj_account_add_usage (group->account, VJ_RESOURCE_STORAGE, left);
}

gboolean
vj_group_read_io (VjGroup *group, const VjCgroupReader *reader)
{
  g_autoptr (GArray) disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  if (group->parent == NULL || !vj_cgroup_read_io (reader, group->cgroup, disks, NULL))
    return FALSE;
  gboolean first = group->io_disks == NULL;
  if (first)
    group->io_disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  guint64 moved = vj_disk_bytes_advance (group->io_disks, disks);
  if (!first || group->cgroup->born)
    group->io_bytes += moved;
  return TRUE;
}

void
vj_group_use_io (VjGroup *group, const VjCgroupReader *reader)
{
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL)
        vj_group_use_io (child, reader);
    }
  if (group->parent == NULL)
    return;
  if (!vj_group_read_io (group, reader))
    group->io_bytes = MAX (group->io_bytes, taken_bytes (group) + members_bytes (group));
  bill (group);
}

void
vj_group_end_io (VjGroup *group)
{
  bill (group);
  if (group->parent != NULL)
    group->parent->io_ended_bytes += group->io_ended_bytes + group->io_billed_bytes;
}

void
vj_group_resume_io (VjGroup *group)
{
  group->io_bytes = group->io_ended_bytes + group->io_billed_bytes;
  group->parent->io_ended_bytes -= group->io_bytes;
  g_clear_pointer (&group->io_disks, g_array_unref);
}
