/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include "common/error.h"
#include "host/cli/channel_change.h"
#include "host/cli/cli_domains.h"
#include "host/cli/cli_json.h"
#include "common/cli_table.h"
#include "host/channel/guest_socket.h"

typedef struct
{
  VjDefinitionFlags flags;
  char *guest_socket; /* NULL: the bind way */
} Request;

static gboolean
read_one (const VjLibvirtDomain *domain, VjDefinition one, VjChannelXml *ret_channel, GError **error)
{
  g_autofree char *xml = vj_libvirt_domain_xml (domain, one, error);
  return xml != NULL && vj_channel_xml_read (xml, ret_channel, error);
}

/* facts: cleared ones. */
static gboolean
read_facts (const VjLibvirtDomain *domain, VjChannelFacts *facts, GError **error)
{
  facts->active = vj_libvirt_domain_is_active (domain);
  facts->persistent = vj_libvirt_domain_is_persistent (domain);
  facts->saved = !facts->active && vj_libvirt_domain_has_saved_state (domain);
  return (!facts->active || read_one (domain, VJ_DEFINITION_LIVE, &facts->live, error))
         && (!facts->persistent || read_one (domain, VJ_DEFINITION_CONFIG, &facts->config, error));
}

/* --- add, remove --- */

static char *
add_one (const VjLibvirtDomain *domain, gpointer user_data, GError **error)
{
  const Request *request = user_data;
  const VjDefinitionFlags *flags = &request->flags;
  const gboolean strict = flags->live && !flags->config && !flags->persistent;
  g_auto (VjChannelFacts) facts = { 0 };
  VjChannelPlan plan = { 0 };
  VjDefinition wanted = VJ_DEFINITION_NONE;
  if (!read_facts (domain, &facts, error)
      || !vj_definition_choose (flags, facts.active, facts.persistent, &wanted, error)
      || !vj_channel_change_add (&facts, wanted, strict, request->guest_socket != NULL, &plan, error))
    return NULL;
  g_autofree char *channel = vj_channel_xml_new (request->guest_socket);
  if (plan.change != VJ_DEFINITION_NONE && !vj_libvirt_domain_attach (domain, channel, plan.change, error))
    return NULL;
  return vj_channel_change_added (&facts, &plan);
}

/* libvirt wants the element of each definition, which differ: the live one has a path. */
static gboolean
detach_each (const VjLibvirtDomain *domain, const VjChannelFacts *facts, VjDefinition change, GError **error)
{
  vj_cli_hold_signals ();
  const gboolean done =
      ((change & VJ_DEFINITION_LIVE) == 0
       || vj_libvirt_domain_detach (domain, facts->live.element, VJ_DEFINITION_LIVE, error))
      && ((change & VJ_DEFINITION_CONFIG) == 0
          || vj_libvirt_domain_detach (domain, facts->config.element, VJ_DEFINITION_CONFIG, error));
  vj_cli_release_signals ();
  return done;
}

static char *
remove_one (const VjLibvirtDomain *domain, gpointer user_data, GError **error)
{
  const Request *request = user_data;
  g_auto (VjChannelFacts) facts = { 0 };
  g_auto (VjChannelXml) left = { 0 };
  VjDefinition wanted = VJ_DEFINITION_NONE;
  if (!read_facts (domain, &facts, error)
      || !vj_definition_choose (&request->flags, facts.active, facts.persistent, &wanted, error))
    return NULL;
  const VjDefinition change = vj_channel_change_remove (&facts, wanted);
  if (!detach_each (domain, &facts, change, error))
    return NULL;
  const gboolean still_there = (change & VJ_DEFINITION_LIVE) != 0
                               && read_one (domain, VJ_DEFINITION_LIVE, &left, NULL)
                               && left.way != VJ_CHANNEL_WAY_NONE;
  return vj_channel_change_removed (&facts, change, still_there);
}

/* Of names and --all exactly one. NULL, or what is wrong. */
static const char *
check_names (char *const *names, gboolean all)
{
  if (all && names[0] != NULL)
    return "--all and a DOMAIN exclude each other";
  return all || names[0] != NULL ? NULL : "name a DOMAIN, or all with --all";
}

static int
change (const char *verb, const char *uri, char *const *names, gboolean all, VjCliDomainFunc func,
        Request *request)
{
  g_autoptr (GError) error = NULL;
  const char *problem = check_names (names, all);
  if (problem != NULL)
    return vj_cli_refuse (verb, problem);
  if (!vj_definition_check (&request->flags, &error))
    return vj_cli_refuse (verb, error->message);
  g_autoptr (VjLibvirtAdmin) admin = vj_cli_libvirt_open (uri, FALSE, &error);
  return admin != NULL ? vj_cli_each_domain (admin, names, all, func, request) : vj_cli_finish (NULL, error);
}

