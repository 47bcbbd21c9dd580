/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "channel_peer.h"
#include "host/channel/connector.h"
#include "tempdir.h"

static void
test_never_acknowledged (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  guint fills = host->fills;

  for (guint i = 0; i < 100; i++)
    tick (host, channel);
  assert_nothing_to_read (guest);
  assert_int_equal (host->fills, fills);
  assert_int_equal (status_of (channel).frames_skipped, 100);

  guest_ack (guest, SESSION_A, 1); /* late, and good: the next frame has the newest figures */
  tick (host, channel);
  assert_frame (guest, SESSION_A, 2, host->now_us);
}

static void
assert_some_frame (Guest *guest)
{
  g_autofree char *line = guest_take_line (guest);
  g_autofree VjFrame *frame = g_new0 (VjFrame, 1);

  assert_non_null (line);
  assert_true (vj_frame_decode (line, strlen (line), frame, NULL));
}

/* Of many hellos one is answered at once; the last one counts at the next tick. */
static void
test_hellos_in_a_loop (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  for (guint i = 0; i < 50; i++)
    guest_say (guest, i % 2 == 0 ? HELLO_A : HELLO_B);
  assert_nothing_to_read (guest);
  assert_int_equal (host->fills, 1);

  host->now_us += INTERVAL_US;
  vj_channel_tick (channel, host->now_us); /* sends for the last hello that the budget let through */
  assert_int_equal (host->fills, 2);
  settle (); /* reads on and answers one of the hellos that waited */
  assert_true (host->fills <= 3);
}

/* A guest that reads nothing and says hello for ever gets a socket full of frames, and no more. */
static void
test_hellos_without_reading (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = NULL;
  guint64 sent = 0;

  host->n_zones = VJ_FRAME_ZONES_MAX;
  channel = open_channel (host, guest);
  for (guint i = 0; i < 1000; i++)
    {
      guest_say (guest, HELLO_A);
      tick (host, channel);
      if (i == 900)
        sent = status_of (channel).frames_sent;
    }
  assert_true (sent > 2);
  assert_int_equal (status_of (channel).frames_sent, sent);
  assert_true (status_of (channel).frames_skipped > 0);
  assert_state (channel, VJ_CHANNEL_OPEN);

  /* Once it reads, it finds whole lines, and after its next hello the newest figures. */
  guest_read (guest, G_MAXSIZE);
  settle ();
  guest_read (guest, G_MAXSIZE);
  for (guint64 i = 0; i < sent - 1; i++)
    assert_some_frame (guest);
  assert_nothing_to_read (guest);
  guest_say (guest, HELLO_B);
  assert_frame (guest, SESSION_B, 1, host->now_us);
}

static void
test_slow_reader (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  guint64 taken_us = 0;

  guest_ack (guest, SESSION_A, 1);
  tick (host, channel);
  taken_us = host->now_us;
  while (guest_read (guest, 1) == 1)
    tick (host, channel);
  assert_frame (guest, SESSION_A, 2, taken_us);
  guest_ack (guest, SESSION_A, 2);
  assert_int_equal (status_of (channel).acked_monotonic_us, taken_us);
  assert_int_equal (status_of (channel).frames_sent, 2);
}

/* Megabytes of garbage on one channel: what is read of it per tick is bounded, in bytes and in wakes of the main loop, and
 * another channel has all its frames. */
