/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/workload_group.h"

#include <string.h>

#include "guest/attributor/processes.h"

VjGroup *
vj_group_new (VjGroup *parent, VjCgroup *cgroup, guint n_zones)
{
  VjGroup *group = g_new0 (VjGroup, 1);
  group->parent = parent;
  group->cgroup = cgroup;
  group->class = cgroup->class;
  group->path = g_strdup (cgroup->path);
  group->exited_uj = g_new0 (guint64, n_zones);
  group->folded_uj = g_new0 (guint64, n_zones);
  if (parent == NULL)
    return group;
  if (parent->children == NULL)
    parent->children = g_ptr_array_new ();
  group->index = parent->children->len;
  g_ptr_array_add (parent->children, group);
  return group;
}

/* The last one takes its place. */
static void
leave_parent (const VjGroup *group)
{
  GPtrArray *siblings = group->parent->children;
  g_ptr_array_remove_index_fast (siblings, group->index);
  if (group->index < siblings->len)
    ((VjGroup *)g_ptr_array_index (siblings, group->index))->index = group->index;
}

void
vj_group_free (VjGroup *group)
{
  if (group->parent != NULL)
    leave_parent (group);
  g_clear_pointer (&group->children, g_ptr_array_unref);
  g_clear_pointer (&group->members, g_ptr_array_unref);
  g_clear_pointer (&group->ended_members, g_ptr_array_unref);
  g_clear_pointer (&group->io_disks, g_array_unref);
  g_free (group->exited_uj);
  g_free (group->folded_uj);
  g_free (group->path);
  g_free (group);
}

/* Of the children that are still there. */
static guint64
children_ns (const VjGroup *group)
{
  guint64 sum_ns = 0;
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      const VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL && !child->threaded)
        sum_ns += child->cpu_ns;
    }
  return sum_ns;
}

guint64
vj_group_own_ns (const VjGroup *group)
{
  guint64 below_ns = children_ns (group) + group->ended_ns;
  return group->cpu_ns - MIN (below_ns, group->cpu_ns);
}

guint64
vj_group_billed_ns (const VjGroup *group)
{
  return group->ended_ns + group->billed_ns;
}

guint64
vj_group_own_memory (const VjGroup *group)
{
  guint64 below = 0;
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    {
      const VjGroup *child = g_ptr_array_index (group->children, i);
      if (child->cgroup != NULL)
        below += child->memory_bytes;
    }
  return group->memory_bytes - MIN (below, group->memory_bytes);
}

void
vj_group_open_account (VjGroupBook *book, VjGroup *group)
{
  g_autofree char *key = g_strdup_printf ("g%" G_GUINT64_FORMAT, ++book->serial);
  if (book->ledger != NULL && group->parent != NULL)
    group->account = vj_ledger_open (book->ledger, key);
}

static void
add_account (const VjGroupBook *book, const VjAccount *account, guint64 *energy_uj)
{
  if (account == NULL)
    return;
  for (guint i = 0; i < vj_ledger_n_zones (book->ledger); i++)
    energy_uj[book->shown_zone[i]] += vj_account_energy_uj (account, i);
}

static void
add_array (const VjGroupBook *book, const guint64 *from, guint64 *energy_uj)
{
  for (guint i = 0; from != NULL && i < book->n_shown; i++)
    energy_uj[i] += from[i];
}

void
vj_group_add_process (const VjGroupBook *book, const VjThreadGroup *process, guint64 *energy_uj)
{
  add_account (book, process->account, energy_uj);
  add_array (book, process->base_uj, energy_uj);
}

static gboolean
is_shown (const VjThreadGroup *ended)
{
  return ended->ended_us != 0;
}

/* Of processes that are not shown. */
void
vj_group_add_exited (const VjGroupBook *book, const VjGroup *group, guint64 *energy_uj)
{
  add_array (book, group->exited_uj, energy_uj);
  add_account (book, group->account, energy_uj);
  for (guint i = 0; group->ended_members != NULL && i < group->ended_members->len; i++)
    if (!is_shown (g_ptr_array_index (group->ended_members, i)))
      vj_group_add_process (book, g_ptr_array_index (group->ended_members, i), energy_uj);
}

GPtrArray *
vj_group_shown_processes (const VjGroup *group)
{
  GPtrArray *shown = g_ptr_array_new ();
  for (guint i = 0; group->members != NULL && i < group->members->len; i++)
    g_ptr_array_add (shown, g_ptr_array_index (group->members, i));
  for (guint i = 0; group->ended_members != NULL && i < group->ended_members->len; i++)
    if (is_shown (g_ptr_array_index (group->ended_members, i)))
      g_ptr_array_add (shown, g_ptr_array_index (group->ended_members, i));
  return shown;
}

