/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include "common/error.h"
#include "host/cli/cli_json.h"
#include "common/cli_table.h"

/* The zones, in the agent's order; all domains have the same. Free with g_list_free (). */
static GList *
zone_ids (JsonArray *domains)
{
  if (json_array_get_length (domains) == 0)
    return NULL;
  JsonNode *first = json_array_get_element (domains, 0);
  JsonObject *domain = JSON_NODE_HOLDS_OBJECT (first) ? json_node_get_object (first) : NULL;
  JsonObject *energy = vj_cli_json_object (domain, "energy_uj");
  return energy != NULL ? json_object_get_members (energy) : NULL;
}

static VjCliTable *
table_new (GList *zones, gboolean show_uuid)
{
  VjCliTable *table = vj_cli_table_new ();
  vj_cli_table_column (table, "Name", FALSE);
  if (show_uuid)
    vj_cli_table_column (table, "UUID", FALSE);
  vj_cli_table_column (table, "State", FALSE);
  vj_cli_table_column (table, "Watts", TRUE);
  for (GList *zone = zones; zone != NULL; zone = zone->next)
    {
      g_autofree char *header = g_strdup_printf ("%s J", (const char *)zone->data);
      vj_cli_table_column (table, header, TRUE);
    }
  vj_cli_table_column (table, "Channel", FALSE);
  vj_cli_table_column (table, "Lag", TRUE);
  return table;
}

static void
add_domain (VjCliTable *table, JsonObject *domain, GList *zones, gboolean show_uuid)
{
  JsonObject *energy = vj_cli_json_object (domain, "energy_uj");
  JsonObject *channel = vj_cli_json_object (domain, "channel");
  vj_cli_table_cell (table, vj_cli_json_text (domain, "name"));
  if (show_uuid)
    vj_cli_table_cell (table, vj_cli_json_text (domain, "uuid"));
  vj_cli_table_cell (table, vj_cli_json_text (domain, "state"));
  vj_cli_table_take (table, vj_cli_watts (domain, "watts"));
  for (GList *zone = zones; zone != NULL; zone = zone->next)
    vj_cli_table_take (table, vj_cli_joules (vj_cli_json_u64 (energy, zone->data)));
  vj_cli_table_cell (table, vj_cli_json_text (channel, "state"));
  vj_cli_table_take (table, vj_cli_seconds (channel, "lag_us"));
}

char *
vj_cli_list_text (const char *json, gboolean show_uuid, GError **error)
{
  g_autoptr (JsonNode) root = vj_cli_json_parse (json, JSON_NODE_ARRAY, error);
  if (root == NULL)
    return NULL;
  JsonArray *domains = json_node_get_array (root);
  g_autoptr (GList) zones = zone_ids (domains);
  g_autoptr (VjCliTable) table = table_new (zones, show_uuid);
  JsonObject *last = NULL;
  for (guint i = 0; i < json_array_get_length (domains); i++)
    {
      JsonNode *node = json_array_get_element (domains, i);
      last = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
      add_domain (table, last, zones, show_uuid);
    }
  GString *text = g_string_new (NULL);
  vj_cli_table_render (table, text);
  g_autofree char *quality = last != NULL ? vj_cli_quality (last, "source") : NULL;
  if (quality != NULL)
    g_string_append_printf (text, "\nEnergy is %s.\n", quality);
  return g_string_free (text, FALSE);
}

static const char *const settings[] = { "measure", "interval", "static-policy", "resolution" };

static VjCliTable *
settings_table_new (void)
{
  static const char *const headers[] = { "Measure", "Interval", "Static policy", "Resolution" };
  VjCliTable *table = vj_cli_table_new ();
  vj_cli_table_column (table, "Name", FALSE);
  vj_cli_table_column (table, "Manager", FALSE);
  vj_cli_table_column (table, "VMID", TRUE);
  vj_cli_table_column (table, "Way", FALSE);
  for (gsize i = 0; i < G_N_ELEMENTS (headers); i++)
    vj_cli_table_column (table, headers[i], FALSE);
  return table;
}

static char *
word_or_dash (JsonObject *object, const char *key)
{
  const char *word = vj_cli_json_text (object, key);
  return g_strdup (*word != '\0' ? word : "-");
}

static void
add_settings (VjCliTable *table, JsonObject *domain)
{
  const guint64 vmid = vj_cli_json_u64 (domain, "vmid");
  JsonObject *all = vj_cli_json_object (domain, "settings");
  vj_cli_table_cell (table, vj_cli_json_text (domain, "name"));
  vj_cli_table_cell (table, vj_cli_json_text (domain, "manager"));
  vj_cli_table_take (table, vmid > 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT, vmid) : g_strdup ("-"));
  vj_cli_table_take (table, word_or_dash (vj_cli_json_object (domain, "channel"), "way"));
  for (gsize i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      JsonObject *setting = vj_cli_json_object (all, settings[i]);
      g_autofree char *value = word_or_dash (setting, "value");
      g_autofree char *origin = word_or_dash (setting, "origin");
      vj_cli_table_take (table, g_strdup_printf ("%s (%s)", value, origin));
    }
}

static void
put_problem (JsonObject *domain, GString *out)
{
  g_autofree char *problem = vj_cli_printable (vj_cli_json_text (domain, "settings_problem"));
  g_autofree char *name = vj_cli_printable (vj_cli_json_text (domain, "name"));
  if (*problem != '\0')
    g_string_append_printf (out, "\n%s: a setting of its own is taken as not said: %s\n", name, problem);
}

char *
vj_cli_settings_text (const char *json, GError **error)
{
  g_autoptr (JsonNode) root = vj_cli_json_parse (json, JSON_NODE_ARRAY, error);
  g_autoptr (GString) problems = g_string_new (NULL);
  if (root == NULL)
    return NULL;
  JsonArray *domains = json_node_get_array (root);
  g_autoptr (VjCliTable) table = settings_table_new ();
  for (guint i = 0; i < json_array_get_length (domains); i++)
    {
      JsonNode *node = json_array_get_element (domains, i);
      JsonObject *domain = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
      add_settings (table, domain);
      put_problem (domain, problems);
    }
  GString *text = g_string_new (NULL);
  vj_cli_table_render (table, text);
  g_string_append (text, problems->str);
  return g_string_free (text, FALSE);
}

int
vj_cli_list_run (const char *runtime_dir, int argc, char **argv)
{
  gboolean as_json = FALSE;
  gboolean show_uuid = FALSE;
  gboolean verbose = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "Print the agent's JSON document", NULL },
    { "uuid", 0, 0, G_OPTION_ARG_NONE, &show_uuid, "Show the UUIDs too", NULL },
    { "verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Show what is set for each, and by whose word", NULL },
    { 0 },
  };
  if (!vj_cli_options (entries, "Lists the running virtual machines and their energy.", argc, argv))
    return VJ_EXIT_USAGE;
  g_autoptr (GError) error = NULL;
  g_autofree char *json = vj_cli_get (runtime_dir, "/v1/domains", &error);
  if (json == NULL || as_json)
    return vj_cli_finish (json, error);
  g_autofree char *text = vj_cli_list_text (json, show_uuid, &error);
  g_autofree char *more = text != NULL && verbose ? vj_cli_settings_text (json, &error) : NULL;
  g_autofree char *both = more != NULL ? g_strconcat (text, "\n", more, NULL) : g_steal_pointer (&text);
  return vj_cli_finish (both, error);
}
