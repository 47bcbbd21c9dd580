/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"

#define DEPTH_MAX    32
#define GROUP_EVENTS (IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW)
#define EVENTS_FILE  "cgroup.events"
#define EVENTS_MAX   256
#define CONTROLLERS  "cgroup.controllers"
#define READS_MAX    128 /* of events, at once */

struct VjCgroupTree
{
  char *cgroupfs;
  char *base; /* of the hierarchy that is followed */
  const char *version;
  gboolean has_events; /* cgroup.events: v2 */
  VjCgroupFuncs funcs;
  gpointer user_data;
  guint max_groups;
  guint64 refused;
  guint count;
  guint delegated;      /* part of them */
  gboolean turned_away; /* some was refused for want of room, and may be there still */
  gboolean listed;      /* what was there before us has been told of */
  gboolean lost;        /* events were */
  VjCgroup *root;
  uid_t owner; /* of the root, with the next */
  gid_t group;
  GHashTable *by_path;   /* char* (in VjCgroup) -> VjCgroup */
  GHashTable *by_watch;  /* inotify watch -> VjCgroup, of directories */
  GHashTable *by_events; /* the same of cgroup.events files */
  int inotify_fd;
  guint source;
};

static void add_children (VjCgroupTree *tree, VjCgroup *group, guint depth);

/* --- one group --- */

static char *
full_path (const VjCgroupTree *tree, const VjCgroup *group, const char *file)
{
  return g_build_filename (tree->base, group->path, file, NULL);
}

static const char *
name_of (const VjCgroup *group)
{
  return strrchr (group->path, '/') + 1;
}

static char *
child_path (const VjCgroup *parent, const char *name)
{
  return g_strconcat (parent->parent == NULL ? "" : parent->path, "/", name, NULL);
}

static VjCgroup *
find_child (const VjCgroupTree *tree, const VjCgroup *parent, const char *name)
{
  g_autofree char *path = child_path (parent, name);
  return g_hash_table_lookup (tree->by_path, path);
}

static gboolean
watch_group (VjCgroupTree *tree, VjCgroup *group)
{
  g_autofree char *path = full_path (tree, group, NULL);
  group->watch = inotify_add_watch (tree->inotify_fd, path, GROUP_EVENTS);
  if (group->watch < 0)
    return FALSE;
  g_hash_table_insert (tree->by_watch, GINT_TO_POINTER (group->watch), group);
  return TRUE;
}

/* What can end as a whole: its last reading is worth being taken in time. */
static void
watch_end (VjCgroupTree *tree, VjCgroup *group)
{
  VjCgroupKind kind = group->class.kind;
  if (!tree->has_events || (kind != VJ_CGROUP_CONTAINER && kind != VJ_CGROUP_UNIT))
    return;
  g_autofree char *path = full_path (tree, group, EVENTS_FILE);
  group->events_watch = inotify_add_watch (tree->inotify_fd, path, IN_MODIFY);
  if (group->events_watch >= 0)
    g_hash_table_insert (tree->by_events, GINT_TO_POINTER (group->events_watch), group);
}

static void
unwatch (VjCgroupTree *tree, GHashTable *table, int *watch)
{
  if (*watch < 0)
    return;
  g_hash_table_remove (table, GINT_TO_POINTER (*watch));
  inotify_rm_watch (tree->inotify_fd, *watch); /* the kernel may have done so already */
  *watch = -1;
}

static void
unlink_child (VjCgroup *group)
{
  if (group->parent == NULL)
    return;
  if (group->prev_sibling != NULL)
    group->prev_sibling->next_sibling = group->next_sibling;
  else
    group->parent->first_child = group->next_sibling;
  if (group->next_sibling != NULL)
    group->next_sibling->prev_sibling = group->prev_sibling;
}

static void
free_group (VjCgroupTree *tree, VjCgroup *group)
{
  unwatch (tree, tree->by_watch, &group->watch);
  unwatch (tree, tree->by_events, &group->events_watch);
  g_hash_table_remove (tree->by_path, group->path);
  if (group->cpu_fd >= 0)
    close (group->cpu_fd);
  tree->count--;
  tree->delegated -= group->class.delegated ? 1 : 0;
  g_free (group->path);
  g_free (group);
}

