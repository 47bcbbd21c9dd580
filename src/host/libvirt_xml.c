/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt_xml.h"

typedef struct
{
  const char *port_name;
  gboolean in_channel;
  gboolean is_unix;
  gboolean is_bound;
  gboolean is_named;
  char *path; /* of the channel being read */
  char *found;
} Search;

static const char *
attribute (const char *const *names, const char *const *values, const char *name)
{
  for (gsize i = 0; names[i]; i++)
    if (g_str_equal (names[i], name))
      return values[i];
  return NULL;
}

/* The stack runs from the innermost element outwards. */
static gboolean
stack_is (const GSList *stack, const char *const *innermost_first)
{
  for (; *innermost_first; innermost_first++, stack = stack->next)
    if (!stack || !g_str_equal (stack->data, *innermost_first))
      return FALSE;
  return stack == NULL;
}

static void
enter_channel (Search *search, const char *type)
{
  search->in_channel = TRUE;
  search->is_unix = g_strcmp0 (type, "unix") == 0;
  search->is_bound = FALSE;
  search->is_named = FALSE;
  g_clear_pointer (&search->path, g_free);
}

static void
start_element (GMarkupParseContext *context, const char *element, const char **names, const char **values,
               gpointer user_data, GError **error)
{
  static const char *const channel[] = { "channel", "devices", "domain", NULL };
  Search *search = user_data;
  const GSList *stack = g_markup_parse_context_get_element_stack (context);

  if (stack_is (stack, channel))
    {
      enter_channel (search, attribute (names, values, "type"));
      return;
    }
  if (!search->in_channel || !stack_is (stack->next, channel))
    return;
  if (g_str_equal (element, "source"))
    {
      search->is_bound = g_strcmp0 (attribute (names, values, "mode"), "bind") == 0;
      g_free (search->path);
      search->path = g_strdup (attribute (names, values, "path"));
    }
  if (g_str_equal (element, "target"))
    search->is_named = g_strcmp0 (attribute (names, values, "type"), "virtio") == 0
                       && g_strcmp0 (attribute (names, values, "name"), search->port_name) == 0;
}

static void
end_element (GMarkupParseContext *context, const char *element, gpointer user_data, GError **error)
{
  static const char *const channel[] = { "channel", "devices", "domain", NULL };
  Search *search = user_data;

  if (!search->in_channel || !stack_is (g_markup_parse_context_get_element_stack (context), channel))
    return;
  search->in_channel = FALSE;
  if (!search->found && search->is_unix && search->is_bound && search->is_named && search->path
      && g_path_is_absolute (search->path))
    search->found = g_steal_pointer (&search->path);
}

char *
vj_libvirt_xml_channel_path (const char *xml, const char *port_name)
{
  static const GMarkupParser parser = { .start_element = start_element, .end_element = end_element };
  Search search = { .port_name = port_name };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, &search, NULL);
  gboolean whole = g_markup_parse_context_parse (context, xml, -1, NULL)
                   && g_markup_parse_context_end_parse (context, NULL);

  g_free (search.path);
  if (!whole)
    g_clear_pointer (&search.found, g_free);
  return search.found;
}

typedef struct
{
  gboolean in_vcpu;
  GString *count;
} VcpuSearch;

static void
start_vcpu (GMarkupParseContext *context, const char *element, const char **names, const char **values,
            gpointer user_data, GError **error)
{
  static const char *const vcpu[] = { "vcpu", "domain", NULL };
  VcpuSearch *search = user_data;
  const char *current = attribute (names, values, "current");

  search->in_vcpu = stack_is (g_markup_parse_context_get_element_stack (context), vcpu) && !current;
  if (current && stack_is (g_markup_parse_context_get_element_stack (context), vcpu))
    g_string_assign (search->count, current);
}

static void
end_vcpu (GMarkupParseContext *context, const char *element, gpointer user_data, GError **error)
{
  VcpuSearch *search = user_data;

  search->in_vcpu = FALSE;
}

static void
read_vcpu (GMarkupParseContext *context, const char *text, gsize length, gpointer user_data, GError **error)
{
  const VcpuSearch *search = user_data;

  if (search->in_vcpu)
    g_string_append_len (search->count, text, (gssize)length);
}

guint
vj_libvirt_xml_vcpus (const char *xml)
{
  static const GMarkupParser parser = { .start_element = start_vcpu,
                                        .end_element = end_vcpu,
                                        .text = read_vcpu };
  g_autoptr (GString) count = g_string_new (NULL);
  VcpuSearch search = { .count = count };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, &search, NULL);
  guint64 vcpus = 0;

  if (!g_markup_parse_context_parse (context, xml, -1, NULL)
      || !g_markup_parse_context_end_parse (context, NULL))
    return 0;
  return g_ascii_string_to_unsigned (g_strstrip (count->str), 10, 1, G_MAXINT, &vcpus, NULL) ? (guint)vcpus
                                                                                             : 0;
}
