/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/account.h"

#include <string.h>

#include "common/error.h"

#define GROUP    "reader"
#define KEY_SIZE 16

static guint64
saturating_add (guint64 a, guint64 b)
{
  return MIN (MIN (a, VJ_TREE_MAX_RANGE_UJ) + MIN (b, VJ_TREE_MAX_RANGE_UJ), VJ_TREE_MAX_RANGE_UJ);
}

static VjAccountZone *
find_zone (VjAccount *account, const char *id, gsize length)
{
  for (gsize i = 0; i < account->n_zones; i++)
    if (strncmp (account->zones[i].id, id, length) == 0 && account->zones[i].id[length] == '\0')
      return &account->zones[i];
  return NULL;
}

/* Numbers follow the order of first appearance: packages and storage among themselves, sub-zones within their package. */
static gboolean
number_zone (VjAccount *account, VjAccountZone *zone)
{
  const char *slash = strchr (zone->id, '/');
  const VjAccountZone *package =
      slash == NULL ? NULL : find_zone (account, zone->id, (gsize)(slash - zone->id));
  int count = 0;

  if (slash != NULL && (package == NULL || package->shown.sub >= 0))
    return FALSE;
  for (gsize i = 0; i < account->n_zones; i++)
    {
      const VjTreeZone *other = &account->zones[i].shown;
      count += package == NULL ? other->sub < 0 : other->sub >= 0 && other->package == package->shown.package;
    }
  zone->shown.package = package == NULL ? count : package->shown.package;
  zone->shown.sub = package == NULL ? -1 : count;
  g_strlcpy (zone->shown.name, slash == NULL ? zone->id : slash + 1, sizeof zone->shown.name);
  return TRUE;
}

static VjAccountZone *
ensure_zone (VjAccount *account, const char *id)
{
  VjAccountZone *zone = find_zone (account, id, strlen (id));

  if (zone != NULL)
    return zone;
  if (account->n_zones == VJ_ACCOUNT_ZONES_MAX)
    return NULL;
  zone = &account->zones[account->n_zones];
  *zone = (VjAccountZone){ 0 };
  if (g_strlcpy (zone->id, id, sizeof zone->id) >= sizeof zone->id || !number_zone (account, zone))
    return NULL;
  account->n_zones++;
  return zone;
}

static void
take_energy (VjAccount *account, const char *id, guint64 energy_uj)
{
  VjAccountZone *zone = ensure_zone (account, id);

  if (zone == NULL)
    {
      account->ignored++;
      return;
    }
  zone->shown.live = TRUE;
  if (energy_uj < zone->last_uj)
    account->clamped++;
  else
    zone->last_uj = energy_uj;
  zone->shown.energy_uj = saturating_add (zone->base_uj, zone->last_uj);
}

static gboolean
is_shown (const VjFrame *frame, const VjZone *zone)
{
  const VjZone *top = zone->parent < 0 ? zone : &frame->zones[zone->parent];

  return top->parent < 0 && (top->kind == VJ_ZONE_PACKAGE || top->kind == VJ_ZONE_STORAGE);
}

static gboolean
has_core_or_uncore (const VjFrame *frame, int package)
{
  for (gsize i = 0; i < frame->n_zones; i++)
    if (frame->zones[i].parent == package
        && (frame->zones[i].kind == VJ_ZONE_CORE || frame->zones[i].kind == VJ_ZONE_UNCORE))
      return TRUE;
  return FALSE;
}

/* Where among the recent ones it stands, or the place of the oldest, which is forgotten. */
static guint
recent_index (const VjAccount *account, const char *epoch)
{
  guint i = 0;

  while (i < VJ_ACCOUNT_RECENT_MAX - 1 && strcmp (account->recent[i], epoch) != 0)
    i++;
  return i;
}

/* told_uj: the last E of the epoch that begins; 0: it is new. */
static void
zone_enter_epoch (VjAccountZone *zone, guint index, guint64 told_uj)
{
  zone->base_uj = saturating_add (zone->base_uj, zone->last_uj);
  memmove (zone->recent_uj + 1, zone->recent_uj, index * sizeof zone->recent_uj[0]);
  zone->recent_uj[0] = zone->last_uj;
  zone->last_uj = MIN (told_uj, zone->base_uj);
  zone->base_uj -= zone->last_uj;
}

static void
enter_epoch (VjAccount *account, const char *epoch)
{
  const guint index = recent_index (account, epoch);
  const gboolean known = strcmp (account->recent[index], epoch) == 0;

  if (strcmp (account->epoch, epoch) == 0)
    return;
  for (gsize i = 0; i < account->n_zones; i++)
    zone_enter_epoch (&account->zones[i], index, known ? account->zones[i].recent_uj[index] : 0);
  memmove (account->recent + 1, account->recent, index * sizeof account->recent[0]);
  memcpy (account->recent[0], account->epoch, sizeof account->recent[0]);
  g_strlcpy (account->epoch, epoch, sizeof account->epoch);
}

void
vj_account_take (VjAccount *account, const VjFrame *frame)
{
  enter_epoch (account, frame->epoch);
  account->generation++;
  for (gsize i = 0; i < account->n_zones; i++)
    account->zones[i].shown.live = FALSE;

  for (gsize i = 0; i < frame->n_zones; i++)
    {
      const VjZone *zone = &frame->zones[i];
      char core[VJ_ZONE_ID_MAX + sizeof "/core"];

      if (!is_shown (frame, zone))
        continue;
      take_energy (account, zone->id, frame->energy_uj[i]);
      if (account->core != VJ_CORE_ALWAYS || zone->kind != VJ_ZONE_PACKAGE || zone->parent >= 0
          || has_core_or_uncore (frame, (int)i))
        continue;
      g_snprintf (core, sizeof core, "%s/core", zone->id);
      take_energy (account, core, frame->energy_uj[i]);
    }
}

