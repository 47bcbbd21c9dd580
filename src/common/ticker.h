/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A timer with absolute deadlines (timerfd_create (2), CLOCK_MONOTONIC): a late tick is one longer interval
 * and moves no later one. Runs at G_PRIORITY_HIGH in the given context, so that no traffic delays it. */
typedef struct VjTicker VjTicker;

/* late_us: how long after its deadline the tick begins; missed: deadlines that passed since the last one
 * without a tick of their own. */
typedef void (*VjTickFunc) (guint64 late_us, guint64 missed, gpointer user_data);

/* The first deadline is one interval from now. context NULL: the default one. */
VjTicker *vj_ticker_new (GMainContext *context, guint64 interval_us, VjTickFunc func, gpointer user_data,
                         GError **error);
void vj_ticker_free (VjTicker *ticker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjTicker, vj_ticker_free)
