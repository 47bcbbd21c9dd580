/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "common/io_text.h"

#include <string.h>

typedef gboolean (*Parse) (const char *text, gsize length, GArray *ret_disks);

static void
check_disks (Parse parse, const char *text, gsize size)
{
  g_autoptr (GArray) disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  g_autoptr (GArray) none = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  guint64 sum = 0;

  g_array_set_size (disks, 3);
  if (!parse (text, size, disks))
    {
      FUZZ_CHECK (disks->len == 0);
      return;
    }
  FUZZ_CHECK (disks->len <= size / strlen ("0:0 Read 0"));
  for (guint i = 0; i < disks->len; i++)
    sum += g_array_index (disks, VjDiskBytes, i).bytes;
  FUZZ_CHECK (vj_disk_bytes_delta (none, disks) == sum);
  FUZZ_CHECK (vj_disk_bytes_delta (disks, none) == 0);
}

static void
check_diskstats (const char *text, gsize size)
{
  g_autoptr (GArray) diskstats = g_array_new (FALSE, FALSE, sizeof (VjDiskstat));

  g_array_set_size (diskstats, 3);
  if (!vj_io_text_parse_diskstats (text, size, diskstats))
    FUZZ_CHECK (diskstats->len == 0);
  for (guint i = 0; i < diskstats->len; i++)
    {
      const VjDiskstat *row = &g_array_index (diskstats, VjDiskstat, i);

      FUZZ_CHECK (row->disk.bytes % 512 == 0 && strnlen (row->name, sizeof row->name) <= VJ_DISK_NAME_MAX);
    }
}

static void
check_pid_io (const char *text, gsize size)
{
  guint64 bytes = 77;

  if (vj_io_text_parse_pid_io (text, size, &bytes))
    FUZZ_CHECK (memmem (text, size, "write_bytes: ", 13) != NULL);
  else
    FUZZ_CHECK (bytes == 77);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;

  check_disks (vj_io_text_parse_io_stat, text, size);
  check_disks (vj_io_text_parse_blkio, text, size);
  check_diskstats (text, size);
  check_pid_io (text, size);
  return 0;
}
