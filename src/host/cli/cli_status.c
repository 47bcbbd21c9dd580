/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include <string.h>

#include "common/error.h"
#include "host/cli/cli_json.h"
#include "common/cli_table.h"

#define U64 "%" G_GUINT64_FORMAT

typedef void (*EachObject) (JsonObject *object, gpointer user_data);

static void
for_each (JsonObject *status, const char *key, EachObject func, gpointer user_data)
{
  JsonNode *node = json_object_get_member (status, key);
  JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  for (guint i = 0; array != NULL && i < json_array_get_length (array); i++)
    {
      JsonNode *element = json_array_get_element (array, i);
      if (JSON_NODE_HOLDS_OBJECT (element))
        func (json_node_get_object (element), user_data);
    }
}

static void
put_source (JsonObject *source, gpointer user_data)
{
  g_autofree char *quality = vj_cli_quality (source, "name");
  g_string_append_printf (user_data, "Energy:    %s\n", quality);
}

static void
put_static (JsonObject *zone, gpointer user_data)
{
  const char *source = vj_cli_json_text (zone, "static_source");
  const char *note = vj_cli_json_text (zone, "static_note");
  g_autofree char *id = vj_cli_printable (vj_cli_json_text (zone, "id"));
  g_autofree char *watts = vj_cli_watts (zone, "static_watts");
  if (*source != '\0' && strcmp (source, "none") != 0)
    g_string_append_printf (user_data, "Static:    %s %s W, %s%s%s\n", id, watts, source,
                            *note != '\0' ? ": " : "", note);
}

static void
put_guests (JsonObject *status, GString *text)
{
  JsonObject *guest_socket = vj_cli_json_object (status, "guest_socket");
  JsonObject *endings = vj_cli_json_object (status, "endings");
  g_string_append_printf (text,
                          "Guests:    " U64 " connections accepted, " U64 " refused, " U64 " failed%s\n",
                          vj_cli_json_u64 (guest_socket, "accepted"),
                          vj_cli_json_u64 (guest_socket, "refused"), vj_cli_json_u64 (guest_socket, "failed"),
                          vj_cli_json_true (guest_socket, "open") ? "" : "; the guest socket is not open");
  g_string_append_printf (
      text, "Endings:   " U64 " exact, " U64 " completed from exit records%s, " U64 " unknown\n",
      vj_cli_json_u64 (endings, "exact"), vj_cli_json_u64 (endings, "completed"),
      vj_cli_json_true (status, "exit_records") ? "" : " (there are none here)",
      vj_cli_json_u64 (endings, "unknown"));
}

static void
put_managers (JsonObject *status, GString *text)
{
  JsonNode *node = json_object_get_member (status, "managers");
  JsonArray *managers = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  for (guint i = 0; managers != NULL && i < json_array_get_length (managers); i++)
    {
      JsonNode *element = json_array_get_element (managers, i);
      const char *name = JSON_NODE_HOLDS_VALUE (element) ? json_node_get_string (element) : NULL;
      g_autofree char *shown = vj_cli_printable (name != NULL ? name : "");
      g_string_append_printf (text, "%s%s", i == 0 ? "Managers:  " : ", ", shown);
    }
  if (managers != NULL)
    g_string_append_c (text, '\n');
}

