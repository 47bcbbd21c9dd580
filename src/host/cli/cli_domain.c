/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include <json-glib/json-glib.h>

#include "common/error.h"
#include "host/cli/cli_domains.h"
#include "common/cli_table.h"
#include "host/domains/domain_settings.h"
#include "host/cli/settings_xml.h"

/* What to make of the settings: pairs of a name and a value, NULL to unset it. */
typedef struct
{
  VjDefinitionFlags flags;
  char *const *words; /* KEY=VALUE, or KEY */
  gboolean sets;
} Request;

/* --- set, unset --- */

static void
apply (const Request *request, VjSettingsXml *settings)
{
  for (char *const *word = request->words; *word != NULL; word++)
    {
      g_auto (GStrv) pair = g_strsplit (*word, "=", 2);
      vj_settings_xml_set (settings, pair[0], request->sets ? pair[1] : NULL);
    }
}

/* The element of one definition as it is, and as it is to be; NULL where there is none. */
static gboolean
prepare (const VjLibvirtDomain *domain, const Request *request, VjDefinition one, char **ret_before,
         char **ret_after, GError **error)
{
  g_autofree char *xml = NULL;
  if (!vj_libvirt_domain_metadata (domain, VJ_SETTINGS_NAMESPACE, one, &xml, error))
    return FALSE;
  g_autoptr (VjSettingsXml) settings = vj_settings_xml_parse (xml, error);
  if (settings == NULL)
    return FALSE;
  *ret_before = vj_settings_xml_text (settings);
  apply (request, settings);
  *ret_after = vj_settings_xml_text (settings);
  return TRUE;
}

static gboolean
store (const VjLibvirtDomain *domain, const char *before, const char *after, VjDefinition definitions,
       GError **error)
{
  return g_strcmp0 (before, after) == 0
         || vj_libvirt_domain_set_metadata (domain, VJ_SETTINGS_PREFIX, VJ_SETTINGS_NAMESPACE, after,
                                            definitions, error);
}

/* The two definitions may say different things, each of which stays but for what is changed. */
static gboolean
store_both (const VjLibvirtDomain *domain, const Request *request, GError **error)
{
  g_autofree char *live = NULL;
  g_autofree char *config = NULL;
  g_autofree char *new_live = NULL;
  g_autofree char *new_config = NULL;
  if (!prepare (domain, request, VJ_DEFINITION_LIVE, &live, &new_live, error)
      || !prepare (domain, request, VJ_DEFINITION_CONFIG, &config, &new_config, error))
    return FALSE;
  if (g_strcmp0 (live, config) == 0)
    return store (domain, live, new_live, VJ_DEFINITION_BOTH, error);
  vj_cli_hold_signals ();
  const gboolean done = store (domain, live, new_live, VJ_DEFINITION_LIVE, error)
                        && store (domain, config, new_config, VJ_DEFINITION_CONFIG, error);
  vj_cli_release_signals ();
  return done;
}

static gboolean
store_one (const VjLibvirtDomain *domain, const Request *request, VjDefinition one, GError **error)
{
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  return prepare (domain, request, one, &before, &after, error) && store (domain, before, after, one, error);
}

static char *
change_one (const VjLibvirtDomain *domain, gpointer user_data, GError **error)
{
  const Request *request = user_data;
  const gboolean persistent = vj_libvirt_domain_is_persistent (domain);
  VjDefinition definitions = VJ_DEFINITION_NONE;
  if (!vj_definition_choose (&request->flags, vj_libvirt_domain_is_active (domain), persistent, &definitions,
                             error))
    return NULL;
  const gboolean done = definitions == VJ_DEFINITION_BOTH ? store_both (domain, request, error)
                                                          : store_one (domain, request, definitions, error);
  if (!done)
    return NULL;
  g_autofree char *words = g_strjoinv (" ", (char **)(gpointer)request->words);
  return g_strdup_printf (
      "%s %s in %s%s", words, request->sets ? "set" : "unset", vj_definition_text (definitions),
      definitions == VJ_DEFINITION_LIVE && persistent ? ", until it stops; --config is for later starts"
                                                      : "");
}

/* Before anything is written. */
static gboolean
check_word (const char *word, gboolean sets, GError **error)
{
  g_auto (GStrv) pair = g_strsplit (word, "=", 2);
  VjDomainSettings scratch = { 0 };
  VjSetting setting = VJ_N_SETTINGS;
  if (sets && pair[0] != NULL && pair[1] != NULL)
    return vj_domain_settings_set (&scratch, pair[0], pair[1], error);
  if (!sets && vj_setting_parse (word, &setting))
    return TRUE;
  if (!sets)
    return vj_domain_settings_set (&scratch, word, "", error); /* says what is allowed */
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "\"%s\" is not of the form KEY=VALUE", word);
  return FALSE;
}