static int
run_add (const char *runtime_dir, int argc, char **argv)
{
  Request request = { 0 };
  gboolean all = FALSE;
  gboolean connects = FALSE;
  g_autofree char *uri = NULL;
  const char *verb = argv[0];
  const GOptionEntry entries[] = {
    { "all", 0, 0, G_OPTION_ARG_NONE, &all, "All domains", NULL },
    { "connect", 0, 0, G_OPTION_ARG_NONE, &connects,
      "QEMU connects to the agent, which then needs no access to QEMU's directories", NULL },
    VJ_CLI_DEFINITION_ENTRIES (&request.flags),
    VJ_CLI_URI_ENTRY (&uri),
    { 0 },
  };
  g_auto (GStrv) names =
      vj_cli_arguments (entries, "DOMAIN...", "Gives domains the port org.virtjoule.energy.0.", argc, argv);
  if (names == NULL)
    return VJ_EXIT_USAGE;
  g_autofree char *directory = g_canonicalize_filename (runtime_dir, NULL);
  g_autofree char *socket = g_build_filename (directory, VJ_GUEST_SOCKET, NULL);
  request.guest_socket = connects ? socket : NULL;
  return change (verb, uri, names, all, add_one, &request);
}

static int
run_remove (const char *runtime_dir, int argc, char **argv)
{
  Request request = { 0 };
  gboolean all = FALSE;
  g_autofree char *uri = NULL;
  const char *verb = argv[0];
  const GOptionEntry entries[] = {
    { "all", 0, 0, G_OPTION_ARG_NONE, &all, "All domains", NULL },
    VJ_CLI_DEFINITION_ENTRIES (&request.flags),
    VJ_CLI_URI_ENTRY (&uri),
    { 0 },
  };
  g_auto (GStrv) names = vj_cli_arguments (
      entries, "DOMAIN...", "Takes the port org.virtjoule.energy.0 away, and nothing else.", argc, argv);
  return names != NULL ? change (verb, uri, names, all, remove_one, &request) : VJ_EXIT_USAGE;
}

/* --- status --- */

typedef struct
{
  gboolean as_json;
  VjCliTable *table;
  JsonBuilder *json;
  JsonArray *agent; /* the agent's domains; NULL: it does not answer */
  guint n_rows;
} Status;

/* What the agent says of its channel to that domain; NULL if it does not know it. */
static const char *
agent_state (const Status *status, const char *uuid)
{
  for (guint i = 0; status->agent != NULL && i < json_array_get_length (status->agent); i++)
    {
      JsonNode *node = json_array_get_element (status->agent, i);
      JsonObject *domain = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
      if (g_str_equal (vj_cli_json_text (domain, "uuid"), uuid)
          && g_str_equal (vj_cli_json_text (domain, "manager"), "libvirt"))
        return vj_cli_json_text (vj_cli_json_object (domain, "channel"), "state");
    }
  return NULL;
}

/* The name of a definition's way; NULL if there is no such definition. */
static const char *
way_of (gboolean exists, const VjChannelXml *channel)
{
  return exists ? vj_channel_way_name (channel->way) : NULL;
}

static void
put_json (JsonBuilder *json, const char *key, const char *value)
{
  json_builder_set_member_name (json, key);
  if (value != NULL)
    json_builder_add_string_value (json, value);
  else
    json_builder_add_null_value (json);
}

static gboolean
add_status (Status *status, const VjLibvirtDomain *domain, GError **error)
{
  g_auto (VjChannelFacts) facts = { 0 };
  if (!read_facts (domain, &facts, error))
    return FALSE;
  const char *agent = agent_state (status, vj_libvirt_domain_uuid (domain));
  const char *live = way_of (facts.active, &facts.live);
  const char *config = way_of (facts.persistent, &facts.config);
  vj_cli_table_cell (status->table, vj_libvirt_domain_name (domain));
  vj_cli_table_cell (status->table, live != NULL ? live : "not running");
  vj_cli_table_cell (status->table, config != NULL ? config : "transient");
  vj_cli_table_cell (status->table, agent != NULL ? agent : "-");
  json_builder_begin_object (status->json);
  put_json (status->json, "name", vj_libvirt_domain_name (domain));
  put_json (status->json, "uuid", vj_libvirt_domain_uuid (domain));
  put_json (status->json, "live", live);
  put_json (status->json, "config", config);
  put_json (status->json, "agent", agent);
  json_builder_end_object (status->json);
  status->n_rows++;
  return TRUE;
}

