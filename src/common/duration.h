/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* "200ms", "1s", "2min", "50us" to µs. A bare number, a sign, a fraction, another unit, or one too long for
 * 64 bits is INVALID, and the message says what is allowed. Pure. */
gboolean vj_duration_parse (const char *text, guint64 *ret_us, GError **error);
