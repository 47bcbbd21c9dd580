/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_powercap.h"

#include "tempdir.h"

#include <sys/stat.h>
#include <unistd.h>

static char *
file_of (const char *zone, const char *file)
{
  return g_build_filename ("class/powercap", zone, file, NULL);
}

static void
write_number (const char *sysfs, const char *zone, const char *file, guint64 number)
{
  g_autofree char *relative = file_of (zone, file);
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", number);

  tempdir_write (sysfs, relative, text);
}

void
fake_powercap_add (const char *sysfs, const char *zone, const char *name, guint64 energy_uj)
{
  fake_powercap_set_name (sysfs, zone, name);
  fake_powercap_set_range (sysfs, zone, FAKE_RANGE_UJ);
  fake_powercap_set_energy (sysfs, zone, energy_uj);
}

void
fake_powercap_link (const char *sysfs, const char *entry, const char *nested_zone)
{
  g_autofree char *relative = file_of (entry, NULL);
  g_autofree char *path = g_build_filename (sysfs, relative, NULL);

  if (symlink (nested_zone, path) != 0)
    g_error ("cannot link %s", path);
}

void
fake_powercap_set_range (const char *sysfs, const char *zone, guint64 range_uj)
{
  write_number (sysfs, zone, "max_energy_range_uj", range_uj);
}

void
fake_powercap_set_name (const char *sysfs, const char *zone, const char *name)
{
  g_autofree char *relative = file_of (zone, "name");
  g_autofree char *text = g_strconcat (name, "\n", NULL);

  tempdir_write (sysfs, relative, text);
}

void
fake_powercap_set_energy (const char *sysfs, const char *zone, guint64 energy_uj)
{
  write_number (sysfs, zone, "energy_uj", energy_uj);
}

void
fake_powercap_remove_energy (const char *sysfs, const char *zone)
{
  g_autofree char *relative = file_of (zone, "energy_uj");

  tempdir_write (sysfs, relative, "");
  tempdir_remove (sysfs, relative);
}

void
fake_powercap_make_private (const char *sysfs, const char *zone)
{
  g_autofree char *relative = file_of (zone, "energy_uj");
  g_autofree char *path = g_build_filename (sysfs, relative, NULL);

  if (chmod (sysfs, 0755) != 0 || chmod (path, 0400) != 0)
    g_error ("cannot change %s", path);
}
