/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config.h"

#include <string.h>

#include "common/command_line.h"
#include "common/error.h"
#include "common/units.h"
#include "common/zone.h"
#include "host/config_value.h"
#include "common/source_powercap.h"

#define DEFAULT_FILE "/etc/virtjoule/virtjouled.conf"
#define STATIC_GROUP "static-watts"
/* Debian and Proxmox VE, Fedora, openSUSE; RHEL; older distributions. */
#define DEFAULT_EXECUTABLES "/usr/bin/qemu-system-*,/usr/libexec/qemu-kvm,/usr/bin/kvm,/usr/bin/qemu-kvm"

/* One setting: a key of the file, and an option of the same name where there is a help text. */
typedef struct
{
  const char *group;
  const char *key;
  VjValueSet set;
  gsize field; /* offset in VjConfig */
  const char *argument;
  const char *help;
} Setting;

#define FIELD(member) G_STRUCT_OFFSET (VjConfig, member)
static const Setting settings[] = {
  { "agent", "interval", vj_value_interval, FIELD (interval_us), "DURATION",
    "Time between two readings, 100ms to 60s (1s)" },
  { "agent", "source", vj_value_source, FIELD (source), "SOURCE",
    "Energy source: auto, powercap or model (auto)" },
  { "agent", "metrics-listen", vj_value_listen, FIELD (metrics_listen), "ADDRESS:PORT",
    "Serve /metrics on TCP too (none)" },
  { "agent", "manager", vj_value_managers, FIELD (managers), "NAMES",
    "Whose virtual machines: auto, or some of libvirt, proxmox, qemu (auto)" },
  { "agent", "libvirt-uri", vj_value_uri, FIELD (libvirt_uri), "URI",
    "libvirt connection, or none (qemu:///system)" },
  { "agent", "libvirt-rundir", vj_value_path, FIELD (roots.libvirt_rundir), "DIR",
    "Where libvirt keeps its pid files (/run/libvirt/qemu)" },
  { "agent", "proxmox-rundir", vj_value_path, FIELD (proxmox_rundir), "DIR",
    "Where Proxmox VE keeps its pid files (/run/qemu-server)" },
  { "agent", "pve-dir", vj_value_path, FIELD (pve_dir), "DIR",
    "Where Proxmox VE keeps its configuration (/etc/pve)" },
  { "agent", "qemu-executables", vj_value_words, FIELD (qemu_executables), "PATTERNS",
    "What counts as QEMU without libvirt, with commas between them (/usr/bin/qemu-system-*, ...)" },
  { "agent", "qemu-users", vj_value_users, FIELD (qemu_uids), "USERS",
    "Who may run QEMU without libvirt, with commas between them, or any (Proxmox VE: root)" },
  { "agent", "counter-lifetime", vj_value_lifetime, FIELD (counter_forever), "LIFETIME",
    "How long counters go on: run or forever (run)" },
  { "agent", "sysfs", vj_value_path, FIELD (roots.sysfs), "DIR", "Where sysfs is mounted (/sys)" },
  { "agent", "procfs", vj_value_path, FIELD (roots.procfs), "DIR", "Where procfs is mounted (/proc)" },
  { "agent", "cgroupfs", vj_value_path, FIELD (roots.cgroupfs), "DIR",
    "Where control groups are mounted (/sys/fs/cgroup)" },
  { "agent", "runtime-dir", vj_value_path, FIELD (roots.runtime_dir), "DIR",
    "Socket and account book (/run/virtjoule)" },
  { "agent", "state-dir", vj_value_path, FIELD (roots.state_dir), "DIR",
    "What outlives a reboot (/var/lib/virtjoule)" },
  { "attribution", "static-policy", vj_value_static_policy, FIELD (domain.static_policy), "POLICY",
    "Who bears static energy: separate, even, proportional or allocation (separate)" },
  { "attribution", "curve", vj_value_curve, FIELD (curve.kind), NULL, NULL },
  { "attribution", "gamma", vj_value_gamma, FIELD (curve.gamma_permille), NULL, NULL },
  { "attribution", "stacking", vj_value_stacking, FIELD (curve.stacking), NULL, NULL },
  { "powercap", "max-watts", vj_value_max_watts, FIELD (max_power_uw), NULL, NULL },
  { "model", "idle-watts", vj_value_watts, FIELD (model_idle_uw), NULL, NULL },
  { "model", "full-watts", vj_value_watts, FIELD (model_full_uw), NULL, NULL },
  { "guest", "measure", vj_value_yes_no, FIELD (domain.measure), NULL, NULL },
  { "guest", "interval", vj_value_interval, FIELD (domain.interval_us), NULL, NULL },
  { "guest", "resolution", vj_value_resolution, FIELD (domain.resolution_uj), NULL, NULL },
};
#define N_SETTINGS G_N_ELEMENTS (settings)

