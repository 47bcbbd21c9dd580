/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "channel_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

gboolean
fill (VjFrame *ret_frame, gpointer user_data)
{
  Host *host = user_data;

  host->fills++;
  g_strlcpy (ret_frame->host, "01234567-89ab-cdef-0123-456789abcdef", sizeof ret_frame->host);
  g_strlcpy (ret_frame->epoch, "0123456789abcdef", sizeof ret_frame->epoch);
  g_strlcpy (ret_frame->source, host->no_source ? "" : "powercap", sizeof ret_frame->source);
  g_strlcpy (ret_frame->static_policy, "separate", sizeof ret_frame->static_policy);
  ret_frame->monotonic_us = host->now_us;
  ret_frame->interval_us = INTERVAL_US;
  ret_frame->n_zones = host->n_zones;
  for (gsize i = 0; i < host->n_zones; i++)
    {
      g_autofree char *name = g_strdup_printf ("a-zone-of-a-considerable-length-%02zu", i);

      assert_true (vj_zone_init (&ret_frame->zones[i], name, NULL, -1));
      ret_frame->energy_uj[i] = host->now_us;
    }
  return !host->no_figures;
}

Host *
host_new (const char *directory)
{
  Host *host = g_new0 (Host, 1);

  host->poll = vj_poll_new (NULL, NULL);
  host->now_us = 1000 * (guint64)INTERVAL_US;
  host->n_zones = 1;
  host->path = g_build_filename (directory, "port", NULL);
  assert_non_null (host->poll);
  return host;
}

void
host_free (Host *host)
{
  vj_poll_free (host->poll);
  g_free (host->path);
  g_free (host);
}

guint
settle (void)
{
  guint wakes = 0;

  while (g_main_context_iteration (NULL, FALSE))
    {
      wakes++;
      assert_true (wakes < 10000);
    }
  return wakes;
}

void
tick (Host *host, VjChannel *channel)
{
  host->now_us += INTERVAL_US;
  vj_channel_tick (channel, host->now_us);
  settle ();
}

VjChannelStatus
status_of (const VjChannel *channel)
{
  VjChannelStatus status;

  vj_channel_get_status (channel, &status);
  return status;
}

void
assert_state (const VjChannel *channel, VjChannelState state)
{
  assert_string_equal (vj_channel_state_name (status_of (channel).state), vj_channel_state_name (state));
}

int
unix_socket (const char *path, struct sockaddr_un *ret_address)
{
  *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  assert_true (g_strlcpy (ret_address->sun_path, path, sizeof ret_address->sun_path)
               < sizeof ret_address->sun_path);
  return socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

Guest *
guest_new (const char *path, int backlog)
{
  Guest *guest = g_new0 (Guest, 1);
  struct sockaddr_un address;

  guest->listener = unix_socket (path, &address);
  guest->fd = -1;
  guest->received = g_string_new (NULL);
  unlink (path);
  assert_return_code (bind (guest->listener, (struct sockaddr *)&address, sizeof address), errno);
  assert_return_code (listen (guest->listener, backlog), errno);
  return guest;
}

void
guest_hang_up (Guest *guest)
{
  if (guest->fd >= 0)
    close (guest->fd);
  guest->fd = -1;
  g_string_truncate (guest->received, 0);
}

void
guest_free (Guest *guest)
{
  guest_hang_up (guest);
  close (guest->listener);
  g_string_free (guest->received, TRUE);
  g_free (guest);
}

void
guest_accept (Guest *guest)
{
  guest->fd = accept4 (guest->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  assert_return_code (guest->fd, errno);
}

void
guest_connect (Guest *guest, VjChannel *channel)
{
  int fds[2];

  assert_return_code (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), errno);
  guest_hang_up (guest);
  guest->fd = fds[0];
  vj_channel_adopt (channel, fds[1]);
}

gboolean
guest_has_gone (Guest *guest)
{
  guest_read (guest, G_MAXSIZE);
  return recv (guest->fd, &(char){ 0 }, 1, MSG_PEEK) == 0;
}

void
guest_say (Guest *guest, const char *text)
{
  assert_int_equal (send (guest->fd, text, strlen (text), MSG_NOSIGNAL), strlen (text));
  settle ();
}

void
guest_ack (Guest *guest, const char *session, guint sequence)
{
  g_autofree char *ack = g_strdup_printf ("{\"v\":1,\"ack\":\"%s\",\"seq\":%u}\n", session, sequence);

  guest_say (guest, ack);
}

gsize
guest_read (Guest *guest, gsize limit)
{
  gsize before = guest->received->len;
  char bytes[4096];
  ssize_t n = 0;

  while (guest->received->len - before < limit
         && (n = recv (guest->fd, bytes, MIN (sizeof bytes, limit - (guest->received->len - before)), 0)) > 0)
    g_string_append_len (guest->received, bytes, n);
  return guest->received->len - before;
}

char *
guest_take_line (Guest *guest)
{
  const char *end = NULL;
  char *line = NULL;

  guest_read (guest, G_MAXSIZE);
  end = strchr (guest->received->str, '\n');
  if (end == NULL)
    return NULL;
  line = g_strndup (guest->received->str, (gsize)(end - guest->received->str));
  g_string_erase (guest->received, 0, end - guest->received->str + 1);
  return line;
}

void
assert_nothing_to_read (Guest *guest)
{
  g_autofree char *line = guest_take_line (guest);

  assert_null (line);
  assert_int_equal (guest->received->len, 0);
}

void
assert_empty_line (Guest *guest)
{
  g_autofree char *line = guest_take_line (guest);

  assert_non_null (line);
  assert_string_equal (line, "");
}

void
assert_frame (Guest *guest, const char *session, guint64 sequence, guint64 monotonic_us)
{
  g_autofree char *line = guest_take_line (guest);
  g_autofree VjFrame *frame = g_new0 (VjFrame, 1);

  assert_non_null (line);
  assert_true (vj_frame_decode (line, strlen (line), frame, NULL));
  assert_string_equal (frame->session, session);
  assert_int_equal (frame->sequence, sequence);
  assert_int_equal (frame->monotonic_us, monotonic_us);
}

VjChannel *
open_channel (Host *host, Guest *guest)
{
  VjChannel *channel = vj_channel_new (host->poll, host->path, fill, host);

  guest_accept (guest);
  guest_say (guest, HELLO_A);
  assert_state (channel, VJ_CHANNEL_OPEN);
  assert_empty_line (guest);
  assert_frame (guest, SESSION_A, 1, host->now_us);
  assert_nothing_to_read (guest);
  return channel;
}
