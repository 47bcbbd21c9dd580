/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/memory.h"

#include "common/error.h"
#include "common/file.h"
#include "common/memory_text.h"

#include <string.h>
#include <unistd.h>

/* memory.stat and status grow with the kernel and with the number of CPUs. */
#define TEXT_MAX 16384

struct VjMemoryUsage
{
  VjScopeKind kind;
  int pid;
  int stat_fd;      /* memory.stat; -1: kind is process */
  int status_fd;    /* of the process */
  GArray *huge_fds; /* int: bytes in hugepages of each size; empty: the process's status tells */
};

static void
clear_fd (gpointer data)
{
  const int *fd = data;

  if (*fd >= 0)
    close (*fd);
}

VjScopeKind
vj_memory_usage_kind (const VjMemoryUsage *usage)
{
  return usage->kind;
}

static gboolean
read_cgroup (const VjMemoryUsage *usage, VjMemoryParts *ret_parts, GError **error)
{
  char text[TEXT_MAX];
  gsize length = 0;

  if (!vj_file_pread (usage->stat_fd, text, sizeof text, &length, error))
    return FALSE;
  if (usage->kind == VJ_SCOPE_V2 ? vj_memory_text_parse_stat_v2 (text, length, ret_parts)
                                 : vj_memory_text_parse_stat_v1 (text, length, ret_parts))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "memory.stat of process %d's domain is not of the kernel's form", usage->pid);
  return FALSE;
}

static gboolean
read_status (const VjMemoryUsage *usage, VjMemoryParts *ret_parts, GError **error)
{
  char text[TEXT_MAX];
  gsize length = 0;

  if (!vj_file_pread (usage->status_fd, text, sizeof text, &length, error))
    return FALSE;
  if (vj_memory_text_parse_status (text, length, ret_parts))
    return TRUE;
  /* What has given its memory back and only waits for its parent has no such lines. */
  g_set_error (error, VJ_ERROR, VJ_ERROR_GONE, "process %d has no memory any more", usage->pid);
  return FALSE;
}

static gboolean
read_hugetlb (const VjMemoryUsage *usage, guint64 *ret_bytes, GError **error)
{
  VjMemoryParts status;
  guint64 sum = 0;

  if (usage->huge_fds->len == 0)
    {
      if (!read_status (usage, &status, error))
        return FALSE;
      *ret_bytes = status.hugetlb;
      return TRUE;
    }
  for (guint i = 0; i < usage->huge_fds->len; i++)
    {
      guint64 bytes = 0;

      if (!vj_file_pread_u64 (g_array_index (usage->huge_fds, int, i), &bytes, error))
        return FALSE;
      sum += bytes;
    }
  *ret_bytes = sum;
  return TRUE;
}

gboolean
vj_memory_usage_read (VjMemoryUsage *usage, guint64 *ret_bytes, GError **error)
{
  VjMemoryParts parts = { 0 };
  const gboolean is_process = usage->kind == VJ_SCOPE_PROCESS;

  if (!(is_process ? read_status (usage, &parts, error) : read_cgroup (usage, &parts, error)))
    return FALSE;
  if (!is_process && !parts.knows_hugetlb && !read_hugetlb (usage, &parts.hugetlb, error))
    return FALSE;
  *ret_bytes = parts.anon + parts.shmem + parts.hugetlb;
  return TRUE;
}

/* FALSE where that scope has no memory accounting of a form that can be read. */
static gboolean
try_cgroup (VjMemoryUsage *usage, VjScopeKind kind, const char *scope)
{
  VjMemoryParts parts;

  usage->kind = kind;
  usage->stat_fd = scope ? vj_file_open (scope, "memory.stat", NULL) : -1;
  if (usage->stat_fd < 0)
    return FALSE;
  if (read_cgroup (usage, &parts, NULL))
    return TRUE;
  close (usage->stat_fd);
  usage->stat_fd = -1;
  return FALSE;
}

/* hugetlb.SIZE<suffix> for every SIZE; what is reserved (hugetlb.SIZE.rsvd...) is not in use yet. */
static void
open_hugetlb (VjMemoryUsage *usage, const char *scope, const char *suffix)
{
  g_autoptr (GDir) directory = scope ? g_dir_open (scope, 0, NULL) : NULL;
  const char *name;

  while (directory && (name = g_dir_read_name (directory)))
    {
      if (!g_str_has_prefix (name, "hugetlb.") || !g_str_has_suffix (name, suffix) || strstr (name, ".rsvd."))
        continue;
      const int fd = vj_file_open (scope, name, NULL);

      if (fd >= 0)
        g_array_append_val (usage->huge_fds, fd);
    }
}

static void
open_cgroup (VjMemoryUsage *usage, const VjRoots *roots)
{
  g_autofree char *v2 = vj_scope_v2 (roots, usage->pid);
  g_autofree char *v1 = vj_scope_v1 (roots, usage->pid, "memory");
  g_autofree char *v1_hugetlb = vj_scope_v1 (roots, usage->pid, "hugetlb");

  if (!try_cgroup (usage, VJ_SCOPE_V2, v2) && !try_cgroup (usage, VJ_SCOPE_V1, v1))
    {
      usage->kind = VJ_SCOPE_PROCESS;
      return;
    }
  open_hugetlb (usage, v2, ".current");
  if (usage->huge_fds->len == 0)
    open_hugetlb (usage, v1_hugetlb, ".usage_in_bytes");
}

VjMemoryUsage *
vj_memory_usage_open (const VjRoots *roots, int pid, GError **error)
{
  g_autofree char *relative = g_strdup_printf ("%d/status", pid);
  const int status_fd = vj_file_open (roots->procfs, relative, error);
  VjMemoryUsage *usage;

  if (status_fd < 0)
    return NULL;
  usage = g_new0 (VjMemoryUsage, 1);
  usage->pid = pid;
  usage->stat_fd = -1;
  usage->status_fd = status_fd;
  usage->huge_fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_set_clear_func (usage->huge_fds, clear_fd);
  open_cgroup (usage, roots);
  return usage;
}

void
vj_memory_usage_free (VjMemoryUsage *usage)
{
  if (!usage)
    return;
  clear_fd (&usage->stat_fd);
  clear_fd (&usage->status_fd);
  g_array_unref (usage->huge_fds);
  g_free (usage);
}
