/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/guest_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel_peer.h"
#include "common/error.h"
#include "tempdir.h"
#include "test_child.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define FLOOD 1000

/* The agent's side. Whoever is not the one domain's QEMU is refused. */
typedef struct
{
  VjPoll *poll;
  VjGuestSocket *socket;
  char *path;
  int domain_pid;
  int fd; /* the connection taken over, -1: none */
} Agent;

static gboolean
take (int fd, int pid, gpointer user_data)
{
  Agent *agent = user_data;

  if (pid != agent->domain_pid)
    return FALSE;
  if (agent->fd >= 0)
    close (agent->fd);
  agent->fd = fd;
  return TRUE;
}

static Agent *
agent_new (const char *directory)
{
  Agent *agent = g_new0 (Agent, 1);

  agent->poll = vj_poll_new (NULL, NULL);
  agent->path = g_build_filename (directory, VJ_GUEST_SOCKET, NULL);
  agent->fd = -1;
  agent->socket = vj_guest_socket_open (agent->poll, agent->path, take, agent, NULL);
  assert_non_null (agent->socket);
  return agent;
}

static void
agent_free (Agent *agent)
{
  vj_guest_socket_free (agent->socket);
  vj_poll_free (agent->poll);
  if (agent->fd >= 0)
    close (agent->fd);
  g_free (agent->path);
  g_free (agent);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Agent, agent_free)

static guint64
accepted (const Agent *agent)
{
  return vj_guest_socket_counts (agent->socket)->accepted;
}

static guint64
refused (const Agent *agent)
{
  return vj_guest_socket_counts (agent->socket)->refused;
}

/* A connection to path, -1: it was refused. flags: SOCK_NONBLOCK, or 0 to wait for room in the backlog, as QEMU does. */
static int
connect_to (const char *path, int flags)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  if (connect (fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close (fd);
  return -1;
}

static void
connect_and_tell (gpointer path, int socket)
{
  if (connect_to (path, 0) >= 0)
    test_child_signal (socket);
}

static void
flood_and_tell (gpointer path, int socket)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  for (guint i = 0; i < FLOOD; i++)
    connect_to (path, SOCK_NONBLOCK);
  test_child_signal (socket);
}

/* Never ends: as many as the backlog takes, each closed at once. */
static void
flood_for_ever (gpointer path, int socket)
{
  test_child_signal (socket);
  for (;;)
    close (connect_to (path, SOCK_NONBLOCK));
}

/* The same, but each waits for room. */
static void
queue_for_ever (gpointer path, int socket)
{
  test_child_signal (socket);
  for (;;)
    close (connect_to (path, 0));
}

/* The connection outlives the process that made it, in the hands of another one. */
static void
connect_and_hand_down (gpointer path, int socket)
{
  if (connect_to (path, 0) < 0)
    _exit (1);
  if (fork () == 0)
    {
      test_child_signal (socket);
      test_child_await (socket);
    }
  _exit (0);
}

static void
test_domain_and_stranger (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int sockets[2];
  int domain = test_child_start (connect_and_tell, agent->path, &sockets[0]);
  int stranger = test_child_start (connect_and_tell, agent->path, &sockets[1]);

  agent->domain_pid = domain;
  assert_true (test_child_await (sockets[0]));
  assert_true (test_child_await (sockets[1]));
  settle ();
  assert_int_equal (accepted (agent), 1);
  assert_int_equal (refused (agent), 1);
  assert_int_not_equal (fcntl (agent->fd, F_GETFL) & O_NONBLOCK, 0);
  assert_int_equal (fcntl (agent->fd, F_GETFD), FD_CLOEXEC);
  test_child_stop (domain, sockets[0]);
  test_child_stop (stranger, sockets[1]);
}

/* The stranger sees its end closed. */
static void
test_refused_is_closed (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int fd = connect_to (agent->path, 0);
  char byte;

  assert_true (fd >= 0);
  settle ();
  assert_int_equal (recv (fd, &byte, 1, 0), 0);
  assert_int_equal (refused (agent), 1);
  close (fd);
}

static void
test_peer_died_before_accept (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int socket = -1;
  int pid = test_child_start (connect_and_tell, agent->path, &socket);

  agent->domain_pid = pid;
  assert_true (test_child_await (socket));
  test_child_stop (pid, socket);
  settle ();
  assert_int_equal (accepted (agent), 0);
  assert_int_equal (refused (agent), 1);
}

