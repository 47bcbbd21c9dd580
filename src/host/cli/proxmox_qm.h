/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cli/proxmox_args.h"
#include "host/cli/proxmox_vm.h"

/* Proxmox's own tools, found by PATH and run without a shell. */

/* The version of the QEMU that starts this node's VMs, by `kvm --version`. UNAVAILABLE if there is none. */
gboolean vj_proxmox_qemu_version (VjQemuVersion *ret_version, GError **error);

/* `qm set`: gives vm, as it was loaded, these args, or none if NULL. qm(1) checks that nobody has changed the VM since, writes
 * the whole file or nothing, and leaves what a running VM cannot take to its next start. Takes a second, or ten while
 * something holds the VM's lock. BUSY: locked, or changed meanwhile; DENIED: not root; UNAVAILABLE: no qm;
 * INVALID: args that are not ASCII, which qm decodes by the locale and writes without an encoding.
 * The message follows upon "VM 100: ". */
gboolean vj_proxmox_set_args (const VjProxmoxVm *vm, const char *args, GError **error);
