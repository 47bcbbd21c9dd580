/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/process.h"

#include "common/error.h"
#include "common/file.h"
#include "common/procfs.h"
#include "common/units.h"

#include <errno.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PID_STAT_MAX 4096

static gboolean
read_start_us (const char *procfs, int pid, guint64 *ret_start_us, GError **error)
{
  g_autofree char *relative = g_strdup_printf ("%d/stat", pid);
  gsize length = 0;
  g_autofree char *text = vj_file_read (procfs, relative, PID_STAT_MAX, &length, error);
  VjProcPidStat stat;

  if (text == NULL)
    return FALSE;
  if (!vj_procfs_parse_pid_stat (text, length, &stat))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s/%s is not of the kernel's form", procfs, relative);
      return FALSE;
    }

  *ret_start_us = stat.start_ticks * (VJ_US_PER_S / (guint64)sysconf (_SC_CLK_TCK));
  return TRUE;
}

/* The pid is held first and found alive last: what was read in between is that process's, since a pid is not
 * given away while its process lives. */
static gboolean
identify (VjProcess *process, const char *procfs, GError **error)
{
  if (!read_start_us (procfs, process->pid, &process->start_us, error))
    return FALSE;
  if (vj_process_is_alive (process))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_GONE, "process %d has exited", process->pid);
  return FALSE;
}

VjProcess *
vj_process_open (const char *procfs, int pid, GError **error)
{
  VjProcess process = { .pid = pid, .pidfd = pidfd_open (pid, 0) };

  if (process.pidfd < 0)
    {
      vj_error_set_errno (error, errno, "cannot hold process %d", pid);
      return NULL;
    }
  if (!identify (&process, procfs, error))
    {
      close (process.pidfd);
      return NULL;
    }
  return g_memdup2 (&process, sizeof process);
}

void
vj_process_free (VjProcess *process)
{
  if (process == NULL)
    return;
  close (process->pidfd);
  g_free (process);
}

gboolean
vj_process_is_alive (const VjProcess *process)
{
  struct pollfd poll_fd = { .fd = process->pidfd, .events = POLLIN };
  int ready;

  do
    ready = poll (&poll_fd, 1, 0);
  while (ready < 0 && errno == EINTR);
  return ready == 0;
}

int
vj_process_peer_pid (int fd)
{
  struct ucred credentials;
  socklen_t length = sizeof credentials;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
    return 0;
  return credentials.pid;
}
