/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/memory.h"

#include "common/error.h"
#include "common/memory_total.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KB     ((guint64)1024)
#define SCOPE  "/machine/qemu-1-a.libvirt-qemu"
#define STATUS "Name:\tqemu\nRssAnon:\t1 kB\nRssFile:\t900 kB\nRssShmem:\t2 kB\nHugetlbPages:\t4 kB\n"
#define V2     "anon 100\nfile 5000\nshmem 20\n"
#define V1     "cache 9\nrss 9\nshmem 9\ntotal_cache 9\ntotal_rss 300\ntotal_shmem 40\n"

typedef struct
{
  const char *title;
  const char *cgroup; /* /proc/7/cgroup */
  const char *files[5][2];
  VjScopeKind kind;
  guint64 bytes;
} Case;

static const Case cases[] = {
  { "v2, hugepages by the process",
    "0::" SCOPE "/libvirt/emulator\n",
    { { "cgroup.controllers", "memory\n" }, { SCOPE "/memory.stat", V2 } },
    VJ_SCOPE_V2,
    120 + 4096 },
  { "v2, hugepages by their controller",
    "0::" SCOPE "\n",
    { { "cgroup.controllers", "memory hugetlb\n" },
      { SCOPE "/memory.stat", V2 },
      { SCOPE "/hugetlb.2MB.current", "7\n" },
      { SCOPE "/hugetlb.1GB.current", "50000\n" },
      { SCOPE "/hugetlb.2MB.rsvd.current", "999\n" } },
    VJ_SCOPE_V2,
    120 + 50007 },
  { "v2, hugepages in memory.stat are not counted again",
    "0::" SCOPE "\n",
    { { "cgroup.controllers", "memory hugetlb\n" },
      { SCOPE "/memory.stat", V2 "hugetlb 11\n" },
      { SCOPE "/hugetlb.2MB.current", "13\n" } },
    VJ_SCOPE_V2,
    131 },
  { "hybrid: v1 has the controller",
    "4:memory:" SCOPE "\n0::" SCOPE "\n",
    { { "unified" SCOPE "/cpu.stat", "usage_usec 1\n" }, { "memory" SCOPE "/memory.stat", V1 } },
    VJ_SCOPE_V1,
    340 + 4096 },
  { "v1 with hugepages",
    "4:memory:" SCOPE "\n5:hugetlb:" SCOPE "\n",
    { { "memory" SCOPE "/memory.stat", V1 },
      { "hugetlb" SCOPE "/hugetlb.2MB.usage_in_bytes", "600\n" },
      { "hugetlb" SCOPE "/hugetlb.2MB.max_usage_in_bytes", "9999\n" },
      { "hugetlb" SCOPE "/hugetlb.2MB.rsvd.usage_in_bytes", "9999\n" } },
    VJ_SCOPE_V1,
    340 + 600 },
  { "v1 of a kernel without total_shmem",
    "4:memory:" SCOPE "\n",
    { { "memory" SCOPE "/memory.stat", "total_rss 300\n" } },
    VJ_SCOPE_PROCESS,
    7 * KB },
  { "a login session is not a domain",
    "4:memory:/user.slice\n0::/user.slice/session-1.scope\n",
    { { "unified/user.slice/session-1.scope/memory.stat", V2 }, { "memory/user.slice/memory.stat", V1 } },
    VJ_SCOPE_PROCESS,
    7 * KB },
  { "no cgroups", NULL, { { NULL } }, VJ_SCOPE_PROCESS, 7 * KB },
};

typedef struct
{
  const Case *c;
  char *root;
  VjRoots roots;
} Fixture;

