/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config_value.h"

#include <gio/gio.h>
#include <pwd.h>
#include <string.h>

#include "common/duration.h"
#include "common/error.h"
#include "common/units.h"
#include "host/config.h"

#define INTERVAL_MIN_US (100 * VJ_US_PER_MS)
#define INTERVAL_MAX_US (60 * VJ_US_PER_S)
#define MAX_WATTS       G_GUINT64_CONSTANT (1000000)

gboolean
vj_value_refuse (GError **error, const char *value, const char *allowed)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "\"%s\" is not allowed; allowed: %s", value, allowed);
  return FALSE;
}

static void
replace_string (gpointer field, const char *value)
{
  char **string = field;
  g_free (*string);
  *string = g_strdup (value);
}

gboolean
vj_value_path (gpointer field, const char *value, GError **error)
{
  if (*value == '\0')
    return vj_value_refuse (error, value, "the path of a directory");
  replace_string (field, value);
  return TRUE;
}

gboolean
vj_value_uri (gpointer field, const char *value, GError **error)
{
  if (strcmp (value, "none") != 0 && g_uri_peek_scheme (value) == NULL)
    return vj_value_refuse (error, value, "a libvirt URI such as qemu:///system, or none");
  replace_string (field, value);
  return TRUE;
}

static gboolean
is_port (const char *text)
{
  guint64 port = 0;
  return g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT16, &port, NULL);
}

static gboolean
is_socket_address (const char *value)
{
  const char *colon = strrchr (value, ':');
  if (colon == NULL || !is_port (colon + 1))
    return FALSE;
  g_autofree char *host = g_strndup (value, (gsize)(colon - value));
  gsize length = strlen (host);
  gboolean bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
  if (!bracketed)
    return strchr (host, ':') == NULL && g_hostname_is_ip_address (host);
  host[length - 1] = '\0';
  return strchr (host + 1, ':') != NULL && g_hostname_is_ip_address (host + 1);
}

gboolean
vj_value_listen (gpointer field, const char *value, GError **error)
{
  if (strcmp (value, "none") == 0)
    {
      g_clear_pointer ((char **)field, g_free);
      return TRUE;
    }
  if (!is_socket_address (value))
    return vj_value_refuse (error, value,
                            "ADDRESS:PORT in numbers, such as 127.0.0.1:9177 or [::1]:9177, or none");
  replace_string (field, value);
  return TRUE;
}

/* NULL: a word is empty. */
static char **
split_words (const char *value)
{
  g_auto (GStrv) words = g_strsplit (value, ",", -1);
  for (guint i = 0; words[i] != NULL; i++)
    if (*g_strstrip (words[i]) == '\0')
      return NULL;
  return words[0] != NULL ? g_steal_pointer (&words) : NULL;
}

gboolean
vj_value_words (gpointer field, const char *value, GError **error)
{
  g_auto (GStrv) words = split_words (value);
  if (words == NULL)
    return vj_value_refuse (error, value,
                            "patterns with commas between them, such as /usr/bin/qemu-system-*");
  g_strfreev (*(char ***)field);
  *(char ***)field = g_steal_pointer (&words);
  return TRUE;
}

static gboolean
find_uid (const char *user, guint *ret_uid)
{
  guint64 number = 0;
  const struct passwd *entry = NULL;
  if (g_ascii_string_to_unsigned (user, 10, 0, G_MAXUINT32 - 1, &number, NULL))
    {
      *ret_uid = (guint)number;
      return TRUE;
    }
  entry = getpwnam (user);
  if (entry == NULL)
    return FALSE;
  *ret_uid = entry->pw_uid;
  return TRUE;
}

gboolean
vj_value_users (gpointer field, const char *value, GError **error)
{
  static const char allowed[] =
      "names of users of this machine or their numbers, with commas between them, or any";
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint));
  g_auto (GStrv) words = split_words (value);
  if (words == NULL)
    return vj_value_refuse (error, value, allowed);
  for (guint i = 0; strcmp (value, "any") != 0 && words[i] != NULL; i++)
    {
      guint uid = 0;
      if (!find_uid (words[i], &uid))
        return vj_value_refuse (error, words[i], allowed);
      g_array_append_val (uids, uid);
    }
  g_clear_pointer ((GArray **)field, g_array_unref);
  *(GArray **)field = g_steal_pointer (&uids);
  return TRUE;
}

static gboolean
add_manager (guint *managers, const char *word)
{
  static const struct
  {
    const char *name;
    VjManager manager;
  } known[] = {
    { "libvirt", VJ_MANAGER_LIBVIRT },
    { "proxmox", VJ_MANAGER_PROXMOX },
    { "qemu", VJ_MANAGER_QEMU },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (word, known[i].name) == 0)
      {
        *managers |= (guint)known[i].manager;
        return TRUE;
      }
  return FALSE;
}

gboolean
vj_value_managers (gpointer field, const char *value, GError **error)
{
  guint managers = 0;
  gboolean ok = TRUE;
  g_auto (GStrv) words = split_words (value);
  for (guint i = 0; words != NULL && strcmp (value, "auto") != 0 && words[i] != NULL; i++)
    ok = add_manager (&managers, words[i]) && ok;
  if (words == NULL || !ok)
    return vj_value_refuse (error, value, "auto, or some of libvirt, proxmox, qemu with commas between them");
  *(guint *)field = managers;
  return TRUE;
}

static gboolean
choose (gboolean *field, const char *value, const char *const names[2], GError **error)
{
  const gboolean first = strcmp (value, names[0]) == 0;
  g_autofree char *allowed = NULL;
  if (first || strcmp (value, names[1]) == 0)
    {
      *field = first;
      return TRUE;
    }
  allowed = g_strconcat (names[0], ", ", names[1], NULL);
  return vj_value_refuse (error, value, allowed);
}

