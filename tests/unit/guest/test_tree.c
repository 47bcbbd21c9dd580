/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/tree.h"

#include "common/error.h"
#include "common/file.h"
#include "tempdir.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const VjTreeZone ZONES[] = {
  { .package = 0, .sub = -1, .name = "package-0", .energy_uj = 10, .live = TRUE },
  { .package = 0, .sub = 0, .name = "core", .energy_uj = 6, .live = TRUE },
  { .package = 1, .sub = -1, .name = "package-1", .energy_uj = 20, .live = TRUE },
  { .package = 0, .sub = 1, .name = "dram", .energy_uj = 3, .live = TRUE },
};

static void
assert_reads (const char *tree, const char *relative, const char *expected)
{
  g_autofree char *text = vj_file_read (tree, relative, 100, NULL, NULL);

  assert_non_null (text);
  assert_string_equal (text, expected);
}

static ino_t
inode_of (const char *path)
{
  struct stat status;

  assert_int_equal (stat (path, &status), 0);
  return status.st_ino;
}

/* Opens <root>/run/powercap, shows the first n zones and closes again: the tree stays. */
static char *
show (const char *root, const VjTreeZone *zones, gsize n)
{
  char *dir = g_build_filename (root, "run", "powercap", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (VjTree) tree = vj_tree_new (&vj_tree_files, dir, 0444, &error);

  assert_non_null (tree);
  assert_true (vj_tree_update (tree, zones, n, &error));
  return dir;
}

static void
nothing_is_visible_before_the_first_update (void **state)
{
  g_autofree char *dir = g_build_filename (*state, "run", "powercap", NULL);
  g_autoptr (VjTree) tree = vj_tree_new (&vj_tree_files, dir, 0444, NULL);

  assert_non_null (tree);
  assert_int_not_equal (access (dir, F_OK), 0);
}

static void
both_layouts_show_the_same (void **state)
{
  g_autofree char *dir = show (*state, ZONES, G_N_ELEMENTS (ZONES));
  g_autofree char *link = g_build_filename (dir, "intel-rapl:0:1", NULL);
  g_autofree char *target = g_file_read_link (link, NULL);

  assert_string_equal (target, "intel-rapl/intel-rapl:0/intel-rapl:0:1");
  for (gsize i = 0; i < G_N_ELEMENTS (ZONES); i++)
    {
      g_autofree char *flat = vj_tree_zone_link (&ZONES[i]);
      g_autofree char *nested = vj_tree_zone_path (&ZONES[i]);
      g_autofree char *name = g_strdup_printf ("%s\n", ZONES[i].name);
      g_autofree char *energy = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", ZONES[i].energy_uj);
      for (const char *place = flat; place != NULL; place = place == flat ? nested : NULL)
        {
          g_autofree char *name_path = g_build_filename (place, "name", NULL);
          g_autofree char *energy_path = g_build_filename (place, "energy_uj", NULL);
          assert_reads (dir, name_path, name);
          assert_reads (dir, energy_path, energy);
        }
    }
  assert_reads (dir, "intel-rapl/enabled", "1\n");
}

static void
a_killed_builder_leaves_no_trace (void **state)
{
  const char *root = *state;

  tempdir_write (root, "run/.powercap.new/intel-rapl/intel-rapl:9/name", "half");
  g_autofree char *dir = show (root, ZONES, 1);
  g_autofree char *stage = g_build_filename (root, "run", ".powercap.new", NULL);
  g_autofree char *leftover = g_build_filename (dir, "intel-rapl", "intel-rapl:9", NULL);
  assert_int_not_equal (access (stage, F_OK), 0);
  assert_int_not_equal (access (leftover, F_OK), 0);
}

static void
an_existing_directory_keeps_its_inode (void **state)
{
  const char *root = *state;
  g_autofree char *expected = g_build_filename (root, "run", "powercap", NULL);

  tempdir_mkdir (root, "run/powercap");
  const ino_t inode = inode_of (expected);
  for (gsize n = 1; n <= G_N_ELEMENTS (ZONES); n++)
    {
      g_autofree char *dir = show (root, ZONES, n);
      assert_int_equal (inode_of (dir), inode);
    }
  assert_reads (expected, "intel-rapl:0:1/name", "dram\n");
  assert_reads (expected, "intel-rapl:1/energy_uj", "20\n");
}

/* But for the first time: a reader that was killed may have kept values which it did not come to show. */
static void
frozen_zones_are_left_alone (void **state)
{
  VjTreeZone zones[] = { ZONES[0], ZONES[1] };
  g_autofree char *dir = show (*state, zones, 2);
  g_autofree char *live = g_build_filename (dir, "intel-rapl:0/energy_uj", NULL);
  g_autofree char *frozen = g_build_filename (dir, "intel-rapl:0:0/energy_uj", NULL);
  g_autoptr (VjTree) tree = vj_tree_new (&vj_tree_files, dir, 0444, NULL);

  zones[1].live = FALSE;
  zones[1].energy_uj++;
  assert_non_null (tree);
  assert_true (vj_tree_update (tree, zones, 2, NULL));
  assert_reads (dir, "intel-rapl:0:0/energy_uj", "7\n");
  const ino_t live_inode = inode_of (live), frozen_inode = inode_of (frozen);
  assert_true (vj_tree_update (tree, zones, 2, NULL));
  assert_int_not_equal (inode_of (live), live_inode); /* rewritten, though unchanged */
  assert_int_equal (inode_of (frozen), frozen_inode);
}

static void
collect (const char *id, guint64 energy_uj, gpointer user_data)
{
  g_string_append_printf (user_data, "%s=%" G_GUINT64_FORMAT " ", id, energy_uj);
}

static void
a_tree_can_be_scanned (void **state)
{
  g_autofree char *dir = show (*state, ZONES, G_N_ELEMENTS (ZONES));
  g_autoptr (GString) text = g_string_new (NULL);

  vj_tree_scan (dir, collect, text);
  assert_string_equal (text->str, "package-0=10 package-0/core=6 package-0/dram=3 package-1=20 ");
  tempdir_remove (*state, "run");
  g_string_truncate (text, 0);
  vj_tree_scan (dir, collect, text);
  assert_string_equal (text->str, "");
}

static void
a_file_in_the_way_is_refused (void **state)
{
  const char *ways[] = { "file", "file/powercap" };

  tempdir_write (*state, "file", "");
  for (gsize i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_autofree char *dir = g_build_filename (*state, ways[i], NULL);
      g_autoptr (GError) error = NULL;
      assert_null (vj_tree_new (&vj_tree_files, dir, 0444, &error));
      assert_non_null (strstr (error->message, "--tree"));
    }
}

static void
backends_have_names (void **state)
{
  assert_ptr_equal (vj_tree_backend ("files"), &vj_tree_files);
  assert_null (vj_tree_backend ("tape"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (nothing_is_visible_before_the_first_update),
    tempdir_unit_test (both_layouts_show_the_same),
    tempdir_unit_test (a_killed_builder_leaves_no_trace),
    tempdir_unit_test (an_existing_directory_keeps_its_inode),
    tempdir_unit_test (frozen_zones_are_left_alone),
    tempdir_unit_test (a_tree_can_be_scanned),
    tempdir_unit_test (a_file_in_the_way_is_refused),
    cmocka_unit_test (backends_have_names),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
