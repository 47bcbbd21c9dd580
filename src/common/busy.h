/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/topology.h"

#include <glib.h>

/* Busy time from <procfs>/stat, elapsed x online CPUs - idle - iowait - steal: of the whole machine, or of each of its
 * packages. Where time was stolen it is at least user + nice + system + irq + softirq. */
typedef struct VjBusy VjBusy;
VjBusy *vj_busy_open (const char *procfs, GError **error);
/* Not needed on a machine of one package. Borrows topology. */
VjBusy *vj_busy_open_packages (const char *procfs, const VjTopology *topology, GError **error);
void vj_busy_free (VjBusy *busy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjBusy, vj_busy_free)
/* Busy time since the last call (0 at the first) into ret_busy_ns: one number, or one entry per package. now_us:
 * CLOCK_MONOTONIC. An interval in which a CPU comes or goes is taken to be as busy as the one before. Never negative;
 * what the 10 ms steps of /proc/stat made too much of, later intervals give back, so that the sum is right. All this
 * holds for each package by itself. *ret_cpus: online CPUs of the machine. */
gboolean vj_busy_read (VjBusy *busy, guint64 now_us, guint64 *ret_busy_ns, guint *ret_cpus, GError **error);
/* Continue from an earlier process's reading in the same boot; of the whole machine only. */
void vj_busy_get_mark (const VjBusy *busy, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us);
void vj_busy_set_mark (VjBusy *busy, guint64 idle_ticks, guint64 monotonic_us, guint cpus);
