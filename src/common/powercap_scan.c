/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/powercap_scan.h"

#include "common/error.h"
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define CLASS_DIR      "class/powercap"
#define NAME_MAX_BYTES 128
#define DEPTH_MAX      4 /* the kernel's zones are two deep */

/* The directory of one zone. */
typedef struct
{
  char *name; /* "intel-rapl:0:1" */
  char *path;
  gboolean is_mmio;
  guint depth;
  guint64 number[DEPTH_MAX];
} Entry;

static void
free_entry (gpointer data)
{
  Entry *entry = data;

  g_free (entry->name);
  g_free (entry->path);
  g_free (entry);
}

/* --- directories --------------------------------------------------------------------------------------------------- */

static gboolean
is_control_type (const char *name)
{
  return g_str_equal (name, "intel-rapl") || g_str_equal (name, "intel-rapl-mmio");
}

/* NULL if this is not the name of a zone. */
static Entry *
parse_entry (const char *name, const char *directory)
{
  g_auto (GStrv) parts = g_strsplit (name, ":", -1);
  const guint depth = g_strv_length (parts) - 1;
  guint64 number[DEPTH_MAX] = { 0 };

  if (!is_control_type (parts[0]) || depth < 1 || depth > DEPTH_MAX)
    return NULL;
  for (guint i = 0; i < depth; i++)
    if (!g_ascii_string_to_unsigned (parts[i + 1], 10, 0, G_MAXUINT32, &number[i], NULL))
      return NULL;

  Entry *entry = g_new0 (Entry, 1);
  entry->name = g_strdup (name);
  entry->path = g_build_filename (directory, name, NULL);
  entry->is_mmio = g_str_equal (parts[0], "intel-rapl-mmio");
  entry->depth = depth;
  memcpy (entry->number, number, sizeof number);
  return entry;
}

static gboolean scan_directory (const char *sysfs, const char *directory, guint depth, GHashTable *entries);

static void
scan_name (const char *sysfs, const char *directory, const char *name, guint depth, GHashTable *entries)
{
  Entry *entry = parse_entry (name, directory);
  g_autofree char *below = g_build_filename (directory, name, NULL);

  if (entry == NULL && !is_control_type (name))
    return;
  if (entry != NULL && g_hash_table_contains (entries, name))
    free_entry (entry);
  else if (entry != NULL)
    g_hash_table_insert (entries, entry->name, entry);
  if (depth < DEPTH_MAX)
    scan_directory (sysfs, below, depth + 1, entries);
}

/* Zones stand below their parents, and again (as links) in the class's directory; trees with one of the two are
 * accepted. FALSE with errno if the directory cannot be read. */
static gboolean
scan_directory (const char *sysfs, const char *directory, guint depth, GHashTable *entries)
{
  g_autofree char *path = g_build_filename (sysfs, directory, NULL);
  DIR *listing = opendir (path);
  const struct dirent *item;

  if (listing == NULL)
    return FALSE;
  while ((item = readdir (listing)) != NULL)
    scan_name (sysfs, directory, item->d_name, depth, entries);
  closedir (listing);
  return TRUE;
}

/* --- from directories to zones ------------------------------------------------------------------------------------- */

/* Numeric order, parents first. */
static int
compare_entries (gconstpointer a, gconstpointer b)
{
  const Entry *left = *(Entry *const *)a;
  const Entry *right = *(Entry *const *)b;

  for (guint i = 0; i < MIN (left->depth, right->depth); i++)
    if (left->number[i] != right->number[i])
      return left->number[i] < right->number[i] ? -1 : 1;
  return (int)left->depth - (int)right->depth;
}

