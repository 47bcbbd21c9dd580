/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/io_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* The text at the very end of an allocation, so that a sanitizer sees any read past it. */
static char *
exact_copy (const char *text, gsize length)
{
  return g_memdup2 (text, MAX (length, 1));
}

typedef gboolean (*Parse) (const char *text, gsize length, GArray *ret_disks);

#define V2 vj_io_text_parse_io_stat
#define V1 vj_io_text_parse_blkio

static void
test_cgroup (void **state)
{
  static const struct
  {
    Parse parse;
    const char *text;
    gboolean ok;
    guint n;
    VjDiskBytes disks[3];
  } cases[] = {
    { V2,
      "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=1\n"
      "8:16 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0 cost.usage=7\n",
      TRUE,
      2,
      { { 254, 0, 12288 }, { 8, 16, 3 } } },
    { V2, "", TRUE, 0, { { 0 } } },
    { V2, "8:0\n", TRUE, 0, { { 0 } } },
    { V2, "7:7 7:6 254:0 rbytes=1 wbytes=2 rios=0\n", TRUE, 1, { { 254, 0, 3 } } },
    { V2, "7:7 \n254:0 wbytes=2\n", TRUE, 1, { { 254, 0, 2 } } },
    { V2, "254:0 rbytes=1 wbytes=2", FALSE, 0, { { 0 } } },
    { V2, "254:0 rbytes=1\nrbytes=2\n", FALSE, 0, { { 0 } } },
    { V2, "254:0 rbytes=-1 wbytes=2\n", FALSE, 0, { { 0 } } },
    { V2, "254:0 rbytes=18446744073709551615 wbytes=1\n", FALSE, 0, { { 0 } } },
    { V1,
      "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 9\n254:0 Async 9\n254:0 Discard 9\n254:0 Total 12288\n"
      "7:0 Read 1\n7:0 Write 2\n7:0 Total 3\nTotal 12291\n",
      TRUE,
      2,
      { { 254, 0, 12288 }, { 7, 0, 3 } } },
    { V1, "Total 0\n", TRUE, 0, { { 0 } } },
    { V1, "", TRUE, 0, { { 0 } } },
    { V1, "254:0 Read\n", FALSE, 0, { { 0 } } },
    { V1, "254:0 Read 1 2\n", FALSE, 0, { { 0 } } },
    { V1, "254 Read 1\n", FALSE, 0, { { 0 } } },
    { V1, "4294967296:0 Read 1\n", FALSE, 0, { { 0 } } },
    { V1, "254:0 Read 1\n254:0 Wri", FALSE, 0, { { 0 } } },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      g_autoptr (GArray) disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));

      g_array_set_size (disks, 5);
      assert_int_equal (cases[i].parse (text, length, disks), cases[i].ok);
      assert_int_equal (disks->len, cases[i].n);
      for (guint disk = 0; disk < disks->len; disk++)
        {
          assert_int_equal (g_array_index (disks, VjDiskBytes, disk).major, cases[i].disks[disk].major);
          assert_int_equal (g_array_index (disks, VjDiskBytes, disk).minor, cases[i].disks[disk].minor);
          assert_int_equal (g_array_index (disks, VjDiskBytes, disk).bytes, cases[i].disks[disk].bytes);
        }
    }
}

static void
test_pid_io (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint64 bytes;
  } cases[] = {
    { "rchar: 6976\nwchar: 1\nsyscr: 10\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 8192\n"
      "cancelled_write_bytes: 7\n",
      TRUE, 12288 },
    { "read_bytes: 0\nwrite_bytes: 0\n", TRUE, 0 },
    { "read_bytes: 1\n", FALSE, 0 },
    { "read_bytes: 1\nwrite_bytes: 2", FALSE, 0 },
    { "read_bytes: 1\nwrite_bytes: x\n", FALSE, 0 },
    { "read_bytes: 18446744073709551615\nwrite_bytes: 1\n", FALSE, 0 },
    { "", FALSE, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const gsize length = strlen (cases[i].text);
      g_autofree char *text = exact_copy (cases[i].text, length);
      guint64 bytes = 77;

      assert_int_equal (vj_io_text_parse_pid_io (text, length, &bytes), cases[i].ok);
      assert_int_equal (bytes, cases[i].ok ? cases[i].bytes : 77);
    }
}

