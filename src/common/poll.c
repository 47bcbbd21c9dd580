/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/poll.h"

#include "common/error.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Events of one wake. epoll (7) moves what is still ready to the end of its queue, so a busy fd cannot keep
 * others out. */
#define BATCH 256

struct VjPoll
{
  GSource source; /* first: a VjPoll is its GSource, which GLib keeps alive while it is dispatched */
  int epoll_fd;
  gpointer tag; /* of epoll_fd in the main loop */
  guint gather_us;
  int pending; /* events[next..pending) of the current batch are yet to be dispatched */
  int next;
  struct epoll_event events[BATCH];
};

struct VjPollWatch
{
  VjPoll *poll;
  int fd;
  VjPollFunc func;
  gpointer user_data;
};

/* Returns the number of events. */
static int
dispatch_batch (VjPoll *poll)
{
  poll->next = 0;
  poll->pending = epoll_wait (poll->epoll_fd, poll->events, BATCH, 0);
  while (poll->next < poll->pending)
    {
      const struct epoll_event *event = &poll->events[poll->next++];
      const VjPollWatch *watch = event->data.ptr;

      if (watch != NULL)
        watch->func (watch->fd, event->events, watch->user_data); /* watch may be dead after this */
    }
  const int served = poll->next;
  poll->pending = 0;
  return served;
}

/* Where events are gathered, the main loop waits for the fd only once a look at it has found nothing. Until then it is looked
 * at again after a while, or at once if there may be more. */
static void
gather (VjPoll *poll, int served)
{
  g_source_modify_unix_fd (&poll->source, poll->tag, served > 0 ? 0 : G_IO_IN);
  if (served <= 0)
    g_source_set_ready_time (&poll->source, -1);
  else if (served == BATCH)
    g_source_set_ready_time (&poll->source, 0);
  else
    g_source_set_ready_time (&poll->source, g_source_get_time (&poll->source) + poll->gather_us);
}

static gboolean
poll_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  VjPoll *poll = (VjPoll *)source;
  const int served = dispatch_batch (poll);

  if (poll->gather_us > 0)
    gather (poll, served);
  return G_SOURCE_CONTINUE;
}

static void
poll_finalize (GSource *source)
{
  const VjPoll *poll = (const VjPoll *)source;

  if (poll->epoll_fd >= 0)
    close (poll->epoll_fd);
}

VjPoll *
vj_poll_new (GMainContext *context, GError **error)
{
  /* GLib wants them writable, and never writes. */
  static GSourceFuncs funcs = { .dispatch = poll_dispatch, .finalize = poll_finalize };
  VjPoll *poll = (VjPoll *)g_source_new (&funcs, sizeof (VjPoll));

  poll->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (poll->epoll_fd < 0)
    {
      vj_error_set_errno (error, errno, "cannot make an epoll instance");
      g_source_unref (&poll->source);
      return NULL;
    }
  g_source_set_static_name (&poll->source, "VjPoll");
  /* GLib takes the fd of a source that may not recurse out of its set for each dispatch: system calls for nothing. */
  g_source_set_can_recurse (&poll->source, TRUE);
  poll->tag = g_source_add_unix_fd (&poll->source, poll->epoll_fd, G_IO_IN);
  g_source_attach (&poll->source, context);
  return poll;
}

void
vj_poll_set_gather (VjPoll *poll, guint gather_us)
{
  poll->gather_us = gather_us;
}

void
vj_poll_free (VjPoll *poll)
{
  if (poll == NULL)
    return;
  g_source_destroy (&poll->source);
  g_source_unref (&poll->source);
}

VjPollWatch *
vj_poll_add (VjPoll *poll, int fd, guint32 events, VjPollFunc func, gpointer user_data, GError **error)
{
  VjPollWatch *watch = g_new (VjPollWatch, 1);
  struct epoll_event event = { .events = events, .data.ptr = watch };

  *watch = (VjPollWatch){ .poll = poll, .fd = fd, .func = func, .user_data = user_data };
  if (epoll_ctl (poll->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
    {
      vj_error_set_errno (error, errno, "cannot watch file descriptor %d", fd);
      g_free (watch);
      return NULL;
    }
  return watch;
}

gboolean
vj_poll_modify (VjPollWatch *watch, guint32 events)
{
  struct epoll_event event = { .events = events, .data.ptr = watch };

  return epoll_ctl (watch->poll->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0;
}

void
vj_poll_remove (VjPollWatch *watch)
{
  if (watch == NULL)
    return;

  VjPoll *poll = watch->poll;

  epoll_ctl (poll->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  /* An event of the current batch must not find a dead watch. */
  for (int i = poll->next; i < poll->pending; i++)
    if (poll->events[i].data.ptr == watch)
      poll->events[i].data.ptr = NULL;
  g_free (watch);
}
