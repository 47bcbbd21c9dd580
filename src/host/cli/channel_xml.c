/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/channel_xml.h"

#include <string.h>

#include "common/error.h"

#define PORT_NAME     "org.virtjoule.energy.0"
#define ALIAS         "ua-virtjoule" /* by which virsh detaches it from both definitions at once */
#define DEFAULT_PORTS 31             /* of a controller, as libvirt makes it */

typedef struct
{
  GString *element; /* of the channel that is being read; NULL outside of one */
  gboolean is_unix;
  gboolean is_named;
  gboolean connects;
  gboolean is_domain;
  guint64 ports; /* that controllers have for channels: all but port 0 */
  guint64 used;
  VjChannelXml *found;
} Reading;

const char *
vj_channel_way_name (VjChannelWay way)
{
  static const char *const names[] = {
    [VJ_CHANNEL_WAY_NONE] = "none",
    [VJ_CHANNEL_WAY_BIND] = "bind",
    [VJ_CHANNEL_WAY_CONNECT] = "connect",
    [VJ_CHANNEL_WAY_OTHER] = "other",
  };
  return names[way];
}

static const char *
attribute (const char *const *names, const char *const *values, const char *name)
{
  for (gsize i = 0; names[i] != NULL; i++)
    if (strcmp (names[i], name) == 0)
      return values[i];
  return "";
}

static gboolean
attribute_is (const char *const *names, const char *const *values, const char *name, const char *value)
{
  return strcmp (attribute (names, values, name), value) == 0;
}

/* Whether the element at hand is domain/devices/DEVICE/PART, down to that depth; NULL stands for any. */
static gboolean
is_at (GMarkupParseContext *context, guint depth, const char *device, const char *part)
{
  const char *const path[] = { "domain", "devices", device, part };
  const GSList *element =
      g_markup_parse_context_get_element_stack (context); /* from the innermost outwards */
  guint left = g_slist_length ((GSList *)element);
  if (left != depth || left > G_N_ELEMENTS (path))
    return FALSE;
  for (; left > 0; left--, element = element->next)
    if (path[left - 1] != NULL && strcmp (element->data, path[left - 1]) != 0)
      return FALSE;
  return TRUE;
}

static void
put_start (GString *element, const char *name, const char *const *names, const char *const *values)
{
  g_string_append_printf (element, "<%s", name);
  for (gsize i = 0; names[i] != NULL; i++)
    {
      g_autofree char *value = g_markup_escape_text (values[i], -1);
      g_string_append_printf (element, " %s='%s'", names[i], value);
    }
  g_string_append_c (element, '>');
}

static void
enter_channel (Reading *reading, const char *const *names, const char *const *values)
{
  reading->element = g_string_new (NULL);
  reading->is_unix = attribute_is (names, values, "type", "unix");
  reading->is_named = FALSE;
  reading->connects = FALSE;
}

static void
count_controller (Reading *reading, const char *const *names, const char *const *values)
{
  guint64 ports = DEFAULT_PORTS;
  if (!attribute_is (names, values, "type", "virtio-serial"))
    return;
  (void)g_ascii_string_to_unsigned (attribute (names, values, "ports"), 10, 1, G_MAXUINT16, &ports, NULL);
  reading->ports += ports - 1;
}

static void
read_part (GMarkupParseContext *context, Reading *reading, const char *const *names,
           const char *const *values)
{
  if (is_at (context, 4, "channel", "source"))
    reading->connects = attribute_is (names, values, "mode", "connect");
  if (is_at (context, 4, "channel", "target"))
    reading->is_named =
        attribute_is (names, values, "type", "virtio") && attribute_is (names, values, "name", PORT_NAME);
  if (is_at (context, 4, NULL, "address") && attribute_is (names, values, "type", "virtio-serial")
      && !attribute_is (names, values, "port", "0"))
    reading->used++;
}

static void
start_element (GMarkupParseContext *context, const char *name, const char **names, const char **values,
               gpointer user_data, GError **error)
{
  Reading *reading = user_data;
  const char *const *attributes = (const char *const *)names;
  const char *const *texts = (const char *const *)values;
  if (is_at (context, 1, NULL, NULL))
    reading->is_domain = TRUE;
  if (is_at (context, 3, "channel", NULL))
    enter_channel (reading, attributes, texts);
  if (is_at (context, 3, "controller", NULL))
    count_controller (reading, attributes, texts);
  read_part (context, reading, attributes, texts);
  if (reading->element != NULL)
    put_start (reading->element, name, attributes, texts);
}

static void
leave_channel (Reading *reading)
{
  VjChannelXml *found = reading->found;
  g_autofree char *element = g_string_free (g_steal_pointer (&reading->element), FALSE);
  if (!reading->is_named || found->element != NULL)
    return;
  found->element = g_steal_pointer (&element);
  found->way = !reading->is_unix   ? VJ_CHANNEL_WAY_OTHER
               : reading->connects ? VJ_CHANNEL_WAY_CONNECT
                                   : VJ_CHANNEL_WAY_BIND;
}

static void
end_element (GMarkupParseContext *context, const char *name, gpointer user_data, GError **error)
{
  Reading *reading = user_data;
  if (reading->element == NULL)
    return;
  g_string_append_printf (reading->element, "</%s>", name);
  if (is_at (context, 3, "channel", NULL))
    leave_channel (reading);
}

gboolean
vj_channel_xml_read (const char *xml, VjChannelXml *ret_channel, GError **error)
{
  static const GMarkupParser parser = { .start_element = start_element, .end_element = end_element };
  g_auto (VjChannelXml) found = { 0 };
  Reading reading = { .found = &found };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, &reading, NULL);
  const gboolean whole = g_markup_parse_context_parse (context, xml, -1, NULL)
                         && g_markup_parse_context_end_parse (context, NULL);
  if (reading.element != NULL)
    g_string_free (reading.element, TRUE);
  if (!whole || !reading.is_domain)
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "libvirt's XML is not that of a domain");
      return FALSE;
    }
  found.port_free = reading.used < reading.ports;
  *ret_channel = found;
  found = (VjChannelXml){ 0 };
  return TRUE;
}

void
vj_channel_xml_clear (VjChannelXml *channel)
{
  g_clear_pointer (&channel->element, g_free);
}

/* QEMU connects again every two seconds, for an agent that is not there yet or is restarted. libvirt is not to give the
 * agent's socket to QEMU's user: it may not be there when the domain starts. */
char *
vj_channel_xml_new (const char *guest_socket)
{
  g_autofree char *source = NULL;
  if (guest_socket != NULL)
    source = g_markup_printf_escaped ("  <source mode='connect' path='%s'>\n"
                                      "    <reconnect enabled='yes' timeout='2'/>\n"
                                      "    <seclabel model='dac' relabel='no'/>\n"
                                      "  </source>\n",
                                      guest_socket);
  return g_strconcat ("<channel type='unix'>\n", source != NULL ? source : "",
                      "  <target type='virtio' name='" PORT_NAME "'/>\n"
                      "  <alias name='" ALIAS "'/>\n"
                      "</channel>\n",
                      NULL);
}