gboolean
vj_value_yes_no (gpointer field, const char *value, GError **error)
{
  return choose (field, value, (const char *const[]){ "yes", "no" }, error);
}

gboolean
vj_value_lifetime (gpointer field, const char *value, GError **error)
{
  return choose (field, value, (const char *const[]){ "forever", "run" }, error);
}

gboolean
vj_value_source (gpointer field, const char *value, GError **error)
{
  static const struct
  {
    const char *name;
    VjSourceChoice choice;
  } choices[] = {
    { "auto", VJ_SOURCE_AUTO },
    { "powercap", VJ_SOURCE_POWERCAP },
    { "model", VJ_SOURCE_MODEL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (choices); i++)
    if (strcmp (value, choices[i].name) == 0)
      {
        *(VjSourceChoice *)field = choices[i].choice;
        return TRUE;
      }
  return vj_value_refuse (error, value, "auto, powercap, model");
}

gboolean
vj_value_static_policy (gpointer field, const char *value, GError **error)
{
  if (vj_static_policy_parse (value, field))
    return TRUE;
  return vj_value_refuse (error, value, "separate, even, proportional, allocation");
}

gboolean
vj_value_interval (gpointer field, const char *value, GError **error)
{
  guint64 interval_us = 0;
  if (!vj_duration_parse (value, &interval_us, error))
    return FALSE;
  if (interval_us < INTERVAL_MIN_US || interval_us > INTERVAL_MAX_US)
    return vj_value_refuse (error, value, "100ms to 60s");
  *(guint64 *)field = interval_us;
  return TRUE;
}

/* A decimal number (of watts, mostly) to millionths by digits: "20.5" is exactly 20500000. */
static gboolean
parse_millionths (const char *text, guint64 *ret_millionths)
{
  guint64 value = 0;
  int decimals = -1; /* -1: no point yet */
  for (const char *p = text; *p != '\0'; p++)
    {
      if (*p == '.' && decimals < 0 && p != text && p[1] != '\0')
        {
          decimals = 0;
          continue;
        }
      if (!g_ascii_isdigit (*p) || (decimals >= 0 && ++decimals > 6) || value > MAX_WATTS * VJ_UW_PER_W)
        return FALSE;
      value = value * 10 + (guint64)g_ascii_digit_value (*p);
    }
  if (*text == '\0' || value > MAX_WATTS * VJ_UW_PER_W)
    return FALSE;
  for (int i = MAX (decimals, 0); i < 6; i++)
    value *= 10;
  if (value > MAX_WATTS * VJ_UW_PER_W)
    return FALSE;
  *ret_millionths = value;
  return TRUE;
}

gboolean
vj_value_watts (gpointer field, const char *value, GError **error)
{
  if (!parse_millionths (value, field))
    return vj_value_refuse (error, value,
                            "watts as a decimal number without a unit, such as 20.5, 0 to 1000000");
  return TRUE;
}

gboolean
vj_value_curve (gpointer field, const char *value, GError **error)
{
  const gboolean bent = strcmp (value, "gamma") == 0;
  if (!bent && strcmp (value, "linear") != 0)
    return vj_value_refuse (error, value, "linear, gamma");
  *(VjCurveKind *)field = bent ? VJ_CURVE_GAMMA : VJ_CURVE_LINEAR;
  return TRUE;
}

gboolean
vj_value_gamma (gpointer field, const char *value, GError **error)
{
  guint64 millionths = 0;
  if (!parse_millionths (value, &millionths) || millionths == 0 || millionths > 1000000
      || millionths % 1000 != 0)
    return vj_value_refuse (error, value, "a decimal number such as 0.4, 0.001 to 1");
  *(guint *)field = (guint)(millionths / 1000);
  return TRUE;
}

gboolean
vj_value_stacking (gpointer field, const char *value, GError **error)
{
  const gboolean largest = strcmp (value, "largest") == 0;
  if (!largest && strcmp (value, "longest-lived") != 0)
    return vj_value_refuse (error, value, "longest-lived, largest");
  *(VjStacking *)field = largest ? VJ_STACKING_LARGEST : VJ_STACKING_LONGEST_LIVED;
  return TRUE;
}

gboolean
vj_value_max_watts (gpointer field, const char *value, GError **error)
{
  guint64 power_uw = 0;
  if (!parse_millionths (value, &power_uw) || power_uw < VJ_UW_PER_W)
    return vj_value_refuse (error, value,
                            "watts as a decimal number without a unit, such as 1500, 1 to 1000000");
  *(guint64 *)field = power_uw;
  return TRUE;
}

gboolean
vj_value_resolution (gpointer field, const char *value, GError **error)
{
  static const struct
  {
    const char *unit;
    guint64 uj;
  } units[] = { { "uJ", 1 }, { "mJ", VJ_UJ_PER_MJ }, { "J", VJ_UJ_PER_J } };
  gsize digits = strspn (value, "0123456789");
  g_autofree char *number = g_strndup (value, digits);
  guint64 count = 0;
  gboolean is_number = g_ascii_string_to_unsigned (number, 10, 1, VJ_UJ_PER_J, &count, NULL);
  for (gsize i = 0; is_number && i < G_N_ELEMENTS (units); i++)
    if (strcmp (value + digits, units[i].unit) == 0 && count <= VJ_UJ_PER_J / units[i].uj)
      {
        *(guint64 *)field = count * units[i].uj;
        return TRUE;
      }
  return vj_value_refuse (error, value, "a whole number with the unit uJ, mJ or J, such as 1mJ, 1uJ to 1J");
}