static int
setup (void **state)
{
  void *root = NULL;
  Fixture *fixture;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture = g_new0 (Fixture, 1);
  fixture->c = *state;
  fixture->root = root;
  fixture->roots.procfs = g_build_filename (root, "proc", NULL);
  fixture->roots.cgroupfs = g_build_filename (root, "cgroup", NULL);
  fixture->roots.sysfs = g_build_filename (root, "sys", NULL);
  tempdir_write (fixture->roots.procfs, "7/status", STATUS);
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

static void
write_case (const Fixture *fixture, const Case *c)
{
  if (c->cgroup)
    tempdir_write (fixture->roots.procfs, "7/cgroup", c->cgroup);
  for (gsize i = 0; i < G_N_ELEMENTS (c->files) && c->files[i][0]; i++)
    tempdir_write (fixture->roots.cgroupfs, c->files[i][0], c->files[i][1]);
}

static void
chooses_the_first_that_is_the_domains_own (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;
  g_autoptr (VjMemoryUsage) usage = NULL;
  guint64 bytes = 0;

  write_case (fixture, fixture->c);
  usage = vj_memory_usage_open (&fixture->roots, 7, &error);
  assert_null (error);
  assert_string_equal (vj_scope_kind_name (vj_memory_usage_kind (usage)),
                       vj_scope_kind_name (fixture->c->kind));
  assert_true (vj_memory_usage_read (usage, &bytes, &error));
  assert_int_equal (bytes, fixture->c->bytes);
}

static void
kept_files_are_read_again (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (VjMemoryUsage) usage = NULL;
  g_autoptr (GError) error = NULL;
  guint64 bytes = 0;

  write_case (fixture, &cases[0]);
  usage = vj_memory_usage_open (&fixture->roots, 7, NULL);
  tempdir_write (fixture->roots.cgroupfs, SCOPE "/memory.stat", "anon 5\nshmem 6\n");
  assert_true (vj_memory_usage_read (usage, &bytes, NULL));
  assert_int_equal (bytes, 11 + 4096);

  tempdir_write (fixture->roots.cgroupfs, SCOPE "/memory.stat", "anon 5\n");
  assert_false (vj_memory_usage_read (usage, &bytes, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_int_equal (bytes, 11 + 4096);
}

static void
process_without_memory_is_gone (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;
  g_autoptr (VjMemoryUsage) usage = vj_memory_usage_open (&fixture->roots, 7, NULL);
  guint64 bytes = 5;

  tempdir_write (fixture->roots.procfs, "7/status", "Name:\tqemu\nState:\tZ (zombie)\n");
  assert_false (vj_memory_usage_read (usage, &bytes, &error));
  assert_true (vj_error_is_gone (error));
  assert_int_equal (bytes, 5);
  g_clear_error (&error);
  assert_null (vj_memory_usage_open (&fixture->roots, 8, &error));
  assert_true (vj_error_is_gone (error));
}

#define MEMINFO                                                                                              \
  "MemTotal: 10000 kB\nMemFree: 1000 kB\nBuffers: 100 kB\nCached: 3000 kB\nShmem: 2500 kB\n"                 \
  "HugePages_Free: 1\nHugepagesize: 2048 kB\n"

static void
machine_counts_shared_memory_and_not_idle_hugepages (void **state)
{
  const Fixture *fixture = *state;
  const guint64 in_use_kb = 10000 - 1000 - 100 - 500;
  guint64 bytes = 0;

  tempdir_write (fixture->roots.procfs, "meminfo", MEMINFO);
  g_autoptr (VjMemoryTotal) one_size = vj_memory_total_open (&fixture->roots, NULL);
  assert_true (vj_memory_total_read (one_size, &bytes, NULL));
  assert_int_equal (bytes, (in_use_kb - 2048) * KB);

  tempdir_write (fixture->roots.sysfs, "kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "1\n");
  tempdir_write (fixture->roots.sysfs, "kernel/mm/hugepages/hugepages-64kB/free_hugepages", "3\n");
  tempdir_write (fixture->roots.sysfs, "kernel/mm/hugepages/other/free_hugepages", "99\n");
  g_autoptr (VjMemoryTotal) two_sizes = vj_memory_total_open (&fixture->roots, NULL);
  assert_true (vj_memory_total_read (two_sizes, &bytes, NULL));
  assert_int_equal (bytes, (in_use_kb - 2048 - 192) * KB);

  tempdir_write (fixture->roots.procfs, "meminfo", "MemTotal: 10000 kB\n");
  g_autoptr (GError) error = NULL;
  assert_false (vj_memory_total_read (two_sizes, &bytes, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

static void
machine_without_meminfo (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;

  assert_null (vj_memory_total_open (&fixture->roots, &error));
  assert_true (vj_error_is_gone (error));
}

#define memory_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  struct CMUnitTest choices[G_N_ELEMENTS (cases)] = { 0 };
  const struct CMUnitTest tests[] = {
    memory_test (kept_files_are_read_again),
    memory_test (process_without_memory_is_gone),
    memory_test (machine_counts_shared_memory_and_not_idle_hugepages),
    memory_test (machine_without_meminfo),
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    choices[i] = (struct CMUnitTest){ cases[i].title, chooses_the_first_that_is_the_domains_own, setup,
                                      teardown, (void *)&cases[i] };
  return cmocka_run_group_tests (choices, NULL, NULL) + cmocka_run_group_tests (tests, NULL, NULL);
}
