/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu_rundir.h"

#include "common/error.h"
#include "host/qemu_scan.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* QEMU writes its pid file and keeps it open: there is no IN_CLOSE_WRITE while it lives. */
#define RUNDIR_EVENTS (IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define LOST_EVENTS   (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)

struct VjQemuRundir
{
  char *path;
  char *parent;
  VjQemuRundirFunc func;
  gpointer user_data;
  int inotify_fd;
  VjPollWatch *watch;
  int wd; /* -1: it is not there, and its parent is watched */
  int parent_wd;
};

/* After the parent is watched the directory is looked for once more: it may have come just before. */
void
vj_qemu_rundir_retry (VjQemuRundir *rundir)
{
  if (rundir->wd >= 0)
    return;
  rundir->wd = inotify_add_watch (rundir->inotify_fd, rundir->path, RUNDIR_EVENTS);
  if (rundir->wd < 0 && rundir->parent_wd < 0)
    {
      rundir->parent_wd = inotify_add_watch (rundir->inotify_fd, rundir->parent, PARENT_EVENTS);
      rundir->wd = inotify_add_watch (rundir->inotify_fd, rundir->path, RUNDIR_EVENTS);
    }
  if (rundir->wd < 0)
    return;
  if (rundir->parent_wd >= 0)
    inotify_rm_watch (rundir->inotify_fd, rundir->parent_wd);
  rundir->parent_wd = -1;
  rundir->func (0, rundir->user_data);
}

static void
handle_pid_file (VjQemuRundir *rundir, const char *name)
{
  const guint vmid = vj_qemu_scan_vmid (name);

  if (vmid != 0)
    rundir->func (vmid, rundir->user_data);
}

/* A directory that was removed or moved away is awaited anew. */
static void
lose (VjQemuRundir *rundir, int *wd, guint32 mask)
{
  if (mask & IN_MOVE_SELF)
    inotify_rm_watch (rundir->inotify_fd, *wd);
  *wd = -1;
  vj_qemu_rundir_retry (rundir);
}

static void
handle_event (VjQemuRundir *rundir, const struct inotify_event *event)
{
  if (event->mask & IN_Q_OVERFLOW)
    rundir->func (0, rundir->user_data);
  else if (event->wd == rundir->wd && event->mask & LOST_EVENTS)
    lose (rundir, &rundir->wd, event->mask);
  else if (event->wd == rundir->wd && event->len > 0)
    handle_pid_file (rundir, event->name);
  else if (event->wd == rundir->parent_wd && event->mask & LOST_EVENTS)
    lose (rundir, &rundir->parent_wd, event->mask);
  else if (event->wd == rundir->parent_wd)
    vj_qemu_rundir_retry (rundir);
}

static void
on_inotify (int fd, guint32 events, gpointer user_data)
{
  _Alignas(struct inotify_event) char buffer[16384];
  const gssize length = read (fd, buffer, sizeof buffer);

  for (gssize at = 0; at < length;)
    {
      const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);

      handle_event (user_data, event);
      at += (gssize)(sizeof *event + event->len);
    }
}

static gboolean
open_inotify (VjQemuRundir *rundir, VjPoll *poll, GError **error)
{
  rundir->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (rundir->inotify_fd < 0)
    {
      vj_error_set_errno (error, errno, "cannot watch %s (fs.inotify.max_user_instances may be too low)",
                          rundir->path);
      return FALSE;
    }
  rundir->watch = vj_poll_add (poll, rundir->inotify_fd, EPOLLIN, on_inotify, rundir, error);
  return rundir->watch != NULL;
}

VjQemuRundir *
vj_qemu_rundir_new (VjPoll *poll, const char *path, VjQemuRundirFunc func, gpointer user_data, GError **error)
{
  g_autoptr (VjQemuRundir) rundir = g_new0 (VjQemuRundir, 1);

  rundir->path = g_strdup (path);
  rundir->parent = g_path_get_dirname (path);
  rundir->func = func;
  rundir->user_data = user_data;
  rundir->wd = rundir->parent_wd = -1;
  if (!open_inotify (rundir, poll, error))
    return NULL;
  vj_qemu_rundir_retry (rundir);
  return g_steal_pointer (&rundir);
}

void
vj_qemu_rundir_free (VjQemuRundir *rundir)
{
  if (rundir == NULL)
    return;
  vj_poll_remove (rundir->watch);
  if (rundir->inotify_fd >= 0)
    close (rundir->inotify_fd);
  g_free (rundir->path);
  g_free (rundir->parent);
  g_free (rundir);
}
