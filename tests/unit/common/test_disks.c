/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/disks.h"

#include "common/error.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROW(major, minor, name, sectors) " " major " " minor " " name " 1 1 " sectors " 1 1 1 1 1 0 0 0\n"

/* One disk in LVM on md on two disks, their partitions, multipath, and what lives in memory or in files. */
static const char diskstats[] = ROW ("7", "0", "loop0", "1000") ROW ("1", "0", "ram0", "1000")
    ROW ("253", "0", "zram0", "1000") ROW ("8", "0", "sda", "9") ROW ("8", "1", "sda1", "8")
        ROW ("8", "16", "sdb", "19") ROW ("8", "17", "sdb1", "18") ROW ("9", "0", "md0", "500")
            ROW ("252", "0", "dm-0", "500") ROW ("259", "0", "nvme0n1", "99")
                ROW ("259", "1", "nvme0n1p1", "98") ROW ("259", "2", "nvme0c0n1", "99")
                    ROW ("104", "0", "cciss/c0d0", "199") ROW ("250", "0", "odd0", "777");

typedef struct
{
  char *root;
  VjRoots roots;
  GArray *disks;
} Fixture;

static void
make_disk (const Fixture *fixture, const char *name, gboolean device, const char *slave, const char *hidden)
{
  g_autofree char *directory = g_build_filename (fixture->roots.sysfs, "block", name, NULL);
  g_autofree char *slaves = g_build_filename ("slaves", slave, NULL);

  tempdir_mkdir (directory, slaves);
  if (device)
    tempdir_mkdir (directory, "device");
  tempdir_write (directory, "hidden", hidden);
}

static int
setup (void **state)
{
  void *root = NULL;
  Fixture *fixture;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture = g_new0 (Fixture, 1);
  fixture->root = root;
  fixture->roots.procfs = g_build_filename (root, "proc", NULL);
  fixture->roots.sysfs = g_build_filename (root, "sys", NULL);
  fixture->disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  tempdir_write (fixture->roots.procfs, "diskstats", diskstats);
  for (guint i = 0; i < 3; i++)
    make_disk (fixture, ((const char *const[]){ "loop0", "ram0", "zram0" })[i], FALSE, NULL, "0\n");
  for (guint i = 0; i < 4; i++)
    make_disk (fixture, ((const char *const[]){ "sda", "sdb", "nvme0n1", "cciss!c0d0" })[i], TRUE, NULL,
               "0\n");
  make_disk (fixture, "md0", FALSE, "sda1", "0\n");
  make_disk (fixture, "dm-0", FALSE, "md0", "0\n");
  make_disk (fixture, "nvme0c0n1", TRUE, NULL, "1\n");
  make_disk (fixture, "odd0", TRUE, "sdb", "0\n");
  *state = fixture;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  void *root = fixture->root;

  vj_roots_clear (&fixture->roots);
  g_array_unref (fixture->disks);
  g_free (fixture);
  return tempdir_teardown (&root);
}

/* "MAJOR:MINOR=BYTES ..." */
static char *
to_text (const GArray *disks)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < disks->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (disks, VjDiskBytes, i);

      g_string_append_printf (text, "%s%u:%u=%" G_GUINT64_FORMAT, i > 0 ? " " : "", disk->major, disk->minor,
                              disk->bytes);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
assert_disks (const GArray *disks, const char *expected)
{
  g_autofree char *text = to_text (disks);

  assert_string_equal (text, expected);
}

static void
each_byte_of_the_machine_counts_once (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);

  for (guint i = 0; i < 2; i++)
    {
      assert_true (vj_disks_read (disks, fixture->disks, NULL));
      assert_disks (fixture->disks, "8:0=5120 8:16=10240 259:0=51200 104:0=102400");
    }
}

