/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/kept_file.h"

#include "common/error.h"
#include "common/file.h"

#include <unistd.h>

#define TEXT_MIN ((gsize)4 * 1024)
#define TEXT_MAX ((gsize)16 * 1024 * 1024)

struct VjKeptFile
{
  char *path;
  int fd;
  char *text;
  gsize size;
};

VjKeptFile *
vj_kept_file_open (const char *root, const char *relative, GError **error)
{
  const int fd = vj_file_open (root, relative, error);
  VjKeptFile *file;

  if (fd < 0)
    return NULL;
  file = g_new0 (VjKeptFile, 1);
  file->path = g_build_filename (root, relative, NULL);
  file->fd = fd;
  file->size = TEXT_MIN;
  file->text = g_malloc (file->size);
  return file;
}

void
vj_kept_file_free (VjKeptFile *file)
{
  if (!file)
    return;
  close (file->fd);
  g_free (file->text);
  g_free (file->path);
  g_free (file);
}

const char *
vj_kept_file_read (VjKeptFile *file, gsize *ret_length, GError **error)
{
  g_autoptr (GError) failure = NULL;

  while (!vj_file_pread (file->fd, file->text, file->size, ret_length, &failure))
    {
      if (!g_error_matches (failure, VJ_ERROR, VJ_ERROR_INVALID) || file->size >= TEXT_MAX)
        {
          g_propagate_prefixed_error (error, g_steal_pointer (&failure), "%s: ", file->path);
          return NULL;
        }
      g_clear_error (&failure);
      file->size *= 2;
      file->text = g_realloc (file->text, file->size);
    }
  return file->text;
}
