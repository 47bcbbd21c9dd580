/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "guest/attributor/cgroup_class.h"

/* The control groups of this machine, kept up to date by inotify(7): cgroup v2, v1 (cpuacct), or hybrid, whichever counts CPU
 * time. Bounded: beyond max_groups, and half of that for delegated ones, new ones are not taken up, and counted; their usage stays
 * in their parents'. Those that were refused while all of it was full are taken up when an eighth is free again. */
typedef struct VjCgroupTree VjCgroupTree;

/* One group; the tree's. Borrowed until removed () has returned. */
typedef struct VjCgroup VjCgroup;
struct VjCgroup
{
  VjCgroup *parent; /* NULL: the root */
  VjCgroup *first_child;
  VjCgroup *next_sibling;
  VjCgroup *prev_sibling;
  char *path; /* below the hierarchy, "/" for the root; any bytes */
  VjCgroupClass class;
  guint64 inode; /* with the path, the identity: a group of the same name that comes later is another */
  gboolean
      born; /* since the tree was opened: whatever it has used, it has used since; FALSE where that is not known */
  gpointer data; /* the follower's */
  int cpu_fd;    /* the tree's, as are the next ones; -1: not open */
  int watch;
  int events_watch;
};

/* added: parents before children. ending: its last process has left it (cgroup v2, cgroup.events): the moment for a last
 * reading. removed: children before parents; it can no longer be read. */
typedef struct
{
  void (*added) (VjCgroup *group, gpointer user_data);
  void (*ending) (VjCgroup *group, gpointer user_data);
  void (*removed) (VjCgroup *group, gpointer user_data);
} VjCgroupFuncs;

/* Tells of everything that is there before it returns. UNAVAILABLE where no hierarchy counts CPU time. */
VjCgroupTree *vj_cgroup_tree_open (const char *cgroupfs, guint max_groups, const VjCgroupFuncs *funcs,
                                   gpointer user_data, GError **error);
void vj_cgroup_tree_free (VjCgroupTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjCgroupTree, vj_cgroup_tree_free)
/* The directory of a controller's hierarchy: one for all of v2. NULL: there is none. The caller's. */
char *vj_cgroup_tree_directory (const VjCgroupTree *tree, const char *controller);
/* Takes in what has happened up to now; it is called by the main loop too, as events come. However fast groups come and go,
 * it returns: what is left over is taken in by the next call. */
void vj_cgroup_tree_refresh (VjCgroupTree *tree);
VjCgroup *vj_cgroup_tree_root (const VjCgroupTree *tree);
guint vj_cgroup_tree_count (const VjCgroupTree *tree);
guint64 vj_cgroup_tree_refused (const VjCgroupTree *tree);     /* groups beyond max_groups, so far */
const char *vj_cgroup_tree_version (const VjCgroupTree *tree); /* "v2", "v1", "hybrid" */