static gboolean
check (const Request *request, char *const *names, GError **error)
{
  if (names[0] == NULL || names[1] == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "name a DOMAIN and what to %s",
                   request->sets ? "set, as KEY=VALUE" : "unset, by its KEY");
      return FALSE;
    }
  for (char *const *word = names + 1; *word != NULL; word++)
    if (!check_word (*word, request->sets, error))
      return FALSE;
  return vj_definition_check (&request->flags, error);
}

static int
run_change (Request *request, const char *parameters, const char *summary, int argc, char **argv)
{
  g_autofree char *uri = NULL;
  g_autoptr (GError) error = NULL;
  const char *verb = argv[0];
  const GOptionEntry entries[] = {
    VJ_CLI_DEFINITION_ENTRIES (&request->flags),
    VJ_CLI_URI_ENTRY (&uri),
    { 0 },
  };
  g_auto (GStrv) words = vj_cli_arguments (entries, parameters, summary, argc, argv);
  if (words == NULL)
    return VJ_EXIT_USAGE;
  if (!check (request, words, &error))
    return vj_cli_refuse (verb, error->message);
  char *const name[] = { words[0], NULL };
  request->words = words + 1;
  g_autoptr (VjLibvirtAdmin) admin = vj_cli_libvirt_open (uri, FALSE, &error);
  return admin != NULL ? vj_cli_each_domain (admin, name, FALSE, change_one, request)
                       : vj_cli_finish (NULL, error);
}

static int
run_set (const char *runtime_dir, int argc, char **argv)
{
  Request request = { .sets = TRUE };
  return run_change (&request, "DOMAIN KEY=VALUE...", "Sets what holds for one domain.", argc, argv);
}

static int
run_unset (const char *runtime_dir, int argc, char **argv)
{
  Request request = { .sets = FALSE };
  return run_change (&request, "DOMAIN KEY...", "For these settings the agent's configuration holds again.",
                     argc, argv);
}

/* --- show --- */

typedef struct
{
  VjSettingsXml *live;   /* NULL: it does not run */
  VjSettingsXml *config; /* NULL: it is transient */
} Shown;

static void
shown_clear (Shown *shown)
{
  g_clear_pointer (&shown->live, vj_settings_xml_free);
  g_clear_pointer (&shown->config, vj_settings_xml_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Shown, shown_clear)

static gboolean
read_one (const VjLibvirtDomain *domain, VjDefinition one, VjSettingsXml **ret_settings, GError **error)
{
  g_autofree char *xml = NULL;
  if (!vj_libvirt_domain_metadata (domain, VJ_SETTINGS_NAMESPACE, one, &xml, error))
    return FALSE;
  *ret_settings = vj_settings_xml_parse (xml, error);
  return *ret_settings != NULL;
}

/* The value, with what is wrong with it: virsh metadata lets anything in. */
static char *
value_text (const VjSettingsXml *settings, const char *name)
{
  VjDomainSettings scratch = { 0 };
  const char *value = vj_settings_xml_value (settings, name);
  if (value == NULL)
    return g_strdup ("-");
  return vj_domain_settings_set (&scratch, name, value, NULL)
             ? g_strdup (value)
             : g_strconcat (value, " (not understood)", NULL);
}

static void
add_row (VjCliTable *table, const Shown *shown, const char *name)
{
  vj_cli_table_cell (table, name);
  if (shown->live != NULL)
    vj_cli_table_take (table, value_text (shown->live, name));
  if (shown->config != NULL)
    vj_cli_table_take (table, value_text (shown->config, name));
}

/* Attributes that no setting has the name of. */
static void
add_unknown (VjCliTable *table, const Shown *shown, const VjSettingsXml *settings,
             const VjSettingsXml *before)
{
  VjSetting setting = VJ_N_SETTINGS;
  for (guint i = 0; settings != NULL && i < vj_settings_xml_count (settings); i++)
    {
      const char *name = vj_settings_xml_name (settings, i);
      if (!vj_setting_parse (name, &setting)
          && (before == NULL || vj_settings_xml_value (before, name) == NULL))
        add_row (table, shown, name);
    }
}

static char *
show_text (const Shown *shown)
{
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  GString *text = g_string_new (NULL);
  vj_cli_table_column (table, "Setting", FALSE);
  if (shown->live != NULL)
    vj_cli_table_column (table, "Live", FALSE);
  if (shown->config != NULL)
    vj_cli_table_column (table, "Config", FALSE);
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    add_row (table, shown, vj_setting_name ((VjSetting)i));
  add_unknown (table, shown, shown->live, NULL);
  add_unknown (table, shown, shown->config, shown->live);
  vj_cli_table_render (table, text);
  return g_string_free (text, FALSE);
}

static void
put_json (JsonBuilder *json, const char *key, const VjSettingsXml *settings)
{
  json_builder_set_member_name (json, key);
  if (settings == NULL)
    {
      json_builder_add_null_value (json);
      return;
    }
  json_builder_begin_object (json);
  for (guint i = 0; i < vj_settings_xml_count (settings); i++)
    {
      const char *name = vj_settings_xml_name (settings, i);
      json_builder_set_member_name (json, name);
      json_builder_add_string_value (json, vj_settings_xml_value (settings, name));
    }
  json_builder_end_object (json);
}

static char *
show_json (const VjLibvirtDomain *domain, const Shown *shown)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();
  json_builder_begin_object (json);
  json_builder_set_member_name (json, "name");
  json_builder_add_string_value (json, vj_libvirt_domain_name (domain));
  json_builder_set_member_name (json, "uuid");
  json_builder_add_string_value (json, vj_libvirt_domain_uuid (domain));
  put_json (json, "live", shown->live);
  put_json (json, "config", shown->config);
  json_builder_end_object (json);
  g_autoptr (JsonNode) root = json_builder_get_root (json);
  g_autofree char *text = json_to_string (root, TRUE);
  return g_strconcat (text, "\n", NULL);
}

