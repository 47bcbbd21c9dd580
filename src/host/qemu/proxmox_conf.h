/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* /etc/pve/qemu-server/VMID.conf as it holds now: what comes before the first section, [PENDING] or a snapshot's. Pure.
 * The form is qemu-server's (PVE::QemuServer, parse_vm_config): "key: value", '#' begins a line of the description, and
 * of a key that stands twice the last counts. */
typedef struct
{
  char *name;    /* NULL: not said. As vj_qemu_name () */
  char uuid[37]; /* smbios1's; "": not said */
} VjProxmoxConf;

/* Always fills *ret_conf, to be cleared. */
void vj_proxmox_conf_parse (const char *text, gsize length, VjProxmoxConf *ret_conf);
void vj_proxmox_conf_clear (VjProxmoxConf *conf);
