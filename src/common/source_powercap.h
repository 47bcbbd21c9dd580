/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/source.h"

/* Opens every RAPL zone below <sysfs>/class/powercap (Documentation/power/powercap/powercap.rst): nested
 * (intel-rapl/intel-rapl:0/intel-rapl:0:0) and flat (intel-rapl:0, intel-rapl:0:0), each zone once.
 * intel-rapl-mmio repeats the MSR zones and is left out where those exist. max_power_uw: the most that one zone can
 * draw, for plausibility (default VJ_POWERCAP_MAX_POWER_UW).
 * UNAVAILABLE: no zone exists (no meter). DENIED: zones exist and none is readable (the remedy is in the message). */
#define VJ_POWERCAP_MAX_POWER_UW (G_GUINT64_CONSTANT (1000) * 1000000)
VjSource *vj_source_powercap_open (const char *sysfs, guint64 max_power_uw, GError **error);

/* The same of a tree that virtjoule-reader builds (virtjoule-reader(8)): a value is a new file each time, counters do not wrap,
 * and may rise by any amount at once (after a migration, or a revert to a snapshot). */
VjSource *vj_source_tree_open (const char *sysfs, GError **error);
