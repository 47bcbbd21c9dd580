/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"

#define ROOT_ZONE "intel-rapl"

typedef struct
{
  char *dir;
  char *
      stage; /* a hidden sibling of dir, where things are built: within dir, consumers would list it as a zone */
  guint mode;
  gsize known; /* zones that are there: nothing but their value is written */
} Files;

static int
remove_entry (const char *path, const struct stat *status, int type, struct FTW *walk)
{
  return remove (path);
}

static void
remove_tree (const char *path)
{
  nftw (path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The umask does not apply: guests' consumers do not run as root. */
static gboolean
make_directory (const char *path, GError **error)
{
  if (mkdir (path, 0755) == 0 && chmod (path, 0755) == 0)
    return TRUE;
  vj_error_set_errno (error, errno, "cannot make directory %s", path);
  return FALSE;
}

static gboolean
move (const char *from, const char *to, GError **error)
{
  if (rename (from, to) == 0)
    return TRUE;
  if (errno == EXDEV)
    g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                 "%s is in a mount point of its own: give --tree a directory below that mount point", to);
  else
    vj_error_set_errno (error, errno, "cannot rename to %s", to);
  return FALSE;
}

static gboolean
exists (const char *path)
{
  struct stat status;

  return lstat (path, &status) == 0;
}

static gboolean
write_energy (const Files *files, const char *root, const VjTreeZone *zone, GError **error)
{
  char text[32];
  const int length = g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT "\n", zone->energy_uj);

  return vj_file_replace (root, "energy_uj", text, (gsize)length, files->mode, error);
}

static gboolean
write_text (const Files *files, const char *root, const char *name, const char *text, GError **error)
{
  return vj_file_replace (root, name, text, strlen (text), files->mode, error);
}

