/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/workload_snapshot.h"

#include <string.h>

#define UID_LENGTH 36

typedef struct
{
  const VjGroupBook *book;
  VjNames *names;
  GPtrArray *groups;
} Building;

static int
compare_processes (gconstpointer a, gconstpointer b)
{
  const VjProcessSnapshot *first = *(VjProcessSnapshot *const *)a;
  const VjProcessSnapshot *second = *(VjProcessSnapshot *const *)b;
  if (first->energy_uj[0] != second->energy_uj[0])
    return first->energy_uj[0] > second->energy_uj[0] ? -1 : 1;
  return first->pid < second->pid ? -1 : first->pid > second->pid;
}

static VjProcessSnapshot *
process_snapshot (const VjGroupBook *book, const VjThreadGroup *process)
{
  VjProcessSnapshot *snapshot = g_new0 (VjProcessSnapshot, 1);
  snapshot->pid = process->pid;
  snapshot->start_us = process->start_us;
  snapshot->command = g_utf8_make_valid (process->command, -1);
  snapshot->terminated = process->ended_us != 0;
  snapshot->cpu_ns = process->cpu_ns;
  snapshot->energy_uj = g_new0 (guint64, MAX (book->n_shown, 1));
  vj_group_add_process (book, process, snapshot->energy_uj);
  return snapshot;
}

static GPtrArray *
processes_of (const VjGroupBook *book, const VjGroup *group)
{
  if (group->members == NULL)
    return NULL;
  g_autoptr (GPtrArray) shown = vj_group_shown_processes (group);
  GPtrArray *processes = vj_process_snapshots_new ();
  for (guint i = 0; i < shown->len; i++)
    g_ptr_array_add (processes, process_snapshot (book, g_ptr_array_index (shown, i)));
  g_ptr_array_sort (processes, compare_processes);
  return processes;
}

static void
name_pod (VjNames *names, const char *uid, VjGroupSnapshot *snapshot)
{
  const VjPodName *pod = uid != NULL && *uid != '\0' ? vj_names_pod (names, uid) : NULL;
  if (pod == NULL)
    return;
  snapshot->namespace_ = g_strdup (pod->namespace_);
  snapshot->pod = g_strdup (pod->name);
  snapshot->workload_kind = g_strdup (pod->workload_kind);
  snapshot->workload = g_strdup (pod->workload);
  snapshot->labels = g_strdupv ((char **)pod->labels);
}

/* Whoever says so errs or lies: a control group stays in its pod's. A static pod has two UIDs, of which one is a hash. */
static gboolean
is_of_another_pod (VjNames *names, const VjContainerName *container, const char *pod_uid)
{
  if (container->pod_uid == NULL || *pod_uid == '\0' || strcmp (container->pod_uid, pod_uid) == 0)
    return FALSE;
  if (strlen (pod_uid) == UID_LENGTH)
    return TRUE;
  const VjPodName *claimed = vj_names_pod (names, container->pod_uid);
  const VjPodName *pod = vj_names_pod (names, pod_uid);
  return claimed != NULL && pod != NULL && !vj_pod_name_equal (claimed, pod);
}

static void
name_container (VjNames *names, VjGroupSnapshot *snapshot)
{
  const VjContainerName *container = vj_names_container (names, snapshot->class.id);
  const char *pod_uid = snapshot->class.pod_uid;
  if (strcmp (snapshot->class.runtime, "lxc") == 0 || strcmp (snapshot->class.runtime, "nspawn") == 0)
    snapshot->name = g_strdup (snapshot->class.id);
  if (container != NULL && !is_of_another_pod (names, container, pod_uid))
    {
      g_free (snapshot->name);
      snapshot->name = g_strdup (container->name);
      snapshot->sandbox = container->sandbox;
    }
  if (*pod_uid == '\0' && container != NULL)
    pod_uid = container->pod_uid;
  name_pod (names, pod_uid, snapshot);
}

/* Whoever owns a delegated group may call what is below it as he likes: this machine's names are not for him. */
static void
name_group (VjNames *names, VjGroupSnapshot *snapshot)
{
  VjCgroupKind kind = snapshot->class.kind;
  if (kind == VJ_CGROUP_CONTAINER && !snapshot->class.delegated)
    name_container (names, snapshot);
  else if (kind == VJ_CGROUP_POD && !snapshot->class.delegated)
    name_pod (names, snapshot->class.pod_uid, snapshot);
  else if (kind != VJ_CGROUP_CONTAINER && kind != VJ_CGROUP_POD)
    snapshot->name = vj_cgroup_display_name (strrchr (snapshot->path, '/') + 1);
}

static void
add_group (const Building *building, const VjGroup *group, int parent)
{
  const VjGroupBook *book = building->book;
  VjGroupSnapshot *snapshot = vj_group_snapshot_new (book->n_shown);
  snapshot->parent = parent;
  snapshot->class = group->class;
  snapshot->path = vj_cgroup_path_text (group->path);
  snapshot->terminated = group->cgroup == NULL;
  snapshot->cpu_ns = group->cpu_ns;
  vj_group_add_total (book, group, snapshot->energy_uj);
  vj_group_add_own (book, group, snapshot->own_uj);
  vj_group_add_exited (book, group, snapshot->exited_uj);
  for (guint i = 0; i < book->n_shown; i++)
    snapshot->folded_uj[i] = group->folded_uj[i];
  snapshot->processes = processes_of (book, group);
  name_group (building->names, snapshot);
  g_ptr_array_add (building->groups, snapshot);
}

static void
add_groups (const Building *building, const VjGroup *group, int parent)
{
  int index = parent;
  if (group->parent != NULL)
    {
      index = (int)building->groups->len;
      add_group (building, group, parent);
    }
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    add_groups (building, g_ptr_array_index (group->children, i), index);
}

void
vj_group_snapshot (const VjGroupBook *book, const VjGroup *root, VjNames *names, GPtrArray *ret_groups)
{
  const Building building = { .book = book, .names = names, .groups = ret_groups };
  add_groups (&building, root, -1);
}
