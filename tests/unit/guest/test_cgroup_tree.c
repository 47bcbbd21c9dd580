/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/cgroup_tree.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "guest/attributor/cgroup_read.h"
#include "tempdir.h"

#define MANY 10000

typedef struct
{
  GString *log; /* "+/a +/a/b !/a -/a/b -/a " */
} Seen;

static void
note (Seen *seen, char what, const VjCgroup *group)
{
  if (seen->log != NULL)
    g_string_append_printf (seen->log, "%c%s ", what, group->path);
}

static void
on_added (VjCgroup *group, gpointer user_data)
{
  note (user_data, '+', group);
}

static void
on_ending (VjCgroup *group, gpointer user_data)
{
  note (user_data, '!', group);
}

static void
on_removed (VjCgroup *group, gpointer user_data)
{
  note (user_data, '-', group);
}

static const VjCgroupFuncs funcs = { .added = on_added, .ending = on_ending, .removed = on_removed };

static VjCgroupTree *
open_tree (const char *root, guint max_groups, Seen *seen)
{
  tempdir_write (root, "cgroup.controllers", "cpu memory io\n");
  seen->log = g_string_new (NULL);
  VjCgroupTree *tree = vj_cgroup_tree_open (root, max_groups, &funcs, seen, NULL);
  assert_non_null (tree);
  return tree;
}

static void
assert_log (VjCgroupTree *tree, Seen *seen, const char *expected)
{
  vj_cgroup_tree_refresh (tree);
  assert_string_equal (seen->log->str, expected);
  g_string_truncate (seen->log, 0);
}

/* The tree tells of the removal of everything that is left when it is freed. */
static void
close_tree (VjCgroupTree *tree, Seen *seen)
{
  vj_cgroup_tree_free (tree);
  g_string_free (seen->log, TRUE);
}

static void
tells_of_what_is_there_comes_and_goes (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_mkdir (root, "a/b");
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  assert_log (tree, &seen, "+/ +/a +/a/b ");
  tempdir_mkdir (root, "a/b/c/d");
  assert_log (tree, &seen, "+/a/b/c +/a/b/c/d ");
  tempdir_write (root, "a/file", "");
  assert_log (tree, &seen, "");
  tempdir_remove (root, "a/b");
  assert_log (tree, &seen, "-/a/b/c/d -/a/b/c -/a/b ");
  assert_int_equal (vj_cgroup_tree_count (tree), 2);
  close_tree (tree, &seen);
}

static void
one_of_the_same_name_is_another (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_mkdir (root, "a/b");
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  g_string_truncate (seen.log, 0);
  tempdir_remove (root, "a");
  tempdir_mkdir (root, "a/b");
  vj_cgroup_tree_refresh (tree);
  assert_true (g_str_has_prefix (seen.log->str, "-/a/b "));
  assert_true (g_str_has_suffix (seen.log->str, "-/a +/a +/a/b "));
  assert_int_equal (vj_cgroup_tree_count (tree), 3);
  close_tree (tree, &seen);
}

/* Of one directly below the root: -1: it is not followed. */
static int
is_born (const VjCgroupTree *tree, const char *path)
{
  const VjCgroup *child = vj_cgroup_tree_root (tree)->first_child;
  while (child != NULL && strcmp (child->path, path) != 0)
    child = child->next_sibling;
  return child != NULL ? child->born : -1;
}

static void
takes_no_more_than_it_may (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_mkdir (root, "a/b");
  VjCgroupTree *tree = open_tree (root, 3, &seen);
  tempdir_mkdir (root, "c");
  assert_log (tree, &seen, "+/ +/a +/a/b ");
  assert_int_equal (vj_cgroup_tree_refused (tree), 1);
  tempdir_remove (root, "a");
  tempdir_mkdir (root, "d");
  assert_log (tree, &seen, "-/a/b -/a +/d +/c "); /* the one that was refused, too */
  assert_int_equal (is_born (tree, "/d"), TRUE);
  assert_int_equal (is_born (tree, "/c"), FALSE);
  close_tree (tree, &seen);
}

