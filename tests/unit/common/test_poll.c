/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/poll.h"

#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define BATCH 256 /* poll.c's */
#define PEERS 400

typedef struct
{
  GMainContext *context;
  VjPoll *poll;
} Fixture;

typedef struct Peer
{
  int fd;
  guint wakes;
  guint32 events;
  guint n_victims;
  struct Peer *victims; /* whom to remove when woken */
  VjPollWatch *watch;
} Peer;

static int
setup (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);

  fixture->context = g_main_context_new ();
  fixture->poll = vj_poll_new (fixture->context, NULL);
  *state = fixture;
  return fixture->poll == NULL;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;

  vj_poll_free (fixture->poll);
  g_main_context_unref (fixture->context);
  g_free (fixture);
  return 0;
}

static void
remove_peer (Peer *peer)
{
  vj_poll_remove (g_steal_pointer (&peer->watch));
  if (peer->fd >= 0)
    close (peer->fd);
  peer->fd = -1;
}

static void
peer_woken (int fd, guint32 events, gpointer user_data)
{
  Peer *peer = user_data;

  assert_int_equal (fd, peer->fd); /* -1 once removed: a dead peer must not be woken */
  peer->wakes++;
  peer->events |= events;
  for (guint i = 0; i < peer->n_victims; i++)
    remove_peer (&peer->victims[i]);
}

/* A peer with an event waiting. */
static void
add_ready (Fixture *fixture, Peer *peer)
{
  peer->fd = eventfd (1, EFD_CLOEXEC | EFD_NONBLOCK);
  peer->watch = vj_poll_add (fixture->poll, peer->fd, EPOLLIN, peer_woken, peer, NULL);
  assert_non_null (peer->watch);
}

static gboolean
iterate (Fixture *fixture)
{
  return g_main_context_iteration (fixture->context, FALSE);
}

static guint
count_wakes (const Peer *peers)
{
  guint wakes = 0;

  for (guint i = 0; i < PEERS; i++)
    wakes += peers[i].wakes;
  return wakes;
}

static void
wakes_are_bounded_and_everybody_has_a_turn (void **state)
{
  Fixture *fixture = *state;
  Peer peers[PEERS] = { 0 };

  for (guint i = 0; i < PEERS; i++)
    add_ready (fixture, &peers[i]);

  assert_true (iterate (fixture));
  assert_int_equal (count_wakes (peers), BATCH);
  while (count_wakes (peers) < 3 * BATCH)
    assert_true (iterate (fixture));
  for (guint i = 0; i < PEERS; i++)
    {
      assert_true (peers[i].wakes >= 1); /* although none of them ever stops being ready */
      remove_peer (&peers[i]);
    }
  assert_false (iterate (fixture));
}

static void
callback_may_remove_all_watches_its_own_included (void **state)
{
  Fixture *fixture = *state;
  Peer peers[PEERS] = { 0 };

  for (guint i = 0; i < PEERS; i++)
    {
      add_ready (fixture, &peers[i]);
      peers[i].victims = peers;
      peers[i].n_victims = PEERS;
    }
  assert_true (iterate (fixture));
  assert_int_equal (count_wakes (peers), 1);
  assert_false (iterate (fixture));
}

static void
gathered_events_wait_for_the_next_wake (void **state)
{
  Fixture *fixture = *state;
  Peer peer = { 0 };

  vj_poll_set_gather (fixture->poll, G_MAXUINT);
  add_ready (fixture, &peer);
  assert_true (iterate (fixture));
  assert_false (iterate (fixture)); /* although it has not stopped being ready */
  assert_int_equal (peer.wakes, 1);
  remove_peer (&peer);
}

static void
gathering_ends (void **state)
{
  Fixture *fixture = *state;
  Peer peer = { 0 };
  guint64 count;

  vj_poll_set_gather (fixture->poll, 1);
  for (guint64 round = 1; round <= 3; round++)
    {
      if (round == 1)
        add_ready (fixture, &peer);
      else
        assert_int_equal (write (peer.fd, &round, sizeof round), sizeof round);
      while (peer.wakes == 0)
        g_main_context_iteration (fixture->context, TRUE);
      assert_int_equal (read (peer.fd, &count, sizeof count), sizeof count);
      g_main_context_iteration (fixture->context, TRUE); /* finds nothing, and waits for the fd again */
      peer.wakes = 0;
    }
  remove_peer (&peer);
}

