/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parsers of cgroup text (cgroups(7), Documentation/admin-guide/cgroup-v2.rst). Pure, as procfs.h. */

/* Finds a process's path in /proc/PID/cgroup. controller NULL: the unified (v2) line "0::/path"; else the v1 line whose
 * controller list contains it ("cpuacct"). The path is the caller's (g_free); NULL if there is no such line or it is
 * not absolute, has a ".." component, or is "(deleted)". */
char *vj_cgroup_parse_path (const char *text, gsize length, const char *controller);

/* Reduces the path of a QEMU process to its domain's own scope by stripping libvirt's sub-groups (/emulator, /vcpuN,
 * /iothreadN, /libvirt). NULL (not an error) if what is left is not a scope of libvirt's or Proxmox's own making for one
 * domain:
 *   .../machine-qemu\x2dN\x2dNAME.scope   (systemd)     .../[qemu-N-]NAME.libvirt-qemu   (no systemd)
 *   .../qemu.slice/VMID.scope             (Proxmox)
 * so that a process in a login session, a service, a container (KubeVirt's are) or the root is never billed for its
 * neighbours. Caller frees.
 * Anything below user.slice is refused: there anybody can make a cgroup of any name. */
char *vj_cgroup_domain_scope (const char *path);

/* usage_usec of a v2 cpu.stat, in µs. */
gboolean vj_cgroup_parse_cpu_stat (const char *text, gsize length, guint64 *ret_usage_us);

/* A file that holds one unsigned decimal number and, as a rule, a newline (cpuacct.usage in ns, energy_uj, ...). */
gboolean vj_cgroup_parse_u64 (const char *text, gsize length, guint64 *ret_value);
