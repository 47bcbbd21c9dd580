/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a powercap tree: one name file a line, each zone within the one before it or at the top in turn; and ids
 * as they come in frames. */
#include "fuzz.h"

#include "common/zone.h"

#include <string.h>

#define ZONES_MAX 16

static void
check_text (const char *text, gsize size, gboolean slash)
{
  gsize length = strnlen (text, size);

  FUZZ_CHECK (length > 0 && length < size);
  for (gsize i = 0; i < length; i++)
    FUZZ_CHECK (g_ascii_isalnum (text[i]) || strchr ("_.-", text[i]) != NULL || (slash && text[i] == '/'));
  FUZZ_CHECK (strcmp (text, ".") != 0 && strcmp (text, "..") != 0);
}

static void
check_zone (const VjZone *zone, const VjZone *zones, gsize n)
{
  VjZone again;

  check_text (zone->id, sizeof zone->id, TRUE);
  check_text (zone->name, sizeof zone->name, FALSE);
  FUZZ_CHECK (g_str_has_suffix (zone->id, zone->name));
  FUZZ_CHECK (zone->parent >= -1 && zone->parent < (int)n);
  FUZZ_CHECK (zone->package >= -1 && zone->die >= -1);
  FUZZ_CHECK ((zone->parent == -1) == (strchr (zone->id, '/') == NULL));
  FUZZ_CHECK (!vj_zone_is_within_parent (zone) || zone->parent >= 0);
  FUZZ_CHECK (vj_zone_init_from_id (&again, zone->id, zones, n));
  FUZZ_CHECK (strcmp (again.id, zone->id) == 0 && strcmp (again.name, zone->name) == 0);
  FUZZ_CHECK (again.kind == zone->kind && again.package == zone->package && again.die == zone->die);
}

static gsize
add_name (VjZone *zones, gsize n, const char *name)
{
  gboolean nested = n % 2 == 1;
  VjZone zone;

  memset (&zone, FUZZ_UNTOUCHED, sizeof zone);
  if (!vj_zone_init (&zone, name, nested ? &zones[n - 1] : NULL, nested ? (int)n - 1 : -1))
    {
      FUZZ_CHECK (fuzz_is_untouched (&zone, sizeof zone));
      return n;
    }
  check_zone (&zone, zones, n);
  zones[n] = zone;
  return n + 1;
}

static void
check_id (const VjZone *zones, gsize n, const char *id)
{
  VjZone zone;

  memset (&zone, FUZZ_UNTOUCHED, sizeof zone);
  if (!vj_zone_init_from_id (&zone, id, zones, n))
    FUZZ_CHECK (fuzz_is_untouched (&zone, sizeof zone));
  else
    FUZZ_CHECK (strcmp (zone.id, id) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", ZONES_MAX);
  VjZone zones[ZONES_MAX];
  gsize n = 0;

  add_name (zones, n, text);
  for (gsize i = 0; lines[i] != NULL && n < ZONES_MAX; i++)
    {
      check_id (zones, n, lines[i]);
      n = add_name (zones, n, lines[i]);
    }
  return 0;
}
