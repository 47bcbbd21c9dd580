/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "common/error.h"
#include "common/cli_table.h"
#include "host/channel/guest_socket.h"
#include "host/cli/proxmox_qm.h"

typedef enum
{
  ACTION_STATUS,
  ACTION_ENABLE,
  ACTION_DISABLE,
} Action;

static const char *const actions[] = { "status", "enable", "disable" };

/* What is to be done. */
typedef struct
{
  Action action;
  const char *pve_dir;
  const char *socket_path;
  VjQemuVersion version;
  gboolean all;
  gboolean as_json;
} Task;

/* What came of it, for one VM. */
typedef struct
{
  guint vmid;
  VjProxmoxVm *vm; /* NULL if it could not be read */
  VjProxmoxArgsState state;
  gboolean changed;
  GError *error;
} Result;

static void
result_clear (gpointer data)
{
  Result *result = data;
  g_clear_pointer (&result->vm, vj_proxmox_vm_free);
  g_clear_error (&result->error);
}

static gboolean
load (const Task *task, Result *result)
{
  g_clear_pointer (&result->vm, vj_proxmox_vm_free);
  result->vm = vj_proxmox_vm_load (task->pve_dir, result->vmid, &result->error);
  return result->vm != NULL
         && vj_proxmox_args_get_state (result->vm->next_args, task->socket_path, task->version,
                                       &result->state, &result->error);
}

/* The args that the VM should have; NULL for none. What is right already stays. */
static char *
wanted_args (const Task *task, const Result *result, GError **error)
{
  const char *args = result->vm->next_args;
  gboolean right = result->state == VJ_PROXMOX_ARGS_ENABLED || result->state == VJ_PROXMOX_ARGS_OWN;
  g_autofree char *wanted = NULL;
  if (task->action == ACTION_DISABLE)
    wanted = vj_proxmox_args_without (args, error);
  else if (right)
    wanted = g_strdup (args);
  else
    wanted = vj_proxmox_args_with (args, task->socket_path, task->version, error);
  return wanted != NULL && *wanted != '\0' ? g_steal_pointer (&wanted) : NULL;
}

/* Whether the VM may be changed now. */
static gboolean
may_change (const VjProxmoxVm *vm, GError **error)
{
  if (vm->is_template)
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                         "is a template, which never runs; name the VMs that are cloned from it");
  else if (vm->lock != NULL)
    g_set_error (
        error, VJ_ERROR, VJ_ERROR_BUSY,
        "is locked (%s); run this again when that is over, or after qm unlock %u if nothing works on it "
        "any more",
        vm->lock, vm->vmid);
  else
    return TRUE;
  return FALSE;
}

static void
change (const Task *task, Result *result)
{
  g_autofree char *wanted = wanted_args (task, result, &result->error);
  if (result->error != NULL || g_strcmp0 (wanted, result->vm->next_args) == 0)
    return;
  if (task->all && result->vm->is_template)
    return;
  if (!may_change (result->vm, &result->error) || !vj_proxmox_set_args (result->vm, wanted, &result->error)
      || !load (task, result))
    return;
  result->changed = TRUE;
  if (g_strcmp0 (wanted, result->vm->next_args) != 0)
    g_set_error (&result->error, VJ_ERROR, VJ_ERROR_FAILED,
                 "has other args than it was given; look at qm config %u", result->vmid);
}

static void
result_act (const Task *task, Result *result)
{
  if (load (task, result) && task->action != ACTION_STATUS)
    change (task, result);
}

/* The operator's text, one line per VM. */
static void
put_change (const Task *task, const Result *result, GString *text)
{
  const char *already = result->changed ? "" : " already";
  const VjProxmoxVm *vm = result->vm;
  if (task->all && vm->is_template)
    g_string_append_printf (text, "VM %u: left out, it is a template\n", vm->vmid);
  else if (result->state == VJ_PROXMOX_ARGS_OWN)
    g_string_append_printf (
        text, "VM %u: left as it is, its args have a port org.virtjoule.energy.0 of your own\n", vm->vmid);
  else
    g_string_append_printf (
        text, "VM %u: %s%s%s\n", vm->vmid, vj_proxmox_args_state_name (result->state), already,
        vj_proxmox_vm_is_pending (vm)
            ? ", from its next start on: shut it down and start it, or qm reboot; a restart "
              "from within the guest is not enough"
            : "");
  if (task->action == ACTION_DISABLE && vm->hookscript != NULL
      && strstr (vm->hookscript, "virtjoule") != NULL)
    g_string_append_printf (text,
                            "VM %u: its hookscript will enable it again: qm set %u --delete hookscript\n",
                            vm->vmid, vm->vmid);
}

