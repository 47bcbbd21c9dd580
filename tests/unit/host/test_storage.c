/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/storage.h"

#include "common/error.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SCOPE "/machine/qemu-1-a.libvirt-qemu"

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
  fixture->roots.cgroupfs = g_build_filename (root, "cgroup", NULL);
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

  tempdir_write (fixture->roots.procfs, "diskstats", "8 0\n");
  assert_false (vj_disks_read (disks, fixture->disks, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_int_equal (fixture->disks->len, 4);
}

#define IO_STAT    "8:0 rbytes=1 wbytes=2 rios=1\n9:0 rbytes=50 wbytes=50\n252:0 rbytes=9\n259:0 wbytes=7\n"
#define BLKIO      "8:0 Read 1\n8:0 Write 5\n8:0 Total 6\n252:0 Read 70\n252:0 Write 7\nTotal 83\n"
#define BLKIO_ROOT BLKIO "8:16 Read 1\n259:0 Read 1\n104:0 Read 1\nTotal 86\n"
#define PID_IO     "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n"

static const struct
{
  const char *cgroup;
  const char *files[3][2];
  VjScopeKind kind;
  const char *disks;
} cases[] = {
  { "0::" SCOPE "/libvirt/emulator\n",
    { { "cgroup.controllers", "io\n" }, { SCOPE "/io.stat", IO_STAT } },
    VJ_SCOPE_V2,
    "8:0=3 259:0=7" },
  { "0::" SCOPE "\n", { { "cgroup.controllers", "io\n" }, { SCOPE "/io.stat", "" } }, VJ_SCOPE_V2, "" },
  { "3:blkio:" SCOPE "\n0::" SCOPE "\n",
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes_recursive", BLKIO },
      { "blkio/blkio.throttle.io_service_bytes_recursive", BLKIO_ROOT },
      { "blkio" SCOPE "/blkio.throttle.io_service_bytes", "Total 0\n" } },
    VJ_SCOPE_V1,
    "8:0=6" },
  { "3:blkio:" SCOPE "\n",
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes", BLKIO },
      { "blkio/blkio.throttle.io_service_bytes", BLKIO_ROOT } },
    VJ_SCOPE_V1,
    "8:0=6" },
  { "3:blkio:" SCOPE "\n", /* a kernel that does not count for one disk */
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes", BLKIO },
      { "blkio/blkio.throttle.io_service_bytes", BLKIO "8:16 Read 0\n259:0 Read 1\n104:0 Read 1\n" } },
    VJ_SCOPE_PROCESS,
    "0:0=12288" },
  { "3:blkio:" SCOPE "\n", /* or for none */
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes", "Total 0\n" },
      { "blkio/blkio.throttle.io_service_bytes", "Total 0\n" } },
    VJ_SCOPE_PROCESS,
    "0:0=12288" },
  { "3:blkio:/user.slice\n",
    { { "blkio/user.slice/blkio.throttle.io_service_bytes", BLKIO } },
    VJ_SCOPE_PROCESS,
    "0:0=12288" },
  { "", { { NULL } }, VJ_SCOPE_PROCESS, "0:0=12288" },
};

static void
domain_counts_on_disks_that_count (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);

  assert_true (vj_disks_read (disks, fixture->disks, NULL));
  tempdir_write (fixture->roots.procfs, "7/io", PID_IO);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      tempdir_remove (fixture->roots.cgroupfs, "");
      tempdir_write (fixture->roots.procfs, "7/cgroup", cases[i].cgroup);
      for (gsize file = 0; file < 3 && cases[i].files[file][0]; file++)
        tempdir_write (fixture->roots.cgroupfs, cases[i].files[file][0], cases[i].files[file][1]);
      g_autoptr (VjStorageUsage) usage = vj_storage_usage_open (&fixture->roots, disks, 7, NULL);

      assert_non_null (usage);
      assert_string_equal (vj_scope_kind_name (vj_storage_usage_kind (usage)),
                           vj_scope_kind_name (cases[i].kind));
      assert_true (vj_storage_usage_read (usage, disks, fixture->disks, NULL));
      assert_disks (fixture->disks, cases[i].disks);
    }
}

static void
domain_that_vanished_is_gone (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);
  g_autoptr (GError) error = NULL;

  assert_null (vj_storage_usage_open (&fixture->roots, disks, 8, &error));
  assert_true (vj_error_is_gone (error));
}

#define storage_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    storage_test (each_byte_of_the_machine_counts_once),
    storage_test (disks_come_and_go),
    storage_test (domain_counts_on_disks_that_count),
    storage_test (domain_that_vanished_is_gone),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
