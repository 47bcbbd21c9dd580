/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Which CPU is in which package, from <sysfs>/devices/system/cpu/present and cpuN/topology/physical_package_id
 * (Documentation/ABI/stable/sysfs-devices-system-cpu). Packages have an index, 0, 1, ..., in the order of their numbers;
 * numbers may have holes. CPUs that are offline tell nothing: open it anew when one comes. */
typedef struct VjTopology VjTopology;

/* Never fails: CPUs of which nothing is known are in the first package, and a machine of which nothing is known, or which
 * does not number its packages (-1), is one package with the number 0. */
VjTopology *vj_topology_open (const char *sysfs);
void vj_topology_free (VjTopology *topology);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjTopology, vj_topology_free)

/* 1: nothing to tell apart; per-package work can be left out. */
guint vj_topology_n_packages (const VjTopology *topology);
/* The kernel's number of that package, as zones have it ("package-1"). */
guint vj_topology_package_number (const VjTopology *topology, guint index);
/* Its index; any number is allowed. */
guint vj_topology_package_of_cpu (const VjTopology *topology, guint cpu);
/* The same as an array, over the first *ret_n CPUs. Borrowed. */
const guint *vj_topology_packages_of_cpus (const VjTopology *topology, guint *ret_n);
