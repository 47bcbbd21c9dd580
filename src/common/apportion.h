/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Divides an integer exactly by weights (largest remainder method, Hamilton), with the rounding carried over. Pure. */

/* What one participant is still owed (positive) or was given too much (negative), in 2^-32 of a unit. */
typedef gint64 VjCarry;

#define VJ_CARRY_UNIT (G_GINT64_CONSTANT (1) << 32)

/* A carry never leaves +-64 units, whatever the input. Divisions among ever the same participants keep it below one;
 * where they alternate it grows with the logarithm of their number at the worst. */
#define VJ_CARRY_LIMIT (64 * VJ_CARRY_UNIT)

/* Gives total units to n participants in proportion to weights[]:
 *  - ret_parts[] sums to total exactly (if any weight is > 0; else all parts are 0 and FALSE is returned);
 *  - a weight of 0 gets a part of 0 and keeps its carry;
 *  - carry[] is read and updated: it is the difference between a participant's ideal shares so far (rounded to
 *    2^-32) and its parts so far, and is less than 2 units over any number of calls, so nobody drifts;
 *  - the result does not depend on the order of the participants, save for exact ties (lower index first).
 * total may be as large as 2^63, weights of any size: products are 128 bits (weights whose sum needs more than 63 bits
 * are scaled down together). O(n) save for freak inputs. */
gboolean vj_apportion (guint64 total, const guint64 *weights, gsize n, VjCarry *carry, guint64 *ret_parts);