static void
put_row (const Result *result, VjCliTable *table)
{
  const VjProxmoxVm *vm = result->vm;
  vj_cli_table_take (table, g_strdup_printf ("%u", vm->vmid));
  vj_cli_table_cell (table, vm->name != NULL ? vm->name : "");
  vj_cli_table_cell (table, vj_proxmox_args_state_name (result->state));
  vj_cli_table_cell (table, vj_proxmox_vm_is_pending (vm) ? "next start" : "");
  vj_cli_table_cell (table, vm->is_template ? "template" : vm->lock != NULL ? vm->lock : "");
}

/* Nothing if there is nothing but complaints. */
static char *
table_text (const GArray *results)
{
  static const char *const headers[] = { "Name", "Args", "Pending", "Lock" };
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  GString *text = g_string_new (NULL);
  guint n_rows = 0;
  vj_cli_table_column (table, "VMID", TRUE);
  for (gsize i = 0; i < G_N_ELEMENTS (headers); i++)
    vj_cli_table_column (table, headers[i], FALSE);
  for (guint i = 0; i < results->len; i++)
    {
      const Result *result = &g_array_index (results, Result, i);
      if (result->error != NULL)
        continue;
      put_row (result, table);
      n_rows++;
    }
  if (n_rows > 0 || results->len == 0)
    vj_cli_table_render (table, text);
  return g_string_free (text, FALSE);
}

static void
add_text (JsonBuilder *builder, const char *key, const char *text)
{
  g_autofree char *valid = text != NULL ? g_utf8_make_valid (text, -1) : NULL;
  json_builder_set_member_name (builder, key);
  if (valid != NULL)
    json_builder_add_string_value (builder, valid);
  else
    json_builder_add_null_value (builder);
}

static void
add_flag (JsonBuilder *builder, const char *key, gboolean value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_boolean_value (builder, value);
}

static void
add_result (JsonBuilder *builder, const Result *result)
{
  const VjProxmoxVm *vm = result->vm;
  const char *state = result->error == NULL ? vj_proxmox_args_state_name (result->state) : NULL;
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "vmid");
  json_builder_add_int_value (builder, result->vmid);
  add_text (builder, "name", vm != NULL ? vm->name : NULL);
  add_text (builder, "state", state);
  add_flag (builder, "pending", vm != NULL && vj_proxmox_vm_is_pending (vm));
  add_flag (builder, "changed", result->changed);
  add_flag (builder, "template", vm != NULL && vm->is_template);
  add_text (builder, "lock", vm != NULL ? vm->lock : NULL);
  add_text (builder, "error", result->error != NULL ? result->error->message : NULL);
  json_builder_end_object (builder);
}

static char *
json_text (const GArray *results)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  json_builder_begin_array (builder);
  for (guint i = 0; i < results->len; i++)
    add_result (builder, &g_array_index (results, Result, i));
  json_builder_end_array (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *text = json_to_string (root, FALSE);
  return g_strconcat (text, "\n", NULL);
}

static char *
changes_text (const Task *task, const GArray *results)
{
  GString *text = g_string_new (NULL);
  for (guint i = 0; i < results->len; i++)
    if (g_array_index (results, Result, i).error == NULL)
      put_change (task, &g_array_index (results, Result, i), text);
  return g_string_free (text, FALSE);
}

/* Complaints of single VMs. Returns whether there was one. */
static gboolean
complain (const Task *task, const GArray *results)
{
  gboolean any = FALSE;
  for (guint i = 0; i < results->len; i++)
    {
      const Result *result = &g_array_index (results, Result, i);
      g_autofree char *message = result->error != NULL ? vj_cli_printable (result->error->message) : NULL;
      any = any || message != NULL;
      if (message != NULL && !task->as_json)
        g_printerr ("VM %u: %s\n", result->vmid, message);
    }
  return any;
}

static int
finish (const Task *task, const GArray *results)
{
  g_autofree char *text = NULL;
  if (task->as_json)
    text = json_text (results);
  else if (task->action == ACTION_STATUS)
    text = table_text (results);
  else
    text = changes_text (task, results);
  int status = vj_cli_finish (text, NULL);
  return complain (task, results) ? VJ_EXIT_FAILED : status;
}

