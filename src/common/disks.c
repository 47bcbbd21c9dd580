/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/disks.h"

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

static gboolean
read_last (VjDisks *disks, GError **error)
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
  return TRUE;
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
  if (read_last (disks, error))
    return disks;
  vj_disks_free (disks);
  return NULL;
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
  if (!read_last (disks, error))
    return FALSE;
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

void
vj_disks_filter (const VjDisks *disks, GArray *bytes)
{
  for (guint i = bytes->len; i > 0; i--)
    {
      if (!is_among (disks->last, &g_array_index (bytes, VjDiskBytes, i - 1)))
        g_array_remove_index (bytes, i - 1);
    }
}

gboolean
vj_disks_are_counted (const VjDisks *disks, const GArray *of_root)
{
  g_autoptr (GArray) moved = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));

  for (guint i = 0; i < of_root->len; i++)
    {
      if (g_array_index (of_root, VjDiskBytes, i).bytes > 0)
        g_array_append_val (moved, g_array_index (of_root, VjDiskBytes, i));
    }
  for (guint i = 0; i < disks->last->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (disks->last, VjDiskBytes, i);

      if (disk->bytes > 0 && !is_among (moved, disk))
        return FALSE;
    }
  return TRUE;
}
