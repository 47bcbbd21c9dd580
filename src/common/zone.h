/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Names of energy zones. Pure. Kernel: drivers/powercap/intel_rapl_common.c (package-N, package-N-die-M, core, uncore,
 * dram, psys). */

typedef enum
{
  VJ_ZONE_PACKAGE,
  VJ_ZONE_CORE,
  VJ_ZONE_UNCORE,
  VJ_ZONE_DRAM,
  VJ_ZONE_STORAGE, /* "storage" at the top: the machine's disks; no kernel has it yet */
  VJ_ZONE_PSYS,
  VJ_ZONE_REST,  /* "rest" below psys: computed, what packages and dram leave of it */
  VJ_ZONE_OTHER, /* a name that is none of these: measured and shown, not attributed */
} VjZoneKind;

#define VJ_ZONE_ID_MAX 63

/* One energy zone. id is unique on the host and is the key everywhere: "package-0", "package-0-die-1", "package-0/core",
 * "package-1/dram", "psys". name is the text of its name file: "package-0", "core". */
typedef struct
{
  char id[VJ_ZONE_ID_MAX + 1];
  char name[VJ_ZONE_ID_MAX + 1];
  VjZoneKind kind;
  int parent;  /* index of the enclosing zone in the same array (always before this one), or -1 */
  int package; /* package number, or -1 */
  int die;     /* die number, or -1 */
} VjZone;

/* Fills *ret_zone from the text of a name file (trailing newline allowed) and the enclosing zone (NULL: top level,
 * parent_index -1). FALSE for an empty name, an id longer than VJ_ZONE_ID_MAX, bytes
 * other than [A-Za-z0-9_.-], or a leading dot. package and die of a sub-zone are its parent's. */
gboolean vj_zone_init (VjZone *ret_zone, const char *name, const VjZone *parent, int parent_index);

/* The inverse, for readers of frames: splits an id ("package-0/core") into a zone; parent is found in zones[0..n).
 * FALSE if malformed or if its parent is not there. */
gboolean vj_zone_init_from_id (VjZone *ret_zone, const char *id, const VjZone *zones, gsize n);

/* Energy of core and uncore is contained in their package's; that of dram and psys is not. */
gboolean vj_zone_is_within_parent (const VjZone *zone);

/* A component of the machine: packages, dram and storage may be added up (equation 4.1). */
gboolean vj_zone_is_component (const VjZone *zone);
