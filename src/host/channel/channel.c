/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/process.h"
#include "host/channel/connector.h"

struct VjChannel
{
  VjPoll *poll;
  VjPollWatch *watch;
  int fd;        /* -1: not connected */
  guint32 armed; /* events the watch waits for */
  VjConnector connector;
  VjChannelFill fill;
  gpointer user_data;
  VjChannelStatus status;

  char session[VJ_SESSION_LENGTH + 1];
  guint64 sequence;     /* of the newest frame of this session; 0: none */
  guint64 monotonic_us; /* reading time of that frame */
  GString *unsent;      /* rest of a line that the socket took in part; NULL: none */
  VjLineBuffer *lines;  /* holds a guest's unfinished line; NULL while there is none, as nearly always */
  gboolean broken;      /* a write has failed: to be disconnected as soon as nothing is in progress */

  gsize read_left;   /* of this tick's budget */
  gboolean used_up;  /* that budget, since the last tick */
  guint flood_ticks; /* for so many ticks in a row */
  gboolean answered; /* a hello was answered since the last tick */
};

const char *
vj_channel_state_name (VjChannelState state)
{
  static const char *const names[] = {
    [VJ_CHANNEL_DISCONNECTED] = "disconnected",
    [VJ_CHANNEL_WAITING] = "waiting",
    [VJ_CHANNEL_OPEN] = "open",
  };

  return names[state];
}

static void
drop_unsent (VjChannel *channel)
{
  if (channel->unsent != NULL)
    g_string_free (channel->unsent, TRUE);
  channel->unsent = NULL;
}

/* Back to the state in which nobody is there. */
static void
disconnect (VjChannel *channel)
{
  g_clear_pointer (&channel->watch, vj_poll_remove);
  if (channel->fd >= 0)
    close (channel->fd);
  channel->fd = -1;
  channel->armed = 0;
  channel->broken = FALSE;
  drop_unsent (channel);
  g_clear_pointer (&channel->lines, g_free);
  channel->status.state = VJ_CHANNEL_DISCONNECTED;
  channel->status.outstanding = FALSE;
  channel->status.peer_pid = 0;
  channel->used_up = FALSE;
  channel->flood_ticks = 0;
  vj_connector_lost (&channel->connector);
}

/* Edge-triggered, which spares the kernel a second look at each socket: a read or write that did all it may takes what there
 * is, and one that used up its budget is armed anew. An end that comes together with input must say so, as there is no second
 * look to find it. */
#define ALWAYS ((guint32)EPOLLET | (guint32)EPOLLRDHUP)

/* Waits for what can be gone on with: input while there is budget, room for the rest of a line. */
static void
arm (VjChannel *channel)
{
  guint32 events = ALWAYS | (channel->read_left > 0 ? (guint32)EPOLLIN : 0)
                   | (channel->unsent != NULL ? (guint32)EPOLLOUT : 0);

  if (channel->fd < 0 || events == channel->armed)
    return;
  if (vj_poll_modify (channel->watch, events))
    channel->armed = events;
}

