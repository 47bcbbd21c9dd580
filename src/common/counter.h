/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* One hardware energy counter: turns successive raw readings into energy that can be added up. Pure.
 * Kernel contract: Documentation/power/powercap/powercap.rst, energy_uj wraps to 0 after max_energy_range_uj. */
typedef struct
{
  guint64 last_uj;      /* the last raw reading */
  guint64 max_range_uj; /* max_energy_range_uj; 0 if unknown: then a backward step is always a reset */
  gboolean primed;      /* last_uj holds a reading */
} VjCounter;

typedef enum
{
  VJ_COUNTER_PRIMED,    /* first reading: no delta yet */
  VJ_COUNTER_ADVANCED,  /* delta = raw - last */
  VJ_COUNTER_WRAPPED,   /* delta = raw + max_range - last, which the hardware can have used */
  VJ_COUNTER_RESET,     /* restarted from 0: delta = raw if plausible, else 0; what was before is unknown */
  VJ_COUNTER_REJECTED,  /* a step nobody can have used: delta = 0; counting goes on from raw */
  VJ_COUNTER_AMBIGUOUS, /* more than one wrap is possible: delta = 0, the energy is unknown */
} VjCounterStep;

/* Takes the next raw reading. plausible_uj is the most that the hardware can have used since the last reading
 * (maximum power x elapsed). *ret_delta_uj is the energy to add, never more than plausible_uj. */
VjCounterStep vj_counter_advance (VjCounter *counter, guint64 raw_uj, guint64 plausible_uj,
                                  guint64 *ret_delta_uj);
