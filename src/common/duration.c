/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/duration.h"

#include <string.h>

#include "common/error.h"
#include "common/units.h"

static guint64
unit_us (const char *unit)
{
  if (strcmp (unit, "us") == 0)
    return 1;
  if (strcmp (unit, "ms") == 0)
    return VJ_US_PER_MS;
  if (strcmp (unit, "s") == 0)
    return VJ_US_PER_S;
  if (strcmp (unit, "min") == 0)
    return 60 * VJ_US_PER_S;
  return 0;
}

gboolean
vj_duration_parse (const char *text, guint64 *ret_us, GError **error)
{
  gsize digits = strspn (text, "0123456789");
  guint64 unit = unit_us (text + digits);
  g_autofree char *number = g_strndup (text, digits);
  guint64 value = 0, us = 0;
  if (unit == 0 || !g_ascii_string_to_unsigned (number, 10, 0, G_MAXUINT64, &value, NULL)
      || !g_uint64_checked_mul (&us, value, unit))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                   "\"%s\" is not a duration: write a whole number and its unit (us, ms, s or min), such as "
                   "200ms, 1s or 2min",
                   text);
      return FALSE;
    }
  *ret_us = us;
  return TRUE;
}