/* However many groups somebody makes below what he was given, there is room for those of others. */
static void
leaves_room_for_those_of_others (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_mkdir (root, "user.slice");
  VjCgroupTree *tree = open_tree (root, 8, &seen);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *name = g_strdup_printf ("user.slice/%u", i);
      tempdir_mkdir (root, name);
    }
  vj_cgroup_tree_refresh (tree);
  assert_int_equal (vj_cgroup_tree_count (tree), 1 + 4);
  assert_int_equal (vj_cgroup_tree_refused (tree), 100 - 3);
  tempdir_mkdir (root, "system.slice");
  vj_cgroup_tree_refresh (tree);
  assert_int_equal (is_born (tree, "/system.slice"), TRUE);
  tempdir_remove (root, "user.slice");
  tempdir_mkdir (root, "user.slice/again");
  vj_cgroup_tree_refresh (tree);
  assert_int_equal (vj_cgroup_tree_count (tree), 1 + 3);
  close_tree (tree, &seen);
}

static const VjCgroup *
first_child_of (const VjCgroup *group)
{
  assert_non_null (group->first_child);
  return group->first_child;
}

/* As one does who hands a part of the hierarchy to another user, directly below the root too. */
static void
assert_names_apply (const char *root, const char *given, mode_t mode, uid_t owner, gid_t owners,
                    gboolean expected)
{
  Seen seen = { 0 };
  g_autofree char *path = g_build_filename (root, given, NULL);
  tempdir_mkdir (root, "given.slice/inner.slice/innermost.slice");
  assert_int_equal (chmod (path, mode), 0);
  if (owner != getuid () || owners != getgid ())
    assert_int_equal (chown (path, owner, owners), 0);
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  tempdir_mkdir (root, "given.slice/inner.slice/innermost.slice/new");
  vj_cgroup_tree_refresh (tree);
  const VjCgroup *group = first_child_of (vj_cgroup_tree_root (tree));
  assert_false (group->class.delegated); /* its name is its giver's */
  const VjCgroup *inner = first_child_of (group);
  const VjCgroup *innermost = first_child_of (inner);
  assert_true (inner->class.delegated != (expected || strcmp (given, "given.slice") != 0));
  assert_true (innermost->class.delegated != expected);
  assert_true (first_child_of (innermost)->class.delegated != expected);
  close_tree (tree, &seen);
  tempdir_remove (root, "given.slice");
}

static void
names_do_not_apply_in_what_was_given_away (void **state)
{
  const char *root = *state;
  uid_t self = getuid ();
  gid_t ours = getgid ();
  assert_names_apply (root, "given.slice", 0755, self, ours, TRUE);
  assert_names_apply (root, "given.slice", 0775, self, ours, TRUE); /* its group is the root's */
  assert_names_apply (root, "given.slice", 0757, self, ours, FALSE);
  assert_names_apply (root, "given.slice/inner.slice", 0777, self, ours, FALSE);
  if (self != 0)
    return; /* only root can give */
  assert_names_apply (root, "given.slice", 0755, 1234, 1234, FALSE);
  assert_names_apply (root, "given.slice/inner.slice", 0700, 1234, 1234, FALSE);
  assert_names_apply (root, "given.slice", 0775, self, 1234, FALSE);
  assert_names_apply (root, "given.slice", 0755, self, 1234, TRUE);
}

static void
takes_any_bytes_for_a_name (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  tempdir_mkdir (root, "\xff\n %s/..x");
  assert_log (tree, &seen, "+/ +/\xff\n %s +/\xff\n %s/..x ");
  g_autofree char *outside = g_build_filename (root, "link", NULL);
  assert_int_equal (symlink ("/", outside), 0);
  assert_log (tree, &seen, "");
  close_tree (tree, &seen);
}

/* More than a queue of inotify takes (fs.inotify.max_queued_events): what was lost is found by looking. */
static void
finds_what_lost_events_would_have_told (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_mkdir (root, "old");
  VjCgroupTree *tree = open_tree (root, 2 * MANY, &seen);
  g_string_truncate (seen.log, 0);
  for (guint i = 0; i < MANY; i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/%u", root, i);
      assert_int_equal (g_mkdir (path, 0755), 0);
      assert_int_equal (g_rmdir (path), 0);
    }
  tempdir_remove (root, "old");
  tempdir_mkdir (root, "new/child");
  vj_cgroup_tree_refresh (tree);
  assert_non_null (strstr (seen.log->str, "-/old "));
  assert_non_null (strstr (seen.log->str, "+/new +/new/child "));
  assert_int_equal (vj_cgroup_tree_count (tree), 3);
  close_tree (tree, &seen);
}

