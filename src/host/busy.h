/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Busy time of the whole machine from <procfs>/stat: elapsed x online CPUs - idle - iowait - steal. */
typedef struct VjBusy VjBusy;
VjBusy *vj_busy_open (const char *procfs, GError **error);
void vj_busy_free (VjBusy *busy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjBusy, vj_busy_free)
/* Busy time since the last call (0 at the first). now_us: CLOCK_MONOTONIC. An interval in which a CPU comes or goes is
 * taken to be as busy as the one before. Never negative; what the 10 ms steps of /proc/stat made too much of, later
 * intervals give back, so that the sum is right. *ret_cpus: online CPUs. */
gboolean vj_busy_read (VjBusy *busy, guint64 now_us, guint64 *ret_busy_ns, guint *ret_cpus, GError **error);
/* Continue from an earlier process's reading in the same boot. */
void vj_busy_get_mark (const VjBusy *busy, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us);
void vj_busy_set_mark (VjBusy *busy, guint64 idle_ticks, guint64 monotonic_us, guint cpus);
