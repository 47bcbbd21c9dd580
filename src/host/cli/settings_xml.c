/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/settings_xml.h"

#include <string.h>

#include "common/error.h"
#include "host/domains/domain_settings.h"

struct VjSettingsXml
{
  GPtrArray *names;
  GPtrArray *values; /* as many */
};

static VjSettingsXml *
settings_new (void)
{
  VjSettingsXml *settings = g_new0 (VjSettingsXml, 1);
  settings->names = g_ptr_array_new_with_free_func (g_free);
  settings->values = g_ptr_array_new_with_free_func (g_free);
  return settings;
}

void
vj_settings_xml_free (VjSettingsXml *settings)
{
  if (settings == NULL)
    return;
  g_ptr_array_unref (settings->names);
  g_ptr_array_unref (settings->values);
  g_free (settings);
}

/* libvirt takes the namespace out of what it returns, or leaves it; it is put there again by libvirt alone. */
static gboolean
is_namespace (const char *name)
{
  return strcmp (name, "xmlns") == 0 || strcmp (name, "xmlns:" VJ_SETTINGS_PREFIX) == 0;
}

static void
start_element (GMarkupParseContext *context, const char *element, const char **names, const char **values,
               gpointer user_data, GError **error)
{
  const char *colon = strchr (element, ':');
  if (g_markup_parse_context_get_element_stack (context)->next != NULL)
    return;
  if (strcmp (colon != NULL ? colon + 1 : element, VJ_SETTINGS_ELEMENT) != 0)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                   "its metadata of %s is an element <%s>, not <" VJ_SETTINGS_ELEMENT
                   ">; virsh metadata --remove takes it away",
                   VJ_SETTINGS_NAMESPACE, element);
      return;
    }
  for (gsize i = 0; names[i] != NULL; i++)
    if (!is_namespace (names[i]))
      vj_settings_xml_set (user_data, names[i], values[i]);
}

VjSettingsXml *
vj_settings_xml_parse (const char *xml, GError **error)
{
  static const GMarkupParser parser = { .start_element = start_element };
  g_autoptr (VjSettingsXml) settings = settings_new ();
  if (xml == NULL)
    return g_steal_pointer (&settings);
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, settings, NULL);
  if (g_markup_parse_context_parse (context, xml, -1, error)
      && g_markup_parse_context_end_parse (context, error))
    return g_steal_pointer (&settings);
  return NULL;
}

guint
vj_settings_xml_count (const VjSettingsXml *settings)
{
  return settings->names->len;
}

const char *
vj_settings_xml_name (const VjSettingsXml *settings, guint index)
{
  return g_ptr_array_index (settings->names, index);
}

static gboolean
find (const VjSettingsXml *settings, const char *name, guint *ret_index)
{
  return g_ptr_array_find_with_equal_func (settings->names, name, g_str_equal, ret_index);
}

const char *
vj_settings_xml_value (const VjSettingsXml *settings, const char *name)
{
  guint at = 0;
  return find (settings, name, &at) ? g_ptr_array_index (settings->values, at) : NULL;
}

void
vj_settings_xml_set (VjSettingsXml *settings, const char *name, const char *value)
{
  guint at = 0;
  if (find (settings, name, &at))
    {
      if (value != NULL)
        {
          g_free (g_ptr_array_index (settings->values, at));
          g_ptr_array_index (settings->values, at) = g_strdup (value);
          return;
        }
      g_ptr_array_remove_index (settings->names, at);
      g_ptr_array_remove_index (settings->values, at);
    }
  else if (value != NULL)
    {
      g_ptr_array_add (settings->names, g_strdup (name));
      g_ptr_array_add (settings->values, g_strdup (value));
    }
}

char *
vj_settings_xml_text (const VjSettingsXml *settings)
{
  if (settings->names->len == 0)
    return NULL;
  GString *text = g_string_new ("<" VJ_SETTINGS_ELEMENT);
  for (guint i = 0; i < settings->names->len; i++)
    {
      g_autofree char *value = g_markup_escape_text (g_ptr_array_index (settings->values, i), -1);
      g_string_append_printf (text, " %s='%s'", vj_settings_xml_name (settings, i), value);
    }
  g_string_append (text, "/>");
  return g_string_free (text, FALSE);
}
