/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Numbers as text, without printf and locale: a tick writes tens of thousands of them. Pure. */

#define VJ_DECIMAL_MAX 20 /* characters of the longest, sign included */

/* Writes value at at, without a terminating NUL; returns the end of what was written. */
char *vj_decimal_put (char *at, guint64 value);
char *vj_decimal_put_signed (char *at, gint64 value);
