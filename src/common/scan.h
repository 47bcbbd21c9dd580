/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A cursor over text that need not be NUL-terminated, for the parsers of kernel files and of the channel. Pure. Each
 * function moves the cursor only if it returns TRUE. */
typedef struct
{
  const char *at;
  const char *end;
} VjScan;

VjScan vj_scan_init (const char *text, gsize length);
gsize vj_scan_left (const VjScan *scan);
/* The given bytes come next. */
gboolean vj_scan_literal (VjScan *scan, const char *literal);
/* One or more decimal digits, all that are there. FALSE above 2^64 - 1: a number is never cut short. */
gboolean vj_scan_u64 (VjScan *scan, guint64 *ret_value);
/* Everything up to the next newline or the end; the newline is passed over and is not in *ret_line. FALSE at the end. */
gboolean vj_scan_line (VjScan *scan, VjScan *ret_line);