static void
ten_thousand_groups_come_and_go (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  for (guint i = 0; i < MANY; i++)
    {
      g_autofree char *path = g_strdup_printf ("s%u/u%u.service", i % 100, i);
      tempdir_mkdir (root, path);
    }
  VjCgroupTree *tree = open_tree (root, 2 * MANY, &seen);
  assert_int_equal (vj_cgroup_tree_count (tree), 1 + 100 + MANY);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *path = g_strdup_printf ("s%u", i);
      tempdir_remove (root, path);
    }
  vj_cgroup_tree_refresh (tree);
  assert_int_equal (vj_cgroup_tree_count (tree), 1);
  close_tree (tree, &seen);
}

static void
tells_when_the_last_process_has_left (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_write (root, "a.service/cgroup.events", "populated 1\nfrozen 0\n");
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  assert_log (tree, &seen, "+/ +/a.service ");
  tempdir_write (root, "a.service/cgroup.events", "populated 1\nfrozen 1\n");
  assert_log (tree, &seen, "");
  tempdir_write (root, "a.service/cgroup.events", "populated 0\nfrozen 0\n");
  vj_cgroup_tree_refresh (tree);
  assert_true (g_str_has_prefix (seen.log->str, "!/a.service "));
  close_tree (tree, &seen);
}

static VjCgroup *
child_of (VjCgroupTree *tree)
{
  VjCgroup *child = vj_cgroup_tree_root (tree)->first_child;
  assert_non_null (child);
  return child;
}

static void
reads_v2 (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  guint64 value = 0;
  g_autoptr (GArray) pids = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr (GError) error = NULL;
  tempdir_write (root, "a/cpu.stat", "usage_usec 7\nuser_usec 5\n");
  tempdir_write (root, "a/memory.stat", "anon 100\nfile 5000\nshmem 20\n");
  tempdir_write (root, "a/cgroup.procs", "12\n0\n345\n");
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  VjCgroup *group = child_of (tree);
  assert_string_equal (vj_cgroup_tree_version (tree), "v2");
  assert_true (vj_cgroup_read_cpu (reader, group, &value, NULL));
  assert_int_equal (value, 7000);
  assert_true (vj_cgroup_read_memory (reader, group, &value, NULL));
  assert_int_equal (value, 120);
  assert_true (vj_cgroup_read_processes (reader, group, pids, NULL));
  assert_int_equal (pids->len, 2);
  assert_int_equal (g_array_index (pids, int, 1), 345);
  tempdir_remove (root, "a/cgroup.procs");
  assert_false (vj_cgroup_read_processes (reader, group, pids, &error));
  assert_true (vj_error_is_gone (error));
  assert_int_equal (pids->len, 0);
  close_tree (tree, &seen);
}

static void
reads_v1_and_hybrid (void **state)
{
  const char *root = *state;
  guint64 value = 0;
  Seen seen = { 0 };
  g_autoptr (GError) error = NULL;
  tempdir_write (root, "cpu,cpuacct/a/cpuacct.usage", "123456789\n");
  tempdir_write (root, "memory/a/memory.stat", "total_rss 300\ntotal_shmem 40\n");
  VjCgroupTree *tree = vj_cgroup_tree_open (root, 100, &funcs, &seen, NULL);
  assert_non_null (tree);
  assert_string_equal (vj_cgroup_tree_version (tree), "v1");
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  assert_true (vj_cgroup_read_cpu (reader, child_of (tree), &value, NULL));
  assert_int_equal (value, 123456789);
  assert_true (vj_cgroup_read_memory (reader, child_of (tree), &value, NULL));
  assert_int_equal (value, 340);
  tempdir_remove (root, "memory");
  g_autoptr (VjCgroupReader) blind = vj_cgroup_reader_new (tree);
  assert_false (vj_cgroup_read_memory (blind, child_of (tree), &value, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));
  vj_cgroup_tree_free (tree);

  tempdir_write (root, "unified/cgroup.controllers", "\n");
  tree = vj_cgroup_tree_open (root, 100, &funcs, &seen, NULL);
  assert_string_equal (vj_cgroup_tree_version (tree), "hybrid");
  vj_cgroup_tree_free (tree);
}

