/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Writer of the Prometheus text exposition format 0.0.4. Locale-free; label values are escaped. Pure. */
typedef struct VjMetrics VjMetrics;
#define VJ_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

VjMetrics *vj_metrics_new (void);
/* Opens a family: # HELP and # TYPE lines. type is "counter" or "gauge". */
void vj_metrics_family (VjMetrics *metrics, const char *name, const char *type, const char *help);
/* One sample of the open family. labels: NULL-terminated list name, value, name, value, ... (values may be
 * any bytes: invalid UTF-8 is replaced). */
void vj_metrics_u64 (VjMetrics *metrics, guint64 value, ...) G_GNUC_NULL_TERMINATED;
/* value / 10^6 with six decimals and no floating point: µJ as joules, µW as watts, µs as seconds. */
void vj_metrics_micro (VjMetrics *metrics, guint64 micro_value, ...) G_GNUC_NULL_TERMINATED;
/* The same with labels from an array: name, value, ..., NULL. */
void vj_metrics_micro_of (VjMetrics *metrics, guint64 micro_value, const char *const *labels);
/* Ends the writer and returns its text, the caller's (g_free). */
char *vj_metrics_finish (VjMetrics *metrics);
