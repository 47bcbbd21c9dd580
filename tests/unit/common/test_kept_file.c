/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/kept_file.h"

#include "common/error.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
text_that_grows_is_read_whole (void **state)
{
  static const gsize lengths[] = { 0, 5, 4095, 4096, 100000, 7 };
  const char *root = *state;
  gsize length = 77;

  tempdir_write (root, "a", "");
  g_autoptr (VjKeptFile) file = vj_kept_file_open (root, "a", NULL);
  assert_non_null (file);
  for (gsize i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *text = g_strnfill (lengths[i], 'x');

      tempdir_write (root, "a", text);
      assert_string_equal (vj_kept_file_read (file, &length, NULL), text);
      assert_int_equal (length, lengths[i]);
    }
}

static void
error_names_the_file (void **state)
{
  const char *root = *state;
  g_autoptr (GError) error = NULL;
  gsize length = 77;

  assert_null (vj_kept_file_open (root, "none", &error));
  assert_true (vj_error_is_gone (error));
  g_clear_error (&error);

  tempdir_mkdir (root, "directory");
  g_autoptr (VjKeptFile) file = vj_kept_file_open (root, "directory", NULL);
  assert_null (vj_kept_file_read (file, &length, &error));
  assert_non_null (strstr (error->message, "/directory: "));
  assert_int_equal (length, 77);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (text_that_grows_is_read_whole),
    tempdir_unit_test (error_names_the_file),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
