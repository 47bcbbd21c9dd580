/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/zone.h"

/* Finds the RAPL zones below <sysfs>/class/powercap: names of directories are CONTROL:N[:M...], where the
 * enclosing zone is the name without its last part (powercap_register_zone () in drivers/powercap/powercap_sys.c). */

/* Appends every zone once, in numeric order, parents first: a VjZone to zones, and to paths its directory relative to
 * sysfs (the caller's, g_free). Zones of intel-rapl-mmio are taken only where the MSRs offer none. Left out are
 * zones without a proper name, those below such zones, and those whose id is taken already.
 * UNAVAILABLE: there is no zone. DENIED, INVALID: there are zones, but no name is readable, or none is proper. */
gboolean vj_powercap_scan (const char *sysfs, GArray *zones, GPtrArray *paths, GError **error);

/* Reads the name of the zone in <sysfs>/<path>; parent and parent_index as for vj_zone_init (). */
gboolean vj_powercap_read_zone (const char *sysfs, const char *path, const VjZone *parent, int parent_index,
                                VjZone *ret_zone, GError **error);
