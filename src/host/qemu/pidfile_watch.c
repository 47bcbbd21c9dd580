/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/pidfile_watch.h"

#include "common/error.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* QEMU writes its pid file and keeps it open: there is no IN_CLOSE_WRITE while it lives. */
#define DIRECTORY_EVENTS (IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_EVENTS    (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define SUFFIX           ".pid"
#define LOST_EVENTS      (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)

struct VjPidfileWatch
{
  char *path;
  char *parent;
  VjPidfileWatchFunc func;
  gpointer user_data;
  int inotify_fd;
  VjPollWatch *poll_watch;
  int wd; /* -1: it is not there, and its parent is watched */
  int parent_wd;
};

/* After the parent is watched the directory is looked for once more: it may have come just before. */
void
vj_pidfile_watch_retry (VjPidfileWatch *watch)
{
  if (watch->wd >= 0)
    return;
  watch->wd = inotify_add_watch (watch->inotify_fd, watch->path, DIRECTORY_EVENTS);
  if (watch->wd < 0 && watch->parent_wd < 0)
    {
      watch->parent_wd = inotify_add_watch (watch->inotify_fd, watch->parent, PARENT_EVENTS);
      watch->wd = inotify_add_watch (watch->inotify_fd, watch->path, DIRECTORY_EVENTS);
    }
  if (watch->wd < 0)
    return;
  if (watch->parent_wd >= 0)
    inotify_rm_watch (watch->inotify_fd, watch->parent_wd);
  watch->parent_wd = -1;
  watch->func (NULL, watch->user_data);
}

static void
handle_file (VjPidfileWatch *watch, const char *file)
{
  const gsize length = strlen (file);

  if (length <= strlen (SUFFIX) || !g_str_has_suffix (file, SUFFIX))
    return;
  g_autofree char *name = g_strndup (file, length - strlen (SUFFIX));
  watch->func (name, watch->user_data);
}

/* A directory that was removed or moved away is awaited anew. */
static void
lose (VjPidfileWatch *watch, int *wd, guint32 mask)
{
  if (mask & IN_MOVE_SELF)
    inotify_rm_watch (watch->inotify_fd, *wd);
  *wd = -1;
  vj_pidfile_watch_retry (watch);
}

static void
handle_event (VjPidfileWatch *watch, const struct inotify_event *event)
{
  if (event->mask & IN_Q_OVERFLOW)
    watch->func (NULL, watch->user_data);
  else if (event->wd == watch->wd && event->mask & LOST_EVENTS)
    lose (watch, &watch->wd, event->mask);
  else if (event->wd == watch->wd && event->len > 0)
    handle_file (watch, event->name);
  else if (event->wd == watch->parent_wd && event->mask & LOST_EVENTS)
    lose (watch, &watch->parent_wd, event->mask);
  else if (event->wd == watch->parent_wd)
    vj_pidfile_watch_retry (watch);
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
open_inotify (VjPidfileWatch *watch, VjPoll *poll, GError **error)
{
  watch->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (watch->inotify_fd < 0)
    {
      vj_error_set_errno (error, errno, "cannot watch %s (fs.inotify.max_user_instances may be too low)",
                          watch->path);
      return FALSE;
    }
  watch->poll_watch = vj_poll_add (poll, watch->inotify_fd, EPOLLIN, on_inotify, watch, error);
  return watch->poll_watch != NULL;
}

VjPidfileWatch *
vj_pidfile_watch_new (VjPoll *poll, const char *path, VjPidfileWatchFunc func, gpointer user_data,
                      GError **error)
{
  g_autoptr (VjPidfileWatch) watch = g_new0 (VjPidfileWatch, 1);

  watch->path = g_strdup (path);
  watch->parent = g_path_get_dirname (path);
  watch->func = func;
  watch->user_data = user_data;
  watch->wd = watch->parent_wd = -1;
  if (!open_inotify (watch, poll, error))
    return NULL;
  vj_pidfile_watch_retry (watch);
  return g_steal_pointer (&watch);
}

void
vj_pidfile_watch_free (VjPidfileWatch *watch)
{
  if (watch == NULL)
    return;
  vj_poll_remove (watch->poll_watch);
  if (watch->inotify_fd >= 0)
    close (watch->inotify_fd);
  g_free (watch->path);
  g_free (watch->parent);
  g_free (watch);
}
