/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/static_file.h"

#include <string.h>

#include "common/error.h"
#include "common/file.h"
#include "common/units.h"

#define HARDWARE    "hardware"
#define FINGERPRINT "fingerprint"
#define ZONE_PREFIX "zone "
#define SIZE_LIMIT  ((gsize)64 * 1024)
#define MAX_UW      (1000000 * VJ_UW_PER_W)

static const struct
{
  const char *key;
  gsize field;
} keys[] = {
  { "static-uw", G_STRUCT_OFFSET (VjStaticZone, static_uw) },
  { "error-uw", G_STRUCT_OFFSET (VjStaticZone, error_uw) },
  { "sigma-uw", G_STRUCT_OFFSET (VjStaticZone, sigma_uw) },
};

VjStaticFile *
vj_static_file_new (const char *fingerprint)
{
  VjStaticFile *file = g_new0 (VjStaticFile, 1);
  g_strlcpy (file->fingerprint, fingerprint, sizeof file->fingerprint);
  file->zones = g_array_new (FALSE, TRUE, sizeof (VjStaticZone));
  return file;
}

void
vj_static_file_free (VjStaticFile *file)
{
  if (file == NULL)
    return;
  g_array_unref (file->zones);
  g_free (file);
}

const VjStaticZone *
vj_static_file_find (const VjStaticFile *file, const char *id)
{
  for (guint i = 0; i < file->zones->len; i++)
    if (strcmp (g_array_index (file->zones, VjStaticZone, i).id, id) == 0)
      return &g_array_index (file->zones, VjStaticZone, i);
  return NULL;
}

gboolean
vj_static_file_save (const VjStaticFile *file, const char *state_dir, const char *name, GError **error)
{
  g_autoptr (GKeyFile) key_file = g_key_file_new ();
  g_key_file_set_string (key_file, HARDWARE, FINGERPRINT, file->fingerprint);
  for (guint i = 0; i < file->zones->len; i++)
    {
      const VjStaticZone *zone = &g_array_index (file->zones, VjStaticZone, i);
      g_autofree char *group = g_strconcat (ZONE_PREFIX, zone->id, NULL);
      for (gsize k = 0; k < G_N_ELEMENTS (keys); k++)
        g_key_file_set_uint64 (key_file, group, keys[k].key, G_STRUCT_MEMBER (guint64, zone, keys[k].field));
    }
  gsize length = 0;
  g_autofree char *text = g_key_file_to_data (key_file, &length, NULL);
  return vj_file_replace (state_dir, name, text, length, 0644, error);
}

static gboolean
read_zone (VjStaticFile *file, GKeyFile *key_file, const char *group, GError **error)
{
  VjStaticZone zone = { 0 };
  if (g_strlcpy (zone.id, group + strlen (ZONE_PREFIX), sizeof zone.id) >= sizeof zone.id)
    return FALSE;
  for (gsize k = 0; k < G_N_ELEMENTS (keys); k++)
    {
      const guint64 power_uw = g_key_file_get_uint64 (key_file, group, keys[k].key, error);
      if (*error != NULL || power_uw > MAX_UW)
        return FALSE;
      G_STRUCT_MEMBER (guint64, &zone, keys[k].field) = power_uw;
    }
  g_array_append_val (file->zones, zone);
  return TRUE;
}

static VjStaticFile *
decode (const char *text, gsize length, GError **error)
{
  g_autoptr (GKeyFile) key_file = g_key_file_new ();
  if (!g_key_file_load_from_data (key_file, text, length, G_KEY_FILE_NONE, error))
    return NULL;
  g_autofree char *fingerprint = g_key_file_get_string (key_file, HARDWARE, FINGERPRINT, error);
  if (fingerprint == NULL)
    return NULL;
  g_autoptr (VjStaticFile) file = vj_static_file_new (fingerprint);
  g_auto (GStrv) groups = g_key_file_get_groups (key_file, NULL);
  for (guint i = 0; groups[i] != NULL; i++)
    if (g_str_has_prefix (groups[i], ZONE_PREFIX) && !read_zone (file, key_file, groups[i], error))
      return NULL;
  return g_steal_pointer (&file);
}

VjStaticFile *
vj_static_file_load (const char *state_dir, const char *name, GError **error)
{
  g_autoptr (GError) local = NULL;
  gsize length = 0;
  g_autofree char *text = vj_file_read (state_dir, name, SIZE_LIMIT, &length, error);
  if (text == NULL)
    return NULL;
  VjStaticFile *file = decode (text, length, &local);
  if (file == NULL)
    g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s/%s does not have the form of static power%s%s",
                 state_dir, name, local != NULL ? ": " : "", local != NULL ? local->message : "");
  return file;
}
