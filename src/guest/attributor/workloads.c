/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/workloads.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/units.h"
#include "guest/attributor/cgroup_read.h"
#include "guest/attributor/cgroup_tree.h"
#include "guest/attributor/processes.h"
#include "guest/attributor/workload_io.h"
#include "guest/attributor/workload_snapshot.h"

/* Memory changes slowly, and a reading costs the kernel more than one of CPU time. */
#define MEMORY_US (10 * VJ_US_PER_S)

struct VjWorkloads
{
  VjWorkloadsOptions options;
  VjWorkloadsFuncs funcs;
  gpointer user_data;
  VjGroupBook book;
  gboolean by_memory;       /* some zone is shared by it */
  gboolean by_storage;      /* the same */
  guint64 memory_us;        /* of its last reading; 0: none */
  guint64 read_boottime_us; /* of the last reading; 0: none */
  VjCgroupTree *tree;
  VjCgroupReader *reader;
  VjProcesses *processes; /* NULL: they are not followed */
  GArray *pids;           /* scratch */
  VjGroup *root;
  GQueue ended;              /* VjGroup, oldest first */
  GHashTable *ended_by_path; /* char* (in VjGroup) -> VjGroup: the same */
};

/* --- usage --- */

static void
bill (VjGroup *group, guint64 by_members_ns)
{
  if (group->threaded)
    return;
  guint64 own_ns = vj_group_own_ns (group);
  guint64 billed_ns = group->billed_ns + by_members_ns;
  if (own_ns > billed_ns && group->account != NULL)
    vj_account_add_usage (group->account, VJ_RESOURCE_CPU, own_ns - billed_ns);
  group->billed_ns = MAX (own_ns, billed_ns);
}

/* What it used that is nobody's yet. */
static guint64
left_ns (const VjGroup *group, guint64 by_members_ns)
{
  guint64 billed_ns = group->billed_ns + by_members_ns;
  guint64 own_ns = group->threaded ? 0 : vj_group_own_ns (group);
  return own_ns - MIN (billed_ns, own_ns);
}

/* What cannot be read now is read next time. */
static void
read_cpu (const VjWorkloads *workloads, VjGroup *group)
{
  guint64 cpu_ns = 0;
  if (group->parent == NULL || !vj_cgroup_read_cpu (workloads->reader, group->cgroup, &cpu_ns, NULL))
    return;
  if (!group->read)
    group->offset_ns = group->cgroup->born ? 0 : cpu_ns;
  group->read = TRUE;
  group->cpu_ns = MAX (group->cpu_ns, group->before_ns + cpu_ns - MIN (group->offset_ns, cpu_ns));
}

/* The clocks of its processes tick for its threads too, from now on. */
static void
become_threaded (VjGroup *group)
{
  if (group->threaded)
    return;
  group->threaded = TRUE;
  group->parent->ended_ns += vj_group_billed_ns (group);
}

static void
read_pids (const VjWorkloads *workloads, VjGroup *group)
{
  g_autoptr (GError) error = NULL;
  if (!vj_cgroup_read_processes (workloads->reader, group->cgroup, workloads->pids, &error)
      && g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE))
    become_threaded (group);
}

static guint64
read_members (VjWorkloads *workloads, VjGroup *group)
{
  if (workloads->processes == NULL || workloads->book.ledger == NULL || group->parent == NULL)
    return 0;
  read_pids (workloads, group);
  if (workloads->pids->len == 0 && group->members == NULL)
    return 0;
  if (group->members == NULL)
    {
      group->members = g_ptr_array_new ();
      group->ended_members = g_ptr_array_new ();
    }
  return vj_processes_read (workloads->processes, workloads->book.ledger, workloads->pids, group,
                            group->members, group->ended_members);
}

/* Children first, and processes before their group: what is read later holds at least what was read before. What processes
 * used until they exited is known to be the group's only then. */
