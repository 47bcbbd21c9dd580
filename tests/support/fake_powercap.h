/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A powercap class of plain files below a temporary sysfs root, in the words of the kernel's documentation. A zone is
 * named by its directory below class/powercap: "intel-rapl:0", or "intel-rapl/intel-rapl:0/intel-rapl:0:0". */

#define FAKE_RANGE_UJ G_GUINT64_CONSTANT (262143328850)

/* Adds a zone with range FAKE_RANGE_UJ. */
void fake_powercap_add (const char *sysfs, const char *zone, const char *name, guint64 energy_uj);
/* A flat entry that is a link to a nested zone, as the kernel has them. */
void fake_powercap_link (const char *sysfs, const char *entry, const char *nested_zone);
void fake_powercap_set_range (const char *sysfs, const char *zone, guint64 range_uj);
void fake_powercap_set_name (const char *sysfs, const char *zone, const char *name);
/* In place, so that who keeps the file open sees it; brings a removed counter back. */
void fake_powercap_set_energy (const char *sysfs, const char *zone, guint64 energy_uj);
/* The counter fails for who has it open, and is not there for who looks it up. */
void fake_powercap_remove_energy (const char *sysfs, const char *zone);
/* Only root can open this counter, as since Linux 5.10; the tree itself is open to everybody. */
void fake_powercap_make_private (const char *sysfs, const char *zone);