/* What may be set for a single domain too has the same name here; who said it is to be known. */
static void
note_said (VjConfig *config, const Setting *setting)
{
  const gsize domain = FIELD (domain);
  VjSetting said = VJ_N_SETTINGS;
  if (setting->field >= domain && setting->field < domain + sizeof config->domain
      && vj_setting_parse (setting->key, &said))
    config->domain.said[said] = TRUE;
}

static gboolean
apply (VjConfig *config, const Setting *setting, const char *value, GError **error)
{
  gpointer field = G_STRUCT_MEMBER_P (config, setting->field);
  if (!setting->set (field, value, error))
    {
      g_prefix_error (error, "%s: ", setting->key);
      return FALSE;
    }
  note_said (config, setting);
  return TRUE;
}

static gboolean
is_zone_id (const char *id)
{
  const char *slash = strchr (id, '/');
  if (slash == NULL)
    return vj_zone_init (&(VjZone){ 0 }, id, NULL, -1);
  VjZone parent = { 0 };
  g_autofree char *parent_name = g_strndup (id, (gsize)(slash - id));
  return vj_zone_init (&parent, parent_name, NULL, -1)
         && vj_zone_init (&(VjZone){ 0 }, slash + 1, &parent, 0);
}

/* One number would not fit all zones. */
static gboolean
set_static_default (VjConfig *config, const char *value, GError **error)
{
  const guint64 automatic = VJ_STATIC_AUTO_UW;
  g_hash_table_remove (config->static_uw, VJ_STATIC_DEFAULT);
  if (strcmp (value, "auto") == 0)
    g_hash_table_insert (config->static_uw, g_strdup (VJ_STATIC_DEFAULT),
                         g_memdup2 (&automatic, sizeof automatic));
  else if (strcmp (value, "none") != 0)
    {
      vj_value_refuse (error, value, "auto or none");
      g_prefix_error (error, "%s: ", VJ_STATIC_DEFAULT);
      return FALSE;
    }
  return TRUE;
}

static gboolean
set_static (VjConfig *config, const char *zone_id, const char *value, GError **error)
{
  guint64 power_uw = VJ_STATIC_AUTO_UW;
  if (strcmp (zone_id, VJ_STATIC_DEFAULT) == 0)
    return set_static_default (config, value, error);
  if (!is_zone_id (zone_id))
    return vj_value_refuse (error, zone_id,
                            "the id of a zone, such as package-0 or package-0/dram, or default");
  if (strcmp (value, "auto") != 0 && !vj_value_watts (&power_uw, value, NULL))
    {
      vj_value_refuse (error, value,
                       "auto, or watts as a decimal number without a unit, such as 20.5, 0 to 1000000");
      g_prefix_error (error, "%s: ", zone_id);
      return FALSE;
    }
  g_hash_table_replace (config->static_uw, g_strdup (zone_id), g_memdup2 (&power_uw, sizeof power_uw));
  return TRUE;
}

static gboolean
unknown_group (const char *line, GError **error)
{
  g_autoptr (GString) allowed = g_string_new ("[" STATIC_GROUP "]");
  for (gsize i = 0; i < N_SETTINGS; i++)
    if (i == 0 || strcmp (settings[i].group, settings[i - 1].group) != 0)
      g_string_append_printf (allowed, ", [%s]", settings[i].group);
  return vj_value_refuse (error, line, allowed->str);
}

static gboolean
enter_group (const char *line, const char **group, GError **error)
{
  *group = NULL;
  if (strcmp (line, "[" STATIC_GROUP "]") == 0)
    *group = STATIC_GROUP;
  for (gsize i = 0; i < N_SETTINGS && *group == NULL; i++)
    {
      gsize length = strlen (settings[i].group);
      if (strncmp (line + 1, settings[i].group, length) == 0 && strcmp (line + 1 + length, "]") == 0)
        *group = settings[i].group;
    }
  return *group != NULL || unknown_group (line, error);
}

