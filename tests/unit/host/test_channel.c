/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel_peer.h"
#include "host/channel/connector.h"
#include "tempdir.h"

static void
test_hello_frame_ack (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, host->path, fill, host);

  assert_state (channel, VJ_CHANNEL_WAITING);
  assert_string_equal (vj_channel_path (channel), host->path);
  assert_int_equal (status_of (channel).peer_pid, getpid ());
  guest_accept (guest);
  assert_empty_line (guest);
  for (guint i = 0; i < 3; i++)
    tick (host, channel);
  assert_nothing_to_read (guest); /* the guest speaks first */
  assert_int_equal (host->fills, 0);

  guest_say (guest, HELLO_A);
  assert_frame (guest, SESSION_A, 1, host->now_us);
  assert_true (status_of (channel).outstanding);
  assert_int_equal (status_of (channel).acked_monotonic_us, 0);
  guest_ack (guest, SESSION_A, 1);
  assert_false (status_of (channel).outstanding);
  assert_int_equal (status_of (channel).acked_monotonic_us, host->now_us);
  assert_nothing_to_read (guest); /* the next frame comes with the next tick */

  for (guint sequence = 2; sequence <= 5; sequence++)
    {
      tick (host, channel);
      assert_frame (guest, SESSION_A, sequence, host->now_us);
      guest_ack (guest, SESSION_A, sequence);
      assert_int_equal (status_of (channel).acked_monotonic_us, host->now_us);
    }
  assert_int_equal (status_of (channel).frames_sent, 5);
  assert_int_equal (status_of (channel).frames_skipped, 0);
  assert_int_equal (status_of (channel).hellos, 1);
  assert_int_equal (status_of (channel).lines_dropped, 0);
}

static void
test_no_figures (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, host->path, fill, host);

  guest_accept (guest);
  host->no_figures = TRUE;
  guest_say (guest, HELLO_A);
  tick (host, channel);
  assert_empty_line (guest);
  assert_nothing_to_read (guest);
  assert_int_equal (status_of (channel).frames_skipped, 1);

  host->no_figures = FALSE;
  tick (host, channel);
  assert_frame (guest, SESSION_A, 1, host->now_us);
}

/* A guest that is told less often than the agent reads. */
static void
test_rest (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  guest_ack (guest, SESSION_A, 1);
  for (guint i = 0; i < 3; i++)
    vj_channel_rest (channel, host->now_us += INTERVAL_US);
  settle ();
  assert_nothing_to_read (guest);
  assert_int_equal (status_of (channel).frames_skipped, 0);

  guest_say (guest, HELLO_B); /* is answered, as after a tick with a frame */
  assert_frame (guest, SESSION_B, 1, host->now_us);
  guest_hang_up (guest);
  settle ();
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
  vj_channel_rest (channel, host->now_us += INTERVAL_US);
  assert_state (channel, VJ_CHANNEL_WAITING);
}

static void
test_unencodable_frame (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  guest_ack (guest, SESSION_A, 1);
  host->no_source = TRUE;
  tick (host, channel);
  tick (host, channel);
  assert_nothing_to_read (guest);
  assert_int_equal (status_of (channel).frames_unencodable, 2);
  assert_int_equal (status_of (channel).frames_skipped, 2);
  assert_false (status_of (channel).outstanding);

  host->no_source = FALSE;
  tick (host, channel);
  assert_frame (guest, SESSION_A, 2, host->now_us);
  assert_int_equal (status_of (channel).frames_unencodable, 2);
}

static void
test_new_hello_recovers (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  tick (host, channel);
  guest_say (guest, HELLO_B);
  assert_frame (guest, SESSION_B, 1, host->now_us);
  guest_ack (guest, SESSION_B, 1);
  tick (host, channel);
  assert_frame (guest, SESSION_B, 2, host->now_us);
}

static void
test_lines_that_are_dropped (void **state)
{
  static const char *const lines[] = {
    "x\n",
    "{}\n",
    "{\"v\":2,\"hello\":\"" SESSION_A "\"}\n",
    "{\"v\":1,\"hello\":\"short\"}\n",
    "{\"v\":1,\"ack\":\"" SESSION_B "\",\"seq\":1}\n",
    "{\"v\":1,\"ack\":\"" SESSION_A "\",\"seq\":2}\n",
    "{\"v\":1,\"ack\":\"" SESSION_A "\",\"seq\":0}\n",
    "{\"v\":1,\"ack\":\"" SESSION_A "\",\"seq\":18446744073709551616}\n",
    "{\"v\":1,\"ack\":\"" SESSION_A "\",\"seq\":1} \n",
  };
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);
  g_autofree char *long_line = g_strnfill (3 * VJ_FRAME_LINE_MAX, 'x');

  for (gsize i = 0; i < G_N_ELEMENTS (lines); i++)
    {
      vj_channel_tick (channel, host->now_us); /* for the budget */
      guest_say (guest, lines[i]);
      assert_int_equal (status_of (channel).lines_dropped, i + 1);
      assert_true (status_of (channel).outstanding);
    }
  vj_channel_tick (channel, host->now_us);
  guest_say (guest, long_line);
  guest_say (guest, long_line);
  guest_say (guest, "\n\n\n");
  assert_int_equal (status_of (channel).lines_dropped, G_N_ELEMENTS (lines) + 1);
  assert_nothing_to_read (guest);

  guest_ack (guest, SESSION_A, 1);
  assert_false (status_of (channel).outstanding);
  guest_ack (guest, SESSION_A, 1); /* once is enough */
  assert_int_equal (status_of (channel).lines_dropped, G_N_ELEMENTS (lines) + 2);
}

