/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/io_text.h"

#include "common/scan.h"

#include <string.h>

#define SECTOR_BYTES 512U

static gboolean
is_whole (const char *text, gsize length)
{
  return length == 0 || text[length - 1] == '\n';
}

/* What is left of scan up to the next blank, which is passed over. */
static VjScan
next_word (VjScan *scan)
{
  VjScan word = { .at = scan->at, .end = scan->at };

  while (word.end < scan->end && *word.end != ' ')
    word.end++;
  scan->at = MIN (word.end + 1, scan->end);
  return word;
}

static gboolean
word_is (VjScan word, const char *expected)
{
  return vj_scan_literal (&word, expected) && word.at == word.end;
}

static gboolean
parse_whole_u64 (VjScan word, guint64 *ret_value)
{
  guint64 value;

  if (!vj_scan_u64 (&word, &value) || word.at != word.end)
    return FALSE;
  *ret_value = value;
  return TRUE;
}

static gboolean
parse_number (VjScan *scan, guint *ret_number)
{
  guint64 value;

  if (!vj_scan_u64 (scan, &value) || value > G_MAXUINT)
    return FALSE;
  *ret_number = (guint)value;
  return TRUE;
}

/* "MAJOR:MINOR" */
static gboolean
parse_device (VjScan word, VjDiskBytes *ret_disk)
{
  VjDiskBytes disk = { 0 };

  if (!parse_number (&word, &disk.major) || !vj_scan_literal (&word, ":")
      || !parse_number (&word, &disk.minor) || word.at != word.end)
    return FALSE;
  *ret_disk = disk;
  return TRUE;
}

/* Adds to the last entry if that is the same disk, else to a new one. */
static gboolean
add_bytes (GArray *disks, VjDiskBytes disk, guint64 bytes)
{
  VjDiskBytes *last = disks->len > 0 ? &g_array_index (disks, VjDiskBytes, disks->len - 1) : NULL;

  if (last != NULL && last->major == disk.major && last->minor == disk.minor)
    return !__builtin_add_overflow (last->bytes, bytes, &last->bytes);
  disk.bytes = bytes;
  g_array_append_val (disks, disk);
  return TRUE;
}

/* A word of io.stat: a device, which becomes the one that counters are of; one of the two counters; something else. */
static gboolean
take_io_stat_word (VjScan word, VjDiskBytes *disk, gboolean *has_disk, GArray *disks)
{
  guint64 bytes;

  if (parse_device (word, disk))
    {
      *has_disk = TRUE;
      return TRUE;
    }
  if (!vj_scan_literal (&word, "rbytes=") && !vj_scan_literal (&word, "wbytes="))
    return TRUE;
  return *has_disk && parse_whole_u64 (word, &bytes) && add_bytes (disks, *disk, bytes);
}

static gboolean
take_io_stat_line (VjScan line, GArray *disks)
{
  VjDiskBytes disk = { 0 };
  gboolean has_disk = FALSE;

  while (vj_scan_left (&line) > 0)
    {
      if (!take_io_stat_word (next_word (&line), &disk, &has_disk, disks))
        return FALSE;
    }
  return TRUE;
}

/* "MAJOR:MINOR Read BYTES", Write, Sync, Async, Discard or Total; and "Total BYTES" over all. */
static gboolean
take_blkio_line (VjScan line, GArray *disks)
{
  VjDiskBytes disk;
  VjScan operation;
  guint64 bytes;

  if (vj_scan_literal (&line, "Total "))
    return parse_whole_u64 (line, &bytes);
  if (!parse_device (next_word (&line), &disk))
    return FALSE;
  operation = next_word (&line);
  if (!parse_whole_u64 (line, &bytes))
    return FALSE;
  if (!word_is (operation, "Read") && !word_is (operation, "Write"))
    return TRUE;
  return add_bytes (disks, disk, bytes);
}

static void
skip_blanks (VjScan *scan)
{
  while (vj_scan_literal (scan, " "))
    ;
}

