/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The energy of a platform that its parts do not account for: platform - parts (packages and dram). Pure. What the parts
 * take more than the platform (they are not read at the same instant) is owed by later intervals, not cut off, so that
 * the sum over time is right; at most the parts' energy of one interval. Start from zero. */
typedef struct
{
  guint64 platform_uj; /* not yet told */
  guint64 platform_us;
  guint64 parts_uj;
  guint64 parts_us; /* sum over the parts */
  guint64 debt_uj;
  guint n_platforms; /* in this tick */
  guint n_parts;
  gboolean missing;
  gboolean gap;
} VjRest;

/* One zone in one tick, as the source read it: not fresh, or its energy since its own last reading (0 in 0 µs at its
 * first). */
void vj_rest_add (VjRest *rest, gboolean is_platform, gboolean fresh, guint64 delta_uj, guint64 elapsed_us,
                  gboolean gap);

/* Ends the tick. FALSE: there is nothing to tell, because there is not one platform, or not everything was read in this
 * tick; the energy waits. Else *ret_delta_uj is the rest's since it was last told. Zones whose readings do not cover the
 * same time (one of them is new) cannot be compared: their energy is dropped, and 0 in 0 µs is told. */
gboolean vj_rest_take (VjRest *rest, guint64 *ret_delta_uj, guint64 *ret_elapsed_us, gboolean *ret_gap);