static void
test_lines_in_pieces (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, host->path, fill, host);

  guest_accept (guest);
  for (const char *c = HELLO_A; *c != '\0'; c++)
    {
      vj_channel_tick (channel, host->now_us);
      guest_say (guest, (char[]){ *c, '\0' });
    }
  assert_state (channel, VJ_CHANNEL_OPEN);
  assert_empty_line (guest);
  assert_frame (guest, SESSION_A, 1, host->now_us);

  vj_channel_tick (channel, host->now_us); /* or the hello would have to wait for it */
  guest_say (guest, "{\"v\":1,\"ack\":\"" SESSION_A "\",\"seq\":1}\n" HELLO_B "{\"v\":1,\"ack\"");
  assert_frame (guest, SESSION_B, 1, host->now_us);
  guest_say (guest, ":\"" SESSION_B "\",\"seq\":1}\n");
  assert_false (status_of (channel).outstanding);
  assert_int_equal (status_of (channel).lines_dropped, 0);
}

static void
test_hang_up_and_reconnect (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  guest_hang_up (guest);
  settle ();
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
  assert_int_equal (status_of (channel).peer_pid, 0);
  assert_false (status_of (channel).outstanding);

  tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
  guest_accept (guest);
  tick (host, channel);
  assert_empty_line (guest);
  assert_nothing_to_read (guest); /* a session ends with its connection */
  guest_say (guest, HELLO_B);
  assert_frame (guest, SESSION_B, 1, host->now_us);
}

/* What was said before is heard, and the end as well, though both were there at the first look. */
static void
test_half_closed_with_a_word (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  assert_int_equal (send (guest->fd, HELLO_B, strlen (HELLO_B), MSG_NOSIGNAL), strlen (HELLO_B));
  assert_return_code (shutdown (guest->fd, SHUT_WR), errno);
  settle ();
  assert_int_equal (status_of (channel).hellos, 2);
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
}

static void
test_backoff (void **state)
{
  static const guint waits[] = { 1, 2, 4, 8, 16, 16, 16 };
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  for (gsize i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      guest_hang_up (guest); /* accepts, and hangs up without a word */
      settle ();
      for (guint waited = 1; waited < waits[i]; waited++)
        {
          host->now_us -= INTERVAL_US * 9 / 10; /* short intervals: it is the ticks that count */
          tick (host, channel);
          assert_state (channel, VJ_CHANNEL_DISCONNECTED);
        }
      tick (host, channel);
      assert_state (channel, VJ_CHANNEL_WAITING);
      guest_accept (guest);
    }
  guest_say (guest, HELLO_A);
  guest_hang_up (guest);
  settle ();
  tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
}

static void
test_backoff_of_long_intervals (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, host->path, fill, host);
  g_autoptr (Guest) guest = NULL;

  for (guint i = 0; i < 50; i++)
    {
      assert_state (channel, VJ_CHANNEL_DISCONNECTED);
      host->now_us += 59 * INTERVAL_US;
      tick (host, channel);
    }
  guest = guest_new (host->path, 4);
  host->now_us += 59 * INTERVAL_US;
  tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
}

/* No file, a file that nobody listens behind, a path no socket can have. */
static void
test_nobody_listens (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, host->path, fill, host);
  g_autofree char *endless = g_strnfill (300, 'x');
  g_autoptr (VjChannel) impossible = vj_channel_new (host->poll, endless, fill, host);
  g_autoptr (Guest) guest = NULL;

  for (guint i = 0; i < 5; i++)
    {
      tick (host, channel);
      assert_state (channel, VJ_CHANNEL_DISCONNECTED);
      vj_channel_tick (impossible, host->now_us);
      assert_state (impossible, VJ_CHANNEL_DISCONNECTED);
    }
  guest_free (guest_new (host->path, 4)); /* leaves its file behind */
  assert_int_equal (g_access (host->path, F_OK), 0);
  for (guint i = 0; i < 2 * VJ_CONNECTOR_PAUSE_TICKS; i++)
    tick (host, channel);
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);

  guest = guest_new (host->path, 4);
  for (guint i = 0; i < VJ_CONNECTOR_PAUSE_TICKS; i++)
    tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
}

/* Another client has the port: QEMU does not accept us before it has gone. */
static void
test_second_client (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  struct sockaddr_un address;
  int first = unix_socket (host->path, &address);
  g_autoptr (VjChannel) channel = NULL;

  assert_return_code (connect (first, (struct sockaddr *)&address, sizeof address), errno);
  guest_accept (guest);
  channel = vj_channel_new (host->poll, host->path, fill, host);
  for (guint i = 0; i < 100; i++)
    tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);

  close (first);
  guest_hang_up (guest);
  guest_accept (guest);
  assert_empty_line (guest);
  guest_say (guest, HELLO_A);
  assert_frame (guest, SESSION_A, 1, host->now_us);
}

