/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/label_rules.h"

#include <string.h>

#include "common/error.h"

#define KEY_MAX (253 + 1 + 63) /* PREFIX/NAME */

static gboolean
is_key (const char *text)
{
  gsize length = strlen (text);
  if (length == 0 || length > KEY_MAX || !g_ascii_isalnum (text[0]) || !g_ascii_isalnum (text[length - 1]))
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (text[i]) && strchr ("-_./", text[i]) == NULL)
      return FALSE;
  return TRUE;
}

static char *
name_of (const char *key)
{
  GString *name = g_string_new (NULL);
  char before = '_';
  for (const char *p = key; *p != '\0'; p++)
    {
      char c = *p;
      if (g_ascii_isupper (c) && g_ascii_isalnum (before) && !g_ascii_isupper (before))
        g_string_append_c (name, '_');
      before = g_ascii_isalnum (c) ? c : '_';
      g_string_append_c (name, g_ascii_tolower (before));
    }
  return g_string_free (name, FALSE);
}

/* Which of those that share its name, counted from 1, and *ret_sharing: how many do. */
static guint
place_among_sharing (const VjLabelRules *rules, char *const *plain, guint index, guint *ret_sharing)
{
  guint place = 1;
  guint sharing = 0;
  for (guint i = 0; rules->keys[i] != NULL; i++)
    {
      if (g_strcmp0 (plain[i], plain[index]) != 0)
        continue;
      sharing++;
      place += strcmp (rules->keys[i], rules->keys[index]) < 0;
    }
  *ret_sharing = sharing;
  return place;
}

static void
name_all (VjLabelRules *rules)
{
  guint n = g_strv_length (rules->keys);
  g_auto (GStrv) plain = g_new0 (char *, n + 1);
  rules->names = g_new0 (char *, n + 1);
  for (guint i = 0; i < n; i++)
    plain[i] = name_of (rules->keys[i]);
  for (guint i = 0; i < n; i++)
    {
      guint sharing;
      guint place = place_among_sharing (rules, plain, i, &sharing);
      rules->names[i] =
          sharing == 1 ? g_strdup (plain[i]) : g_strdup_printf ("%s_conflict%u", plain[i], place);
    }
}

static gboolean
is_repeated (char *const *texts, guint index)
{
  for (guint i = 0; i < index; i++)
    if (strcmp (texts[i], texts[index]) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
refuse (VjLabelRules *rules, GError **error, const char *key, const char *why)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "label \"%s\": %s", key, why);
  vj_label_rules_clear (rules);
  return FALSE;
}

gboolean
vj_label_rules_parse (const char *list, VjLabelRules *ret_rules, GError **error)
{
  VjLabelRules rules = { .keys = g_strsplit (list, ",", -1) };
  if (rules.keys[0] == NULL)
    return refuse (&rules, error, list, "not a label's key, such as app.kubernetes.io/name");
  for (guint i = 0; rules.keys[i] != NULL; i++)
    {
      if (i >= VJ_LABEL_RULES_MAX)
        return refuse (&rules, error, rules.keys[i], "these are too many");
      if (!is_key (rules.keys[i]))
        return refuse (&rules, error, rules.keys[i], "not a label's key, such as app.kubernetes.io/name");
      if (is_repeated (rules.keys, i))
        return refuse (&rules, error, rules.keys[i], "named twice");
    }
  name_all (&rules);
  for (guint i = 0; rules.names[i] != NULL; i++)
    if (is_repeated (rules.names, i))
      return refuse (&rules, error, rules.keys[i], "has the same name in metrics as another one");
  *ret_rules = rules;
  return TRUE;
}

void
vj_label_rules_clear (VjLabelRules *rules)
{
  g_strfreev (rules->keys);
  g_strfreev (rules->names);
  *rules = (VjLabelRules){ 0 };
}
