/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Divides an integer exactly by weights (largest remainder method, Hamilton), with the rounding carried over. Pure. */

/* What one participant is still owed (positive) or was given too much (negative), in 2^-32 of a unit. */
typedef gint64 VjCarry;

/* Gives total units to n participants in proportion to weights[]:
 *  - ret_parts[] sums to total exactly (if any weight is > 0; else all parts are 0 and FALSE is returned);
 *  - a weight of 0 gets a part of 0 and keeps its carry;
 *  - carry[] is read and updated: over any number of calls the sum of a participant's parts differs from the sum of
 *    its ideal shares by less than 2 units, so nobody drifts;
 *  - the result does not depend on the order of the participants, save for exact ties (lower index first).
 * total and weights may be as large as 2^63: products are 128 bits (weights are scaled down together where even
 * that would not hold). O(n log n). scratch-free for the caller. */
gboolean vj_apportion (guint64 total, const guint64 *weights, gsize n, VjCarry *carry, guint64 *ret_parts);
