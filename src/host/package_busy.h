/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/topology.h"

#include <glib.h>

/* Busy time of the machine by package, from the per-CPU lines of <procfs>/stat, as VjBusy has it of the whole. Not needed
 * on a machine of one package. */
typedef struct VjPackageBusy VjPackageBusy;
VjPackageBusy *vj_package_busy_open (const char *procfs, const VjTopology *topology, GError **error); /* borrows topology */
void vj_package_busy_free (VjPackageBusy *busy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjPackageBusy, vj_package_busy_free)
/* Busy time since the last call (0 at the first) into ret_busy_ns, one entry per package. now_us: CLOCK_MONOTONIC. What
 * is said of vj_busy_read () holds for each package by itself. */
gboolean vj_package_busy_read (VjPackageBusy *busy, guint64 now_us, guint64 *ret_busy_ns, GError **error);
