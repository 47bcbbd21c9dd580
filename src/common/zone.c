/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/zone.h"

#include <string.h>

/* "." and ".." are left out because an id is used as a relative path by the guest's tree. */
static gboolean
name_is_valid (const char *name, gsize length)
{
  if (length == 0 || name[0] == '.')
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (name[i]) && strchr ("_.-", name[i]) == NULL)
      return FALSE;
  return TRUE;
}

/* Reads a decimal number of at most 9 digits; returns what follows it, or NULL. */
static const char *
parse_number (const char *text, int *ret_number)
{
  int number = 0;
  gsize digits = strspn (text, "0123456789");
  if (digits == 0 || digits > 9)
    return NULL;
  for (gsize i = 0; i < digits; i++)
    number = number * 10 + (text[i] - '0');
  *ret_number = number;
  return text + digits;
}

/* package-N or package-N-die-M */
static gboolean
parse_package (const char *name, int *ret_package, int *ret_die)
{
  int package = -1, die = -1;
  if (!g_str_has_prefix (name, "package-"))
    return FALSE;
  const char *rest = parse_number (name + strlen ("package-"), &package);
  if (rest != NULL && g_str_has_prefix (rest, "-die-"))
    rest = parse_number (rest + strlen ("-die-"), &die);
  if (rest == NULL || *rest != '\0')
    return FALSE;
  *ret_package = package;
  *ret_die = die;
  return TRUE;
}

/* psys, or psys-N on machines where each package has one. */
static gboolean
is_psys (const char *name)
{
  int number = 0;
  if (strcmp (name, "psys") == 0)
    return TRUE;
  if (!g_str_has_prefix (name, "psys-"))
    return FALSE;
  const char *rest = parse_number (name + strlen ("psys-"), &number);
  return rest != NULL && *rest == '\0';
}

static VjZoneKind
kind_of_name (const char *name, gboolean at_top)
{
  if (strcmp (name, "core") == 0)
    return VJ_ZONE_CORE;
  if (strcmp (name, "uncore") == 0)
    return VJ_ZONE_UNCORE;
  if (strcmp (name, "dram") == 0)
    return VJ_ZONE_DRAM;
  if (at_top && strcmp (name, "storage") == 0)
    return VJ_ZONE_STORAGE;
  return is_psys (name) ? VJ_ZONE_PSYS : VJ_ZONE_OTHER;
}

gboolean
vj_zone_init (VjZone *ret_zone, const char *name, const VjZone *parent, int parent_index)
{
  VjZone zone = { .parent = parent != NULL ? parent_index : -1, .package = -1, .die = -1 };
  gsize length = strlen (name);
  if (length > 0 && name[length - 1] == '\n')
    length--;
  if (!name_is_valid (name, length))
    return FALSE;
  gsize prefix = parent != NULL ? strlen (parent->id) + 1 : 0;
  if (prefix + length > VJ_ZONE_ID_MAX)
    return FALSE;

  memcpy (zone.name, name, length);
  if (parent != NULL)
    {
      memcpy (zone.id, parent->id, prefix - 1);
      zone.id[prefix - 1] = '/';
      zone.package = parent->package;
      zone.die = parent->die;
    }
  memcpy (zone.id + prefix, name, length);
  zone.kind = parse_package (zone.name, &zone.package, &zone.die) ? VJ_ZONE_PACKAGE
                                                                  : kind_of_name (zone.name, parent == NULL);
  if (parent != NULL && parent->kind == VJ_ZONE_PSYS && strcmp (zone.name, "rest") == 0)
    zone.kind = VJ_ZONE_REST;
  *ret_zone = zone;
  return TRUE;
}

gboolean
vj_zone_init_from_id (VjZone *ret_zone, const char *id, const VjZone *zones, gsize n)
{
  const char *slash = strrchr (id, '/');
  if (strchr (id, '\n') != NULL)
    return FALSE;
  if (slash == NULL)
    return vj_zone_init (ret_zone, id, NULL, -1);
  gsize length = (gsize)(slash - id);
  for (gsize i = 0; i < n; i++)
    if (strlen (zones[i].id) == length && memcmp (zones[i].id, id, length) == 0)
      return vj_zone_init (ret_zone, slash + 1, &zones[i], (int)i);
  return FALSE;
}

gboolean
vj_zone_is_within_parent (const VjZone *zone)
{
  return zone->parent >= 0 && (zone->kind == VJ_ZONE_CORE || zone->kind == VJ_ZONE_UNCORE);
}

gboolean
vj_zone_is_component (const VjZone *zone)
{
  return zone->kind == VJ_ZONE_PACKAGE || zone->kind == VJ_ZONE_DRAM || zone->kind == VJ_ZONE_STORAGE;
}
