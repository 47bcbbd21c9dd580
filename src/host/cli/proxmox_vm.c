/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/proxmox_vm.h"

#include <string.h>

#include "common/error.h"
#include "common/file.h"

#define CONFIG_MAX ((gsize)1024 * 1024) /* pmxcfs(8) has no larger files */

typedef enum
{
  SECTION_MAIN,
  SECTION_PENDING,
  SECTION_OTHER, /* a snapshot's, or cloud-init's: of no effect */
} Section;

void
vj_proxmox_vm_free (VjProxmoxVm *vm)
{
  g_free (vm->name);
  g_free (vm->args);
  g_free (vm->next_args);
  g_free (vm->lock);
  g_free (vm->hookscript);
  g_free (vm->digest);
  g_free (vm);
}

/* The value of "key: value"; NULL if line has another key. line is trimmed at its end. */
static const char *
value_of (const char *line, const char *key)
{
  gsize length = strlen (key);
  if (strncmp (line, key, length) != 0 || line[length] != ':')
    return NULL;
  const char *value = line + length + 1;
  while (g_ascii_isspace (*value))
    value++;
  return *value != '\0' ? value : NULL;
}

static void
take (const char *line, const char *key, char **member)
{
  const char *value = value_of (line, key);
  if (value == NULL)
    return;
  g_free (*member);
  *member = g_strdup (value);
}

/* "delete: net1,!args": keys that go at the next start, with an exclamation mark if by force. */
static gboolean
deletes_args (const char *line)
{
  const char *value = value_of (line, "delete");
  g_auto (GStrv) keys = g_strsplit_set (value != NULL ? value : "", ",; \t", -1);
  return g_strv_contains ((const char *const *)keys, "args")
         || g_strv_contains ((const char *const *)keys, "!args");
}

static Section
section_of (const char *line)
{
  return g_ascii_strcasecmp (line, "[PENDING]") == 0 ? SECTION_PENDING : SECTION_OTHER;
}

static void
take_main (VjProxmoxVm *vm, const char *line)
{
  take (line, "args", &vm->args);
  take (line, "name", &vm->name);
  take (line, "lock", &vm->lock);
  take (line, "hookscript", &vm->hookscript);
  if (value_of (line, "template") != NULL)
    vm->is_template = !g_str_equal (value_of (line, "template"), "0");
}

/* A pending value wins over a pending deletion, as it does in qm(1), which never writes both. */
VjProxmoxVm *
vj_proxmox_vm_parse (guint vmid, const char *text, gsize length)
{
  VjProxmoxVm *vm = g_new0 (VjProxmoxVm, 1);
  g_autofree char *copy = g_strndup (text, length);
  g_auto (GStrv) lines = g_strsplit (copy, "\n", -1);
  Section section = SECTION_MAIN;
  gboolean deleted = FALSE;
  vm->vmid = vmid;
  vm->digest = g_compute_checksum_for_data (G_CHECKSUM_SHA1, (const guchar *)text, length);
  for (gsize i = 0; lines[i] != NULL; i++)
    {
      const char *line = g_strchomp (lines[i]);
      if (line[0] == '[' && g_str_has_suffix (line, "]"))
        section = section_of (line);
      else if (section == SECTION_MAIN)
        take_main (vm, line);
      else if (section == SECTION_PENDING)
        {
          take (line, "args", &vm->next_args);
          deleted = deleted || deletes_args (line);
        }
    }
  if (vm->next_args == NULL && !deleted)
    vm->next_args = g_strdup (vm->args);
  return vm;
}

gboolean
vj_proxmox_vm_is_pending (const VjProxmoxVm *vm)
{
  return g_strcmp0 (vm->args, vm->next_args) != 0;
}

gboolean
vj_proxmox_vmid_parse (const char *text, guint *ret_vmid)
{
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned (text, 10, VJ_PROXMOX_VMID_MIN, VJ_PROXMOX_VMID_MAX, &value, NULL))
    return FALSE;
  *ret_vmid = (guint)value;
  return TRUE;
}

