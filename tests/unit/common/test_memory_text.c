/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/memory_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MEMINFO_HEAD "MemTotal:       24684092 kB\nMemFree:        21506612 kB\nMemAvailable:   23871224 kB\n"
#define MEMINFO_TAIL                                                                                         \
  "Buffers:          295148 kB\nCached:          2143584 kB\nSwapCached:            7 kB\n"                  \
  "Shmem:              8932 kB\nShmemHugePages:        9 kB\n"
#define HUGEPAGES "HugePages_Total:    12\nHugePages_Free:     10\nHugepagesize:       2048 kB\n"

#define KB ((guint64)1024)

/* The text at the very end of an allocation, so that a sanitizer sees any read past it. */
static char *
exact_copy (const char *text, gsize length)
{
  return g_memdup2 (text, MAX (length, 1));
}

static void
test_meminfo (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint64 hugepages_free;
  } cases[] = {
    { MEMINFO_HEAD MEMINFO_TAIL HUGEPAGES, TRUE, 10 },
    { MEMINFO_HEAD MEMINFO_TAIL, TRUE, 0 },
    { MEMINFO_TAIL MEMINFO_HEAD, TRUE, 0 },
    { MEMINFO_HEAD, FALSE, 0 },
    { MEMINFO_TAIL, FALSE, 0 },
    { MEMINFO_HEAD MEMINFO_TAIL "HugePages_Free:     1", FALSE, 0 }, /* cut short */
    { MEMINFO_HEAD MEMINFO_TAIL "HugePages_Free:     -1\n", FALSE, 0 },
    { MEMINFO_HEAD MEMINFO_TAIL "HugePages_Free:     1 MB\n", FALSE, 0 },
    { MEMINFO_HEAD MEMINFO_TAIL "Hugepagesize:    18014398509481984 kB\n", FALSE, 0 },
    { "", FALSE, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      VjMeminfo meminfo = { .total = 77 };

      assert_int_equal (vj_memory_text_parse_meminfo (text, length, &meminfo), cases[i].ok);
      assert_int_equal (meminfo.total, cases[i].ok ? 24684092 * KB : 77);
      if (!cases[i].ok)
        continue;
      assert_int_equal (meminfo.free, 21506612 * KB);
      assert_int_equal (meminfo.buffers, 295148 * KB);
      assert_int_equal (meminfo.cached, 2143584 * KB);
      assert_int_equal (meminfo.shmem, 8932 * KB);
      assert_int_equal (meminfo.hugepages_free, cases[i].hugepages_free);
      assert_int_equal (meminfo.hugepage_size, cases[i].hugepages_free ? 2048 * KB : 0);
    }
}

/* Equation 4.11 as corrected: the page cache of files is nobody's, shared memory is somebody's. */
static void
test_in_use (void **state)
{
  static const struct
  {
    VjMeminfo meminfo;
    guint64 hugepages_free_bytes;
    guint64 in_use;
  } cases[] = {
    { { .total = 1000, .free = 400, .buffers = 50, .cached = 200, .shmem = 0 }, 0, 350 },
    { { .total = 1000, .free = 400, .buffers = 50, .cached = 200, .shmem = 150 }, 0, 500 },
    { { .total = 1000, .free = 400, .buffers = 50, .cached = 200, .shmem = 150 }, 300, 200 },
    { { .total = 1000, .free = 400, .buffers = 50, .cached = 200, .shmem = 201 }, 0, 550 },
    { { .total = 1000, .free = 900, .buffers = 90, .cached = 200, .shmem = 0 }, 0, 0 },
    { { .total = 1000, .free = 1001 }, 0, 0 },
    { { .total = 1000 }, 1001, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_int_equal (vj_meminfo_in_use (&cases[i].meminfo, cases[i].hugepages_free_bytes), cases[i].in_use);
}

typedef gboolean (*Parse) (const char *text, gsize length, VjMemoryParts *ret_parts);

static void
test_parts (void **state)
{
  static const struct
  {
    Parse parse;
    const char *text;
    gboolean ok;
    VjMemoryParts parts;
  } cases[] = {
    { vj_memory_text_parse_status,
      "Name:\tRssAnon: 1 kB\nVmRSS:\t    9 kB\nRssAnon:\t     108 kB\nRssFile:\t    1576 kB\n"
      "RssShmem:\t      20 kB\nHugetlbPages:\t    2048 kB\nThreads:\t1\n",
      TRUE,
      { 108 * KB, 20 * KB, 2048 * KB, TRUE } },
    { vj_memory_text_parse_status,
      "RssAnon:\t     108 kB\nRssShmem:\t      20 kB\n",
      TRUE,
      { 108 * KB, 20 * KB, 0, FALSE } },
    { vj_memory_text_parse_status, "Name:\tkthreadd\nState:\tS (sleeping)\nThreads:\t1\n", FALSE, { 0 } },
    { vj_memory_text_parse_status, "RssAnon:\t     108 kB\n", FALSE, { 0 } },
    { vj_memory_text_parse_status, "RssAnon:\t     108 kB\nRssShmem:\t      20 k", FALSE, { 0 } },
    { vj_memory_text_parse_stat_v2,
      "anon 4096\nfile 999\nkernel 5\nshmem 8192\nfile_mapped 3\nanon_thp 7\nshmem_thp 7\n",
      TRUE,
      { 4096, 8192, 0, FALSE } },
    { vj_memory_text_parse_stat_v2, "anon 1\nshmem 2\nhugetlb 3\n", TRUE, { 1, 2, 3, TRUE } },
    { vj_memory_text_parse_stat_v2, "anon 1\n", FALSE, { 0 } },
    { vj_memory_text_parse_stat_v2, "anon x\nshmem 2\n", FALSE, { 0 } },
    { vj_memory_text_parse_stat_v2, "", FALSE, { 0 } },
    { vj_memory_text_parse_stat_v1,
      "cache 9\nrss 1\nshmem 2\nhierarchical_memory_limit 9223372036854771712\n"
      "total_cache 10\ntotal_rss 3\ntotal_rss_huge 5\ntotal_shmem 4\n",
      TRUE,
      { 3, 4, 0, FALSE } },
    { vj_memory_text_parse_stat_v1, "cache 9\nrss 1\ntotal_cache 10\ntotal_rss 3\n", FALSE, { 0 } },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      VjMemoryParts parts = { .anon = 77 };

      assert_int_equal (cases[i].parse (text, length, &parts), cases[i].ok);
      assert_int_equal (parts.anon, cases[i].ok ? cases[i].parts.anon : 77);
      assert_int_equal (parts.shmem, cases[i].parts.shmem);
      assert_int_equal (parts.hugetlb, cases[i].parts.hugetlb);
      assert_int_equal (parts.knows_hugetlb, cases[i].parts.knows_hugetlb);
    }
}

/* No prefix gives other numbers than the whole: it gives none, or these. */
static void
test_cut (void **state)
{
  static const char text[] = MEMINFO_HEAD MEMINFO_TAIL;
  VjMeminfo meminfo;

  for (gsize length = 0; length < strlen (text); length++)
    {
      if (vj_memory_text_parse_meminfo (text, length, &meminfo))
        assert_int_equal (meminfo.shmem, 8932 * KB);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_meminfo),
    cmocka_unit_test (test_in_use),
    cmocka_unit_test (test_parts),
    cmocka_unit_test (test_cut),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