/* Children before parents. */
static void
remove_group (VjCgroupTree *tree, VjCgroup *group)
{
  while (group->first_child != NULL)
    remove_group (tree, group->first_child);
  tree->funcs.removed (group, tree->user_data);
  unlink_child (group);
  free_group (tree, group);
}

static VjCgroup *
new_group (VjCgroup *parent, const char *name, guint64 inode)
{
  VjCgroup *group = g_new0 (VjCgroup, 1);
  group->inode = inode;
  group->cpu_fd = group->watch = group->events_watch = -1;
  group->path = parent != NULL ? child_path (parent, name) : g_strdup ("/");
  group->parent = parent;
  vj_cgroup_classify (parent != NULL ? &parent->class : NULL, name, &group->class);
  if (parent != NULL)
    {
      group->next_sibling = parent->first_child;
      if (group->next_sibling != NULL)
        group->next_sibling->prev_sibling = group;
      parent->first_child = group;
    }
  return group;
}

/* Whoever else may make groups in it may give them any name. */
static gboolean
is_given_away (const VjCgroupTree *tree, const VjCgroup *group)
{
  g_autofree char *path = full_path (tree, group, NULL);
  struct stat status;
  return stat (path, &status) != 0 || status.st_uid != tree->owner || (status.st_mode & S_IWOTH) != 0
         || ((status.st_mode & S_IWGRP) != 0 && status.st_gid != tree->group);
}

/* Whoever may make as many groups as he likes has half the room, or there would be none for anybody else's. */
static gboolean
is_refused (VjCgroupTree *tree, const VjCgroup *group, guint depth)
{
  gboolean full = tree->count >= tree->max_groups;
  tree->turned_away = tree->turned_away || full;
  return full || depth > DEPTH_MAX || (group->class.delegated && tree->delegated >= tree->max_groups / 2);
}

/* Watched before it is listed, so that nothing comes unseen in between. */
static void
add_group (VjCgroupTree *tree, VjCgroup *parent, const char *name, guint64 inode, guint depth)
{
  VjCgroup *group = new_group (parent, name, inode);
  group->class.delegated = group->class.delegated || is_given_away (tree, parent);
  group->born = tree->listed && (!tree->lost || tree->refused == 0); /* it may have been refused before */
  gboolean refused = is_refused (tree, group, depth);
  g_hash_table_insert (tree->by_path, group->path, group);
  tree->count++;
  tree->delegated += group->class.delegated ? 1 : 0;
  if (refused || !watch_group (tree, group))
    {
      tree->refused += refused || errno != ENOENT;
      unlink_child (group);
      free_group (tree, group);
      return;
    }
  watch_end (tree, group);
  tree->funcs.added (group, tree->user_data);
  add_children (tree, group, depth + 1);
}

/* --- what is there --- */

static guint
depth_of (const VjCgroup *group)
{
  guint depth = 0;
  for (; group->parent != NULL; group = group->parent)
    depth++;
  return depth;
}

/* The inode of a directory; 0: there is none of that name. */
static guint64
inode_of (const VjCgroupTree *tree, const VjCgroup *parent, const char *name)
{
  g_autofree char *path = full_path (tree, parent, name);
  struct stat status;
  return lstat (path, &status) == 0 && S_ISDIR (status.st_mode) ? status.st_ino : 0;
}

static void
take_in (VjCgroupTree *tree, VjCgroup *parent, const char *name, guint depth)
{
  guint64 inode = inode_of (tree, parent, name);
  VjCgroup *known = find_child (tree, parent, name);
  if (known != NULL && known->inode == inode)
    return;
  if (known != NULL)
    remove_group (tree, known);
  if (inode != 0)
    add_group (tree, parent, name, inode, depth);
}

