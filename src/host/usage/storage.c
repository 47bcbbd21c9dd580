/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/storage.h"

#include "common/error.h"
#include "common/kept_file.h"

struct VjStorageUsage
{
  VjScopeKind kind;
  int pid;
  VjKeptFile *file;
  GArray *before; /* VjDiskBytes of the last reading */
  GArray *now;    /* scratch */
};

VjScopeKind
vj_storage_usage_kind (const VjStorageUsage *usage)
{
  return usage->kind;
}

static gboolean
parse_process (const char *text, gsize length, GArray *ret_disks)
{
  VjDiskBytes all = { 0 }; /* it does not tell disks apart */

  g_array_set_size (ret_disks, 0);
  if (!vj_io_text_parse_pid_io (text, length, &all.bytes))
    return FALSE;
  g_array_append_val (ret_disks, all);
  return TRUE;
}

static gboolean
parse_kind (VjScopeKind kind, const char *text, gsize length, GArray *ret_disks)
{
  switch (kind)
    {
    case VJ_SCOPE_V2:
      return vj_io_text_parse_io_stat (text, length, ret_disks);
    case VJ_SCOPE_V1:
      return vj_io_text_parse_blkio (text, length, ret_disks);
    case VJ_SCOPE_PROCESS:
    default:
      return parse_process (text, length, ret_disks);
    }
}

static gboolean
read_all (VjStorageUsage *usage, GArray *ret_disks, GError **error)
{
  gsize length = 0;
  const char *text = vj_kept_file_read (usage->file, &length, error);

  if (!text)
    return FALSE;
  if (parse_kind (usage->kind, text, length, ret_disks))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "the %s file of process %d's I/O is not of the kernel's form",
               vj_scope_kind_name (usage->kind), usage->pid);
  return FALSE;
}

static gboolean
read_disks (VjStorageUsage *usage, const VjDisks *disks, GError **error)
{
  if (!read_all (usage, usage->now, error))
    return FALSE;
  if (usage->kind != VJ_SCOPE_PROCESS)
    vj_disks_filter (disks, usage->now);
  return TRUE;
}

gboolean
vj_storage_usage_take (VjStorageUsage *usage, const VjDisks *disks, guint64 *ret_bytes, GError **error)
{
  if (!read_disks (usage, disks, error))
    return FALSE;
  *ret_bytes = vj_disk_bytes_advance (usage->before, usage->now);
  return TRUE;
}

void
vj_storage_usage_count_from_birth (VjStorageUsage *usage)
{
  g_array_set_size (usage->before, 0);
}

static gboolean
try_file (VjStorageUsage *usage, VjScopeKind kind, const char *directory, const char *file, GError **error)
{
  g_autoptr (GArray) disks = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));

  usage->kind = kind;
  usage->file = vj_kept_file_open (directory, file, error);
  if (usage->file && read_all (usage, disks, error))
    return TRUE;
  g_clear_pointer (&usage->file, vj_kept_file_free);
  return FALSE;
}

static gboolean
try_v1 (VjStorageUsage *usage, const VjRoots *roots, const VjDisks *disks, const char *scope,
        const char *file)
{
  g_autofree char *root = g_build_filename (roots->cgroupfs, "blkio", NULL);
  g_autoptr (GArray) counted = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  VjStorageUsage whole = { 0 };
  const gboolean counts = try_file (&whole, VJ_SCOPE_V1, root, file, NULL) && read_all (&whole, counted, NULL)
                          && vj_disks_are_counted (disks, counted);

  vj_kept_file_free (whole.file);
  return counts && try_file (usage, VJ_SCOPE_V1, scope, file, NULL);
}

static gboolean
try_cgroup (VjStorageUsage *usage, const VjRoots *roots, const VjDisks *disks)
{
  g_autofree char *v2 = vj_scope_v2 (roots, usage->pid);
  g_autofree char *v1 = vj_scope_v1 (roots, usage->pid, "blkio");

  if (v2 && try_file (usage, VJ_SCOPE_V2, v2, "io.stat", NULL))
    return TRUE;
  return v1
         && (try_v1 (usage, roots, disks, v1, "blkio.throttle.io_service_bytes_recursive")
             || try_v1 (usage, roots, disks, v1, "blkio.throttle.io_service_bytes"));
}

static gboolean
open_any (VjStorageUsage *usage, const VjRoots *roots, const VjDisks *disks, GError **error)
{
  g_autofree char *directory = g_strdup_printf ("%s/%d", roots->procfs, usage->pid);

  return (try_cgroup (usage, roots, disks) || try_file (usage, VJ_SCOPE_PROCESS, directory, "io", error))
         && read_disks (usage, disks, error);
}

VjStorageUsage *
vj_storage_usage_open (const VjRoots *roots, const VjDisks *disks, int pid, GError **error)
{
  VjStorageUsage *usage = g_new0 (VjStorageUsage, 1);

  usage->pid = pid;
  usage->before = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  usage->now = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  if (open_any (usage, roots, disks, error))
    {
      vj_disk_bytes_advance (usage->before, usage->now);
      return usage;
    }
  g_prefix_error (error, "I/O of process %d: ", pid);
  vj_storage_usage_free (usage);
  return NULL;
}

void
vj_storage_usage_free (VjStorageUsage *usage)
{
  if (!usage)
    return;
  g_clear_pointer (&usage->file, vj_kept_file_free);
  g_array_unref (usage->before);
  g_array_unref (usage->now);
  g_free (usage);
}
