/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/file.h"

#include "common/error.h"
#include "tempdir.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void
open_fd_is_reread_from_the_start (void **state)
{
  const char *root = *state;
  char buffer[16];
  gsize length = 0;

  tempdir_write (root, "energy_uj", "123\n");
  const int fd = vj_file_open (root, "energy_uj", NULL);
  assert_true (fd >= 0);
  assert_true (fcntl (fd, F_GETFD) & FD_CLOEXEC);
  for (int i = 0; i < 2; i++)
    {
      assert_true (vj_file_pread (fd, buffer, sizeof buffer, &length, NULL));
      assert_string_equal (buffer, "123\n");
      assert_int_equal (length, 4);
    }
  close (fd);
}

static void
a_file_of_one_number_is_read_as_such (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
  } cases[] = { { "18446744073709551615\n", TRUE }, { "7 kB\n", FALSE }, { "", FALSE } };
  const char *root = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      guint64 value = 5;

      tempdir_write (root, "number", cases[i].text);
      const int fd = vj_file_open (root, "number", NULL);
      assert_true (fd >= 0);
      assert_int_equal (vj_file_pread_u64 (fd, &value, &error), cases[i].ok);
      assert_true (value == (cases[i].ok ? G_MAXUINT64 : 5));
      assert_int_equal (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID), !cases[i].ok);
      close (fd);
    }
}

static void
text_as_long_as_the_buffer_is_invalid (void **state)
{
  const char *root = *state;
  char buffer[4];
  gsize length = 77;
  g_autoptr (GError) error = NULL;

  tempdir_write (root, "four", "abcd");
  tempdir_write (root, "three", "abc");
  int fd = vj_file_open (root, "four", NULL);
  assert_false (vj_file_pread (fd, buffer, sizeof buffer, &length, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_int_equal (length, 77);
  close (fd);

  fd = vj_file_open (root, "three", NULL);
  assert_true (vj_file_pread (fd, buffer, sizeof buffer, &length, NULL));
  assert_string_equal (buffer, "abc");
  close (fd);
}

static void
read_bounds_the_text (void **state)
{
  const char *root = *state;
  gsize length = 0;
  g_autoptr (GError) error = NULL;

  tempdir_write (root, "four", "abcd");
  g_autofree char *whole = vj_file_read (root, "four", 4, &length, NULL);
  assert_string_equal (whole, "abcd");
  assert_int_equal (length, 4);
  assert_null (vj_file_read (root, "four", 3, &length, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_non_null (strstr (error->message, "four"));
}

static void
missing_file_is_gone_and_directory_has_no_text (void **state)
{
  const char *root = *state;
  gsize length = 77;
  g_autoptr (GError) gone = NULL;
  g_autoptr (GError) directory = NULL;

  assert_null (vj_file_read (root, "nowhere", 10, NULL, &gone));
  assert_true (vj_error_is_gone (gone));
  assert_null (vj_file_read (root, ".", 10, &length, &directory));
  assert_true (g_error_matches (directory, VJ_ERROR, VJ_ERROR_FAILED));
  assert_int_equal (length, 77);
}

static void
replace_renames_a_whole_file_into_place (void **state)
{
  const char *root = *state;
  char buffer[16];
  gsize length = 0;
  struct stat status;
  g_autofree char *path = g_build_filename (root, "sub", "value", NULL);

  tempdir_write (root, "sub/value", "old text\n");
  const int old = vj_file_open (root, "sub/value", NULL);
  const mode_t mask = umask (077);
  assert_true (vj_file_replace (root, "sub/value", "new\n", 4, 0444, NULL));
  umask (mask);

  g_autofree char *text = vj_file_read (root, "sub/value", 100, NULL, NULL);
  assert_string_equal (text, "new\n");
  assert_int_equal (stat (path, &status), 0);
  assert_int_equal (status.st_mode & 07777, 0444);
  /* Who has the old file open still sees all of it. */
  assert_true (vj_file_pread (old, buffer, sizeof buffer, &length, NULL));
  assert_string_equal (buffer, "old text\n");
  close (old);
}

static void
failed_replace_leaves_nothing_behind (void **state)
{
  const char *root = *state;
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) listing = NULL;
  g_autofree char *sub = g_build_filename (root, "sub", NULL);
  guint entries = 0;

  tempdir_write (root, "sub/occupied/file", "");
  assert_false (
      vj_file_replace (root, "sub/occupied", "new\n", 4, 0644, &error)); /* a directory is in the way */
  assert_non_null (strstr (error->message, "sub/occupied"));
  listing = g_dir_open (sub, 0, NULL);
  while (g_dir_read_name (listing) != NULL)
    entries++;
  assert_int_equal (entries, 1);

  g_clear_error (&error);
  assert_false (vj_file_replace (root, "no/such/directory", "", 0, 0644, &error));
  assert_true (vj_error_is_gone (error));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (open_fd_is_reread_from_the_start),
    tempdir_unit_test (a_file_of_one_number_is_read_as_such),
    tempdir_unit_test (text_as_long_as_the_buffer_is_invalid),
    tempdir_unit_test (read_bounds_the_text),
    tempdir_unit_test (missing_file_is_gone_and_directory_has_no_text),
    tempdir_unit_test (replace_renames_a_whole_file_into_place),
    tempdir_unit_test (failed_replace_leaves_nothing_behind),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
