/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/qemu/proxmox_conf.h"

/* What /etc/pve says of some machines, from the question to the answer. For a worker thread of its own: Proxmox's cluster
 * file system may hang, and nothing else shall. */
typedef struct
{
  guint vmid;
  gboolean is_read; /* its file was there, and readable */
  VjProxmoxConf conf;
} VjProxmoxNamesEntry;

typedef struct
{
  const char *pve_dir; /* borrowed */
  GArray *entries;     /* VjProxmoxNamesEntry */
} VjProxmoxNames;

VjProxmoxNames *vj_proxmox_names_new (const char *pve_dir);
void vj_proxmox_names_free (VjProxmoxNames *names);
void vj_proxmox_names_ask (VjProxmoxNames *names, guint vmid);
void vj_proxmox_names_read (VjProxmoxNames *names);
