/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parsers of what the kernel says of memory (proc(5), Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
 * Pure, as procfs.h: FALSE and nothing written where the text is not of the kernel's form. All sizes in bytes. */

/* /proc/meminfo. cached holds shmem as well as the page cache of files; neither it nor anything else here holds
 * hugepages, except that those that are reserved are not in free. */
typedef struct
{
  guint64 total;
  guint64 free;
  guint64 buffers;
  guint64 cached;
  guint64 shmem;
  guint64 hugepages_free; /* pages of the default size alone; 0 where the kernel has no hugepages */
  guint64 hugepage_size;
} VjMeminfo;

gboolean vj_memory_text_parse_meminfo (const char *text, gsize length, VjMeminfo *ret_meminfo);

/* Memory in use (docs: equation 4.11, corrected): total - free - buffers - (cached - shmem) - hugepages that nobody uses.
 * Page cache of files is nobody's; shmem is the guests' RAM. hugepages_free_bytes: over all sizes. Never negative. */
guint64 vj_meminfo_in_use (const VjMeminfo *meminfo, guint64 hugepages_free_bytes);

/* Memory of one process or of one cgroup. */
typedef struct
{
  guint64 anon;
  guint64 shmem;
  guint64 hugetlb;
  gboolean knows_hugetlb; /* FALSE: hugetlb is 0 because the text does not tell */
} VjMemoryParts;

/* /proc/PID/status: RssAnon, RssShmem, HugetlbPages. FALSE too for a process without memory (a zombie, a kernel thread). */
gboolean vj_memory_text_parse_status (const char *text, gsize length, VjMemoryParts *ret_parts);

/* cgroup v2 memory.stat. It tells of hugetlb only where the file system is mounted with memory_hugetlb_accounting. */
gboolean vj_memory_text_parse_stat_v2 (const char *text, gsize length, VjMemoryParts *ret_parts);

/* cgroup v1 memory.stat: total_rss (which is anon alone) and total_shmem, with all sub-groups. */
gboolean vj_memory_text_parse_stat_v1 (const char *text, gsize length, VjMemoryParts *ret_parts);
