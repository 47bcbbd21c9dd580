/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
test_codes_of_errno (void **state)
{
  static const struct
  {
    int errno_value;
    VjError code;
  } cases[] = {
    { ENOENT, VJ_ERROR_GONE }, { ESRCH, VJ_ERROR_GONE },    { ENODEV, VJ_ERROR_GONE },
    { ENXIO, VJ_ERROR_GONE },  { EACCES, VJ_ERROR_DENIED }, { EPERM, VJ_ERROR_DENIED },
    { EIO, VJ_ERROR_FAILED },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *text = g_strdup_printf ("%s 7: %s", "zone", g_strerror (cases[i].errno_value));
      vj_error_set_errno (&error, cases[i].errno_value, "%s %d", "zone", 7);
      assert_true (g_error_matches (error, VJ_ERROR, (int)cases[i].code));
      assert_string_equal (error->message, text);
      assert_int_equal (vj_error_is_gone (error), cases[i].code == VJ_ERROR_GONE);
      assert_int_equal (vj_error_is_denied (error), cases[i].code == VJ_ERROR_DENIED);
    }
}

static void
test_no_error (void **state)
{
  vj_error_set_errno (NULL, ENOENT, "nobody asks");
  assert_false (vj_error_is_gone (NULL));
  assert_false (vj_error_is_denied (NULL));
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_codes_of_errno),
                                      cmocka_unit_test (test_no_error) };
  return cmocka_run_group_tests_name ("error", tests, NULL, NULL);
}