static void
read_group (VjWorkloads *workloads, VjGroup *group)
{
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL)
        read_group (workloads, child);
    }
  guint64 by_members_ns = read_members (workloads, group);
  read_cpu (workloads, group);
  if (group->ended_members != NULL)
    by_members_ns +=
        vj_processes_complete (workloads->processes, group->ended_members, left_ns (group, by_members_ns));
  bill (group, by_members_ns);
}

/* --- memory --- */

static void
read_memory (const VjWorkloads *workloads, VjGroup *group)
{
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL)
        read_memory (workloads, child);
    }
  if (group->parent != NULL)
    vj_cgroup_read_memory (workloads->reader, group->cgroup, &group->memory_bytes, NULL);
}

static void
bill_memory (VjGroup *group, guint64 elapsed_us)
{
  guint64 own = vj_group_own_memory (group);
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL)
        bill_memory (child, elapsed_us);
    }
  for (guint i = 0; group->members != NULL && i < group->members->len; i++)
    {
      const VjThreadGroup *process = g_ptr_array_index (group->members, i);
      guint64 bytes = MIN (process->memory_bytes, own);
      own -= bytes;
      vj_account_add_usage (process->account, VJ_RESOURCE_MEMORY, vj_resource_memory (bytes, elapsed_us));
    }
  if (group->account != NULL)
    vj_account_add_usage (group->account, VJ_RESOURCE_MEMORY, vj_resource_memory (own, elapsed_us));
}

/* What has ended, and is still shown, goes on when it comes again: a service that is restarted, a container. Its figures
 * never fall, and no path is there twice. Its parent is the same, since that is not folded before it. */
static VjGroup *
take_up_again (VjWorkloads *workloads, VjCgroup *cgroup)
{
  VjGroup *group = g_hash_table_lookup (workloads->ended_by_path, cgroup->path);
  if (group == NULL)
    return NULL;
  g_hash_table_remove (workloads->ended_by_path, group->path);
  g_queue_remove (&workloads->ended, group);
  group->parent->ended_ns -= vj_group_billed_ns (group); /* a threaded one's since it became that */
  group->cpu_ns = group->before_ns = vj_group_billed_ns (group);
  group->read = group->threaded = FALSE;
  group->cgroup = cgroup;
  group->class.delegated =
      group->class.delegated || cgroup->class.delegated; /* what is above it was given away since */
  group->ended_us = 0;
  group->memory_bytes = 0;
  vj_group_resume_io (group);
  if (group->account == NULL)
    vj_group_open_account (&workloads->book, group);
  return group;
}

static VjGroup *
add_group (VjWorkloads *workloads, VjCgroup *cgroup)
{
  VjGroup *parent = cgroup->parent != NULL ? cgroup->parent->data : NULL;
  VjGroup *group = vj_group_new (parent, cgroup, workloads->book.n_shown);
  if (parent == NULL)
    workloads->root = group;
  vj_group_open_account (&workloads->book, group);
  return group;
}

/* --- what the tree of groups tells --- */

static void
on_added (VjCgroup *cgroup, gpointer user_data)
{
  VjWorkloads *workloads = user_data;
  VjGroup *group = take_up_again (workloads, cgroup);
  cgroup->data = group != NULL ? group : add_group (workloads, cgroup);
  workloads->funcs.appeared (&cgroup->class, workloads->user_data);
}

/* The last moment at which it can be read, though groups that come after may still use time in it. */
static void
on_ending (VjCgroup *cgroup, gpointer user_data)
{
  const VjWorkloads *workloads = user_data;
  read_cpu (workloads, cgroup->data);
  if (workloads->by_storage)
    vj_group_read_io (cgroup->data, workloads->reader);
}

static void
tell_folding (const VjWorkloads *workloads, const VjGroup *group)
{
  g_autofree guint64 *energy_uj = g_new0 (guint64, workloads->book.n_shown);
  vj_group_add_total (&workloads->book, group, energy_uj);
  workloads->funcs.folding (&group->class, energy_uj, workloads->book.n_shown, workloads->user_data);
}