/* QEMU 11.0.0 aborts at its start if nobody listens: https://gitlab.com/qemu-project/qemu/-/work_items/3528 */
static void
warn_of_version (const Task *task)
{
  if (task->action == ACTION_ENABLE && task->version.major == 11 && task->version.minor == 0)
    g_printerr ("virtjoule proxmox enable: QEMU 11.0.0 ends at once when no agent runs as the VM starts "
                "(QEMU's issue 3528): have virtjouled enabled, and QEMU updated\n");
}

static int
run_task (Task *task, const GArray *vmids)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) results = g_array_new (FALSE, TRUE, sizeof (Result));
  g_array_set_clear_func (results, result_clear);
  task->version = (VjQemuVersion){ 9, 2 }; /* for a look without kvm: as any newer */
  if (!vj_proxmox_qemu_version (&task->version, &error) && task->action == ACTION_ENABLE)
    return vj_cli_finish (NULL, error);
  warn_of_version (task);
  for (guint i = 0; i < vmids->len; i++)
    {
      Result result = { .vmid = g_array_index (vmids, guint, i) };
      result_act (task, &result);
      g_array_append_val (results, result);
    }
  return finish (task, results);
}

static gboolean
usage (const char *problem, const char *detail)
{
  g_printerr ("virtjoule proxmox: %s%s; virtjoule proxmox --help lists what is allowed\n", problem, detail);
  return FALSE;
}

static gboolean
parse_action (const char *name, Action *ret_action)
{
  for (gsize i = 0; i < G_N_ELEMENTS (actions); i++)
    if (g_str_equal (actions[i], name))
      {
        *ret_action = (Action)i;
        return TRUE;
      }
  return usage ("unknown action ", name);
}

static gboolean
parse_vmids (char **words, GArray *vmids)
{
  for (; *words != NULL; words++)
    {
      guint vmid = 0;
      if (!vj_proxmox_vmid_parse (*words, &vmid))
        return usage ("not a VMID (100 to 999999999): ", *words);
      g_array_append_val (vmids, vmid);
    }
  return TRUE;
}

/* The path stands in a list of properties, within a line of words: neither needs quotes then. */
static gboolean
check_path (const char *path)
{
  static const char plain[] = G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "/._-";
  return (*path == '/' && strspn (path, plain) == strlen (path))
         || usage ("--runtime-dir must be an absolute path of letters, digits and / . _ - alone: ", path);
}

static gboolean
check_words (const Task *task, char **words)
{
  guint n = g_strv_length (words);
  if (n == 0)
    return usage ("an action is missing", "");
  if (task->all && n > 1)
    return usage ("--all and VMIDs exclude each other", "");
  return task->all || n > 1 || usage ("a VMID or --all is missing", "");
}

static int
run_words (Task *task, char **words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) vmids = NULL;
  if (!check_words (task, words) || !parse_action (words[0], &task->action)
      || !check_path (task->socket_path))
    return VJ_EXIT_USAGE;
  vmids = task->all ? vj_proxmox_vm_list (task->pve_dir, &error) : g_array_new (FALSE, FALSE, sizeof (guint));
  if (vmids == NULL)
    return vj_cli_finish (NULL, error);
  return parse_vmids (words + 1, vmids) ? run_task (task, vmids) : VJ_EXIT_USAGE;
}

int
vj_cli_proxmox_run (const char *runtime_dir, int argc, char **argv)
{
  g_autofree char *pve_dir = NULL;
  g_autofree char *socket_path = g_build_filename (runtime_dir, VJ_GUEST_SOCKET, NULL);
  Task task = { .action = ACTION_STATUS, .socket_path = socket_path };
  const GOptionEntry entries[] = {
    { "all", 0, 0, G_OPTION_ARG_NONE, &task.all, "All virtual machines of this node", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &task.as_json, "Print a JSON document", NULL },
    { "pve-dir", 0, 0, G_OPTION_ARG_FILENAME, &pve_dir, "Where the configuration is (/etc/pve)", "DIR" },
    { 0 },
  };
  g_auto (GStrv) words = vj_cli_arguments (
      entries, "enable|disable|status VMID...|--all",
      "Gives virtual machines of Proxmox VE their energy channel, through args.", argc, argv);
  task.pve_dir = pve_dir != NULL ? pve_dir : "/etc/pve";
  return words != NULL ? run_words (&task, words) : VJ_EXIT_USAGE;
}