/* "MAJOR MINOR NAME READS MERGED SECTORS MS WRITES MERGED SECTORS MS ...", the numbers right-aligned. */
static gboolean
take_diskstats_line (VjScan line, GArray *diskstats)
{
  VjDiskstat row = { 0 };
  VjScan name;
  guint64 counters[7];
  guint64 sectors;

  skip_blanks (&line);
  if (!parse_number (&line, &row.disk.major))
    return FALSE;
  skip_blanks (&line);
  if (!parse_number (&line, &row.disk.minor) || !vj_scan_literal (&line, " "))
    return FALSE;
  name = next_word (&line);
  for (gsize i = 0; i < G_N_ELEMENTS (counters); i++)
    {
      if (!parse_whole_u64 (next_word (&line), &counters[i]))
        return FALSE;
    }
  if (__builtin_add_overflow (counters[2], counters[6], &sectors)
      || __builtin_mul_overflow (sectors, SECTOR_BYTES, &row.disk.bytes))
    return FALSE;
  if (vj_scan_left (&name) > VJ_DISK_NAME_MAX)
    return TRUE;
  memcpy (row.name, name.at, vj_scan_left (&name));
  g_array_append_val (diskstats, row);
  return TRUE;
}

typedef gboolean (*TakeLine) (VjScan line, GArray *rows);

static gboolean
parse_lines (const char *text, gsize length, TakeLine take_line, GArray *ret_rows)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;
  gboolean ok = is_whole (text, length);

  g_array_set_size (ret_rows, 0);
  while (ok && vj_scan_line (&scan, &line))
    ok = take_line (line, ret_rows);
  if (!ok)
    g_array_set_size (ret_rows, 0);
  return ok;
}

gboolean
vj_io_text_parse_io_stat (const char *text, gsize length, GArray *ret_disks)
{
  return parse_lines (text, length, take_io_stat_line, ret_disks);
}

gboolean
vj_io_text_parse_blkio (const char *text, gsize length, GArray *ret_disks)
{
  return parse_lines (text, length, take_blkio_line, ret_disks);
}

gboolean
vj_io_text_parse_diskstats (const char *text, gsize length, GArray *ret_diskstats)
{
  return parse_lines (text, length, take_diskstats_line, ret_diskstats);
}

gboolean
vj_io_text_parse_pid_io (const char *text, gsize length, guint64 *ret_bytes)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;
  guint64 bytes[2] = { 0, 0 };
  gboolean found[2] = { FALSE, FALSE };
  guint64 sum;

  if (!is_whole (text, length))
    return FALSE;
  while (vj_scan_line (&scan, &line))
    {
      if (vj_scan_literal (&line, "read_bytes: "))
        found[0] = parse_whole_u64 (line, &bytes[0]);
      else if (vj_scan_literal (&line, "write_bytes: "))
        found[1] = parse_whole_u64 (line, &bytes[1]);
    }
  if (!found[0] || !found[1] || __builtin_add_overflow (bytes[0], bytes[1], &sum))
    return FALSE;
  *ret_bytes = sum;
  return TRUE;
}

static guint64
bytes_of (const GArray *disks, const VjDiskBytes *like)
{
  for (guint i = 0; i < disks->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (disks, VjDiskBytes, i);

      if (disk->major == like->major && disk->minor == like->minor)
        return disk->bytes;
    }
  return 0;
}

guint64
vj_disk_bytes_delta (const GArray *before, const GArray *now)
{
  guint64 sum = 0;

  for (guint i = 0; i < now->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (now, VjDiskBytes, i);
      const guint64 earlier = bytes_of (before, disk);

      sum += disk->bytes >= earlier ? disk->bytes - earlier : disk->bytes;
    }
  return sum;
}

guint64
vj_disk_bytes_advance (GArray *before, const GArray *now)
{
  const guint64 delta = vj_disk_bytes_delta (before, now);

  g_array_set_size (before, 0);
  g_array_append_vals (before, now->data, now->len);
  return delta;
}
