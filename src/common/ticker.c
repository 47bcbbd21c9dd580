/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ticker.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/units.h"

struct VjTicker
{
  int fd;
  guint64 interval_us;
  guint64 deadline_us; /* of the next tick */
  GSource *source;
  VjTickFunc func;
  gpointer user_data;
};

static gboolean
on_expired (int fd, GIOCondition condition, gpointer user_data)
{
  VjTicker *ticker = user_data;
  guint64 expired = 0;
  if (read (fd, &expired, sizeof expired) != (gssize)sizeof expired || expired == 0)
    return G_SOURCE_CONTINUE;

  guint64 due_us = ticker->deadline_us + (expired - 1) * ticker->interval_us;
  guint64 now_us = vj_clock_monotonic_us ();
  ticker->deadline_us = due_us + ticker->interval_us;
  ticker->func (now_us > due_us ? now_us - due_us : 0, expired - 1, ticker->user_data);
  return G_SOURCE_CONTINUE;
}

static struct timespec
to_timespec (guint64 us)
{
  return (struct timespec){ .tv_sec = (time_t)(us / VJ_US_PER_S),
                            .tv_nsec = (long)(us % VJ_US_PER_S * VJ_NS_PER_US) };
}

VjTicker *
vj_ticker_new (GMainContext *context, guint64 interval_us, VjTickFunc func, gpointer user_data,
               GError **error)
{
  int fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0)
    {
      vj_error_set_errno (error, errno, "cannot create a timer");
      return NULL;
    }
  VjTicker *ticker = g_new0 (VjTicker, 1);
  ticker->fd = fd;
  ticker->interval_us = interval_us;
  ticker->deadline_us = vj_clock_monotonic_us () + interval_us;
  ticker->func = func;
  ticker->user_data = user_data;
  struct itimerspec spec = { .it_interval = to_timespec (interval_us),
                             .it_value = to_timespec (ticker->deadline_us) };
  timerfd_settime (fd, TFD_TIMER_ABSTIME, &spec, NULL);

  ticker->source = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_priority (ticker->source, G_PRIORITY_HIGH);
  g_source_set_callback (ticker->source, G_SOURCE_FUNC (on_expired), ticker, NULL);
  g_source_attach (ticker->source, context);
  return ticker;
}

void
vj_ticker_free (VjTicker *ticker)
{
  if (ticker == NULL)
    return;
  g_source_destroy (ticker->source);
  g_source_unref (ticker->source);
  close (ticker->fd);
  g_free (ticker);
}