static void
disks_come_and_go (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) many = g_string_new (NULL);

  assert_true (vj_disks_read (disks, fixture->disks, NULL));
  make_disk (fixture, "sdc", TRUE, NULL, "0\n");
  tempdir_write (fixture->roots.procfs, "diskstats", ROW ("8", "0", "sda", "10") ROW ("8", "32", "sdc", "1"));
  assert_true (vj_disks_read (disks, fixture->disks, NULL));
  assert_disks (fixture->disks, "8:0=5632 8:32=1024");

  for (guint i = 0; i < 500; i++)
    g_string_append_printf (many, ROW ("7", "%u", "loop%u", "1"), i, i);
  g_string_append (many, ROW ("8", "0", "sda", "11"));
  tempdir_write (fixture->roots.procfs, "diskstats", many->str);
  assert_true (vj_disks_read (disks, fixture->disks, NULL));
  assert_disks (fixture->disks, "8:0=6144");
  tempdir_write (fixture->roots.procfs, "diskstats", diskstats);
  assert_true (vj_disks_read (disks, fixture->disks, NULL));
  assert_int_equal (fixture->disks->len, 4);

  /* of the many that have gone nothing is remembered */
  make_disk (fixture, "loop7", TRUE, NULL, "0\n");
  tempdir_write (fixture->roots.procfs, "diskstats", ROW ("7", "7", "loop7", "1"));
  assert_true (vj_disks_read (disks, fixture->disks, NULL));
  assert_disks (fixture->disks, "7:7=1024");
  tempdir_write (fixture->roots.procfs, "diskstats", diskstats);
  assert_true (vj_disks_read (disks, fixture->disks, NULL));

  tempdir_write (fixture->roots.procfs, "diskstats", "8 0\n");
  assert_false (vj_disks_read (disks, fixture->disks, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_int_equal (fixture->disks->len, 4);
}

static void
only_disks_that_count_are_kept (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);
  const VjDiskBytes bytes[] = { { 9, 0, 1 }, { 8, 0, 2 }, { 8, 1, 3 }, { 104, 0, 4 } };

  g_array_append_vals (fixture->disks, bytes, G_N_ELEMENTS (bytes));
  vj_disks_filter (disks, fixture->disks);
  assert_disks (fixture->disks, "8:0=2 104:0=4");
}

static void
root_must_count_for_each_disk_that_moved (void **state)
{
  const Fixture *fixture = *state;
  g_autofree char *with_idle = g_strconcat (diskstats, " 8 32 sdc 0 0 0 0 0 0 0 0 0 0 0\n", NULL);
  make_disk (fixture, "sdc", TRUE, NULL, "0\n");
  tempdir_write (fixture->roots.procfs, "diskstats", with_idle);
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);
  VjDiskBytes bytes[] = { { 8, 0, 1 }, { 8, 16, 1 }, { 259, 0, 1 }, { 104, 0, 0 } };

  g_array_append_vals (fixture->disks, bytes, G_N_ELEMENTS (bytes));
  assert_false (vj_disks_are_counted (disks, fixture->disks));
  g_array_index (fixture->disks, VjDiskBytes, 3).bytes = 1;
  assert_true (vj_disks_are_counted (disks, fixture->disks));
  g_array_set_size (fixture->disks, 3);
  assert_false (vj_disks_are_counted (disks, fixture->disks));
}

static void
a_kernel_without_disks_is_told (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;

  tempdir_write (fixture->roots.procfs, "diskstats", "8 0\n");
  assert_null (vj_disks_open (&fixture->roots, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  g_clear_error (&error);
  tempdir_remove (fixture->roots.procfs, "diskstats");
  assert_null (vj_disks_open (&fixture->roots, &error));
  assert_true (vj_error_is_gone (error));
}

#define disks_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    disks_test (each_byte_of_the_machine_counts_once), disks_test (disks_come_and_go),
    disks_test (only_disks_that_count_are_kept),       disks_test (root_must_count_for_each_disk_that_moved),
    disks_test (a_kernel_without_disks_is_told),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