static gboolean
may_be_directory (const struct dirent *entry)
{
  return entry->d_name[0] != '\0' && strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
         && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

static void
add_children (VjCgroupTree *tree, VjCgroup *group, guint depth)
{
  g_autofree char *path = full_path (tree, group, NULL);
  DIR *directory = opendir (path);
  const struct dirent *entry;
  if (directory == NULL)
    return; /* it has gone; its parent's watch tells */
  while ((entry = readdir (directory)) != NULL)
    if (may_be_directory (entry))
      take_in (tree, group, entry->d_name, depth);
  closedir (directory);
}

/* After events were lost: whatever has gone goes, whatever is new comes. */
static void
rescan (VjCgroupTree *tree, VjCgroup *group)
{
  for (VjCgroup *child = group->first_child; child != NULL;)
    {
      VjCgroup *next = child->next_sibling;
      if (inode_of (tree, group, name_of (child)) != child->inode)
        remove_group (tree, child);
      child = next;
    }
  add_children (tree, group, depth_of (group) + 1);
  for (VjCgroup *child = group->first_child; child != NULL; child = child->next_sibling)
    rescan (tree, child);
}

/* --- events --- */

static void
on_populated (VjCgroupTree *tree, VjCgroup *group)
{
  char text[EVENTS_MAX];
  gsize length = 0;
  g_autofree char *path = full_path (tree, group, NULL);
  int fd = vj_file_open (path, EVENTS_FILE, NULL);
  if (fd < 0)
    return;
  if (vj_file_pread (fd, text, sizeof text, &length, NULL) && strstr (text, "populated 0") != NULL)
    tree->funcs.ending (group, tree->user_data);
  close (fd);
}

/* One that was deleted has gone, whatever has that name by now. */
static void
take_entry (VjCgroupTree *tree, VjCgroup *parent, const struct inotify_event *event)
{
  VjCgroup *known = find_child (tree, parent, event->name);
  if ((event->mask & IN_DELETE) != 0 && known != NULL)
    remove_group (tree, known);
  take_in (tree, parent, event->name, depth_of (parent) + 1);
}

static void
take_event (VjCgroupTree *tree, const struct inotify_event *event)
{
  tree->lost = tree->lost || (event->mask & IN_Q_OVERFLOW) != 0;
  VjCgroup *group = g_hash_table_lookup (tree->by_watch, GINT_TO_POINTER (event->wd));
  if (group != NULL && (event->mask & IN_ISDIR) != 0 && event->len > 0)
    take_entry (tree, group, event);
  group = g_hash_table_lookup (tree->by_events, GINT_TO_POINTER (event->wd));
  if (group != NULL && (event->mask & IN_MODIFY) != 0)
    on_populated (tree, group);
}

static void
take_events (VjCgroupTree *tree, const char *events, gsize length)
{
  for (const char *p = events; p < events + length;)
    {
      const struct inotify_event *event = (const struct inotify_event *)(const void *)p;
      take_event (tree, event);
      p += sizeof *event + event->len;
    }
}

/* Not each time that a single one goes: to look for those that were refused costs as much as to begin. */
static gboolean
has_room_again (const VjCgroupTree *tree)
{
  return tree->turned_away && tree->count < tree->max_groups - tree->max_groups / 8;
}

void
vj_cgroup_tree_refresh (VjCgroupTree *tree)
{
  _Alignas(struct inotify_event) char buffer[16384];
  ssize_t n;
  for (guint i = 0; i < READS_MAX && (n = read (tree->inotify_fd, buffer, sizeof buffer)) > 0; i++)
    take_events (tree, buffer, (gsize)n);
  tree->lost = tree->lost || has_room_again (tree);
  if (tree->lost)
    {
      tree->turned_away = FALSE;
      rescan (tree, tree->root);
    }
  tree->lost = FALSE;
}

static gboolean
on_inotify (int fd, GIOCondition condition, gpointer user_data)
{
  vj_cgroup_tree_refresh (user_data);
  return G_SOURCE_CONTINUE;
}

/* --- opening --- */

static gboolean
is_there (const char *directory, const char *file)
{
  g_autofree char *path = g_build_filename (directory, file, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

char *
vj_cgroup_tree_directory (const VjCgroupTree *tree, const char *controller)
{
  if (tree->has_events)
    return g_strdup (tree->base);
  g_autofree char *path = g_build_filename (tree->cgroupfs, controller, NULL);
  return g_file_test (path, G_FILE_TEST_IS_DIR) ? g_steal_pointer (&path) : NULL;
}

/* Where both count (hybrid), v1 does so for every container; the unified hierarchy holds those alone that systemd made. */
static gboolean
choose_hierarchy (VjCgroupTree *tree, GError **error)
{
  g_autofree char *unified = g_build_filename (tree->cgroupfs, "unified", NULL);
  gboolean hybrid = is_there (unified, CONTROLLERS);
  tree->version = "v2";
  tree->has_events = is_there (tree->cgroupfs, CONTROLLERS);
  if (tree->has_events)
    tree->base = g_strdup (tree->cgroupfs);
  else if ((tree->base = vj_cgroup_tree_directory (tree, "cpuacct")) != NULL
           || (tree->base = vj_cgroup_tree_directory (tree, "cpu,cpuacct")) != NULL)
    tree->version = hybrid ? "hybrid" : "v1";
  else if (hybrid)
    {
      tree->version = "hybrid";
      tree->base = g_steal_pointer (&unified);
    }
  if (tree->base == NULL)
    g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                 "no control groups that count CPU time are below %s: mount cgroup2 there, or say --cgroupfs",
                 tree->cgroupfs);
  return tree->base != NULL;
}

static gboolean
open_inotify (VjCgroupTree *tree, GError **error)
{
  tree->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (tree->inotify_fd < 0)
    {
      vj_error_set_errno (
          error, errno, "cannot watch %s (raise fs.inotify.max_user_instances if it is used up)", tree->base);
      return FALSE;
    }
  tree->source = g_unix_fd_add (tree->inotify_fd, G_IO_IN, on_inotify, tree);
  return TRUE;
}

static gboolean
open_root (VjCgroupTree *tree, GError **error)
{
  struct stat status = { 0 };
  (void)stat (tree->base, &status);
  tree->owner = status.st_uid;
  tree->group = status.st_gid;
  tree->root = new_group (NULL, "", 0);
  tree->count = 1;
  if (!watch_group (tree, tree->root))
    {
      vj_error_set_errno (error, errno,
                          "cannot watch %s (raise fs.inotify.max_user_watches if it is used up)", tree->base);
      free_group (tree, g_steal_pointer (&tree->root)); /* nobody was told of it */
      return FALSE;
    }
  tree->funcs.added (tree->root, tree->user_data);
  add_children (tree, tree->root, 1);
  tree->listed = TRUE;
  return TRUE;
}

VjCgroupTree *
vj_cgroup_tree_open (const char *cgroupfs, guint max_groups, const VjCgroupFuncs *funcs, gpointer user_data,
                     GError **error)
{
  g_autoptr (VjCgroupTree) tree = g_new0 (VjCgroupTree, 1);
  tree->cgroupfs = g_strdup (cgroupfs);
  tree->max_groups = max_groups;
  tree->funcs = *funcs;
  tree->user_data = user_data;
  tree->inotify_fd = -1;
  tree->by_path = g_hash_table_new (g_str_hash, g_str_equal);
  tree->by_watch = g_hash_table_new (NULL, NULL);
  tree->by_events = g_hash_table_new (NULL, NULL);
  if (!choose_hierarchy (tree, error) || !open_inotify (tree, error) || !open_root (tree, error))
    return NULL;
  return g_steal_pointer (&tree);
}

void
vj_cgroup_tree_free (VjCgroupTree *tree)
{
  if (tree == NULL)
    return;
  if (tree->root != NULL)
    remove_group (tree, tree->root);
  g_clear_handle_id (&tree->source, g_source_remove);
  if (tree->inotify_fd >= 0)
    close (tree->inotify_fd);
  g_hash_table_unref (tree->by_path);
  g_hash_table_unref (tree->by_watch);
  g_hash_table_unref (tree->by_events);
  g_free (tree->base);
  g_free (tree->cgroupfs);
  g_free (tree);
}

VjCgroup *
vj_cgroup_tree_root (const VjCgroupTree *tree)
{
  return tree->root;
}

guint
vj_cgroup_tree_count (const VjCgroupTree *tree)
{
  return tree->count;
}

guint64
vj_cgroup_tree_refused (const VjCgroupTree *tree)
{
  return tree->refused;
}

const char *
vj_cgroup_tree_version (const VjCgroupTree *tree)
{
  return tree->version;
}
