/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/pidfile.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/process.h"
#include "common/procfs.h"
#include "common/units.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Start times come in steps of 10 ms, file times in steps of a tick, and the two clocks are read one after the other. */
#define SLACK_US VJ_US_PER_S

#define PID_TEXT_MAX 64

/* The pid that holds the file's lock; 0: nobody does. */
static int
lock_holder (int fd)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

  if (fcntl (fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
    return 0;
  return lock.l_pid;
}

/* Errs where the wall clock was set since the file was written, which is why the lock is asked first. */
static gboolean
was_there_before (const char *procfs, int pid, int fd)
{
  g_autoptr (VjProcess) process = vj_process_open (procfs, pid, NULL);
  struct stat status;

  if (!process || fstat (fd, &status) < 0)
    return FALSE;

  const gint64 written_us = status.st_mtim.tv_sec * G_USEC_PER_SEC + status.st_mtim.tv_nsec / 1000;
  const gint64 age_us = g_get_real_time () - written_us;
  return (gint64)process->start_us <= (gint64)vj_clock_boottime_us () - age_us + (gint64)SLACK_US;
}

/* -1 unless it is a regular file and no link, for the opening of whatever else stands there may wait or act. */
static int
open_regular (const char *directory, const char *file)
{
  g_autofree char *path = g_build_filename (directory, file, NULL);
  const int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
  struct stat status;

  if (fd < 0 || (fstat (fd, &status) == 0 && S_ISREG (status.st_mode)))
    return fd;
  close (fd);
  return -1;
}

int
vj_pidfile_read (const char *procfs, const char *directory, const char *name)
{
  g_autofree char *file = g_strconcat (name, ".pid", NULL);
  char text[PID_TEXT_MAX];
  gsize length = 0;
  int pid = 0;

  if (strchr (name, '/'))
    return 0;
  const int fd = open_regular (directory, file);
  if (fd < 0)
    return 0;

  gboolean proven =
      vj_file_pread (fd, text, sizeof text, &length, NULL) && vj_procfs_parse_pid (text, length, &pid);
  if (proven)
    {
      const int holder = lock_holder (fd);
      proven = holder > 0 ? holder == pid : was_there_before (procfs, pid, fd);
    }
  close (fd);
  return proven ? pid : 0;
}
