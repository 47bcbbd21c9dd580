/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "host/energy/static_file.h"

/* Static power from a row of the agent's status documents: mean and spread of each zone's power, interval by interval.
 * Pure. */
typedef struct VjCalibration VjCalibration;

/* Fewer intervals than this tell nothing about their spread. */
#define VJ_CALIBRATION_INTERVALS_MIN 10

/* force: although domains run. */
VjCalibration *vj_calibration_new (gboolean force);
void vj_calibration_free (VjCalibration *calibration);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjCalibration, vj_calibration_free)

/* Takes the next document, which may be the same as the last. BUSY: domains run. UNAVAILABLE: there is nothing to
 * calibrate, or not any more (an estimate, an unreadable zone, another run of the agent, a counter that was reset); the
 * message says what to do. */
gboolean vj_calibration_add (VjCalibration *calibration, JsonObject *status, GError **error);

guint64 vj_calibration_elapsed_us (const VjCalibration *calibration);
guint64 vj_calibration_intervals (const VjCalibration *calibration);
/* Busy share of all CPUs, in millionths. */
guint64 vj_calibration_busy_ppm (const VjCalibration *calibration);
/* The most domains that ran at a time. */
guint64 vj_calibration_domains (const VjCalibration *calibration);
/* The result so far; the caller's. */
VjStaticFile *vj_calibration_result (const VjCalibration *calibration);
