/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/storage.h"

#include "common/error.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SCOPE "/machine/qemu-1-a.libvirt-qemu"

#define ROW(major, minor, name, sectors) " " major " " minor " " name " 1 1 " sectors " 1 1 1 1 1 0 0 0\n"

static const char diskstats[] =
    ROW ("8", "0", "sda", "9") ROW ("8", "16", "sdb", "19") ROW ("259", "0", "nvme0n1", "99")
        ROW ("104", "0", "sdc", "199") ROW ("9", "0", "md0", "500") ROW ("252", "0", "dm-0", "500");

typedef struct
{
  char *root;
  VjRoots roots;
} Fixture;

static int
setup (void **state)
{
  static const char *const disks[] = { "sda", "sdb", "nvme0n1", "sdc" };
  void *root = NULL;
  Fixture *fixture;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture = g_new0 (Fixture, 1);
  fixture->root = root;
  fixture->roots.procfs = g_build_filename (root, "proc", NULL);
  fixture->roots.cgroupfs = g_build_filename (root, "cgroup", NULL);
  fixture->roots.sysfs = g_build_filename (root, "sys", NULL);
  tempdir_write (fixture->roots.procfs, "diskstats", diskstats);
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    {
      g_autofree char *device = g_build_filename ("block", disks[i], "device", NULL);

      tempdir_mkdir (fixture->roots.sysfs, device);
    }
  *state = fixture;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  void *root = fixture->root;

  vj_roots_clear (&fixture->roots);
  g_free (fixture);
  return tempdir_teardown (&root);
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
  guint64 bytes;
} cases[] = {
  { "0::" SCOPE "/libvirt/emulator\n",
    { { "cgroup.controllers", "io\n" }, { SCOPE "/io.stat", IO_STAT } },
    VJ_SCOPE_V2,
    10 },
  { "0::" SCOPE "\n", { { "cgroup.controllers", "io\n" }, { SCOPE "/io.stat", "" } }, VJ_SCOPE_V2, 0 },
  { "3:blkio:" SCOPE "\n0::" SCOPE "\n",
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes_recursive", BLKIO },
      { "blkio/blkio.throttle.io_service_bytes_recursive", BLKIO_ROOT },
      { "blkio" SCOPE "/blkio.throttle.io_service_bytes", "Total 0\n" } },
    VJ_SCOPE_V1,
    6 },
  { "3:blkio:" SCOPE "\n",
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes", BLKIO },
      { "blkio/blkio.throttle.io_service_bytes", BLKIO_ROOT } },
    VJ_SCOPE_V1,
    6 },
  { "3:blkio:" SCOPE "\n", /* a kernel that does not count for one disk */
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes", BLKIO },
      { "blkio/blkio.throttle.io_service_bytes", BLKIO "8:16 Read 0\n259:0 Read 1\n104:0 Read 1\n" } },
    VJ_SCOPE_PROCESS,
    12288 },
  { "3:blkio:" SCOPE "\n", /* or for none */
    { { "blkio" SCOPE "/blkio.throttle.io_service_bytes", "Total 0\n" },
      { "blkio/blkio.throttle.io_service_bytes", "Total 0\n" } },
    VJ_SCOPE_PROCESS,
    12288 },
  { "3:blkio:/user.slice\n",
    { { "blkio/user.slice/blkio.throttle.io_service_bytes", BLKIO } },
    VJ_SCOPE_PROCESS,
    12288 },
  { "", { { NULL } }, VJ_SCOPE_PROCESS, 12288 },
};

static void
domain_counts_on_disks_that_count (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjDisks) disks = vj_disks_open (&fixture->roots, NULL);

  guint64 bytes = G_MAXUINT64;

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
      assert_true (vj_storage_usage_take (usage, disks, &bytes, NULL));
      assert_int_equal (bytes, 0); /* from now on */
      vj_storage_usage_count_from_birth (usage);
      assert_true (vj_storage_usage_take (usage, disks, &bytes, NULL));
      assert_int_equal (bytes, cases[i].bytes);
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
    storage_test (domain_counts_on_disks_that_count),
    storage_test (domain_that_vanished_is_gone),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