static VjDisks *
open_disks (const char *root)
{
  g_autofree char *procfs = g_build_filename (root, "proc", NULL);
  const VjRoots roots = { .procfs = procfs, .sysfs = (char *)root };
  tempdir_write (root, "proc/diskstats", " 8 0 sda 1 1 9 1 1 1 1 1 0 0 0\n 9 0 md0 1 1 9 1 1 1 1 1 0 0 0\n");
  tempdir_mkdir (root, "block/sda/device");
  VjDisks *disks = vj_disks_open (&roots, NULL);
  assert_non_null (disks);
  return disks;
}

static guint64
io_of (const VjCgroupReader *reader, VjCgroupTree *tree)
{
  g_autoptr (GArray) disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  g_autoptr (GError) error = NULL;
  if (vj_cgroup_read_io (reader, child_of (tree), disks, &error))
    return disks->len == 1 ? g_array_index (disks, VjDiskBytes, 0).bytes : 0;
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));
  return G_MAXUINT64;
}

static void
reads_io_of_disks_that_count (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  g_autoptr (VjDisks) disks = open_disks (root);
  tempdir_write (root, "a/io.stat", "8:0 rbytes=30 wbytes=4\n9:0 rbytes=30 wbytes=4\n");
  VjCgroupTree *tree = open_tree (root, 100, &seen);
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  assert_int_equal (io_of (reader, tree), G_MAXUINT64); /* nobody asks */
  vj_cgroup_reader_use_disks (reader, disks);
  assert_int_equal (io_of (reader, tree), 34);
  vj_cgroup_reader_use_disks (reader, NULL);
  assert_int_equal (io_of (reader, tree), G_MAXUINT64);
  close_tree (tree, &seen);
}

static void
reads_io_of_v1_where_the_kernel_counts (void **state)
{
  const char *root = *state;
  const char *file = "blkio.throttle.io_service_bytes_recursive";
  Seen seen = { 0 };
  g_autoptr (VjDisks) disks = open_disks (root);
  g_autofree char *of_a = g_build_filename ("blkio/a", file, NULL);
  g_autofree char *of_root = g_build_filename ("blkio", file, NULL);
  tempdir_mkdir (root, "cpuacct/a");
  tempdir_write (root, of_a, "8:0 Read 5\n8:0 Write 6\n8:0 Total 11\nTotal 11\n");
  tempdir_write (root, of_root, "8:0 Read 0\nTotal 0\n");
  VjCgroupTree *tree = vj_cgroup_tree_open (root, 100, &funcs, &seen, NULL);
  assert_non_null (tree);
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  vj_cgroup_reader_use_disks (reader, disks);
  assert_int_equal (io_of (reader, tree), G_MAXUINT64);
  tempdir_write (root, of_root, "8:0 Read 70\nTotal 70\n");
  vj_cgroup_reader_use_disks (reader, disks);
  assert_int_equal (io_of (reader, tree), 11);
  vj_cgroup_tree_free (tree);
}

static void
a_machine_without_groups_is_told_what_to_do (void **state)
{
  Seen seen = { 0 };
  g_autoptr (GError) error = NULL;
  assert_null (vj_cgroup_tree_open (*state, 100, &funcs, &seen, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));
  assert_non_null (strstr (error->message, *state));
}

