/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/zone.h"

/* What a zone's energy is shared by. Pure. Amounts are of an interval, and add up over intervals:
 *   CPU         ns of CPU time                                     (eq. 4.5)
 *   MEMORY      KiB x ms: a level times how long it stood          (eq. 4.9)
 *   STORAGE     bytes read and written                             (eq. 4.12)
 *   PACKAGE k   ns of CPU time spent on the CPUs of package k
 * (Bytes x µs would fill 64 bits within 16 s on a machine of 1 TiB.) */
typedef guint VjResource;

#define VJ_RESOURCE_CPU        ((VjResource)0)
#define VJ_RESOURCE_MEMORY     ((VjResource)1)
#define VJ_RESOURCE_STORAGE    ((VjResource)2)
#define VJ_RESOURCE_PACKAGE(k) ((VjResource)3 + (VjResource)(k))

/* The greatest package number that has a resource of its own. */
#define VJ_RESOURCE_PACKAGE_MAX 999
#define VJ_RESOURCE_MAX         VJ_RESOURCE_PACKAGE (VJ_RESOURCE_PACKAGE_MAX)

/* What shares a zone on a machine of that many packages: memory for dram, bytes moved for storage; for a package, and
 * what is inside it, the CPU time on it where there are several; CPU time for everything else. */
VjResource vj_resource_of_zone (const VjZone *zone, guint n_packages);

/* An amount of MEMORY: bytes that stood for elapsed_us. Rounded down; saturates. */
guint64 vj_resource_memory (guint64 bytes, guint64 elapsed_us);