static gboolean
unknown_key (const char *group, const char *key, GError **error)
{
  g_autoptr (GString) allowed = g_string_new (NULL);
  for (gsize i = 0; i < N_SETTINGS; i++)
    if (strcmp (settings[i].group, group) == 0)
      g_string_append_printf (allowed, "%s%s", allowed->len > 0 ? ", " : "", settings[i].key);
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "unknown key \"%s\" in [%s]; allowed: %s", key, group,
               allowed->str);
  return FALSE;
}

static gboolean
set_key (VjConfig *config, const char *group, const char *key, const char *value, GError **error)
{
  if (strcmp (group, STATIC_GROUP) == 0)
    return set_static (config, key, value, error);
  for (gsize i = 0; i < N_SETTINGS; i++)
    if (strcmp (settings[i].group, group) == 0 && strcmp (settings[i].key, key) == 0)
      return apply (config, &settings[i], value, error);
  return unknown_key (group, key, error);
}

static gboolean
check_model (const VjConfig *config, GError **error)
{
  if (config->model_full_uw == 0 || config->model_idle_uw <= config->model_full_uw)
    return TRUE;
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID,
                       "idle-watts is more than full-watts; allowed: at most as much");
  return FALSE;
}

static gboolean
read_assignment (VjConfig *config, const char *group, char *line, GError **error)
{
  char *equals = strchr (line, '=');
  if (equals == NULL || equals == line)
    return vj_value_refuse (error, line, "[group], key = value, or a comment that starts with #");
  *equals = '\0';
  const char *key = g_strchomp (line);
  const char *value = g_strchug (equals + 1);
  if (group == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                   "key \"%s\" stands before any group; allowed: after a line "
                   "such as [%s]",
                   key, settings[0].group);
      return FALSE;
    }
  return set_key (config, group, key, value, error) && check_model (config, error);
}

static gboolean
read_line (VjConfig *config, char *line, const char **group, GError **error)
{
  if (*line == '\0' || *line == '#')
    return TRUE;
  if (*line == '[')
    return enter_group (line, group, error);
  return read_assignment (config, *group, line, error);
}

/* The key-file format, read line by line: GKeyFile does not tell the line of what it read. */
static gboolean
read_text (VjConfig *config, const char *path, const char *text, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  const char *group = NULL;
  for (guint i = 0; lines[i] != NULL; i++)
    if (!read_line (config, g_strstrip (lines[i]), &group, error))
      {
        g_prefix_error (error, "%s:%u: ", path, i + 1);
        return FALSE;
      }
  return TRUE;
}

/* path NULL: the default file, which need not exist. */
static gboolean
read_file (VjConfig *config, const char *path, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autofree char *bytes = NULL;
  gsize length = 0;
  if (!g_file_get_contents (path != NULL ? path : DEFAULT_FILE, &bytes, &length, &local))
    {
      if (path == NULL && g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return TRUE;
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s%s", path != NULL ? "--config: " : "",
                   local->message);
      return FALSE;
    }
  g_autofree char *text = g_utf8_make_valid (bytes, (gssize)length);
  return read_text (config, path != NULL ? path : DEFAULT_FILE, text, error);
}

static VjConfig *
config_new (void)
{
  VjConfig *config = g_new0 (VjConfig, 1);
  config->roots.sysfs = g_strdup ("/sys");
  config->roots.procfs = g_strdup ("/proc");
  config->roots.cgroupfs = g_strdup ("/sys/fs/cgroup");
  config->roots.runtime_dir = g_strdup ("/run/virtjoule");
  config->roots.state_dir = g_strdup ("/var/lib/virtjoule");
  config->interval_us = VJ_US_PER_S;
  config->libvirt_uri = g_strdup ("qemu:///system");
  config->proxmox_rundir = g_strdup ("/run/qemu-server");
  config->pve_dir = g_strdup ("/etc/pve");
  config->qemu_executables = g_strsplit (DEFAULT_EXECUTABLES, ",", -1);
  config->source = VJ_SOURCE_AUTO;
  config->static_uw = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  config->max_power_uw = VJ_POWERCAP_MAX_POWER_UW;
  config->domain.measure = TRUE;
  config->domain.resolution_uj = VJ_UJ_PER_MJ;
  config->curve.gamma_permille = 400;
  return config;
}

