/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/tree.h"

#include <string.h>

#include "common/file.h"

struct VjTree
{
  const VjTreeBackend *backend;
  gpointer state;
};

const VjTreeBackend *
vj_tree_backend (const char *name)
{
  if (strcmp (name, vj_tree_files.name) == 0)
    return &vj_tree_files;
#ifdef VJ_FUSE
  if (strcmp (name, vj_tree_fuse.name) == 0)
    return &vj_tree_fuse;
#endif
  return NULL;
}

VjTree *
vj_tree_new (const VjTreeBackend *backend, const char *dir, guint mode, GError **error)
{
  gpointer state = backend->open (dir, mode, error);

  if (state == NULL)
    return NULL;
  VjTree *tree = g_new (VjTree, 1);
  *tree = (VjTree){ .backend = backend, .state = state };
  return tree;
}

void
vj_tree_free (VjTree *tree)
{
  if (tree == NULL)
    return;
  tree->backend->close (tree->state);
  g_free (tree);
}

gboolean
vj_tree_update (VjTree *tree, const VjTreeZone *zones, gsize n, GError **error)
{
  return tree->backend->update (tree->state, zones, n, error);
}

char *
vj_tree_zone_link (const VjTreeZone *zone)
{
  if (zone->sub < 0)
    return g_strdup_printf ("intel-rapl:%d", zone->package);
  return g_strdup_printf ("intel-rapl:%d:%d", zone->package, zone->sub);
}

char *
vj_tree_zone_path (const VjTreeZone *zone)
{
  if (zone->sub < 0)
    return g_strdup_printf ("intel-rapl/intel-rapl:%d", zone->package);
  return g_strdup_printf ("intel-rapl/intel-rapl:%d/intel-rapl:%d:%d", zone->package, zone->package,
                          zone->sub);
}

/* Reads one zone's name and value; NULL if it is not there. */
static char *
read_zone (const char *dir, int package, int sub, guint64 *ret_energy_uj)
{
  const VjTreeZone zone = { .package = package, .sub = sub };
  g_autofree char *path = vj_tree_zone_path (&zone);
  g_autofree char *full = g_build_filename (dir, path, NULL);
  g_autofree char *name = vj_file_read (full, "name", VJ_ZONE_ID_MAX + 1, NULL, NULL);
  g_autofree char *energy = vj_file_read (full, "energy_uj", 32, NULL, NULL);

  if (name == NULL || energy == NULL
      || !g_ascii_string_to_unsigned (g_strchomp (energy), 10, 0, VJ_TREE_MAX_RANGE_UJ, ret_energy_uj, NULL))
    return NULL;
  return g_strdup (g_strchomp (name));
}

void
vj_tree_scan (const char *dir, VjTreeScanFunc func, gpointer user_data)
{
  guint64 energy_uj;

  for (int package = 0;; package++)
    {
      g_autofree char *name = read_zone (dir, package, -1, &energy_uj);
      if (name == NULL)
        return;
      func (name, energy_uj, user_data);
      for (int sub = 0;; sub++)
        {
          g_autofree char *sub_name = read_zone (dir, package, sub, &energy_uj);
          g_autofree char *id = g_strdup_printf ("%s/%s", name, sub_name);
          if (sub_name == NULL)
            break;
          func (id, energy_uj, user_data);
        }
    }
}