/* Takes the entries of one control type: the MSRs' if there are any. */
static GPtrArray *
choose_entries (GHashTable *entries)
{
  GPtrArray *chosen = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer entry;

  for (int is_mmio = 0; is_mmio <= 1 && chosen->len == 0; is_mmio++)
    {
      g_hash_table_iter_init (&iter, entries);
      while (g_hash_table_iter_next (&iter, NULL, &entry))
        if (((Entry *)entry)->is_mmio == is_mmio)
          g_ptr_array_add (chosen, entry);
    }
  g_ptr_array_sort (chosen, compare_entries);
  return chosen;
}

gboolean
vj_powercap_read_zone (const char *sysfs, const char *path, const VjZone *parent, int parent_index,
                       VjZone *ret_zone, GError **error)
{
  g_autofree char *relative = g_build_filename (path, "name", NULL);
  g_autofree char *text = vj_file_read (sysfs, relative, NAME_MAX_BYTES, NULL, error);

  if (text == NULL)
    return FALSE;
  if (vj_zone_init (ret_zone, text, parent, parent_index))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s/%s does not hold the name of a zone", sysfs, relative);
  return FALSE;
}

static gboolean
id_is_taken (const GArray *zones, const char *id)
{
  for (guint i = 0; i < zones->len; i++)
    if (g_str_equal (g_array_index (zones, VjZone, i).id, id))
      return TRUE;
  return FALSE;
}

/* Index of the zone that encloses the entry, or -1. */
static int
find_parent (const Entry *entry, GHashTable *indexes)
{
  g_autofree char *name = g_strndup (entry->name, (gsize)(strrchr (entry->name, ':') - entry->name));
  gpointer index;

  return g_hash_table_lookup_extended (indexes, name, NULL, &index) ? GPOINTER_TO_INT (index) : -1;
}

/* indexes: names of the entries taken so far -> index in zones. */
static void
take_entry (const char *sysfs, const Entry *entry, GHashTable *indexes, GArray *zones, GPtrArray *paths,
            GError **error)
{
  const int parent = find_parent (entry, indexes);
  VjZone zone;

  if (entry->depth > 1 && parent < 0)
    return;

  const VjZone *enclosing = parent < 0 ? NULL : &g_array_index (zones, VjZone, parent);
  if (!vj_powercap_read_zone (sysfs, entry->path, enclosing, parent, &zone, error)
      || id_is_taken (zones, zone.id))
    return;
  g_hash_table_insert (indexes, entry->name, GINT_TO_POINTER ((int)zones->len));
  g_array_append_val (zones, zone);
  g_ptr_array_add (paths, g_strdup (entry->path));
}

static gboolean
take_entries (const char *sysfs, GHashTable *entries, GArray *zones, GPtrArray *paths, GError **error)
{
  g_autoptr (GPtrArray) chosen = choose_entries (entries);
  g_autoptr (GHashTable) indexes = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GError) first = NULL;

  for (guint i = 0; i < chosen->len; i++)
    take_entry (sysfs, g_ptr_array_index (chosen, i), indexes, zones, paths, first == NULL ? &first : NULL);
  if (zones->len > 0)
    return TRUE;
  if (first == NULL)
    g_set_error (&first, VJ_ERROR, VJ_ERROR_INVALID, "%s/" CLASS_DIR " has sub-zones only", sysfs);
  g_propagate_error (error, g_steal_pointer (&first));
  return FALSE;
}

gboolean
vj_powercap_scan (const char *sysfs, GArray *zones, GPtrArray *paths, GError **error)
{
  g_autoptr (GHashTable) entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_entry);
  const int failure = scan_directory (sysfs, CLASS_DIR, 0, entries) ? 0 : errno;

  if (failure != 0 && failure != ENOENT)
    {
      vj_error_set_errno (error, failure, "cannot list %s/" CLASS_DIR, sysfs);
      return FALSE;
    }
  if (g_hash_table_size (entries) > 0)
    return take_entries (sysfs, entries, zones, paths, error);
  g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
               "no energy meter below %s/" CLASS_DIR ": load its driver (modprobe intel_rapl_msr), or choose "
               "\"source = model\" for an estimate",
               sysfs);
  return FALSE;
}