static void
test_garbage (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autofree char *other_path = g_build_filename (*state, "other", NULL);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (Guest) other_guest = guest_new (other_path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  g_autoptr (VjChannel) other = NULL;
  g_autofree char *garbage = g_strnfill (64 * 1024, 'x');
  guint64 dropped = 0;

  for (gsize i = 0; i < 64 * 1024; i += 7)
    garbage[i] = i % 2 == 0 ? '\n' : '\0';
  g_free (host->path);
  host->path = g_strdup (other_path);
  other = open_channel (host, other_guest);
  guest_ack (other_guest, SESSION_A, 1);

  for (guint i = 2; i < 500; i++)
    {
      if (guest->fd >= 0 && guest_has_gone (guest))
        guest_hang_up (guest);
      if (guest->fd < 0)
        guest->fd =
            accept4 (guest->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); /* if it is there again */
      while (send (guest->fd, garbage, 64 * 1024, MSG_NOSIGNAL) > 0)
        ;
      host->now_us += INTERVAL_US;
      vj_channel_tick (channel, host->now_us);
      vj_channel_tick (other, host->now_us);
      assert_true (settle () <= 1 + VJ_CHANNEL_READ_BUDGET / VJ_CHANNEL_READ_LEAST);
      assert_true (status_of (channel).lines_dropped - dropped <= VJ_CHANNEL_READ_BUDGET / 7);
      dropped = status_of (channel).lines_dropped;
      assert_frame (other_guest, SESSION_A, i, host->now_us);
      guest_ack (other_guest, SESSION_A, i);
    }
  assert_true (dropped > 100 * VJ_CHANNEL_READ_BUDGET / 20);
  assert_true (status_of (channel).floods > 500 / (VJ_CHANNEL_FLOOD_TICKS + 1 + VJ_CONNECTOR_PAUSE_TICKS));
  assert_int_equal (status_of (other).frames_skipped, 0);
  assert_int_equal (status_of (other).floods, 0);
}

/* As much as fits into the socket, and more as soon as there is room: for a while, without a line among it. */
static gsize
flood (Guest *guest)
{
  static const char garbage[64 * 1024];
  gsize sent = 0;
  ssize_t n = 0;

  while ((n = send (guest->fd, garbage, sizeof garbage, MSG_NOSIGNAL)) > 0)
    sent += (gsize)n;
  return sent;
}

/* What a guest's port is left with by a program that wrote nonsense is not read to the end at the pace of a budget before its
 * reader is heard: the connection is given up once, and with it what is in the way. */
static void
test_heals_after_a_flood (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  gboolean said = FALSE;
  guint ticks = 0;

  assert_true (flood (guest) > 100000);
  for (; status_of (channel).hellos == 1 && ticks < 1000; ticks++)
    {
      said =
          said || send (guest->fd, "\n" HELLO_B, 1 + strlen (HELLO_B), MSG_NOSIGNAL) > 0; /* behind it all */
      tick (host, channel);
      if (!guest_has_gone (guest))
        continue;
      guest_hang_up (guest); /* QEMU serves the next client, and the reader sees that the host is back */
      tick (host, channel);
      guest_accept (guest);
      guest_say (guest, HELLO_B);
    }
  print_message ("an honest reader is heard after %u ticks\n", ticks);
  assert_true (ticks <= VJ_CHANNEL_FLOOD_TICKS + 2);
  assert_int_equal (status_of (channel).floods, 1);
  assert_empty_line (guest);
  assert_frame (guest, SESSION_B, 1, host->now_us);
}

/* Whatever is no more than a budget each tick, or no longer than a few ticks, is read as ever. */
static void
test_much_but_no_flood (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  g_autofree char *much = g_strnfill (VJ_CHANNEL_READ_BUDGET - 1, 'x');
  g_autofree char *burst = g_strnfill ((VJ_CHANNEL_FLOOD_TICKS - 1) * VJ_CHANNEL_READ_BUDGET, 'x');

  for (guint i = 0; i < 10 * VJ_CHANNEL_FLOOD_TICKS; i++)
    {
      guest_say (guest, i % 10 == 0 ? burst : much);
      for (guint j = 0; j < VJ_CHANNEL_FLOOD_TICKS; j++)
        tick (host, channel);
    }
  assert_state (channel, VJ_CHANNEL_OPEN);
  assert_int_equal (status_of (channel).floods, 0);
}

/* Single bytes, each sent when the one before was read. */
static void
test_dribble (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  guint wakes = 0;

  tick (host, channel);
  for (guint i = 0; i < 100; i++)
    {
      assert_int_equal (send (guest->fd, "x", 1, MSG_NOSIGNAL), 1);
      wakes += settle ();
    }
  assert_true (wakes <= VJ_CHANNEL_READ_BUDGET / VJ_CHANNEL_READ_LEAST);
  tick (host, channel); /* what has piled up is read at once */
  guest_say (guest, "\n");
  assert_int_equal (status_of (channel).lines_dropped, 1);
}

/* Disarmed, it still notices that its peer is gone. */
static void
test_hang_up_over_budget (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  g_autofree char *garbage = g_strnfill (4 * VJ_CHANNEL_READ_BUDGET, 'x');

  guest_say (guest, garbage);
  guest_hang_up (guest);
  settle ();
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
}

/* The guest's side neither hangs up nor takes anything any more: writing says so. */
static void
test_reading_side_shut (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  guest_ack (guest, SESSION_A, 1);
  assert_return_code (shutdown (guest->fd, SHUT_RD), errno);
  tick (host, channel);
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);

  guest_hang_up (guest);
  tick (host, channel);
  guest_accept (guest);
  assert_return_code (shutdown (guest->fd, SHUT_RD), errno);
  guest_say (guest, HELLO_A); /* the answer fails in the middle of what the guest has sent */
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
}

