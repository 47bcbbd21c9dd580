/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_topology.h"

#include "tempdir.h"

void
fake_topology_write (const char *sysfs, const guint *package_of_cpu, guint n)
{
  g_autofree char *present = g_strdup_printf ("0-%u\n", n - 1);

  tempdir_write (sysfs, "devices/system/cpu/present", present);
  for (guint cpu = 0; cpu < n; cpu++)
    {
      g_autofree char *path = g_strdup_printf ("devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
      g_autofree char *id = g_strdup_printf ("%u\n", package_of_cpu[cpu]);

      tempdir_write (sysfs, path, id);
    }
}