void
vj_config_free (VjConfig *config)
{
  if (config == NULL)
    return;
  vj_roots_clear (&config->roots);
  g_free (config->libvirt_uri);
  g_free (config->proxmox_rundir);
  g_free (config->pve_dir);
  g_strfreev (config->qemu_executables);
  g_clear_pointer (&config->qemu_uids, g_array_unref);
  g_free (config->metrics_listen);
  g_hash_table_unref (config->static_uw);
  g_free (config);
}

/* What the command line said: the raw text of each option, in the order of the table. */
typedef struct
{
  char *file;
  char *values[N_SETTINGS];
  gboolean version;
} CommandLine;

static void
command_line_clear (CommandLine *line)
{
  g_free (line->file);
  for (gsize i = 0; i < N_SETTINGS; i++)
    g_free (line->values[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CommandLine, command_line_clear)

static GOptionContext *
option_context_new (CommandLine *line)
{
  GOptionContext *context = g_option_context_new (NULL);
  const GOptionEntry fixed[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &line->file, "Configuration file (" DEFAULT_FILE ")", "FILE" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &line->version, "Print the version and exit", NULL },
    { 0 },
  };
  g_option_context_add_main_entries (context, fixed, NULL);
  for (gsize i = 0; i < N_SETTINGS; i++)
    {
      const Setting *setting = &settings[i];
      const GOptionEntry entries[] = { { setting->key, 0, 0, G_OPTION_ARG_FILENAME, &line->values[i],
                                         setting->help, setting->argument },
                                       { 0 } };
      if (setting->help != NULL)
        g_option_context_add_main_entries (context, entries, NULL);
    }
  g_option_context_set_summary (context, "Measures the energy of the virtual machines of this host.");
  g_option_context_set_description (context,
                                    "Options win over the file. See virtjouled(8) and virtjouled.conf(5).");
  return context;
}

static gboolean
parse_arguments (CommandLine *line, int argc, char **argv, GError **error)
{
  g_autoptr (GOptionContext) context = option_context_new (line);
  return vj_command_line_parse (context, "virtjouled", argc, argv, error);
}

static gboolean
apply_options (VjConfig *config, const CommandLine *line, GError **error)
{
  for (gsize i = 0; i < N_SETTINGS; i++)
    if (line->values[i] != NULL && !apply (config, &settings[i], line->values[i], error))
      {
        g_prefix_error (error, "--");
        return FALSE;
      }
  return TRUE;
}

/* What follows from the other settings where nothing is said. */
static void
complete (VjConfig *config)
{
  const gboolean session = strstr (config->libvirt_uri, ":///session") != NULL;
  if (!config->domain.said[VJ_SETTING_INTERVAL])
    config->domain.interval_us = config->interval_us;
  if (config->roots.libvirt_rundir != NULL)
    return;
  config->roots.libvirt_rundir =
      session ? g_build_filename (g_get_user_runtime_dir (), "libvirt", "qemu", "run", NULL)
              : g_strdup ("/run/libvirt/qemu");
}

gboolean
vj_config_follows (const VjConfig *config, VjManager manager)
{
  const guint automatic = (guint)VJ_MANAGER_LIBVIRT | (guint)VJ_MANAGER_PROXMOX;
  const guint managers = config->managers != 0 ? config->managers : automatic;
  if (manager == VJ_MANAGER_LIBVIRT && strcmp (config->libvirt_uri, "none") == 0)
    return FALSE;
  return (managers & (guint)manager) != 0;
}

/* Whoever may run QEMU chooses its UUID, and thereby whose counters would go on. */
static gboolean
check_lasting (const VjConfig *config, GError **error)
{
  if (!config->counter_forever || config->qemu_uids != NULL || !vj_config_follows (config, VJ_MANAGER_QEMU))
    return TRUE;
  g_set_error_literal (
      error, VJ_ERROR, VJ_ERROR_INVALID,
      "counter-lifetime forever with manager qemu lets every user add to the counters of any UUID: name the "
      "users that may run QEMU in qemu-users (or any)");
  return FALSE;
}

VjConfig *
vj_config_parse (int argc, char **argv, GError **error)
{
  g_auto (CommandLine) line = { 0 };
  if (!parse_arguments (&line, argc, argv, error))
    return NULL;
  g_autoptr (VjConfig) config = config_new ();
  config->show_version = line.version;
  if (line.version)
    return g_steal_pointer (&config);
  if (!read_file (config, line.file, error) || !apply_options (config, &line, error))
    return NULL;
  complete (config);
  return check_lasting (config, error) ? g_steal_pointer (&config) : NULL;
}
