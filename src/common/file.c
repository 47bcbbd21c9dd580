/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/file.h"

#include "common/cgroup.h"
#include "common/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER_MAX 128
#define LARGE      (1 << 20)

int
vj_file_open (const char *root, const char *relative, GError **error)
{
  g_autofree char *path = g_build_filename (root, relative, NULL);
  const int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

  if (fd < 0)
    vj_error_set_errno (error, errno, "cannot open %s", path);
  return fd;
}

static gssize
pread_retrying (int fd, char *buffer, gsize size)
{
  gssize got;

  do
    got = pread (fd, buffer, size, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

/* A short read is the whole file: the kernel's small files are generated in one piece at offset 0, and a
 * second pread (2) only to be told so would double the cost of a tick. */
gboolean
vj_file_pread (int fd, char *buffer, gsize size, gsize *ret_length, GError **error)
{
  const gssize got = pread_retrying (fd, buffer, size);

  if (got < 0)
    {
      vj_error_set_errno (error, errno, "cannot read");
      buffer[0] = '\0';
      return FALSE;
    }
  if ((gsize)got >= size)
    {
      buffer[size - 1] = '\0';
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "longer than %" G_GSIZE_FORMAT " bytes", size - 1);
      return FALSE;
    }

  buffer[got] = '\0';
  *ret_length = (gsize)got;
  return TRUE;
}

gboolean
vj_file_pread_u64 (int fd, guint64 *ret_value, GError **error)
{
  char text[NUMBER_MAX];
  gsize length = 0;

  if (!vj_file_pread (fd, text, sizeof text, &length, error))
    return FALSE;
  if (vj_cgroup_parse_u64 (text, length, ret_value))
    return TRUE;
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "not a number");
  return FALSE;
}

/* How much to read at most. The kernel does not know the length of what it generates; that of a file on a disk spares an
 * allocation of the whole of a large limit. */
static gsize
room_for (int fd, gsize limit)
{
  struct stat status;
  const gboolean is_stored = limit >= LARGE && fstat (fd, &status) == 0 && S_ISREG (status.st_mode);

  return is_stored ? MIN (limit, (gsize)status.st_size) : limit;
}

char *
vj_file_read (const char *root, const char *relative, gsize limit, gsize *ret_length, GError **error)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  const int fd = vj_file_open (root, relative, error);

  if (fd < 0)
    return NULL;

  const gsize room = room_for (fd, limit);
  text = g_malloc (room + 1);
  const gboolean done = vj_file_pread (fd, text, room + 1, &length, error);
  close (fd);
  if (!done)
    {
      g_prefix_error (error, "%s/%s: ", root, relative);
      return NULL;
    }

  if (ret_length != NULL)
    *ret_length = length;
  return g_realloc (g_steal_pointer (&text), length + 1);
}

static gboolean
write_all (int fd, const char *text, gsize length)
{
  while (length > 0)
    {
      const gssize put = write (fd, text, length);

      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0)
        return FALSE;
      text += put;
      length -= (gsize)put;
    }
  return TRUE;
}

/* Errors of close (2) count: that is where a full disk may first show. Returns 0 or an errno value. */
static int
write_file (const char *path, const char *text, gsize length, guint mode)
{
  const int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  int failure = 0;

  if (fd < 0)
    return errno;
  if (!write_all (fd, text, length) || fchmod (fd, (mode_t)mode) < 0)
    failure = errno;
  if (close (fd) < 0 && failure == 0)
    failure = errno;
  return failure;
}

/* The name aside is fixed, so that what a killed writer left behind is overwritten by the next; one file has
 * one writer. */
static char *
path_aside (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);

  return g_strdup_printf ("%s/.%s.new", directory, name);
}

gboolean
vj_file_replace (const char *root, const char *relative, const char *text, gsize length, guint mode,
                 GError **error)
{
  g_autofree char *path = g_build_filename (root, relative, NULL);
  g_autofree char *aside = path_aside (path);
  int failure = write_file (aside, text, length, mode);

  if (failure == 0 && rename (aside, path) < 0)
    failure = errno;
  if (failure == 0)
    return TRUE;

  unlink (aside);
  vj_error_set_errno (error, failure, "cannot write %s", path);
  return FALSE;
}
