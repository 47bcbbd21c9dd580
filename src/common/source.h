/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/frame.h"
#include "common/zone.h"

/* What measures (or estimates) the machine's energy. Drivers fill the vtable; callers use vj_source_*(). */
typedef struct VjSource VjSource;

/* One zone in one read. */
typedef struct
{
  gboolean fresh;     /* the zone was read now; else the other fields are 0 */
  gboolean gap;       /* the energy cannot be matched with usage (after a reset, a rejected step) */
  guint64 delta_uj;   /* since the zone's last successful reading; 0 on its first */
  guint64 elapsed_us; /* since the zone's last successful reading; 0 on its first */
} VjSourceReading;

/* Cumulative since start, over all zones. */
typedef struct
{
  guint64 wraps;
  guint64 resets;
  guint64 rejected; /* implausible forward jumps */
  guint64 gaps;     /* ambiguous intervals: more than one wrap possible */
  guint64 failures; /* failed zone readings */
} VjSourceCounts;

/* A zone turned unreadable (error is non-NULL, and its message carries the remedy) or came back (NULL). Once per change. */
typedef void (*VjSourceNotice) (const VjZone *zone, const GError *error, gpointer user_data);

/* Raw counter of a zone, for continuing after a restart within one boot. */
typedef struct
{
  char id[VJ_ZONE_ID_MAX + 1];
  guint64 raw_uj;
  guint64 monotonic_us; /* when it was read, CLOCK_MONOTONIC of the same boot */
} VjSourceMark;

typedef struct
{
  const char *name; /* "powercap", "model" */
  VjQuality quality;
  void (*read) (VjSource *source, guint64 now_us, VjSourceReading *ret_readings); /* given all zero */
  gboolean (*get_mark) (const VjSource *source, guint zone, VjSourceMark *ret_mark);
  void (*set_mark) (VjSource *source, guint zone,
                    const VjSourceMark *mark); /* these two: NULL if it has no counter */
  void (*free) (
      VjSource *source); /* the driver's own members, and the struct; zones are freed by vj_source_free () */
} VjSourceDriver;

/* Drivers embed this first. */
struct VjSource
{
  const VjSourceDriver *driver;
  GArray *zones; /* of VjZone, parents first; fixed after opening */
  VjSourceCounts counts;
  VjSourceNotice notice;
  gpointer notice_data;
};

void vj_source_free (VjSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjSource, vj_source_free)
guint vj_source_n_zones (const VjSource *source);
const VjZone *vj_source_zone (const VjSource *source, guint zone);
/* Index of the zone with that id, or -1. */
int vj_source_find_zone (const VjSource *source, const char *id);
void vj_source_set_notice (VjSource *source, VjSourceNotice notice, gpointer user_data);
/* Reads all zones back to back; ret_readings has one entry per zone. now_us: CLOCK_MONOTONIC, taken just before. Never fails
 * as a whole: a zone that cannot be read is not fresh, is tried again at every read, and is picked up when it comes back. */
void vj_source_read (VjSource *source, guint64 now_us, VjSourceReading *ret_readings);
/* The last raw reading of a zone (FALSE: none yet), and its restoration before the first read. */
gboolean vj_source_get_mark (const VjSource *source, guint zone, VjSourceMark *ret_mark);
void vj_source_set_mark (VjSource *source, guint zone, const VjSourceMark *mark);

/* For drivers: passes a change of a zone's readability on to the notice. */
void vj_source_report (VjSource *source, guint zone, const GError *error);