static void
test_backlog_full (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 0);
  struct sockaddr_un address;
  int first = unix_socket (host->path, &address);
  g_autoptr (VjChannel) channel = NULL;

  assert_return_code (connect (first, (struct sockaddr *)&address, sizeof address), errno);
  channel = vj_channel_new (host->poll, host->path, fill, host);
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
  guest_accept (guest);
  tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
  close (first);
}

/* The "connect" way: nobody is there until QEMU comes by itself, and the rest is as ever. */
static void
test_adopted (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, NULL, fill, host);

  assert_null (vj_channel_path (channel));
  for (guint i = 0; i < 3 * VJ_CONNECTOR_PAUSE_TICKS; i++)
    tick (host, channel);
  assert_state (channel, VJ_CHANNEL_DISCONNECTED);
  assert_int_equal (status_of (channel).peer_pid, 0);

  guest_connect (guest, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
  assert_int_equal (status_of (channel).peer_pid, getpid ());
  assert_empty_line (guest);
  tick (host, channel);
  assert_nothing_to_read (guest);
  guest_say (guest, HELLO_A);
  for (guint sequence = 1; sequence <= 5; sequence++)
    {
      assert_frame (guest, SESSION_A, sequence, host->now_us);
      guest_ack (guest, SESSION_A, sequence);
      assert_int_equal (status_of (channel).acked_monotonic_us, host->now_us);
      tick (host, channel);
    }
  assert_int_equal (status_of (channel).lines_dropped, 0);
}

static void
test_adopted_again (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, NULL, fill, host);

  for (guint i = 0; i < 3; i++)
    {
      guest_connect (guest, channel);
      guest_say (guest, HELLO_A);
      assert_empty_line (guest);
      assert_frame (guest, SESSION_A, 1, host->now_us);
      guest_hang_up (guest);
      settle ();
      assert_state (channel, VJ_CHANNEL_DISCONNECTED);
      assert_int_equal (status_of (channel).peer_pid, 0);
      tick (host, channel);
      assert_state (channel, VJ_CHANNEL_DISCONNECTED);
    }
  assert_int_equal (status_of (channel).frames_sent, 3);
}

/* The newest connection counts. Of the one before nothing is left: no outstanding frame, no session, no part of a line. */
static void
test_adopted_in_place_of_another (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) old = guest_new (host->path, 4);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = vj_channel_new (host->poll, NULL, fill, host);

  guest_connect (old, channel);
  guest_say (old, HELLO_A "{\"v\":1,\"hello\":\"0000");
  guest_connect (guest, channel);
  assert_true (guest_has_gone (old));
  assert_state (channel, VJ_CHANNEL_WAITING);
  assert_false (status_of (channel).outstanding);
  assert_empty_line (guest);
  tick (host, channel);
  assert_nothing_to_read (guest);

  guest_say (guest, "0000000000bb\"}\n");
  guest_ack (guest, SESSION_A, 1);
  assert_state (channel, VJ_CHANNEL_WAITING);
  assert_int_equal (status_of (channel).lines_dropped, 2);
  guest_say (guest, HELLO_B);
  assert_frame (guest, SESSION_B, 1, host->now_us);
}

/* The "bind" way has no use for it, and stands it; afterwards it goes on by itself. */
static void
test_adopted_with_a_path (void **state)
{
  g_autoptr (Host) host = host_new (*state);
  g_autoptr (Guest) bound = guest_new (host->path, 4);
  g_autoptr (Guest) guest = guest_new (host->path, 4);
  g_autoptr (VjChannel) channel = open_channel (host, guest);

  guest_connect (bound, channel);
  assert_true (guest_has_gone (guest));
  guest_say (bound, HELLO_B);
  assert_empty_line (bound);
  tick (host, channel);
  guest_hang_up (bound);
  settle ();
  tick (host, channel);
  assert_state (channel, VJ_CHANNEL_WAITING);
  guest_accept (guest);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_hello_frame_ack),
    tempdir_unit_test (test_no_figures),
    tempdir_unit_test (test_rest),
    tempdir_unit_test (test_unencodable_frame),
    tempdir_unit_test (test_new_hello_recovers),
    tempdir_unit_test (test_lines_that_are_dropped),
    tempdir_unit_test (test_lines_in_pieces),
    tempdir_unit_test (test_hang_up_and_reconnect),
    tempdir_unit_test (test_half_closed_with_a_word),
    tempdir_unit_test (test_backoff),
    tempdir_unit_test (test_backoff_of_long_intervals),
    tempdir_unit_test (test_nobody_listens),
    tempdir_unit_test (test_second_client),
    tempdir_unit_test (test_backlog_full),
    tempdir_unit_test (test_adopted),
    tempdir_unit_test (test_adopted_again),
    tempdir_unit_test (test_adopted_in_place_of_another),
    tempdir_unit_test (test_adopted_with_a_path),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
