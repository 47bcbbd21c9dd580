/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/decimal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
assert_written (const char *expected, const char *text, const char *end)
{
  assert_int_equal (end - text, strlen (expected));
  assert_memory_equal (text, expected, strlen (expected));
  assert_int_equal (*end, '#');
}

static void
check (guint64 value)
{
  char text[VJ_DECIMAL_MAX + 1], expected[32];

  memset (text, '#', sizeof text);
  g_snprintf (expected, sizeof expected, "%" G_GUINT64_FORMAT, value);
  assert_written (expected, text, vj_decimal_put (text, value));
  memset (text, '#', sizeof text);
  g_snprintf (expected, sizeof expected, "%" G_GINT64_FORMAT, (gint64)value);
  assert_written (expected, text, vj_decimal_put_signed (text, (gint64)value));
}

static void
test_every_length (void **state)
{
  guint64 power = 1;

  for (guint i = 0; i < 20; i++)
    {
      check (power - 1);
      check (power);
      check (power + 1);
      check (-power);
      check (power * 9 + power / 7);
      power *= 10;
    }
}

static void
test_limits (void **state)
{
  check (0);
  check (G_MAXUINT64);
  check (G_MAXINT64);
  check ((guint64)G_MININT64);
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_every_length), cmocka_unit_test (test_limits) };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
