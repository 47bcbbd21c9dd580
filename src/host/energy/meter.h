/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "host/config.h"
#include "host/snapshot.h"
#include "host/store.h"

/* The zones' energy: reads the source, derives the platform's rest, knows each zone's static power, and measures into the
 * ledger. */
typedef struct VjMeter VjMeter;

/* Opens the source that the configuration asks for and adds its zones to ledger, which has none. Both are borrowed for
 * the meter's life. A meter that exists and cannot be read is an error, never replaced by an estimate. */
VjMeter *vj_meter_open (const VjConfig *config, VjLedger *ledger, GError **error);
void vj_meter_free (VjMeter *meter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjMeter, vj_meter_free)
const char *vj_meter_source_name (const VjMeter *meter);
VjQuality vj_meter_quality (const VjMeter *meter);

/* One tick, in two steps, so that usage is read right behind the energy: reads all zones, then puts what was read into the
 * ledger. busy_ns: the machine's CPU time since the last tick; cpus 0: it is not known. */
void vj_meter_read (VjMeter *meter, guint64 now_us);
void vj_meter_measure (VjMeter *meter, guint64 now_us, guint64 busy_ns, guint cpus);

/* When the zone was last read, CLOCK_MONOTONIC; 0: never. */
guint64 vj_meter_read_us (const VjMeter *meter, guint zone);
/* The raw counters, to be continued by another agent in the same boot. FALSE: a zone that was measured is not there. */
void vj_meter_get_marks (const VjMeter *meter, GArray *ret_marks);
gboolean vj_meter_set_marks (VjMeter *meter, const GArray *marks);
/* Fills source, quality, counts, hardware and zones. */
void vj_meter_snapshot (const VjMeter *meter, guint64 now_us, VjSnapshot *ret_snapshot);