/* Returns the number of bytes the socket took. */
static gsize
write_bytes (VjChannel *channel, const char *bytes, gsize length)
{
  ssize_t written = send (channel->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

  if (written < 0 && errno != EAGAIN && errno != EINTR)
    channel->broken = TRUE;
  return written > 0 ? (gsize)written : 0;
}

static void
write_unsent (VjChannel *channel)
{
  if (channel->unsent == NULL)
    return;

  gsize written = write_bytes (channel, channel->unsent->str, channel->unsent->len);

  g_string_erase (channel->unsent, 0, (gssize)written);
  if (channel->unsent->len == 0)
    drop_unsent (channel);
}

/* FALSE if the socket took nothing of the line: then it was never sent. */
static gboolean
write_line (VjChannel *channel, const char *line, gsize length)
{
  gsize written = write_bytes (channel, line, length);

  if (written > 0 && written < length)
    channel->unsent = g_string_new_len (line + written, (gssize)(length - written));
  return written > 0;
}

/* Sends the newest figures. The frame is made at the moment of sending, so one that the socket did not take at all is
 * replaced by a newer one without further ado. */
static gboolean
send_frame (VjChannel *channel)
{
  VjFrame frame;
  char line[VJ_FRAME_MAX];

  if (channel->status.state != VJ_CHANNEL_OPEN || channel->status.outstanding || channel->unsent != NULL)
    return FALSE;

  memset (&frame, 0, G_STRUCT_OFFSET (VjFrame, zones)); /* the rest is nine times as long */
  if (!channel->fill (&frame, channel->user_data))
    return FALSE;
  memcpy (frame.session, channel->session, sizeof frame.session);
  frame.sequence = channel->sequence + 1;

  const gsize length = vj_frame_write (&frame, line);

  if (length == 0)
    {
      channel->status.frames_unencodable++;
      return FALSE;
    }
  if (!write_line (channel, line, length))
    return FALSE;

  channel->sequence = frame.sequence;
  channel->monotonic_us = frame.monotonic_us;
  channel->status.outstanding = TRUE;
  channel->status.frames_sent++;
  return TRUE;
}

/* A new session: whatever the guest was sent before, it has forgotten. The rest of a line that is partly written comes
 * first all the same, or the next frame would be no line of its own. */
static void
receive_hello (VjChannel *channel, const VjGuestLine *hello)
{
  memcpy (channel->session, hello->session, sizeof channel->session);
  channel->sequence = 0;
  channel->status.state = VJ_CHANNEL_OPEN;
  channel->status.outstanding = FALSE;
  channel->status.hellos++;
  vj_connector_proved (&channel->connector);
  if (channel->answered)
    return;

  channel->answered = TRUE;
  send_frame (channel);
}

static gboolean
is_ack_due (const VjChannel *channel, const VjGuestLine *ack)
{
  return channel->status.outstanding && channel->unsent == NULL && ack->sequence == channel->sequence
         && strcmp (ack->session, channel->session) == 0;
}

static void
receive_line (const char *text, gsize length, gpointer user_data)
{
  VjChannel *channel = user_data;
  VjGuestLine line;

  if (!vj_guest_line_decode (text, length, &line))
    {
      channel->status.lines_dropped++;
      return;
    }
  if (line.kind == VJ_GUEST_HELLO)
    {
      receive_hello (channel, &line);
      return;
    }
  if (!is_ack_due (channel, &line))
    {
      channel->status.lines_dropped++;
      return;
    }
  channel->status.outstanding = FALSE;
  channel->status.acked_monotonic_us = channel->monotonic_us;
}

static void
receive_bytes (VjChannel *channel, const char *bytes, gsize length)
{
  VjLineBuffer fresh;
  VjLineBuffer *lines = channel->lines;

  if (lines == NULL)
    {
      lines = &fresh;
      vj_line_buffer_init (lines, VJ_FRAME_LINE_MAX, FALSE);
    }
  vj_line_buffer_feed (lines, bytes, length, receive_line, channel);
  channel->status.lines_dropped += lines->dropped;
  lines->dropped = 0;

  const gboolean unfinished = lines->length > 0 || lines->dropping;

  if (unfinished && channel->lines == NULL)
    channel->lines = g_memdup2 (lines, sizeof *lines);
  else if (!unfinished)
    g_clear_pointer (&channel->lines, g_free);
}

/* One read: all that there is, or all that is allowed until the next tick. */
static void
read_some (VjChannel *channel)
{
  char bytes[VJ_CHANNEL_READ_BUDGET];
  ssize_t n = recv (channel->fd, bytes, channel->read_left, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0)
    {
      channel->broken = TRUE;
      return;
    }
  channel->used_up = (gsize)n == channel->read_left;
  channel->read_left -= MIN (channel->read_left, MAX ((gsize)n, VJ_CHANNEL_READ_LEAST));
  receive_bytes (channel, bytes, (gsize)n);
}

static void
on_event (int fd, guint32 events, gpointer user_data)
{
  VjChannel *channel = user_data;

  if (events & (EPOLLHUP | EPOLLERR))
    channel->broken = TRUE;
  if (!channel->broken && (events & EPOLLOUT))
    write_unsent (channel);
  if (!channel->broken && (events & EPOLLIN) && channel->read_left > 0)
    read_some (channel);

  if (channel->broken || (events & EPOLLRDHUP))
    disconnect (channel);
  else
    arm (channel);
}

/* Takes over fd. The newline ends whatever the guest's reader had of a line from the connection before. */
static void
begin (VjChannel *channel, int fd)
{
  channel->fd = fd;
  channel->watch = vj_poll_add (channel->poll, fd, EPOLLIN | ALWAYS, on_event, channel, NULL);
  if (channel->watch == NULL || write_bytes (channel, "\n", 1) != 1)
    {
      disconnect (channel);
      return;
    }
  channel->armed = EPOLLIN | ALWAYS;
  channel->status.state = VJ_CHANNEL_WAITING;
  channel->status.peer_pid = vj_process_peer_pid (fd);
}

void
vj_channel_adopt (VjChannel *channel, int fd)
{
  if (channel->fd >= 0)
    disconnect (channel);
  begin (channel, fd);
}

static void
reconnect (VjChannel *channel, guint64 now_us)
{
  const int fd = vj_connector_tick (&channel->connector, now_us);

  if (fd >= 0)
    begin (channel, fd);
}

VjChannel *
vj_channel_new (VjPoll *poll, const char *path, VjChannelFill fill, gpointer user_data)
{
  VjChannel *channel = g_new0 (VjChannel, 1);

  channel->poll = poll;
  channel->fd = -1;
  vj_connector_init (&channel->connector, path);
  channel->fill = fill;
  channel->user_data = user_data;
  channel->read_left = VJ_CHANNEL_READ_BUDGET;
  reconnect (channel, 0);
  return channel;
}

void
vj_channel_free (VjChannel *channel)
{
  if (channel == NULL)
    return;

  disconnect (channel);
  vj_connector_clear (&channel->connector);
  g_free (channel);
}

const char *
vj_channel_path (const VjChannel *channel)
{
  return channel->connector.path;
}

void
vj_channel_get_status (const VjChannel *channel, VjChannelStatus *ret_status)
{
  *ret_status = channel->status;
}

/* What is read in the coming tick. One tick too many with all of that used up, and the connection is given up. */
static void
refill (VjChannel *channel)
{
  channel->flood_ticks = channel->used_up ? channel->flood_ticks + 1 : 0;
  channel->used_up = FALSE;
  channel->read_left = VJ_CHANNEL_READ_BUDGET;
  if (channel->flood_ticks < VJ_CHANNEL_FLOOD_TICKS)
    return;

  channel->status.floods++;
  disconnect (channel);
}

static void
take_tick (VjChannel *channel, guint64 now_us, gboolean due)
{
  channel->answered = FALSE;
  if (channel->fd < 0)
    reconnect (channel, now_us);
  else if (due && channel->status.state == VJ_CHANNEL_OPEN && !send_frame (channel))
    channel->status.frames_skipped++;

  if (channel->broken)
    disconnect (channel);
  refill (channel);
  arm (channel);
}

void
vj_channel_tick (VjChannel *channel, guint64 now_us)
{
  take_tick (channel, now_us, TRUE);
}

void
vj_channel_rest (VjChannel *channel, guint64 now_us)
{
  take_tick (channel, now_us, FALSE);
}
