/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* CLOCK_MONOTONIC in µs: intervals. Never fails. */
guint64 vj_clock_monotonic_us (void);
/* CLOCK_BOOTTIME in µs: the clock of process start times (proc(5), stat field 22) and the one that counts suspend. */
guint64 vj_clock_boottime_us (void);
