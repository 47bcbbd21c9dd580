/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_xml.h"

typedef struct
{
  const char *port_name;
  gboolean in_channel;
  gboolean is_unix;
  gboolean is_named;
  char *mode; /* these two of the channel being read */
  char *path;
  char *found;       /* where QEMU listens */
  gboolean connects; /* QEMU connects */
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
  search->is_named = FALSE;
  g_clear_pointer (&search->mode, g_free);
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
      g_free (search->mode);
      search->mode = g_strdup (attribute (names, values, "mode"));
      g_free (search->path);
      search->path = g_strdup (attribute (names, values, "path"));
    }
  if (g_str_equal (element, "target"))
    search->is_named = g_strcmp0 (attribute (names, values, "type"), "virtio") == 0
                       && g_strcmp0 (attribute (names, values, "name"), search->port_name) == 0;
}

static void
leave_channel (Search *search)
{
  search->in_channel = FALSE;
  if (!search->is_unix || !search->is_named || !search->path || !g_path_is_absolute (search->path))
    return;
  if (g_strcmp0 (search->mode, "connect") == 0)
    search->connects = TRUE;
  if (g_strcmp0 (search->mode, "bind") == 0 && !search->found)
    search->found = g_steal_pointer (&search->path);
}

static void
end_element (GMarkupParseContext *context, const char *element, gpointer user_data, GError **error)
{
  static const char *const channel[] = { "channel", "devices", "domain", NULL };
  Search *search = user_data;

  if (search->in_channel && stack_is (g_markup_parse_context_get_element_stack (context), channel))
    leave_channel (search);
}

/* Nothing is found in what is not XML to its end. */
static void
find_channel (const char *xml, Search *search)
{
  static const GMarkupParser parser = { .start_element = start_element, .end_element = end_element };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, search, NULL);

  if (!g_markup_parse_context_parse (context, xml, -1, NULL)
      || !g_markup_parse_context_end_parse (context, NULL))
    {
      g_clear_pointer (&search->found, g_free);
      search->connects = FALSE;
    }
  g_clear_pointer (&search->mode, g_free);
  g_clear_pointer (&search->path, g_free);
}

char *
vj_libvirt_xml_channel_path (const char *xml, const char *port_name)
{
  Search search = { .port_name = port_name };

  find_channel (xml, &search);
  return search.found;
}

gboolean
vj_libvirt_xml_channel_connects (const char *xml, const char *port_name)
{
  Search search = { .port_name = port_name };

  find_channel (xml, &search);
  g_free (search.found);
  return search.connects;
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
