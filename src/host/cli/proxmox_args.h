/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The `args` of a Proxmox VM: further arguments for QEMU, one line of text which Proxmox splits into words as Perl's
 * Text::ParseWords::shellwords() does (PVE::Tools::split_args). virtjoule's part of it is three options, found by their
 * ids; all the rest is the operator's and stays as it is, byte for byte. Pure. */

/* The version of QEMU that is to understand them. */
typedef struct
{
  guint major;
  guint minor;
} VjQemuVersion;

typedef enum
{
  VJ_PROXMOX_ARGS_DISABLED,
  VJ_PROXMOX_ARGS_ENABLED,
  VJ_PROXMOX_ARGS_OUTDATED, /* ours, but incomplete, twice, for another socket, or not as for this QEMU */
  VJ_PROXMOX_ARGS_OWN,      /* the operator has made a port of that name in a way of his own */
} VjProxmoxArgsState;

/* "disabled", "enabled", "outdated", "own". */
const char *vj_proxmox_args_state_name (VjProxmoxArgsState state);

/* The state of args, NULL for none. INVALID if Proxmox could not split them (an open quote, a last backslash), of which it
 * would pass none to QEMU, or if they end with an option that lacks its value. */
gboolean vj_proxmox_args_get_state (const char *args, const char *socket_path, VjQemuVersion version,
                                    VjProxmoxArgsState *ret_state, GError **error);
/* args with ours, once, at the end, for the agent's socket at socket_path. Errors as above. The caller's. */
char *vj_proxmox_args_with (const char *args, const char *socket_path, VjQemuVersion version, GError **error);
/* args without ours; "" if nothing else is there. Errors as above. The caller's. */
char *vj_proxmox_args_without (const char *args, GError **error);

/* "QEMU emulator version 9.2.0 (pve-qemu-kvm_9.2.0-5)", as `kvm --version` begins. FALSE: not of that form. */
gboolean vj_qemu_version_parse (const char *text, VjQemuVersion *ret_version);