/* On this machine's own hierarchy. */
static void
follows_a_real_group (void **state)
{
  Seen seen = { .log = g_string_new (NULL) };
  guint64 before = 0;
  guint64 after = 0;
  VjCgroupTree *tree = vj_cgroup_tree_open ("/sys/fs/cgroup", MANY, &funcs, &seen, NULL);
  g_autofree char *directory = tree != NULL ? vj_cgroup_tree_directory (tree, "cpuacct") : NULL;
  g_autofree char *name = g_strdup_printf ("vj-test-%d.service", getpid ());
  g_autofree char *path = directory != NULL ? g_build_filename (directory, name, NULL) : NULL;
  if (path == NULL || g_mkdir (path, 0755) < 0)
    {
      print_message ("skipped: no control group can be made here: %s\n", g_strerror (errno));
      vj_cgroup_tree_free (tree);
      g_string_free (seen.log, TRUE);
      skip ();
    }
  g_string_truncate (seen.log, 0);
  vj_cgroup_tree_refresh (tree);
  VjCgroup *group = child_of (tree);
  while (group != NULL && strcmp (strrchr (group->path, '/') + 1, name) != 0)
    group = group->next_sibling;
  assert_non_null (group);
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  assert_true (vj_cgroup_read_cpu (reader, group, &before, NULL));
  g_autofree char *procs = g_build_filename (path, "cgroup.procs", NULL);
  g_autofree char *command =
      g_strdup_printf ("echo $$ >'%s'; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", procs);
  assert_int_equal (system (command), 0);
  assert_true (vj_cgroup_read_cpu (reader, group, &after, NULL));
  assert_true (after > before); /* though its process has ended */
  while (g_rmdir (path) < 0)
    assert_int_equal (errno, EBUSY); /* the process is still being reaped */
  vj_cgroup_tree_refresh (tree);
  g_autofree char *expected = g_strdup_printf ("-/%s ", name);
  assert_non_null (strstr (seen.log->str, expected));
  vj_cgroup_tree_free (tree);
  g_string_free (seen.log, TRUE);
}

/* One that was refused, and is found when events are lost, may have used time for long. */
static void
one_that_was_refused_is_not_taken_for_new (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  tempdir_mkdir (root, "a");
  VjCgroupTree *tree = open_tree (root, 2, &seen);
  assert_false (vj_cgroup_tree_root (tree)->first_child->born);
  tempdir_mkdir (root, "b");
  vj_cgroup_tree_refresh (tree);
  assert_int_equal (vj_cgroup_tree_refused (tree), 1);
  tempdir_remove (root, "a");
  for (guint i = 0; i < MANY; i++)
    {
      g_autofree char *other = g_strdup_printf ("%s/%u", root, i);
      assert_int_equal (g_mkdir (other, 0755), 0);
      assert_int_equal (g_rmdir (other), 0);
    }
  vj_cgroup_tree_refresh (tree);
  assert_string_equal (vj_cgroup_tree_root (tree)->first_child->path, "/b");
  assert_false (vj_cgroup_tree_root (tree)->first_child->born);
  tempdir_remove (root, "b");
  tempdir_mkdir (root, "c");
  vj_cgroup_tree_refresh (tree);
  assert_true (vj_cgroup_tree_root (tree)->first_child->born);
  close_tree (tree, &seen);
}

/* In a process of its own, as somebody who may only pass through the directory. */
static void
a_hierarchy_that_may_not_be_read_is_an_error (void **state)
{
  const char *root = *state;
  int status = -1;
  tempdir_write (root, "cgroup.controllers", "cpu\n");
  assert_int_equal (chmod (root, geteuid () == 0 ? 0711 : 0311), 0);
  int pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      Seen seen = { 0 };
      g_autoptr (GError) error = NULL;
      if (geteuid () == 0 && setresuid (65534, 65534, 65534) < 0)
        _exit (2);
      VjCgroupTree *tree = vj_cgroup_tree_open (root, 100, &funcs, &seen, &error);
      _exit (tree == NULL && vj_error_is_denied (error) ? 0 : 1);
    }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  assert_int_equal (chmod (root, 0700), 0);
}

static guint
count_open (const VjCgroup *group)
{
  guint open = 0;
  for (; group != NULL; group = group->next_sibling)
    open += group->cpu_fd >= 0 ? 1 : 0;
  return open;
}

/* More groups than descriptors: what is left is for everything else. */
static void
descriptors_are_left (void **state)
{
  const char *root = *state;
  Seen seen = { 0 };
  guint64 value = 0;
  struct rlimit before;
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &before), 0);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *file = g_strdup_printf ("%u/cpu.stat", i);
      tempdir_write (root, file, "usage_usec 7\n");
    }
  VjCgroupTree *tree = open_tree (root, 200, &seen);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &(struct rlimit){ 100, before.rlim_max }), 0);
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  for (guint round = 0; round < 2; round++)
    for (VjCgroup *group = child_of (tree); group != NULL; group = group->next_sibling)
      assert_true (vj_cgroup_read_cpu (reader, group, &value, NULL));
  assert_in_range (count_open (child_of (tree)), 1, 36);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &before), 0);
  close_tree (tree, &seen);
}

