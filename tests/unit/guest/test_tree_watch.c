/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/tree_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/units.h"
#include "tempdir.h"

#define NEVER_US (3600 * VJ_US_PER_S)
#define SOON_US  (10 * VJ_US_PER_MS)

static void
count (gpointer user_data)
{
  ++*(guint *)user_data;
}

static void
until (const guint *updates, guint n)
{
  while (*updates < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
settle (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
add_zone (const char *root)
{
  tempdir_write (root, "class/powercap/intel-rapl:0/energy_uj", "1\n");
}

static void
update (const char *root)
{
  assert_true (vj_file_replace (root, "class/generation", "{}\n", 3, 0644, NULL));
}

static void
follows_each_update_and_nothing_else (void **state)
{
  const char *root = *state;
  guint updates = 0;
  add_zone (root);
  update (root);
  g_autoptr (VjTreeWatch) watch = vj_tree_watch_new (root, NEVER_US, count, &updates, NULL);
  assert_int_equal (vj_tree_watch_mode (watch), VJ_TREE_FOLLOWED);
  assert_int_equal (updates, 0);
  for (guint i = 1; i <= 3; i++)
    {
      update (root);
      until (&updates, i);
      settle ();
      assert_int_equal (updates, i);
    }
  tempdir_write (root, "class/powercap/intel-rapl:0/energy_uj", "2\n");
  tempdir_write (root, "class/other", "");
  settle ();
  assert_int_equal (updates, 3);
}

/* From nothing at all, as a reader makes it: the directories, the zones, and last the generation. */
static void
waits_for_a_tree_that_comes_late (void **state)
{
  g_autofree char *root = g_build_filename (*state, "run", "virtjoule", "sys", NULL);
  guint updates = 0;
  g_autoptr (VjTreeWatch) watch = vj_tree_watch_new (root, NEVER_US, count, &updates, NULL);
  assert_int_equal (vj_tree_watch_mode (watch), VJ_TREE_ABSENT);
  tempdir_mkdir (*state, "run/virtjoule");
  settle ();
  tempdir_mkdir (*state, "run/virtjoule/sys/class");
  settle ();
  add_zone (root);
  settle ();
  assert_int_equal (updates, 0);
  update (root);
  until (&updates, 1);
  assert_int_equal (vj_tree_watch_mode (watch), VJ_TREE_FOLLOWED);
}

static void
follows_a_tree_that_went_away_and_came_back (void **state)
{
  g_autofree char *root = g_build_filename (*state, "sys", NULL);
  guint updates = 0;
  add_zone (root);
  update (root);
  g_autoptr (VjTreeWatch) watch = vj_tree_watch_new (root, NEVER_US, count, &updates, NULL);
  tempdir_remove (*state, "sys");
  while (vj_tree_watch_mode (watch) != VJ_TREE_ABSENT)
    g_main_context_iteration (NULL, TRUE);
  settle ();
  guint before = updates;
  add_zone (root);
  update (root);
  until (&updates, before + 1);
  assert_int_equal (vj_tree_watch_mode (watch), VJ_TREE_FOLLOWED);
}

static void
a_tree_without_generations_is_read_by_the_clock (void **state)
{
  const char *root = *state;
  guint updates = 0;
  g_autoptr (VjTreeWatch) watch = vj_tree_watch_new (root, SOON_US, count, &updates, NULL);
  assert_int_equal (vj_tree_watch_mode (watch), VJ_TREE_ABSENT);
  add_zone (root); /* as in sysfs, of which inotify does not tell: the clock finds it */
  until (&updates, 3);
  assert_int_equal (vj_tree_watch_mode (watch), VJ_TREE_CLOCKED);
}

/* A reader is installed on a machine while the attributor runs: from then on its updates count, not the clock. */
static void
turns_to_generations_when_they_come (void **state)
{
  const char *root = *state;
  guint updates = 0;
  add_zone (root);
  g_autoptr (VjTreeWatch) watch = vj_tree_watch_new (root, SOON_US, count, &updates, NULL);
  until (&updates, 1);
  update (root);
  while (vj_tree_watch_mode (watch) != VJ_TREE_FOLLOWED)
    g_main_context_iteration (NULL, TRUE);
  settle ();
  guint before = updates;
  update (root);
  until (&updates, before + 1);
  assert_int_equal (updates, before + 1);
}

/* In a process of its own, as somebody who may not watch the directory: as when there is no watch left. */
static void
an_update_that_cannot_be_watched_is_looked_for (void **state)
{
  const char *root = *state;
  g_autofree char *class = g_build_filename (root, "class", NULL);
  gboolean is_root = geteuid () == 0;
  int status = -1;
  add_zone (root);
  update (root);
  assert_int_equal (chmod (root, 0755), 0);
  assert_int_equal (chmod (class, is_root ? 0711 : 0311), 0);
  int pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    {
      guint updates = 0;
      alarm (60);
      if (is_root && setresuid (65534, 65534, 65534) < 0)
        _exit (2);
      VjTreeWatch *watch = vj_tree_watch_new (root, SOON_US, count, &updates, NULL);
      if (watch == NULL || vj_tree_watch_mode (watch) != VJ_TREE_FOLLOWED)
        _exit (1);
      until (&updates, 2);
      _exit (0);
    }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  assert_int_equal (chmod (class, 0755), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (follows_each_update_and_nothing_else),
    tempdir_unit_test (waits_for_a_tree_that_comes_late),
    tempdir_unit_test (follows_a_tree_that_went_away_and_came_back),
    tempdir_unit_test (a_tree_without_generations_is_read_by_the_clock),
    tempdir_unit_test (turns_to_generations_when_they_come),
    tempdir_unit_test (an_update_that_cannot_be_watched_is_looked_for),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