typedef struct
{
  VjPoll *poll;
  VjPollWatch *watches[2];
} Closing;

static void
woken_to_close_all (int fd, guint32 events, gpointer user_data)
{
  Closing *closing = user_data;

  for (guint i = 0; i < G_N_ELEMENTS (closing->watches); i++)
    vj_poll_remove (closing->watches[i]);
  vj_poll_free (g_steal_pointer (&closing->poll)); /* a second wake would find NULL watches and a dead poll */
}

static void
callback_may_free_the_poll (void **state)
{
  Fixture *fixture = *state;
  const int fds[] = { eventfd (1, EFD_CLOEXEC), eventfd (1, EFD_CLOEXEC) };
  Closing closing = { .poll = g_steal_pointer (&fixture->poll) };

  for (guint i = 0; i < 2; i++)
    closing.watches[i] = vj_poll_add (closing.poll, fds[i], EPOLLIN, woken_to_close_all, &closing, NULL);
  assert_true (iterate (fixture));
  assert_null (closing.poll);
  assert_false (iterate (fixture));
  close (fds[0]);
  close (fds[1]);
}

static void
modify_changes_what_is_awaited (void **state)
{
  Fixture *fixture = *state;
  Peer peer = { 0 };

  add_ready (fixture, &peer);
  assert_true (vj_poll_modify (peer.watch, 0));
  assert_false (iterate (fixture));
  assert_true (vj_poll_modify (peer.watch, EPOLLIN | EPOLLOUT | EPOLLET));
  assert_true (iterate (fixture));
  assert_int_equal (peer.events, EPOLLIN | EPOLLOUT);
  assert_false (iterate (fixture)); /* edge-triggered */
  remove_peer (&peer);
}

static void
hang_up_is_reported_unasked (void **state)
{
  Fixture *fixture = *state;
  int ends[2];
  Peer peer = { 0 };

  assert_int_equal (pipe (ends), 0);
  peer.fd = ends[0];
  peer.watch = vj_poll_add (fixture->poll, peer.fd, 0, peer_woken, &peer, NULL);
  assert_false (iterate (fixture));
  close (ends[1]);
  assert_true (iterate (fixture));
  assert_int_equal (peer.events, EPOLLHUP);
  remove_peer (&peer);
}

static gboolean
tick (gpointer user_data)
{
  Peer *ticks = user_data;

  ticks->wakes++;
  return G_SOURCE_CONTINUE;
}

static void
source_of_higher_priority_goes_first (void **state)
{
  Fixture *fixture = *state;
  Peer peer = { 0 };
  Peer ticks = { 0 };
  GSource *source = g_idle_source_new ();

  add_ready (fixture, &peer);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, tick, &ticks, NULL);
  g_source_attach (source, fixture->context);
  assert_true (iterate (fixture));
  assert_int_equal (ticks.wakes, 1);
  assert_int_equal (peer.wakes, 0);
  g_source_destroy (source);
  g_source_unref (source);
  assert_true (iterate (fixture));
  assert_int_equal (peer.wakes, 1);
  remove_peer (&peer);
}

static void
fd_that_cannot_be_watched_is_an_error (void **state)
{
  Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;

  assert_null (vj_poll_add (fixture->poll, -1, EPOLLIN, peer_woken, NULL, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_FAILED));
  vj_poll_remove (NULL);
}

#define poll_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    poll_test (wakes_are_bounded_and_everybody_has_a_turn),
    poll_test (callback_may_remove_all_watches_its_own_included),
    poll_test (gathered_events_wait_for_the_next_wake),
    poll_test (gathering_ends),
    poll_test (callback_may_free_the_poll),
    poll_test (modify_changes_what_is_awaited),
    poll_test (hang_up_is_reported_unasked),
    poll_test (source_of_higher_priority_goes_first),
    poll_test (fd_that_cannot_be_watched_is_an_error),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