static gboolean
is_connected_to (int fd, const char *path)
{
  struct sockaddr_un address = { 0 };
  socklen_t length = sizeof address;

  return getpeername (fd, (struct sockaddr *)&address, &length) == 0 && strcmp (address.sun_path, path) == 0;
}

/* Gives the channel's own socket the smallest send buffer there is: a long line then goes out in part. */
static void
shrink_send_buffer (const char *path)
{
  DIR *directory = opendir ("/proc/self/fd");
  const struct dirent *entry = NULL;
  int least = 1;

  assert_non_null (directory);
  while ((entry = readdir (directory)) != NULL)
    {
      int fd = atoi (entry->d_name);

      if (is_connected_to (fd, path))
        assert_return_code (setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), errno);
    }
  closedir (directory);
}

/* A channel whose first frame the socket took in part: a long line goes out in two pieces, and with the unread newline
 * before it there is room for the first one only. */
static VjChannel *
open_channel_with_partial_frame (Host *host, Guest *guest)
{
  VjChannel *channel = vj_channel_new (host->poll, host->path, fill, host);
  char bytes[2 * VJ_FRAME_MAX];
  ssize_t n = 0;

  host->n_zones = VJ_FRAME_ZONES_MAX;
  shrink_send_buffer (host->path);
  guest_accept (guest);
  guest_say (guest, HELLO_A);
  assert_int_equal (status_of (channel).frames_sent, 1);

  n = recv (guest->fd, bytes, sizeof bytes, MSG_PEEK); /* without making room */
  assert_true (n > 1);
  assert_memory_equal (bytes, "\n{", 2);
  assert_null (memchr (bytes + 1, '\n', (gsize)n - 1)); /* else this tests nothing */
  return channel;
}

static void
test_partial_write (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel_with_partial_frame (host, guest);

  guest_ack (guest, SESSION_A, 1);
  assert_true (status_of (channel).outstanding); /* nobody can have read what was not sent */
  assert_int_equal (status_of (channel).lines_dropped, 1);

  assert_empty_line (guest);
  settle ();
  assert_frame (guest, SESSION_A, 1, host->now_us);
  assert_nothing_to_read (guest);
  guest_ack (guest, SESSION_A, 1);
  assert_int_equal (status_of (channel).acked_monotonic_us, host->now_us);
}

/* The rest of the old line comes first, as soon as there is room; then, with a tick, the new session. */
static void
test_partial_write_then_hello (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel_with_partial_frame (host, guest);
  guint64 taken_us = host->now_us;

  tick (host, channel);
  guest_say (guest, HELLO_B);
  assert_int_equal (status_of (channel).frames_sent, 1);

  assert_empty_line (guest);
  tick (host, channel); /* there is room now, but not for anything new */
  assert_frame (guest, SESSION_A, 1, taken_us);
  assert_nothing_to_read (guest);
  tick (host, channel);
  guest_read (guest, G_MAXSIZE);
  settle ();
  assert_frame (guest, SESSION_B, 1, host->now_us);
}

static void
test_partial_write_then_hang_up (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel_with_partial_frame (host, guest);

  guest_hang_up (guest);
  settle ();
  tick (host, channel);
  guest_accept (guest);
  tick (host, channel);
  assert_empty_line (guest); /* and nothing of the old line */
  assert_nothing_to_read (guest);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_never_acknowledged),
    tempdir_unit_test (test_hellos_in_a_loop),
    tempdir_unit_test (test_hellos_without_reading),
    tempdir_unit_test (test_slow_reader),
    tempdir_unit_test (test_garbage),
    tempdir_unit_test (test_heals_after_a_flood),
    tempdir_unit_test (test_much_but_no_flood),
    tempdir_unit_test (test_dribble),
    tempdir_unit_test (test_hang_up_over_budget),
    tempdir_unit_test (test_reading_side_shut),
    tempdir_unit_test (test_partial_write),
    tempdir_unit_test (test_partial_write_then_hello),
    tempdir_unit_test (test_partial_write_then_hang_up),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
