/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/proxmox_names.h"

#include "common/file.h"

#define CONF_MAX (1024 * 1024UL)

static void
entry_clear (gpointer data)
{
  vj_proxmox_conf_clear (&((VjProxmoxNamesEntry *)data)->conf);
}

VjProxmoxNames *
vj_proxmox_names_new (const char *pve_dir)
{
  VjProxmoxNames *names = g_new0 (VjProxmoxNames, 1);

  names->pve_dir = pve_dir;
  names->entries = g_array_new (FALSE, TRUE, sizeof (VjProxmoxNamesEntry));
  g_array_set_clear_func (names->entries, entry_clear);
  return names;
}

void
vj_proxmox_names_free (VjProxmoxNames *names)
{
  g_array_unref (names->entries);
  g_free (names);
}

void
vj_proxmox_names_ask (VjProxmoxNames *names, guint vmid)
{
  const VjProxmoxNamesEntry entry = { .vmid = vmid };

  g_array_append_val (names->entries, entry);
}

void
vj_proxmox_names_read (VjProxmoxNames *names)
{
  for (guint i = 0; i < names->entries->len; i++)
    {
      VjProxmoxNamesEntry *entry = &g_array_index (names->entries, VjProxmoxNamesEntry, i);
      g_autofree char *relative = g_strdup_printf ("qemu-server/%u.conf", entry->vmid);
      gsize length = 0;
      g_autofree char *text = vj_file_read (names->pve_dir, relative, CONF_MAX, &length, NULL);

      entry->is_read = text != NULL;
      if (entry->is_read)
        vj_proxmox_conf_parse (text, length, &entry->conf);
    }
}