/* Children end before their parents, so they are older in the queue. */
static void
fold_oldest (VjWorkloads *workloads)
{
  VjGroup *oldest = g_queue_pop_head (&workloads->ended);
  g_hash_table_remove (workloads->ended_by_path, oldest->path);
  tell_folding (workloads, oldest);
  vj_group_fold (&workloads->book, oldest);
}

/* Nobody settles while there is no tree, and groups come and go all the same. The usage of those that are folded before it is
 * billed makes a gap. */
static void
bound_ended (VjWorkloads *workloads)
{
  if (workloads->ended.length <= 2 * MAX (workloads->options.max_ended, 1))
    return;
  if (workloads->book.ledger != NULL)
    vj_ledger_mark_gap (workloads->book.ledger);
  fold_oldest (workloads);
}

/* Its figures stay: for whoever wants to read them, and until everything is billed. */
static void
on_removed (VjCgroup *cgroup, gpointer user_data)
{
  VjWorkloads *workloads = user_data;
  VjGroup *group = cgroup->data;
  guint64 by_members_ns = 0;
  if (group->members != NULL)
    {
      vj_processes_end (workloads->processes, group->members, group->ended_members);
      by_members_ns = vj_processes_complete (workloads->processes, group->ended_members, left_ns (group, 0));
    }
  bill (group, by_members_ns);
  vj_group_end_io (group);
  group->cgroup = NULL;
  if (group->parent == NULL)
    return;
  group->parent->ended_ns += group->threaded ? 0 : vj_group_billed_ns (group);
  group->ended_us = vj_clock_monotonic_us ();
  g_queue_push_tail (&workloads->ended, group);
  g_hash_table_insert (workloads->ended_by_path, group->path, group);
  bound_ended (workloads);
}

/* --- ends --- */

static void
fold_processes (const VjWorkloads *workloads, guint64 now_us)
{
  guint64 completed = vj_processes_completed (workloads->processes);
  const VjShownEnds shown = { .after_us = now_us - MIN (workloads->options.keep_us, now_us),
                              .after_nth = completed - MIN (workloads->options.max_ended, completed) };
  vj_group_fold_all_members (&workloads->book, workloads->root, &shown);
}

static gboolean
is_due (const VjWorkloads *workloads, const VjGroup *group, guint64 now_us)
{
  return now_us >= group->ended_us + workloads->options.keep_us
         || workloads->ended.length > workloads->options.max_ended;
}

void
vj_workloads_settled (VjWorkloads *workloads, guint64 now_us, gboolean complete)
{
  if (!complete || workloads->book.ledger == NULL)
    return;
  if (workloads->processes != NULL)
    fold_processes (workloads, now_us);
  while (workloads->ended.length > 0 && is_due (workloads, g_queue_peek_head (&workloads->ended), now_us))
    fold_oldest (workloads);
}

void
vj_workloads_set_ledger (VjWorkloads *workloads, VjLedger *ledger, const VjMachine *machine,
                         const guint *shown_zone, guint n_shown)
{
  guint n_before = workloads->book.n_shown;
  if (workloads->book.ledger != NULL)
    vj_group_leave_ledger (&workloads->book, workloads->root);
  workloads->book.ledger = ledger;
  workloads->book.n_shown = n_shown;
  g_free (workloads->book.shown_zone);
  workloads->book.shown_zone = g_memdup2 (shown_zone, vj_ledger_n_zones (ledger) * sizeof *shown_zone);
  workloads->by_memory = vj_machine_shares_memory (machine);
  workloads->by_storage = vj_machine_disks (machine) != NULL;
  vj_cgroup_reader_use_disks (workloads->reader, vj_machine_disks (machine));
  vj_group_enter_ledger (&workloads->book, workloads->root, n_before);
}

/* --- what the header promises --- */