/* The text to print; the caller's. */
static char *
show (const VjLibvirtAdmin *admin, const char *name, const VjDefinitionFlags *flags, gboolean as_json,
      GError **error)
{
  g_auto (Shown) shown = { 0 };
  VjDefinition definitions = VJ_DEFINITION_NONE;
  g_autoptr (VjLibvirtDomain) domain = vj_libvirt_admin_find (admin, name, error);
  if (domain == NULL)
    return NULL;
  const gboolean active = vj_libvirt_domain_is_active (domain);
  const gboolean persistent = vj_libvirt_domain_is_persistent (domain);
  if (!flags->live && !flags->config)
    definitions = (active ? VJ_DEFINITION_LIVE : VJ_DEFINITION_NONE)
                  | (persistent ? VJ_DEFINITION_CONFIG : VJ_DEFINITION_NONE);
  else if (!vj_definition_choose (flags, active, persistent, &definitions, error))
    return NULL;
  if ((definitions & VJ_DEFINITION_LIVE) != 0 && !read_one (domain, VJ_DEFINITION_LIVE, &shown.live, error))
    return NULL;
  if ((definitions & VJ_DEFINITION_CONFIG) != 0
      && !read_one (domain, VJ_DEFINITION_CONFIG, &shown.config, error))
    return NULL;
  return as_json ? show_json (domain, &shown) : show_text (&shown);
}

static int
run_show (const char *runtime_dir, int argc, char **argv)
{
  VjDefinitionFlags flags = { 0 };
  gboolean as_json = FALSE;
  g_autofree char *uri = NULL;
  g_autoptr (GError) error = NULL;
  const char *verb = argv[0];
  const GOptionEntry entries[] = {
    { "live", 0, 0, G_OPTION_ARG_NONE, &flags.live, "Of the running domain alone", NULL },
    { "config", 0, 0, G_OPTION_ARG_NONE, &flags.config, "Of the persistent definition alone", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "Print JSON", NULL },
    VJ_CLI_URI_ENTRY (&uri),
    { 0 },
  };
  g_auto (GStrv) names =
      vj_cli_arguments (entries, "DOMAIN", "Shows what is set for one domain.", argc, argv);
  if (names == NULL)
    return VJ_EXIT_USAGE;
  if (g_strv_length (names) != 1)
    return vj_cli_refuse (verb, "name one DOMAIN");
  g_autoptr (VjLibvirtAdmin) admin = vj_cli_libvirt_open (uri, TRUE, &error);
  g_autofree char *text = admin != NULL ? show (admin, names[0], &flags, as_json, &error) : NULL;
  if (text == NULL && admin != NULL)
    g_prefix_error (&error, "%s: ", names[0]);
  return vj_cli_finish (text, error);
}

int
vj_cli_domain_run (const char *runtime_dir, int argc, char **argv)
{
  static const VjCliVerb verbs[] = {
    { "set", "Set what holds for one domain", run_set },
    { "unset", "Let the agent's configuration hold again", run_unset },
    { "show", "What is set", run_show },
  };
  return vj_cli_subverb (verbs, G_N_ELEMENTS (verbs), runtime_dir, argc, argv);
}