static void
put_agent (JsonObject *status, GString *text)
{
  JsonObject *ticks = vj_cli_json_object (status, "ticks");
  JsonObject *counters = vj_cli_json_object (status, "counters");
  JsonObject *libvirt = vj_cli_json_object (status, "libvirt");
  g_autofree char *interval = vj_cli_seconds (ticks, "interval_us");
  g_autofree char *age = vj_cli_seconds (ticks, "age_us");
  g_autofree char *uri = vj_cli_printable (vj_cli_json_text (libvirt, "uri"));
  gboolean no_libvirt = g_str_equal (uri, "none");
  const char *connection = vj_cli_json_true (libvirt, "connected") ? ", connected" : ", not connected";
  g_string_append_printf (text, "Agent:     virtjouled %s on host %s\n", vj_cli_json_text (status, "version"),
                          vj_cli_json_text (status, "host"));
  for_each (status, "sources", put_source, text);
  g_string_append_printf (text, "Ticks:     " U64 " at %s, " U64 " late, " U64 " skipped, the last %s ago\n",
                          vj_cli_json_u64 (ticks, "count"), interval, vj_cli_json_u64 (ticks, "late"),
                          vj_cli_json_u64 (ticks, "skipped"), age);
  g_string_append_printf (
      text, "Counters:  " U64 " wraps, " U64 " resets, " U64 " rejected, " U64 " gaps, " U64 " failures\n",
      vj_cli_json_u64 (counters, "wraps"), vj_cli_json_u64 (counters, "resets"),
      vj_cli_json_u64 (counters, "rejected"), vj_cli_json_u64 (counters, "gaps"),
      vj_cli_json_u64 (counters, "failures"));
  g_string_append_printf (text, "libvirt:   %s%s\n", uri, no_libvirt ? "" : connection);
  put_managers (status, text);
  put_guests (status, text);
  g_string_append_printf (text, "Domains:   " U64 "\n", vj_cli_json_u64 (status, "domains"));
  for_each (status, "zones", put_static, text);
  g_string_append_c (text, '\n');
}

static void
add_zone (JsonObject *zone, gpointer user_data)
{
  static const char *const energies[] = { "measured_uj", "attributed_uj", "host_uj", "static_uj", "gap_uj" };
  VjCliTable *table = user_data;
  vj_cli_table_cell (table, vj_cli_json_text (zone, "id"));
  for (gsize i = 0; i < G_N_ELEMENTS (energies); i++)
    vj_cli_table_take (table, vj_cli_joules (vj_cli_json_u64 (zone, energies[i])));
  vj_cli_table_take (table, vj_cli_watts (zone, "watts"));
  vj_cli_table_cell (table,
                     vj_cli_json_true (zone, "readable") ? vj_cli_json_text (zone, "quality") : "unreadable");
  vj_cli_table_take (table, vj_cli_seconds (zone, "age_us"));
}

static VjCliTable *
table_new (void)
{
  static const char *const numbers[] = { "Measured J", "Domains J", "Host J", "Static J", "Gap J", "Watts" };
  VjCliTable *table = vj_cli_table_new ();
  vj_cli_table_column (table, "Zone", FALSE);
  for (gsize i = 0; i < G_N_ELEMENTS (numbers); i++)
    vj_cli_table_column (table, numbers[i], TRUE);
  vj_cli_table_column (table, "Quality", FALSE);
  vj_cli_table_column (table, "Age", TRUE);
  return table;
}

char *
vj_cli_status_text (const char *json, GError **error)
{
  g_autoptr (JsonNode) root = vj_cli_json_parse (json, JSON_NODE_OBJECT, error);
  if (root == NULL)
    return NULL;
  GString *text = g_string_new (NULL);
  g_autoptr (VjCliTable) table = table_new ();
  put_agent (json_node_get_object (root), text);
  for_each (json_node_get_object (root), "zones", add_zone, table);
  vj_cli_table_render (table, text);
  return g_string_free (text, FALSE);
}

int
vj_cli_status_run (const char *runtime_dir, int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "Print the agent's JSON document", NULL },
    { 0 },
  };
  if (!vj_cli_options (entries, "Shows the agent, its energy sources and the host's zones.", argc, argv))
    return VJ_EXIT_USAGE;
  g_autoptr (GError) error = NULL;
  g_autofree char *json = vj_cli_get (runtime_dir, "/v1/status", &error);
  if (json == NULL || as_json)
    return vj_cli_finish (json, error);
  g_autofree char *text = vj_cli_status_text (json, &error);
  return vj_cli_finish (text, error);
}
