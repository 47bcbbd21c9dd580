/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <string.h>

/* Runs a fuzzer over every file of the directories that are given, where there is no libFuzzer. */

static gboolean
replay_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree uint8_t *exact = NULL;
  gsize length;

  if (!g_file_get_contents (path, &text, &length, &error))
    {
      g_printerr ("%s\n", error->message);
      return FALSE;
    }
  /* Without the NUL that GLib adds, so that a sanitizer sees a read past the end. */
  exact = g_memdup2 (text, MAX (length, 1));
  LLVMFuzzerTestOneInput (exact, length);
  return TRUE;
}

static guint
replay_directory (const char *path)
{
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;
  guint files = 0;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      files += replay_file (file) ? 1 : 0;
    }
  return files;
}

int
main (int argc, char **argv)
{
  guint files = 0;

  for (int i = 1; i < argc; i++)
    files += replay_directory (argv[i]);
  g_print ("%u inputs\n", files);
  return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
