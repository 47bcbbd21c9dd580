/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/memory_total.h"

#include "common/error.h"
#include "common/file.h"
#include "common/memory_text.h"

#include <string.h>
#include <unistd.h>

#define TEXT_MAX     16384 /* meminfo grows with the kernel */
#define BYTES_PER_KB 1024U

typedef struct
{
  guint64 page_bytes;
  int fd; /* free_hugepages */
} HugePages;

struct VjMemoryTotal
{
  int meminfo_fd;
  GArray *sizes; /* HugePages; empty: meminfo tells */
};

static void
clear_size (gpointer data)
{
  const HugePages *size = data;

  close (size->fd);
}

/* "hugepages-2048kB" */
static void
open_size (VjMemoryTotal *total, const char *directory, const char *name)
{
  g_autofree char *relative = g_build_filename (name, "free_hugepages", NULL);
  HugePages size = { 0 };
  char *end = NULL;

  if (!g_str_has_prefix (name, "hugepages-"))
    return;
  size.page_bytes = g_ascii_strtoull (name + strlen ("hugepages-"), &end, 10) * BYTES_PER_KB;
  if (strcmp (end, "kB") != 0)
    return;
  size.fd = vj_file_open (directory, relative, NULL);
  if (size.fd >= 0)
    g_array_append_val (total->sizes, size);
}

static void
open_sizes (VjMemoryTotal *total, const char *sysfs)
{
  g_autofree char *path = g_build_filename (sysfs, "kernel", "mm", "hugepages", NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;

  while (directory && (name = g_dir_read_name (directory)))
    open_size (total, path, name);
}

VjMemoryTotal *
vj_memory_total_open (const VjRoots *roots, GError **error)
{
  const int fd = vj_file_open (roots->procfs, "meminfo", error);
  VjMemoryTotal *total;

  if (fd < 0)
    return NULL;
  total = g_new0 (VjMemoryTotal, 1);
  total->meminfo_fd = fd;
  total->sizes = g_array_new (FALSE, FALSE, sizeof (HugePages));
  g_array_set_clear_func (total->sizes, clear_size);
  open_sizes (total, roots->sysfs);
  return total;
}

void
vj_memory_total_free (VjMemoryTotal *total)
{
  if (!total)
    return;
  close (total->meminfo_fd);
  g_array_unref (total->sizes);
  g_free (total);
}

static gboolean
read_free_hugepages (const VjMemoryTotal *total, const VjMeminfo *meminfo, guint64 *ret_bytes, GError **error)
{
  guint64 sum = 0;

  if (total->sizes->len == 0)
    {
      *ret_bytes = meminfo->hugepages_free * meminfo->hugepage_size;
      return TRUE;
    }
  for (guint i = 0; i < total->sizes->len; i++)
    {
      const HugePages *size = &g_array_index (total->sizes, HugePages, i);
      guint64 pages = 0;

      if (!vj_file_pread_u64 (size->fd, &pages, error))
        return FALSE;
      sum += pages * size->page_bytes;
    }
  *ret_bytes = sum;
  return TRUE;
}

gboolean
vj_memory_total_read (VjMemoryTotal *total, guint64 *ret_in_use_bytes, GError **error)
{
  char text[TEXT_MAX];
  gsize length = 0;
  VjMeminfo meminfo;
  guint64 free_bytes = 0;

  if (!vj_file_pread (total->meminfo_fd, text, sizeof text, &length, error))
    return FALSE;
  if (!vj_memory_text_parse_meminfo (text, length, &meminfo))
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "meminfo is not of the kernel's form");
      return FALSE;
    }
  if (!read_free_hugepages (total, &meminfo, &free_bytes, error))
    return FALSE;
  *ret_in_use_bytes = vj_meminfo_in_use (&meminfo, free_bytes);
  return TRUE;
}
