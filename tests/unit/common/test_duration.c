/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/error.h"

static void
test_accepted (void **state)
{
  static const struct
  {
    const char *text;
    guint64 us;
  } cases[] = {
    { "200ms", 200000 },
    { "1s", 1000000 },
    { "2min", 120000000 },
    { "50us", 50 },
    { "0s", 0 },
    { "007ms", 7000 },
    { "18446744073709551615us", G_MAXUINT64 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint64 us = 77;
      g_autoptr (GError) error = NULL;
      assert_true (vj_duration_parse (cases[i].text, &us, &error));
      assert_null (error);
      assert_int_equal (us, cases[i].us);
    }
}

static void
test_refused (void **state)
{
  static const char *const cases[] = { "",
                                       "1",
                                       "s",
                                       "ms",
                                       "+1s",
                                       "-1s",
                                       "1.5s",
                                       "1,5s",
                                       "1 s",
                                       " 1s",
                                       "1s ",
                                       "1S",
                                       "1h",
                                       "1sec",
                                       "1m",
                                       "1s1",
                                       "0x1s",
                                       "1e3ms",
                                       "18446744073709551616us",
                                       "1s\n",
                                       "1\xc2\xb5s",
                                       "min",
                                       "1mins",
                                       "1minn",
                                       "infinity",
                                       "18446744073709552s" };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint64 us = 77;
      g_autoptr (GError) error = NULL;
      if (vj_duration_parse (cases[i], &us, &error))
        print_error ("accepted: %s\n", cases[i]);
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      assert_int_equal (us, 77);
      assert_non_null (strstr (error->message, cases[i]));
      assert_non_null (strstr (error->message, "us, ms, s or min"));
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_accepted), cmocka_unit_test (test_refused) };
  return cmocka_run_group_tests_name ("duration", tests, NULL, NULL);
}
