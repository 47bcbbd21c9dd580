/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/decimal.h"

#include <string.h>

static guint
count_digits (guint64 value)
{
  guint n = 1;

  for (; value >= 10000; value /= 10000)
    n += 4;
  return n + (value >= 10 ? 1 : 0) + (value >= 100 ? 1 : 0) + (value >= 1000 ? 1 : 0);
}

/* Two digits at a time: divisions are what it costs. */
char *
vj_decimal_put (char *at, guint64 value)
{
  static const char pairs[] =
      "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
      "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
      "8081828384858687888990919293949596979899";
  char *const end = at + count_digits (value);
  char *digit = end;

  for (; value >= 10; value /= 100)
    {
      digit -= 2;
      memcpy (digit, &pairs[2 * (value % 100)], 2);
    }
  if (digit > at)
    *at = (char)('0' + value);
  return end;
}

char *
vj_decimal_put_signed (char *at, gint64 value)
{
  if (value < 0)
    *at++ = '-';
  return vj_decimal_put (at, value < 0 ? -(guint64)value : (guint64)value);
}