/* Those that can be read; an error is shown, and FALSE returned, for the others. */
static gboolean
add_named (Status *status, const VjLibvirtAdmin *admin, char *const *names)
{
  gboolean whole = TRUE;
  for (; *names != NULL; names++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VjLibvirtDomain) domain = vj_libvirt_admin_find (admin, *names, &error);
      if (domain != NULL && add_status (status, domain, &error))
        continue;
      g_printerr ("virtjoule: %s: %s\n", *names, error->message);
      whole = FALSE;
    }
  return whole;
}

/* One that has vanished since it was listed is no failure. */
static gboolean
add_all (Status *status, const VjLibvirtAdmin *admin)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) domains = vj_libvirt_admin_list (admin, &error);
  if (domains == NULL)
    g_printerr ("virtjoule: %s\n", error->message);
  for (guint i = 0; domains != NULL && i < domains->len; i++)
    (void)add_status (status, g_ptr_array_index (domains, i), NULL);
  return domains != NULL;
}

static char *
status_text (const Status *status, const GError *agent_problem)
{
  GString *text = g_string_new (NULL);
  vj_cli_table_render (status->table, text);
  if (agent_problem != NULL)
    g_string_append_printf (text, "\nThe last column is unknown: %s.\n", agent_problem->message);
  return g_string_free (text, FALSE);
}

static char *
status_json (const Status *status)
{
  json_builder_end_array (status->json);
  g_autoptr (JsonNode) root = json_builder_get_root (status->json);
  g_autofree char *text = json_to_string (root, TRUE);
  return g_strconcat (text, "\n", NULL);
}

static int
show (Status *status, const char *runtime_dir, const VjLibvirtAdmin *admin, char *const *names)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *answer = vj_cli_get (runtime_dir, "/v1/domains", &problem);
  g_autoptr (JsonNode) root = answer != NULL ? vj_cli_json_parse (answer, JSON_NODE_ARRAY, &problem) : NULL;
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  g_autoptr (JsonBuilder) json = json_builder_new ();
  static const char *const columns[] = { "Name", "Live", "Config", "Agent" };
  for (gsize i = 0; i < G_N_ELEMENTS (columns); i++)
    vj_cli_table_column (table, columns[i], FALSE);
  json_builder_begin_array (json);
  status->table = table;
  status->json = json;
  status->agent = root != NULL ? json_node_get_array (root) : NULL;
  const gboolean whole = names[0] != NULL ? add_named (status, admin, names) : add_all (status, admin);
  if (!whole && status->n_rows == 0 && !status->as_json)
    return VJ_EXIT_FAILED; /* all has been said */
  g_autofree char *text = status->as_json ? status_json (status) : status_text (status, problem);
  const int code = vj_cli_finish (text, NULL);
  return whole ? code : VJ_EXIT_FAILED;
}

static int
run_status (const char *runtime_dir, int argc, char **argv)
{
  Status status = { 0 };
  gboolean all = FALSE;
  g_autofree char *uri = NULL;
  g_autoptr (GError) error = NULL;
  const char *verb = argv[0];
  const GOptionEntry entries[] = {
    { "all", 0, 0, G_OPTION_ARG_NONE, &all, "All domains (the default)", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &status.as_json, "Print JSON", NULL },
    VJ_CLI_URI_ENTRY (&uri),
    { 0 },
  };
  g_auto (GStrv) names =
      vj_cli_arguments (entries, "[DOMAIN...]",
                        "Shows which domains have the port, and what the agent says of it.", argc, argv);
  if (names == NULL)
    return VJ_EXIT_USAGE;
  if (all && names[0] != NULL)
    return vj_cli_refuse (verb, check_names (names, all));
  g_autoptr (VjLibvirtAdmin) admin = vj_cli_libvirt_open (uri, TRUE, &error);
  return admin != NULL ? show (&status, runtime_dir, admin, names) : vj_cli_finish (NULL, error);
}

int
vj_cli_channel_run (const char *runtime_dir, int argc, char **argv)
{
  static const VjCliVerb verbs[] = {
    { "add", "Give domains the port", run_add },
    { "remove", "Take it away", run_remove },
    { "status", "Who has it, and what the agent says of it", run_status },
  };
  return vj_cli_subverb (verbs, G_N_ELEMENTS (verbs), runtime_dir, argc, argv);
}
