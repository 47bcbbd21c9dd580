/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tempdir.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
remove_entry (const char *path, const struct stat *status, int kind, struct FTW *walk)
{
  (void)status;
  (void)kind;
  (void)walk;
  return remove (path);
}

static void
remove_below (const char *path)
{
  nftw (path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int
tempdir_setup (void **state)
{
  *state = g_dir_make_tmp ("virtjoule-test-XXXXXX", NULL);
  return *state == NULL;
}

int
tempdir_teardown (void **state)
{
  remove_below (*state);
  g_free (*state);
  return 0;
}

void
tempdir_mkdir (const char *root, const char *relative)
{
  g_autofree char *path = g_build_filename (root, relative, NULL);

  if (g_mkdir_with_parents (path, 0755) != 0)
    g_error ("cannot make %s", path);
}

void
tempdir_write (const char *root, const char *relative, const char *text)
{
  g_autofree char *path = g_build_filename (root, relative, NULL);
  g_autofree char *directory = g_path_get_dirname (path);

  if (g_mkdir_with_parents (directory, 0755) != 0)
    g_error ("cannot make %s", directory);

  const int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write (fd, text, strlen (text)) != (gssize)strlen (text) || close (fd) != 0)
    g_error ("cannot write %s", path);
}

void
tempdir_remove (const char *root, const char *relative)
{
  g_autofree char *path = g_build_filename (root, relative, NULL);

  remove_below (path);
}