static void
test_peer_died_and_left_its_end (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int pidfd = -1;
  socklen_t length = sizeof pidfd;
  int socket = -1;
  int pid = test_child_start (connect_and_hand_down, agent->path, &socket);

  if (getsockopt (socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
    skip (); /* Linux before 6.5 cannot tell */
  close (pidfd);
  agent->domain_pid = pid;
  assert_true (test_child_await (socket)); /* by the heir */
  assert_int_equal (waitpid (pid, NULL, 0), pid);
  settle ();
  assert_int_equal (accepted (agent), 0);
  assert_int_equal (refused (agent), 1);
  close (socket); /* ends the heir */
}

/* Runs an agent in a pid namespace of its own, in which the other processes have no pid. */
static void
accept_elsewhere (gpointer directory, int socket)
{
  if (unshare (CLONE_NEWPID) != 0)
    _exit (77);

  const int pid = fork ();
  int status = 0;

  if (pid == 0)
    {
      Agent *agent = agent_new (directory);
      test_child_signal (socket);
      test_child_await (socket);
      settle ();
      _exit (accepted (agent) == 0 && refused (agent) == 1 ? 0 : 1);
    }
  waitpid (pid, &status, 0);
  _exit (WEXITSTATUS (status));
}

static void
test_peer_of_another_pid_namespace (void **state)
{
  g_autofree char *path = g_build_filename (*state, VJ_GUEST_SOCKET, NULL);
  int socket = -1;
  int status = 0;
  int pid = test_child_start (accept_elsewhere, *state, &socket);

  if (!test_child_await (socket))
    {
      assert_int_equal (waitpid (pid, &status, 0), pid);
      assert_int_equal (WEXITSTATUS (status), 77);
      skip ();
    }
  int fd = connect_to (path, 0);
  assert_true (fd >= 0);
  assert_true (test_child_signal (socket));
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  close (fd);
  close (socket);
}

static void
test_flood (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int sockets[2];
  int hostile = test_child_start (flood_and_tell, agent->path, &sockets[0]);

  assert_true (test_child_await (sockets[0]));
  int domain = test_child_start (connect_and_tell, agent->path, &sockets[1]);
  agent->domain_pid = domain;
  assert_true (test_child_await (sockets[1])); /* there was room for it */
  for (guint ticks = 0; ticks < 2; ticks++)
    {
      vj_guest_socket_tick (agent->socket);
      assert_true (settle () <= 2 + VJ_GUEST_SOCKET_BUDGET / 32);
    }
  assert_int_equal (accepted (agent), 1);
  assert_int_equal (refused (agent), FLOOD);
  test_child_stop (hostile, sockets[0]);
  test_child_stop (domain, sockets[1]);
}

/* What a tick serves is bounded however fast they come; and who waits for room in the backlog gets in all the same. */
static void
test_endless_flood (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  const gint64 deadline = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;
  int sockets[3];
  int hostile = test_child_start (flood_for_ever, agent->path, &sockets[0]);
  int queuing = test_child_start (queue_for_ever, agent->path, &sockets[2]);

  assert_true (test_child_await (sockets[0]));
  assert_true (test_child_await (sockets[2]));
  int domain = test_child_start (connect_and_tell, agent->path, &sockets[1]);
  while (agent->domain_pid == 0 || (accepted (agent) == 0 && g_get_monotonic_time () < deadline))
    {
      const guint64 before = accepted (agent) + refused (agent);

      agent->domain_pid = domain;
      vj_guest_socket_tick (agent->socket);
      settle ();
      assert_true (accepted (agent) + refused (agent) - before <= VJ_GUEST_SOCKET_BUDGET);
    }
  assert_int_equal (accepted (agent), 1);
  test_child_stop (hostile, sockets[0]);
  test_child_stop (queuing, sockets[2]);
  test_child_stop (domain, sockets[1]);
}

/* Beyond the budget they wait for the next tick. */
static void
test_budget (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int fds[20];

  for (guint64 done = 0; done < VJ_GUEST_SOCKET_BUDGET - 10; done++)
    {
      close (connect_to (agent->path, 0));
      settle ();
    }
  for (gsize i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = connect_to (agent->path, 0);
  settle ();
  assert_int_equal (refused (agent), VJ_GUEST_SOCKET_BUDGET);
  vj_guest_socket_tick (agent->socket);
  settle ();
  assert_int_equal (refused (agent), VJ_GUEST_SOCKET_BUDGET + 10);
  for (gsize i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
}

static int
lowest_free_fd (void)
{
  int fd = dup (STDIN_FILENO);

  assert_return_code (fd, errno);
  close (fd);
  return fd;
}

/* Without a file descriptor to spare it is tried once per tick. */
static void
test_no_file_descriptors (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  int fd = connect_to (agent->path, 0);
  struct rlimit limit;
  struct rlimit none;

  agent->domain_pid = getpid ();
  assert_return_code (getrlimit (RLIMIT_NOFILE, &limit), errno);
  none = (struct rlimit){ .rlim_cur = (rlim_t)lowest_free_fd (), .rlim_max = limit.rlim_max };
  assert_return_code (setrlimit (RLIMIT_NOFILE, &none), errno);
  for (guint i = 1; i <= 3; i++)
    {
      assert_true (settle () <= 2);
      assert_int_equal (vj_guest_socket_counts (agent->socket)->failed, i);
      vj_guest_socket_tick (agent->socket);
    }
  assert_return_code (setrlimit (RLIMIT_NOFILE, &limit), errno);
  settle ();
  assert_int_equal (accepted (agent), 1);
  close (fd);
}

/* --- the socket file --- */

static void
test_open_to_every_user (void **state)
{
  const mode_t before = umask (0077);
  g_autoptr (Agent) agent = agent_new (*state);
  struct stat status;

  umask (before);
  assert_return_code (stat (agent->path, &status), errno);
  assert_true (S_ISSOCK (status.st_mode));
  assert_int_equal (status.st_mode & 0777, 0666);
}

static void
test_removed_at_the_end (void **state)
{
  g_autofree char *path = g_build_filename (*state, VJ_GUEST_SOCKET, NULL);

  agent_free (agent_new (*state));
  assert_int_equal (g_access (path, F_OK), -1);
}

static void
test_stale_socket_is_replaced (void **state)
{
  g_autofree char *path = g_build_filename (*state, VJ_GUEST_SOCKET, NULL);

  guest_free (guest_new (path, 4)); /* leaves its file behind */
  assert_int_equal (g_access (path, F_OK), 0);
  g_autoptr (Agent) agent = agent_new (*state);
  int fd = connect_to (path, 0);

  agent->domain_pid = getpid ();
  settle ();
  assert_int_equal (accepted (agent), 1);
  close (fd);
}

static void
assert_cannot_open (const Agent *agent, const char *path, int code, const char *words)
{
  g_autoptr (GError) error = NULL;

  assert_null (vj_guest_socket_open (agent->poll, path, take, NULL, &error));
  assert_int_equal (error->domain, VJ_ERROR);
  assert_int_equal (error->code, code);
  assert_non_null (strstr (error->message, words));
}

static void
test_live_socket_is_left_alone (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  g_autofree char *full = g_build_filename (*state, "full", NULL);
  Guest *guest = guest_new (full, 0);
  int fds[2] = { connect_to (full, SOCK_NONBLOCK), connect_to (full, SOCK_NONBLOCK) };

  assert_cannot_open (agent, agent->path, VJ_ERROR_BUSY, "somebody listens");
  assert_int_equal (connect_to (full, SOCK_NONBLOCK), -1); /* no answer is not a refusal */
  assert_cannot_open (agent, full, VJ_ERROR_BUSY, "somebody listens");
  agent->domain_pid = getpid ();
  int fd = connect_to (agent->path, 0);
  settle ();
  assert_int_equal (accepted (agent), 1 + 1); /* the second agent's look at it as well */
  close (fd);
  close (fds[0]);
  close (fds[1]);
  guest_free (guest);
}

static void
test_no_place_for_a_socket (void **state)
{
  g_autoptr (Agent) agent = agent_new (*state);
  g_autofree char *name = g_strnfill (120, 'x');
  g_autofree char *long_path = g_build_filename (*state, name, NULL);
  g_autofree char *file = g_build_filename (*state, "file", NULL);
  g_autofree char *link = g_build_filename (*state, "link", NULL);
  g_autofree char *nowhere = g_build_filename (*state, "nowhere", "socket", NULL);

  tempdir_write (*state, "file", "precious");
  assert_return_code (symlink (agent->path, link), errno);
  assert_cannot_open (agent, long_path, VJ_ERROR_INVALID, "107 bytes at most");
  assert_cannot_open (agent, file, VJ_ERROR_INVALID, "move it away");
  assert_cannot_open (agent, link, VJ_ERROR_INVALID, "move it away");
  assert_cannot_open (agent, nowhere, VJ_ERROR_GONE, "cannot listen at");
  assert_int_equal (g_access (file, F_OK), 0);
  assert_int_equal (g_access (link, F_OK), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_domain_and_stranger),
    tempdir_unit_test (test_refused_is_closed),
    tempdir_unit_test (test_peer_died_before_accept),
    tempdir_unit_test (test_peer_died_and_left_its_end),
    tempdir_unit_test (test_peer_of_another_pid_namespace),
    tempdir_unit_test (test_flood),
    tempdir_unit_test (test_endless_flood),
    tempdir_unit_test (test_budget),
    tempdir_unit_test (test_no_file_descriptors),
    tempdir_unit_test (test_open_to_every_user),
    tempdir_unit_test (test_removed_at_the_end),
    tempdir_unit_test (test_stale_socket_is_replaced),
    tempdir_unit_test (test_live_socket_is_left_alone),
    tempdir_unit_test (test_no_place_for_a_socket),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
