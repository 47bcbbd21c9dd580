/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/storage.h"

#include "common/error.h"
#include "common/file.h"
#include "common/kept_file.h"

#include <unistd.h>

/* Names that were seen once and are not there any more (loop and dm devices come and go). */
#define STALE_NAMES_MAX 64

struct VjDisks
{
  char *sysfs;
  VjKeptFile *diskstats;
  GHashTable *counts; /* name -> GINT_TO_POINTER (whether it counts) */
  GArray *rows;       /* VjDiskstat: scratch */
  GArray *last;       /* VjDiskBytes of the last reading */
};

struct VjStorageUsage
{
  VjScopeKind kind;
  int pid;
  VjKeptFile *file;
};

static gboolean
is_empty (const char *path)
{
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);

  return !directory || !g_dir_read_name (directory);
}

/* A partition has no directory of its own right below block. */
static gboolean
is_whole_disk (const char *sysfs, const char *name)
{
  g_autofree char *directory = g_build_filename (sysfs, "block", name, NULL);
  g_autofree char *device = g_build_filename (directory, "device", NULL);
  g_autofree char *slaves = g_build_filename (directory, "slaves", NULL);
  g_autofree char *hidden = vj_file_read (directory, "hidden", 16, NULL, NULL);

  return access (device, F_OK) == 0 && is_empty (slaves) && !(hidden && hidden[0] == '1');
}

static gboolean
disk_counts (VjDisks *disks, const char *name)
{
  gpointer counts = NULL;
  g_autofree char *directory = NULL;

  if (g_hash_table_lookup_extended (disks->counts, name, NULL, &counts))
    return GPOINTER_TO_INT (counts);
  /* "cciss/c0d0" is cciss!c0d0 in sysfs. */
  directory = g_strdelimit (g_strdup (name), "/", '!');
  counts = GINT_TO_POINTER (is_whole_disk (disks->sysfs, directory));
  g_hash_table_insert (disks->counts, g_strdup (name), counts);
  return GPOINTER_TO_INT (counts);
}

VjDisks *
vj_disks_open (const VjRoots *roots, GError **error)
{
  VjKeptFile *diskstats = vj_kept_file_open (roots->procfs, "diskstats", error);
  VjDisks *disks;

  if (!diskstats)
    return NULL;
  disks = g_new0 (VjDisks, 1);
  disks->diskstats = diskstats;
  disks->sysfs = g_strdup (roots->sysfs);
  disks->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  disks->rows = g_array_new (FALSE, FALSE, sizeof (VjDiskstat));
  disks->last = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  return disks;
}

void
vj_disks_free (VjDisks *disks)
{
  if (!disks)
    return;
  vj_kept_file_free (disks->diskstats);
  g_hash_table_unref (disks->counts);
  g_array_unref (disks->rows);
  g_array_unref (disks->last);
  g_free (disks->sysfs);
  g_free (disks);
}

gboolean
vj_disks_read (VjDisks *disks, GArray *ret_disks, GError **error)
{
  gsize length = 0;
  const char *text = vj_kept_file_read (disks->diskstats, &length, error);

  if (!text)
    return FALSE;
  if (!vj_io_text_parse_diskstats (text, length, disks->rows))
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "diskstats is not of the kernel's form");
      return FALSE;
    }
  if (g_hash_table_size (disks->counts) > disks->rows->len + STALE_NAMES_MAX)
    g_hash_table_remove_all (disks->counts);
  g_array_set_size (disks->last, 0);
  for (guint i = 0; i < disks->rows->len; i++)
    {
      const VjDiskstat *row = &g_array_index (disks->rows, VjDiskstat, i);

      if (disk_counts (disks, row->name))
        g_array_append_val (disks->last, row->disk);
    }
  g_array_set_size (ret_disks, 0);
  g_array_append_vals (ret_disks, disks->last->data, disks->last->len);
  return TRUE;
}

static gboolean
is_among (const GArray *disks, const VjDiskBytes *like)
{
  for (guint i = 0; i < disks->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (disks, VjDiskBytes, i);

      if (disk->major == like->major && disk->minor == like->minor)
        return TRUE;
    }
  return FALSE;
}

static void
keep_those_among (const GArray *disks, GArray *array)
{
  for (guint i = array->len; i > 0; i--)
    {
      if (!is_among (disks, &g_array_index (array, VjDiskBytes, i - 1)))
        g_array_remove_index (array, i - 1);
    }
}

VjScopeKind
vj_storage_usage_kind (const VjStorageUsage *usage)
{
  return usage->kind;
}

static gboolean
parse_process (const char *text, gsize length, GArray *ret_disks)
{
  VjDiskBytes all = { .major = VJ_DISK_MAJOR_ALL };

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

gboolean
vj_storage_usage_read (VjStorageUsage *usage, const VjDisks *disks, GArray *ret_disks, GError **error)
{
  if (!read_all (usage, ret_disks, error))
    return FALSE;
  if (usage->kind != VJ_SCOPE_PROCESS)
    keep_those_among (disks->last, ret_disks);
  return TRUE;
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

/* Whether there is more than nothing for every disk that has moved anything. */
static gboolean
has_all (const GArray *counted, const VjDisks *disks)
{
  g_autoptr (GArray) moved = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));

  for (guint i = 0; i < counted->len; i++)
    {
      if (g_array_index (counted, VjDiskBytes, i).bytes > 0)
        g_array_append_val (moved, g_array_index (counted, VjDiskBytes, i));
    }
  for (guint i = 0; i < disks->last->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (disks->last, VjDiskBytes, i);

      if (disk->bytes > 0 && !is_among (moved, disk))
        return FALSE;
    }
  return TRUE;
}

static gboolean
try_v1 (VjStorageUsage *usage, const VjRoots *roots, const VjDisks *disks, const char *scope,
        const char *file)
{
  g_autofree char *root = g_build_filename (roots->cgroupfs, "blkio", NULL);
  g_autoptr (GArray) counted = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  VjStorageUsage whole = { 0 };
  const gboolean counts = try_file (&whole, VJ_SCOPE_V1, root, file, NULL) && read_all (&whole, counted, NULL)
                          && has_all (counted, disks);

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

VjStorageUsage *
vj_storage_usage_open (const VjRoots *roots, const VjDisks *disks, int pid, GError **error)
{
  VjStorageUsage usage = { .pid = pid };
  g_autofree char *directory = g_strdup_printf ("%s/%d", roots->procfs, pid);

  if (try_cgroup (&usage, roots, disks) || try_file (&usage, VJ_SCOPE_PROCESS, directory, "io", error))
    return g_memdup2 (&usage, sizeof usage);
  g_prefix_error (error, "I/O of process %d: ", pid);
  return NULL;
}

void
vj_storage_usage_free (VjStorageUsage *usage)
{
  if (!usage)
    return;
  vj_kept_file_free (usage->file);
  g_free (usage);
}
