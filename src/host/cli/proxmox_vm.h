/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* One VM of a Proxmox VE node, as /etc/pve/qemu-server/VMID.conf has it (qm.conf(5)): what concerns its `args`. Settings of
 * a running VM that cannot be changed in it wait in the section [PENDING] for its next start. */
typedef struct
{
  guint vmid;
  char *name;      /* NULL if it has none */
  char *args;      /* NULL: none */
  char *next_args; /* those of the next start: with what is pending */
  char *lock;      /* "backup", "migrate", ...; NULL: not locked */
  char *hookscript;
  gboolean is_template;
  char *digest; /* of the whole file, by which qm(1) recognises that somebody else has changed it */
} VjProxmoxVm;

#define VJ_PROXMOX_VMID_MIN 100
#define VJ_PROXMOX_VMID_MAX 999999999

/* Pure. Lines of a form that qm.conf(5) does not have are passed over, as Proxmox does. */
VjProxmoxVm *vj_proxmox_vm_parse (guint vmid, const char *text, gsize length);
void vj_proxmox_vm_free (VjProxmoxVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjProxmoxVm, vj_proxmox_vm_free)
gboolean vj_proxmox_vm_is_pending (const VjProxmoxVm *vm);

/* Reads a VM of this node below pve_dir (/etc/pve). GONE if there is none; the message, which follows upon "VM 100: ",
 * says what the number means instead: a container, a VM of another node. */
VjProxmoxVm *vj_proxmox_vm_load (const char *pve_dir, guint vmid, GError **error);
/* The VMIDs (guint) of this node, ascending. UNAVAILABLE if this is no Proxmox VE node, DENIED if only root may
 * look. */
GArray *vj_proxmox_vm_list (const char *pve_dir, GError **error);
/* FALSE: no VMID. */
gboolean vj_proxmox_vmid_parse (const char *text, guint *ret_vmid);
