/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "golden.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *
path_of (const char *name)
{
  return g_build_filename (VJ_SOURCE_DIR, "tests", "data", name, NULL);
}

char *
golden_read (const char *name)
{
  g_autofree char *path = path_of (name);
  char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    fail_msg ("%s cannot be read", path);
  return text;
}

void
golden_assert (const char *name, const char *text)
{
  if (g_strcmp0 (g_getenv ("VJ_UPDATE_GOLDEN"), "1") == 0)
    {
      g_autofree char *path = path_of (name);
      g_autofree char *directory = g_path_get_dirname (path);
      assert_int_equal (g_mkdir_with_parents (directory, 0755), 0);
      assert_true (g_file_set_contents (path, text, -1, NULL));
      return;
    }
  g_autofree char *golden = golden_read (name);
  assert_string_equal (text, golden);
}