void
vj_workloads_read (VjWorkloads *workloads, guint64 now_us, guint64 elapsed_us)
{
  guint64 boottime_us = vj_clock_boottime_us ();
  vj_cgroup_tree_refresh (workloads->tree);
  if (workloads->processes != NULL)
    vj_processes_begin (workloads->processes,
                        workloads->read_boottime_us != 0 ? workloads->read_boottime_us : boottime_us,
                        workloads->by_memory, workloads->by_storage);
  read_group (workloads, workloads->root);
  if (workloads->processes != NULL)
    vj_processes_finish (workloads->processes);
  workloads->read_boottime_us = boottime_us;
  if (workloads->by_storage)
    vj_group_use_io (workloads->root, workloads->reader);
  if (!workloads->by_memory)
    return;
  bill_memory (workloads->root, elapsed_us);
  if (workloads->memory_us == 0 || now_us - workloads->memory_us >= MEMORY_US)
    {
      read_memory (workloads, workloads->root);
      workloads->memory_us = now_us;
    }
}

VjWorkloads *
vj_workloads_open (const VjRoots *roots, const VjWorkloadsOptions *options, const VjWorkloadsFuncs *told,
                   gpointer user_data, GError **error)
{
  static const VjCgroupFuncs funcs = { .added = on_added, .ending = on_ending, .removed = on_removed };
  g_autoptr (VjWorkloads) workloads = g_new0 (VjWorkloads, 1);
  workloads->options = *options;
  workloads->funcs = *told;
  workloads->user_data = user_data;
  workloads->pids = g_array_new (FALSE, FALSE, sizeof (int));
  g_queue_init (&workloads->ended);
  workloads->ended_by_path = g_hash_table_new (g_str_hash, g_str_equal);
  workloads->tree = vj_cgroup_tree_open (roots->cgroupfs, options->max_groups, &funcs, workloads, error);
  if (workloads->tree == NULL)
    return NULL;
  workloads->reader = vj_cgroup_reader_new (workloads->tree);
  if (options->processes)
    workloads->processes = vj_processes_new (roots->procfs);
  return g_steal_pointer (&workloads);
}

void
vj_workloads_use_exit_records (VjWorkloads *workloads, VjExitRecords *exits)
{
  vj_processes_use_exit_records (workloads->processes, exits);
}

static void
free_groups (VjGroup *group)
{
  while (vj_group_has_children (group))
    free_groups (g_ptr_array_index (group->children, group->children->len - 1));
  for (guint i = 0; group->ended_members != NULL && i < group->ended_members->len; i++)
    vj_thread_group_free (g_ptr_array_index (group->ended_members, i));
  vj_group_free (group);
}

void
vj_workloads_free (VjWorkloads *workloads)
{
  if (workloads == NULL)
    return;
  g_clear_pointer (&workloads->tree, vj_cgroup_tree_free); /* everything ends */
  if (workloads->root != NULL)
    free_groups (workloads->root);
  g_queue_clear (&workloads->ended);
  g_hash_table_unref (workloads->ended_by_path);
  g_clear_pointer (&workloads->reader, vj_cgroup_reader_free);
  g_clear_pointer (&workloads->processes, vj_processes_free);
  g_array_unref (workloads->pids);
  g_free (workloads->book.shown_zone);
  g_free (workloads);
}

void
vj_workloads_snapshot (const VjWorkloads *workloads, VjNames *names, VjAttributorSnapshot *ret_snapshot)
{
  ret_snapshot->cgroup_version = vj_cgroup_tree_version (workloads->tree);
  ret_snapshot->groups_refused = vj_cgroup_tree_refused (workloads->tree);
  ret_snapshot->processes = workloads->processes != NULL ? vj_processes_count (workloads->processes) : 0;
  for (guint i = 0; i < workloads->book.n_shown; i++)
    g_array_index (ret_snapshot->zones, VjZoneView, i).folded_uj = workloads->root->folded_uj[i];
  vj_group_snapshot (&workloads->book, workloads->root, names, ret_snapshot->groups);
}