static void
add_processes (const VjGroupBook *book, const GPtrArray *processes, guint64 *energy_uj)
{
  for (guint i = 0; processes != NULL && i < processes->len; i++)
    vj_group_add_process (book, g_ptr_array_index (processes, i), energy_uj);
}

void
vj_group_add_own (const VjGroupBook *book, const VjGroup *group, guint64 *energy_uj)
{
  add_array (book, group->exited_uj, energy_uj);
  add_account (book, group->account, energy_uj);
  add_processes (book, group->members, energy_uj);
  add_processes (book, group->ended_members, energy_uj);
}

static void
close_account (const VjGroupBook *book, VjAccount **account, guint64 *energy_uj)
{
  if (*account == NULL)
    return;
  add_account (book, *account, energy_uj);
  vj_ledger_close (book->ledger, g_steal_pointer (account));
}

/* Its energy stays with it. */
static void
close_process (const VjGroupBook *book, VjThreadGroup *process)
{
  if (process->base_uj == NULL)
    process->base_uj = g_new0 (guint64, book->n_shown);
  close_account (book, &process->account, process->base_uj);
}

static gboolean
stays (const VjThreadGroup *ended, const VjShownEnds *shown)
{
  return is_shown (ended) && shown != NULL && ended->ended_us > shown->after_us
         && ended->ended_nth > shown->after_nth;
}

/* shown NULL: all of them. */
static void
fold_members (const VjGroupBook *book, VjGroup *group, const VjShownEnds *shown)
{
  guint n_kept = 0;
  for (guint i = 0; group->ended_members != NULL && i < group->ended_members->len; i++)
    {
      VjThreadGroup *process = g_ptr_array_index (group->ended_members, i);
      close_process (book, process);
      if (stays (process, shown))
        {
          group->ended_members->pdata[n_kept++] = process;
          continue;
        }
      add_array (book, process->base_uj, group->exited_uj);
      vj_thread_group_free (process);
    }
  if (group->ended_members != NULL)
    g_ptr_array_set_size (group->ended_members, (int)n_kept);
}

void
vj_group_fold_all_members (const VjGroupBook *book, VjGroup *group, const VjShownEnds *shown)
{
  fold_members (book, group, shown);
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    vj_group_fold_all_members (book, g_ptr_array_index (group->children, i), shown);
}

gboolean
vj_group_has_children (const VjGroup *group)
{
  return group->children != NULL && group->children->len > 0;
}

/* Into its parent; its own children have been folded into it before. */
void
vj_group_fold (const VjGroupBook *book, VjGroup *group)
{
  fold_members (book, group, NULL);
  close_account (book, &group->account, group->exited_uj);
  add_array (book, group->exited_uj, group->parent->folded_uj);
  add_array (book, group->folded_uj, group->parent->folded_uj);
  vj_group_free (group);
}

static void
grow (guint64 **array, guint from, guint to)
{
  *array = g_renew (guint64, *array, to);
  memset (*array + from, 0, (to - from) * sizeof **array);
}

void
vj_group_leave_ledger (const VjGroupBook *book, VjGroup *group)
{
  close_account (book, &group->account, group->exited_uj);
  for (guint i = 0; group->members != NULL && i < group->members->len; i++)
    close_process (book, g_ptr_array_index (group->members, i));
  fold_members (book, group, NULL);
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    vj_group_leave_ledger (book, g_ptr_array_index (group->children, i));
}

void
vj_group_enter_ledger (VjGroupBook *book, VjGroup *group, guint n_before)
{
  grow (&group->exited_uj, n_before, book->n_shown);
  grow (&group->folded_uj, n_before, book->n_shown);
  if (group->cgroup != NULL)
    vj_group_open_account (book, group);
  for (guint i = 0; group->members != NULL && i < group->members->len; i++)
    {
      VjThreadGroup *process = g_ptr_array_index (group->members, i);
      g_autofree char *key = g_strdup_printf ("m%" G_GUINT64_FORMAT, ++book->serial);
      if (process->base_uj != NULL)
        grow (&process->base_uj, n_before, book->n_shown);
      process->account = vj_ledger_open (book->ledger, key);
    }
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    vj_group_enter_ledger (book, g_ptr_array_index (group->children, i), n_before);
}

void
vj_group_add_total (const VjGroupBook *book, const VjGroup *group, guint64 *energy_uj)
{
  vj_group_add_own (book, group, energy_uj);
  add_array (book, group->folded_uj, energy_uj);
  for (guint i = 0; group->children != NULL && i < group->children->len; i++)
    vj_group_add_total (book, g_ptr_array_index (group->children, i), energy_uj);
}