#define LONG_NAME "x123456789x123456789x123456789x123456789x123456789x123456789x12"

static void
test_diskstats (void **state)
{
  static const char text[] =
      "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
      " 254       0 vda 90991 28527 4173210 30862 698127 86458 18847472 136799 0 61548 208931\n"
      " 254       1 " LONG_NAME " 1 1 1 1 1 1 1 1 1 1 1\n"
      " 254       2 " LONG_NAME "x 1 1 1 1 1 1 1 1 1 1 1\n"
      " 259       0 nvme0n1 1 2 3 4 5 6 7\n";
  static const struct
  {
    const char *name;
    guint64 bytes;
  } rows[] = {
    { "loop0", 0 },
    { "vda", (G_GUINT64_CONSTANT (4173210) + 18847472) * 512 },
    { LONG_NAME, 1024 },
    { "nvme0n1", 5120 },
  };
  g_autoptr (GArray) diskstats = g_array_new (FALSE, FALSE, sizeof (VjDiskstat));
  g_autofree char *copy = exact_copy (text, strlen (text));

  assert_true (vj_io_text_parse_diskstats (copy, strlen (text), diskstats));
  assert_int_equal (diskstats->len, G_N_ELEMENTS (rows));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      assert_string_equal (g_array_index (diskstats, VjDiskstat, i).name, rows[i].name);
      assert_int_equal (g_array_index (diskstats, VjDiskstat, i).disk.bytes, rows[i].bytes);
    }
  assert_int_equal (g_array_index (diskstats, VjDiskstat, 3).disk.major, 259);
}

static void
test_diskstats_malformed (void **state)
{
  static const char *const texts[] = {
    " 254       0 vda 1 2 3 4 5 6\n",
    " 254       0 vda 1 2 3 4 5 6 7",
    " 254       0 vda 1 2 -3 4 5 6 7\n",
    " 254       vda 1 2 3 4 5 6 7\n",
    " 254       0 vda 1 2 18446744073709551615 4 5 6 1 8\n",
    " 254       0 vda 1 2 36028797018963968 4 5 6 0 8\n",
    "\n",
  };
  g_autoptr (GArray) diskstats = g_array_new (FALSE, FALSE, sizeof (VjDiskstat));

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *copy = exact_copy (texts[i], strlen (texts[i]));

      g_array_set_size (diskstats, 3);
      assert_false (vj_io_text_parse_diskstats (copy, strlen (texts[i]), diskstats));
      assert_int_equal (diskstats->len, 0);
    }
}

static void
test_delta (void **state)
{
  static const struct
  {
    const char *title;
    VjDiskBytes before[2];
    VjDiskBytes now[2];
    guint n_before;
    guint n_now;
    guint64 delta;
  } cases[] = {
    { "both grow", { { 8, 0, 10 }, { 8, 16, 20 } }, { { 8, 16, 25 }, { 8, 0, 17 } }, 2, 2, 12 },
    { "same minor of another major", { { 8, 0, 10 } }, { { 9, 0, 3 } }, 1, 1, 3 },
    { "a disk that came counts from zero", { { 8, 0, 10 } }, { { 8, 0, 11 }, { 8, 16, 5 } }, 1, 2, 6 },
    { "one that went takes nothing", { { 8, 0, 10 }, { 8, 16, 20 } }, { { 8, 0, 11 } }, 2, 1, 1 },
    { "a counter that began anew", { { 8, 0, 10 } }, { { 8, 0, 4 } }, 1, 1, 4 },
    { "nothing", { { 0 } }, { { 0 } }, 0, 0, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GArray) before = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
      g_autoptr (GArray) now = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));

      g_array_append_vals (before, cases[i].before, cases[i].n_before);
      g_array_append_vals (now, cases[i].now, cases[i].n_now);
      if (vj_disk_bytes_delta (before, now) != cases[i].delta)
        fail_msg ("%s", cases[i].title);
      assert_int_equal (vj_disk_bytes_advance (before, now), cases[i].delta);
      assert_int_equal (vj_disk_bytes_advance (before, now), 0);
      assert_int_equal (before->len, cases[i].n_now);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_cgroup),    cmocka_unit_test (test_pid_io),
    cmocka_unit_test (test_diskstats), cmocka_unit_test (test_diskstats_malformed),
    cmocka_unit_test (test_delta),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
