/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Makes <sysfs>/devices/system/cpu of a machine whose CPUs 0, 1, ... n - 1 are in these packages. */
void fake_topology_write (const char *sysfs, const guint *package_of_cpu, guint n);