#define LISTED 1200 /* more than a page of text */

static int
start_sleeper (int parent)
{
  int pid = fork ();
  if (pid != 0)
    return pid;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != parent)
    _exit (1);
  for (;;)
    pause ();
}

/* A process in the group, with LISTED - 1 of its own that end with it. Moving each there would take a second of the kernel's. */
static int
start_family (const char *procs)
{
  int ready[2];
  char byte = 0;
  assert_int_equal (pipe (ready), 0);
  int pid = fork ();
  if (pid == 0)
    {
      FILE *file = fopen (procs, "w");
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (file == NULL || fputs ("0\n", file) < 0 || fclose (file) != 0)
        _exit (1);
      for (int i = 1; i < LISTED; i++)
        start_sleeper (getpid ());
      if (write (ready[1], "", 1) != 1)
        _exit (1);
      for (;;)
        pause ();
    }
  close (ready[1]);
  assert_int_equal (read (ready[0], &byte, 1), 1);
  close (ready[0]);
  return pid;
}

/* The kernel gives a list a page at a time. */
static void
reads_a_long_list_of_processes (void **state)
{
  Seen seen = { 0 };
  g_autoptr (GArray) pids = g_array_new (FALSE, FALSE, sizeof (int));
  VjCgroupTree *tree = vj_cgroup_tree_open ("/sys/fs/cgroup", MANY, &funcs, &seen, NULL);
  g_autofree char *directory = tree != NULL ? vj_cgroup_tree_directory (tree, "cpuacct") : NULL;
  g_autofree char *name = g_strdup_printf ("vj-list-%d", getpid ());
  g_autofree char *path = directory != NULL ? g_build_filename (directory, name, NULL) : NULL;
  if (path == NULL || g_mkdir (path, 0755) < 0)
    {
      print_message ("skipped: no control group can be made here: %s\n", g_strerror (errno));
      vj_cgroup_tree_free (tree);
      skip ();
    }
  g_autofree char *procs = g_build_filename (path, "cgroup.procs", NULL);
  int family = start_family (procs);
  vj_cgroup_tree_refresh (tree);
  g_autoptr (VjCgroupReader) reader = vj_cgroup_reader_new (tree);
  gboolean done = vj_cgroup_read_processes (reader, child_of (tree), pids, NULL);
  kill (family, SIGKILL);
  waitpid (family, NULL, 0);
  while (g_rmdir (path) < 0)
    assert_int_equal (errno, EBUSY);
  assert_true (done);
  assert_int_equal (pids->len, LISTED);
  vj_cgroup_tree_free (tree);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (tells_of_what_is_there_comes_and_goes),
    tempdir_unit_test (one_of_the_same_name_is_another),
    tempdir_unit_test (takes_no_more_than_it_may),
    tempdir_unit_test (leaves_room_for_those_of_others),
    tempdir_unit_test (names_do_not_apply_in_what_was_given_away),
    tempdir_unit_test (takes_any_bytes_for_a_name),
    tempdir_unit_test (finds_what_lost_events_would_have_told),
    tempdir_unit_test (ten_thousand_groups_come_and_go),
    tempdir_unit_test (tells_when_the_last_process_has_left),
    tempdir_unit_test (reads_v2),
    tempdir_unit_test (reads_v1_and_hybrid),
    tempdir_unit_test (reads_io_of_disks_that_count),
    tempdir_unit_test (reads_io_of_v1_where_the_kernel_counts),
    tempdir_unit_test (a_machine_without_groups_is_told_what_to_do),
    cmocka_unit_test (follows_a_real_group),
    tempdir_unit_test (one_that_was_refused_is_not_taken_for_new),
    tempdir_unit_test (a_hierarchy_that_may_not_be_read_is_an_error),
    tempdir_unit_test (descriptors_are_left),
    cmocka_unit_test (reads_a_long_list_of_processes),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