/* The node that has nodes/NODE/<kind>/VMID.conf; NULL if none has. */
static char *
node_of (const char *pve_dir, const char *kind, guint vmid)
{
  g_autofree char *nodes = g_build_filename (pve_dir, "nodes", NULL);
  g_autofree char *file = g_strdup_printf ("%u.conf", vmid);
  g_autoptr (GDir) directory = g_dir_open (nodes, 0, NULL);
  const char *node = NULL;
  while (directory != NULL && (node = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *path = g_build_filename (nodes, node, kind, file, NULL);
      if (g_file_test (path, G_FILE_TEST_EXISTS))
        return g_strdup (node);
    }
  return NULL;
}

static gboolean
is_node (const char *pve_dir)
{
  g_autofree char *path = g_build_filename (pve_dir, "qemu-server", NULL);
  return g_file_test (path, G_FILE_TEST_IS_DIR);
}

static void
set_no_node (const char *pve_dir, GError **error)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
               "there is no %s/qemu-server: this is no Proxmox VE node, or pve-cluster does not run there; "
               "for libvirt's domains see virtjoule channel",
               pve_dir);
}

static void
set_denied (GError **error)
{
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_DENIED,
                       "the configuration is readable by root only; run this as root");
}

static void
set_gone (const char *pve_dir, guint vmid, GError **error)
{
  g_autofree char *container = node_of (pve_dir, "lxc", vmid);
  g_autofree char *node = node_of (pve_dir, "qemu-server", vmid);
  if (!is_node (pve_dir))
    set_no_node (pve_dir, error);
  else if (container != NULL)
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_GONE,
                         "is a container; only virtual machines have a channel (qm list shows them)");
  else if (node != NULL)
    g_set_error (error, VJ_ERROR, VJ_ERROR_GONE, "is on node %s; run this there", node);
  else
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_GONE, "does not exist; qm list shows those of this node");
}

VjProxmoxVm *
vj_proxmox_vm_load (const char *pve_dir, guint vmid, GError **error)
{
  g_autofree char *relative = g_strdup_printf ("qemu-server/%u.conf", vmid);
  g_autoptr (GError) local = NULL;
  gsize length = 0;
  g_autofree char *text = vj_file_read (pve_dir, relative, CONFIG_MAX, &length, &local);
  if (text != NULL)
    return vj_proxmox_vm_parse (vmid, text, length);
  if (vj_error_is_gone (local))
    set_gone (pve_dir, vmid, error);
  else if (vj_error_is_denied (local))
    set_denied (error);
  else
    g_set_error (error, VJ_ERROR, VJ_ERROR_FAILED,
                 "the configuration cannot be read: %s; qm config %u may say more", local->message, vmid);
  return NULL;
}

static int
compare_vmids (gconstpointer a, gconstpointer b)
{
  guint left = *(const guint *)a;
  guint right = *(const guint *)b;
  return (left > right) - (left < right);
}

GArray *
vj_proxmox_vm_list (const char *pve_dir, GError **error)
{
  g_autofree char *path = g_build_filename (pve_dir, "qemu-server", NULL);
  g_autoptr (GError) local = NULL;
  g_autoptr (GDir) directory = g_dir_open (path, 0, &local);
  if (directory == NULL)
    {
      if (g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_ACCES))
        set_denied (error);
      else
        set_no_node (pve_dir, error);
      return NULL;
    }
  GArray *vmids = g_array_new (FALSE, FALSE, sizeof (guint));
  const char *name = NULL;
  while ((name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *stem = g_str_has_suffix (name, ".conf") ? g_strndup (name, strlen (name) - 5) : NULL;
      guint vmid = 0;
      if (stem != NULL && vj_proxmox_vmid_parse (stem, &vmid))
        g_array_append_val (vmids, vmid);
    }
  g_array_sort (vmids, compare_vmids);
  return vmids;
}