gboolean
vj_account_adopt (VjAccount *account, const char *id, guint64 energy_uj)
{
  VjAccountZone *zone = ensure_zone (account, id);

  if (zone == NULL)
    return FALSE;
  if (zone->shown.energy_uj < energy_uj)
    zone->base_uj = saturating_add (zone->base_uj, energy_uj - zone->shown.energy_uj);
  zone->shown.energy_uj = saturating_add (zone->base_uj, zone->last_uj);
  return TRUE;
}

void
vj_account_zones (const VjAccount *account, GArray *ret_zones)
{
  g_array_set_size (ret_zones, 0);
  for (gsize i = 0; i < account->n_zones; i++)
    g_array_append_val (ret_zones, account->zones[i].shown);
}

static void
put_zone (GKeyFile *file, const VjAccountZone *zone)
{
  char key[KEY_SIZE];

  g_key_file_set_uint64 (file, zone->id, "base_uj", zone->base_uj);
  g_key_file_set_uint64 (file, zone->id, "last_uj", zone->last_uj);
  for (guint i = 0; i < VJ_ACCOUNT_RECENT_MAX; i++)
    {
      g_snprintf (key, sizeof key, "recent_uj_%u", i);
      g_key_file_set_uint64 (file, zone->id, key, zone->recent_uj[i]);
    }
}

char *
vj_account_to_text (const VjAccount *account)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  char key[KEY_SIZE];

  g_key_file_set_integer (file, GROUP, "version", 1);
  g_key_file_set_string (file, GROUP, "epoch", account->epoch);
  g_key_file_set_uint64 (file, GROUP, "generation", account->generation);
  for (guint i = 0; i < VJ_ACCOUNT_RECENT_MAX; i++)
    {
      g_snprintf (key, sizeof key, "recent_%u", i);
      g_key_file_set_string (file, GROUP, key, account->recent[i]);
    }
  for (gsize i = 0; i < account->n_zones; i++)
    put_zone (file, &account->zones[i]);
  return g_key_file_to_data (file, NULL, NULL);
}

/* g_key_file_get_uint64() would take "-1". */
static gboolean
parse_energy (GKeyFile *file, const char *id, const char *key, guint64 *ret_uj, GError **error)
{
  g_autofree char *text = g_key_file_get_value (file, id, key, error);

  return text != NULL && g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT64, ret_uj, error);
}

/* Those that an older reader left out are not known. */
static gboolean
parse_recent (VjAccountZone *zone, GKeyFile *file, const char *id, GError **error)
{
  char key[KEY_SIZE];

  for (guint i = 0; i < VJ_ACCOUNT_RECENT_MAX; i++)
    {
      g_snprintf (key, sizeof key, "recent_uj_%u", i);
      if (g_key_file_has_key (file, id, key, NULL)
          && !parse_energy (file, id, key, &zone->recent_uj[i], error))
        return FALSE;
    }
  return TRUE;
}

static void
parse_recent_epochs (VjAccount *account, GKeyFile *file)
{
  char key[KEY_SIZE];

  for (guint i = 0; i < VJ_ACCOUNT_RECENT_MAX; i++)
    {
      g_autofree char *epoch = NULL;

      g_snprintf (key, sizeof key, "recent_%u", i);
      epoch = g_key_file_get_string (file, GROUP, key, NULL);
      g_strlcpy (account->recent[i], epoch != NULL ? epoch : "", sizeof account->recent[i]);
    }
}

static gboolean
parse_zone (VjAccount *account, GKeyFile *file, const char *id, GError **error)
{
  guint64 base_uj, last_uj;

  if (!parse_energy (file, id, "base_uj", &base_uj, error)
      || !parse_energy (file, id, "last_uj", &last_uj, error))
    return FALSE;
  VjAccountZone *zone = ensure_zone (account, id);
  if (zone == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "zone %s: its package is missing, or one too many", id);
      return FALSE;
    }
  zone->base_uj = base_uj;
  zone->last_uj = last_uj;
  zone->shown.energy_uj = saturating_add (base_uj, last_uj);
  return parse_recent (zone, file, id, error);
}

gboolean
vj_account_parse (VjAccount *account, const char *text, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *epoch = NULL;

  *account = (VjAccount){ .core = account->core };
  if (!g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_NONE, error))
    return FALSE;
  if (g_key_file_get_integer (file, GROUP, "version", NULL) != 1)
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "not version 1 of the reader's state");
      return FALSE;
    }
  epoch = g_key_file_get_string (file, GROUP, "epoch", error);
  if (epoch == NULL)
    return FALSE;
  g_strlcpy (account->epoch, epoch, sizeof account->epoch);
  parse_recent_epochs (account, file);
  account->generation = g_key_file_get_uint64 (file, GROUP, "generation", NULL);

  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  for (gsize i = 0; groups[i] != NULL; i++)
    if (strcmp (groups[i], GROUP) != 0 && !parse_zone (account, file, groups[i], error))
      return FALSE;
  return TRUE;
}
