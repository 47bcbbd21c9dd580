/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_metadata.h"

#include <string.h>

#define XMLNS "xmlns"

/* Prefixes are declared on the settings themselves, or on one of these two above them. */
enum
{
  ON_DOMAIN,
  ON_METADATA,
  N_ABOVE
};

typedef struct
{
  GHashTable *declared[N_ABOVE]; /* prefix, "" for none -> namespace */
  gboolean found;
  VjDomainSettings settings;
  GString *problem;
} Reading;

/* The prefix that an attribute xmlns or xmlns:PREFIX declares; NULL: it is another attribute. */
static const char *
declared_prefix (const char *attribute)
{
  if (!g_str_has_prefix (attribute, XMLNS))
    return NULL;
  attribute += strlen (XMLNS);
  if (*attribute == '\0')
    return attribute;
  return *attribute == ':' ? attribute + 1 : NULL;
}

static void
declare (GHashTable *declared, const char **names, const char **values)
{
  g_hash_table_remove_all (declared);
  for (gsize i = 0; names[i]; i++)
    {
      const char *prefix = declared_prefix (names[i]);

      if (prefix)
        g_hash_table_replace (declared, g_strdup (prefix), g_strdup (values[i]));
    }
}

static const char *
namespace_of (const Reading *reading, const char *prefix, const char **names, const char **values)
{
  const char *found = NULL;

  for (gsize i = 0; names[i]; i++)
    if (g_strcmp0 (declared_prefix (names[i]), prefix) == 0)
      return values[i];
  for (int i = N_ABOVE - 1; i >= 0 && !found; i--)
    found = g_hash_table_lookup (reading->declared[i], prefix);
  return found;
}

static void
complain (Reading *reading, const char *message)
{
  if (reading->problem->len > VJ_LIBVIRT_METADATA_PROBLEM_MAX)
    return;
  if (reading->problem->len > 0)
    g_string_append (reading->problem, "; ");
  g_string_append (reading->problem, message);
}

static void
read_settings (Reading *reading, const char *local_name, const char **names, const char **values)
{
  reading->found = TRUE;
  if (!g_str_equal (local_name, VJ_SETTINGS_ELEMENT))
    {
      g_autofree char *message =
          g_strdup_printf ("element \"%.64s\" is not known; allowed: " VJ_SETTINGS_ELEMENT, local_name);
      complain (reading, message);
      return;
    }
  for (gsize i = 0; names[i]; i++)
    {
      g_autoptr (GError) error = NULL;

      if (!declared_prefix (names[i])
          && !vj_domain_settings_set (&reading->settings, names[i], values[i], &error))
        complain (reading, error->message);
    }
}

/* An element in domain/metadata. */
static void
read_element (Reading *reading, const char *element, const char **names, const char **values)
{
  const char *colon = strchr (element, ':');
  g_autofree char *prefix = g_strndup (element, colon ? (gsize)(colon - element) : 0);

  if (!reading->found
      && g_strcmp0 (namespace_of (reading, prefix, names, values), VJ_SETTINGS_NAMESPACE) == 0)
    read_settings (reading, colon ? colon + 1 : element, names, values);
}

/* The stack runs from the innermost element outwards. */
static void
start_element (GMarkupParseContext *context, const char *element, const char **names, const char **values,
               gpointer user_data, GError **error)
{
  Reading *reading = user_data;
  const GSList *above = g_markup_parse_context_get_element_stack (context)->next;

  if (!above)
    {
      declare (reading->declared[ON_DOMAIN], names, values);
      return;
    }
  if (!above->next && g_str_equal (element, "metadata"))
    {
      declare (reading->declared[ON_METADATA], names, values);
      return;
    }
  if (above->next && !above->next->next && g_str_equal (above->data, "metadata")
      && g_str_equal (above->next->data, "domain"))
    read_element (reading, element, names, values);
}

static gboolean
parse (const char *xml, Reading *reading)
{
  static const GMarkupParser parser = { .start_element = start_element };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, reading, NULL);

  return g_markup_parse_context_parse (context, xml, -1, NULL)
         && g_markup_parse_context_end_parse (context, NULL);
}

/* In one line, and cut between two characters. */
static char *
as_line (const GString *text)
{
  g_autofree char *valid = g_utf8_make_valid (text->str, (gssize)text->len);
  const char *end = valid + MIN (strlen (valid), VJ_LIBVIRT_METADATA_PROBLEM_MAX);

  if (*end != '\0')
    end = g_utf8_find_prev_char (valid, end + 1);
  for (char *p = valid; p < end; p++)
    if (g_ascii_iscntrl (*p))
      *p = ' ';
  return g_strndup (valid, (gsize)(end - valid));
}

void
vj_libvirt_metadata_read (const char *xml, VjDomainSettings *ret_settings, char **ret_problem)
{
  g_autoptr (GString) problem = g_string_new (NULL);
  Reading reading = { .problem = problem };

  for (guint i = 0; i < N_ABOVE; i++)
    reading.declared[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (!parse (xml, &reading))
    {
      reading.settings = (VjDomainSettings){ 0 };
      g_string_assign (problem, "libvirt's XML of this domain cannot be read");
    }
  *ret_settings = reading.settings;
  *ret_problem = problem->len > 0 ? as_line (problem) : NULL;
  for (guint i = 0; i < N_ABOVE; i++)
    g_hash_table_unref (reading.declared[i]);
}