/* Builds the directory of zones[index] at path, its sub-zones within if it is a package. */
static gboolean
build_zone (const Files *files, const char *path, const VjTreeZone *zones, gsize n, gsize index,
            GError **error)
{
  const VjTreeZone *zone = &zones[index];
  g_autofree char *name = g_strdup_printf ("%s\n", zone->name);
  g_autofree char *range = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", VJ_TREE_MAX_RANGE_UJ);

  if (!make_directory (path, error) || !write_text (files, path, "name", name, error)
      || !write_text (files, path, "max_energy_range_uj", range, error)
      || !write_text (files, path, "enabled", "1\n", error) || !write_energy (files, path, zone, error))
    return FALSE;

  for (gsize i = index + 1; zone->sub < 0 && i < n; i++)
    {
      if (zones[i].package != zone->package || zones[i].sub < 0)
        continue;
      g_autofree char *link = vj_tree_zone_link (&zones[i]);
      g_autofree char *below = g_build_filename (path, link, NULL);
      if (!build_zone (files, below, zones, n, i, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
build_root (const Files *files, const char *path, const VjTreeZone *zones, gsize n, GError **error)
{
  if (!make_directory (path, error) || !write_text (files, path, "enabled", "1\n", error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    {
      if (zones[i].sub >= 0)
        continue;
      g_autofree char *link = vj_tree_zone_link (&zones[i]);
      g_autofree char *below = g_build_filename (path, link, NULL);
      if (!build_zone (files, below, zones, n, i, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
make_link (const char *dir, const VjTreeZone *zone, GError **error)
{
  g_autofree char *link = vj_tree_zone_link (zone);
  g_autofree char *path = g_build_filename (dir, link, NULL);
  g_autofree char *target = vj_tree_zone_path (zone);

  if (symlink (target, path) == 0 || errno == EEXIST)
    return TRUE;
  vj_error_set_errno (error, errno, "cannot make %s", path);
  return FALSE;
}

static gboolean
make_links (const char *dir, const VjTreeZone *zones, gsize n, GError **error)
{
  for (gsize i = 0; i < n; i++)
    if (!make_link (dir, &zones[i], error))
      return FALSE;
  return TRUE;
}

/* The very first tree appears whole. */
static gboolean
create_all (const Files *files, const VjTreeZone *zones, gsize n, GError **error)
{
  g_autofree char *root = g_build_filename (files->stage, ROOT_ZONE, NULL);

  return make_directory (files->stage, error) && build_root (files, root, zones, n, error)
         && make_links (files->stage, zones, n, error) && move (files->stage, files->dir, error);
}

/* A directory that exists keeps its inode, since it may be bind-mounted elsewhere: the zones are moved into it. */
static gboolean
create_root (const Files *files, const VjTreeZone *zones, gsize n, GError **error)
{
  g_autofree char *root = g_build_filename (files->dir, ROOT_ZONE, NULL);

  return build_root (files, files->stage, zones, n, error) && move (files->stage, root, error)
         && make_links (files->dir, zones, n, error);
}

/* A zone that is there is given its value, any other appears complete. What stands still is written once: a reader that was
 * killed may have kept values which it did not come to show. */
static gboolean
show_zone (const Files *files, const VjTreeZone *zones, gsize n, gsize index, GError **error)
{
  g_autofree char *path = vj_tree_zone_path (&zones[index]);
  g_autofree char *full = g_build_filename (files->dir, path, NULL);
  const gboolean is_new = index >= files->known;

  if (!is_new || exists (full))
    {
      if ((zones[index].live || files->known == 0) && !write_energy (files, full, &zones[index], error))
        return FALSE;
    }
  else
    {
      remove_tree (files->stage);
      if (!build_zone (files, files->stage, zones, n, index, error) || !move (files->stage, full, error))
        return FALSE;
    }
  return !is_new || make_link (files->dir, &zones[index], error);
}

static gboolean
create (const Files *files, const VjTreeZone *zones, gsize n, GError **error)
{
  remove_tree (files->stage);
  return exists (files->dir) ? create_root (files, zones, n, error) : create_all (files, zones, n, error);
}

/* Packages come before their sub-zones, new ones too, so whoever reads a sub-zone and then its package never sees more in
 * the part than in the whole. */
static gboolean
show_zones (const Files *files, const VjTreeZone *zones, gsize n, GError **error)
{
  g_autofree char *root = g_build_filename (files->dir, ROOT_ZONE, NULL);

  if (files->known == 0 && !exists (root))
    return create (files, zones, n, error);
  for (gsize i = 0; i < n; i++)
    if (!show_zone (files, zones, n, i, error))
      return FALSE;
  return TRUE;
}

static gboolean
files_update (gpointer backend, const VjTreeZone *zones, gsize n, GError **error)
{
  Files *files = backend;
  const gboolean shown = show_zones (files, zones, n, error);

  files->known = shown ? n : 0; /* perhaps somebody removed it */
  return shown;
}

static void
files_close (gpointer backend)
{
  Files *files = backend;

  remove_tree (files->stage);
  g_free (files->dir);
  g_free (files->stage);
  g_free (files);
}

/* Fails now rather than at the first frame. */
static gboolean
check_writable (const Files *files, const char *parent, GError **error)
{
  if (g_mkdir_with_parents (parent, 0755) < 0 || access (parent, W_OK | X_OK) < 0)
    {
      vj_error_set_errno (error, errno,
                          "cannot build the tree in %s (--tree must be in a writable directory)", parent);
      return FALSE;
    }
  if (!exists (files->dir))
    return TRUE;
  if (!g_file_test (files->dir, G_FILE_TEST_IS_DIR))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s is not a directory: give another --tree",
                   files->dir);
      return FALSE;
    }
  if (access (files->dir, W_OK | X_OK) < 0)
    {
      vj_error_set_errno (error, errno, "cannot write in %s (--tree must be a writable directory)",
                          files->dir);
      return FALSE;
    }
  return TRUE;
}

static gpointer
files_open (const char *dir, guint mode, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (dir);
  g_autofree char *name = g_path_get_basename (dir);
  Files *files = g_new (Files, 1);

  *files =
      (Files){ .dir = g_strdup (dir), .stage = g_strdup_printf ("%s/.%s.new", parent, name), .mode = mode };
  if (check_writable (files, parent, error))
    {
      remove_tree (files->stage);
      return files;
    }
  g_free (files->dir);
  g_free (files->stage);
  g_free (files);
  return NULL;
}

const VjTreeBackend vj_tree_files = {
  .name = "files", .open = files_open, .update = files_update, .close = files_close
};
