/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/memory_text.h"

#include "common/scan.h"

#define BYTES_PER_KB 1024U

/* One line that is looked for: key with what separates it from its value. */
typedef struct
{
  const char *key;
  guint64 *value;
  gboolean found;
} Field;

static void
skip_blanks (VjScan *scan)
{
  while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t'))
    scan->at++;
}

/* "   123 kB" or " 123", to the end of the line. */
static gboolean
parse_value (VjScan line, guint64 *ret_value)
{
  guint64 value;

  skip_blanks (&line);
  if (!vj_scan_u64 (&line, &value))
    return FALSE;
  if (vj_scan_literal (&line, " kB") && __builtin_mul_overflow (value, BYTES_PER_KB, &value))
    return FALSE;
  if (line.at != line.end)
    return FALSE;
  *ret_value = value;
  return TRUE;
}

static gboolean
match_line (VjScan line, Field *fields, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      if (fields[i].found || !vj_scan_literal (&line, fields[i].key))
        continue;
      fields[i].found = parse_value (line, fields[i].value);
      return fields[i].found;
    }
  return TRUE;
}

/* Fills the fields whose lines are there. FALSE if one of these is malformed or the text has been cut short. */
static gboolean
collect (const char *text, gsize length, Field *fields, gsize n)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;

  while (vj_scan_line (&scan, &line))
    {
      if (scan.at == line.end || !match_line (line, fields, n))
        return FALSE;
    }
  return TRUE;
}

static gboolean
first_are_found (const Field *fields, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      if (!fields[i].found)
        return FALSE;
    }
  return TRUE;
}

gboolean
vj_memory_text_parse_meminfo (const char *text, gsize length, VjMeminfo *ret_meminfo)
{
  VjMeminfo meminfo = { 0 };
  Field fields[] = {
    { "MemTotal:", &meminfo.total, FALSE },
    { "MemFree:", &meminfo.free, FALSE },
    { "Buffers:", &meminfo.buffers, FALSE },
    { "Cached:", &meminfo.cached, FALSE },
    { "Shmem:", &meminfo.shmem, FALSE },
    { "HugePages_Free:", &meminfo.hugepages_free, FALSE },
    { "Hugepagesize:", &meminfo.hugepage_size, FALSE },
  };

  if (!collect (text, length, fields, G_N_ELEMENTS (fields)) || !first_are_found (fields, 5))
    return FALSE;
  *ret_meminfo = meminfo;
  return TRUE;
}

static guint64
less (guint64 value, guint64 part)
{
  return value - MIN (value, part);
}

guint64
vj_meminfo_in_use (const VjMeminfo *meminfo, guint64 hugepages_free_bytes)
{
  guint64 bytes = less (meminfo->total, meminfo->free);

  bytes = less (bytes, meminfo->buffers);
  bytes = less (bytes, less (meminfo->cached, meminfo->shmem));
  return less (bytes, hugepages_free_bytes);
}

/* Two names that must be there, one that may. */
static gboolean
parse_parts (const char *text, gsize length, const char *anon, const char *shmem, const char *hugetlb,
             VjMemoryParts *ret_parts)
{
  VjMemoryParts parts = { 0 };
  Field fields[] = {
    { anon, &parts.anon, FALSE },
    { shmem, &parts.shmem, FALSE },
    { hugetlb, &parts.hugetlb, FALSE },
  };
  const gsize n = hugetlb ? 3 : 2;

  if (!collect (text, length, fields, n) || !first_are_found (fields, 2))
    return FALSE;
  parts.knows_hugetlb = fields[2].found;
  *ret_parts = parts;
  return TRUE;
}

gboolean
vj_memory_text_parse_status (const char *text, gsize length, VjMemoryParts *ret_parts)
{
  return parse_parts (text, length, "RssAnon:", "RssShmem:", "HugetlbPages:", ret_parts);
}

gboolean
vj_memory_text_parse_stat_v2 (const char *text, gsize length, VjMemoryParts *ret_parts)
{
  return parse_parts (text, length, "anon ", "shmem ", "hugetlb ", ret_parts);
}

gboolean
vj_memory_text_parse_stat_v1 (const char *text, gsize length, VjMemoryParts *ret_parts)
{
  return parse_parts (text, length, "total_rss ", "total_shmem ", NULL, ret_parts);
}
