/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/scan.h"

#include <string.h>

VjScan
vj_scan_init (const char *text, gsize length)
{
  return (VjScan){ .at = text, .end = text + length };
}

gsize
vj_scan_left (const VjScan *scan)
{
  return (gsize)(scan->end - scan->at);
}

gboolean
vj_scan_literal (VjScan *scan, const char *literal)
{
  gsize length = strlen (literal);

  if (vj_scan_left (scan) < length || memcmp (scan->at, literal, length) != 0)
    return FALSE;
  scan->at += length;
  return TRUE;
}

gboolean
vj_scan_u64 (VjScan *scan, guint64 *ret_value)
{
  const char *at = scan->at;
  guint64 value = 0;

  for (; at < scan->end && *at >= '0' && *at <= '9'; at++)
    {
      if (__builtin_mul_overflow (value, 10U, &value)
          || __builtin_add_overflow (value, (guint64)(*at - '0'), &value))
        return FALSE;
    }
  if (at == scan->at)
    return FALSE;
  scan->at = at;
  *ret_value = value;
  return TRUE;
}

gboolean
vj_scan_line (VjScan *scan, VjScan *ret_line)
{
  gsize left = vj_scan_left (scan);
  const char *newline;

  if (left == 0)
    return FALSE;
  newline = memchr (scan->at, '\n', left);
  ret_line->at = scan->at;
  ret_line->end = newline != NULL ? newline : scan->end;
  scan->at = newline != NULL ? newline + 1 : scan->end;
  return TRUE;
}
