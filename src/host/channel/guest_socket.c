/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/guest_socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/process.h"

/* Of asm-generic/socket.h, since Linux 6.5. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Connections of one wake of the main loop; the tick may come in between. */
#define BATCH 64

struct VjGuestSocket
{
  VjPollWatch *watch;
  int fd;
  char *path; /* NULL: not bound yet */
  VjGuestSocketFunc func;
  gpointer user_data;
  guint left; /* of this tick's budget */
  gboolean armed;
  VjGuestSocketCounts counts;
};

static void
arm (VjGuestSocket *socket, gboolean armed)
{
  if (armed != socket->armed && vj_poll_modify (socket->watch, armed ? (guint32)EPOLLIN : 0))
    socket->armed = armed;
}

/* --- who is there --- */

static gboolean
is_readable (int fd)
{
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

  return poll (&poll_fd, 1, 0) != 0; /* what cannot be told counts as well */
}

static gboolean
is_hung_up (int fd)
{
  char byte;

  return recv (fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* A pid is told of the process that connected, be it dead and its number given to another one. */
static gboolean
is_peer_alive (int fd)
{
  int pidfd = -1;
  socklen_t length = sizeof pidfd;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
    return errno == ENOPROTOOPT && !is_hung_up (fd);

  const gboolean exited = is_readable (pidfd);

  close (pidfd);
  return !exited;
}

/* --- connections --- */

static void
receive (VjGuestSocket *socket, int fd)
{
  const int pid = vj_process_peer_pid (fd);

  if (pid > 0 && is_peer_alive (fd) && socket->func (fd, pid, socket->user_data))
    {
      socket->counts.accepted++;
      return;
    }
  close (fd);
  socket->counts.refused++;
}

/* FALSE: there is nothing more for now. */
static gboolean
accept_one (VjGuestSocket *socket)
{
  const int fd = accept4 (socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd >= 0)
    {
      socket->left--;
      receive (socket, fd);
      return TRUE;
    }
  if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
    {
      socket->counts.failed++;
      socket->left = 0; /* or epoll would tell of it for ever */
    }
  return FALSE;
}

static void
on_event (int fd, guint32 events, gpointer user_data)
{
  VjGuestSocket *socket = user_data;

  for (guint i = 0; i < BATCH && socket->left > 0; i++)
    if (!accept_one (socket))
      break;
  arm (socket, socket->left > 0);
}

/* --- the socket itself --- */

static gboolean
make_address (const char *path, struct sockaddr_un *ret_address, GError **error)
{
  *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  if (g_strlcpy (ret_address->sun_path, path, sizeof ret_address->sun_path) < sizeof ret_address->sun_path)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "%s is too long for a socket: %zu bytes at most; choose a shorter --runtime-dir", path,
               sizeof ret_address->sun_path - 1);
  return FALSE;
}

/* Of what connect (2) has to say, only a refusal means that nobody has the socket open. */
static gboolean
is_abandoned (const struct sockaddr_un *address)
{
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd < 0)
    return FALSE;

  const gboolean refused =
      connect (fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;

  close (fd);
  return refused;
}

static gboolean
make_room (const struct sockaddr_un *address, GError **error)
{
  const char *path = address->sun_path;
  struct stat status;

  if (lstat (path, &status) < 0)
    return TRUE; /* whatever keeps us out, bind (2) will say */
  if (!S_ISSOCK (status.st_mode))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s exists and is not a socket: move it away", path);
      return FALSE;
    }
  if (!is_abandoned (address))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_BUSY, "somebody listens at %s: stop it, or remove the socket",
                   path);
      return FALSE;
    }
  if (unlink (path) == 0)
    return TRUE;
  vj_error_set_errno (error, errno, "cannot replace the socket %s", path);
  return FALSE;
}

/* Nobody gets in before the mode is right: until listen (2) a connect is refused. */
static gboolean
start_listening (VjGuestSocket *guest_socket, const char *path, GError **error)
{
  struct sockaddr_un address;

  if (!make_address (path, &address, error) || !make_room (&address, error))
    return FALSE;
  guest_socket->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (guest_socket->fd >= 0
      && bind (guest_socket->fd, (const struct sockaddr *)&address, sizeof address) == 0)
    guest_socket->path = g_strdup (path);
  if (guest_socket->path != NULL && chmod (path, 0666) == 0
      && listen (guest_socket->fd, VJ_GUEST_SOCKET_BUDGET) == 0)
    return TRUE;
  vj_error_set_errno (error, errno, "cannot listen at %s", path);
  return FALSE;
}

VjGuestSocket *
vj_guest_socket_open (VjPoll *poll, const char *path, VjGuestSocketFunc func, gpointer user_data,
                      GError **error)
{
  g_autoptr (VjGuestSocket) socket = g_new0 (VjGuestSocket, 1);

  socket->fd = -1;
  socket->func = func;
  socket->user_data = user_data;
  socket->left = VJ_GUEST_SOCKET_BUDGET;
  if (!start_listening (socket, path, error))
    return NULL;
  socket->watch = vj_poll_add (poll, socket->fd, EPOLLIN, on_event, socket, error);
  if (socket->watch == NULL)
    return NULL;
  socket->armed = TRUE;
  return g_steal_pointer (&socket);
}

void
vj_guest_socket_free (VjGuestSocket *socket)
{
  if (socket == NULL)
    return;

  vj_poll_remove (socket->watch);
  if (socket->path != NULL)
    unlink (socket->path); /* before the close: nobody finds a socket without an agent */
  if (socket->fd >= 0)
    close (socket->fd);
  g_free (socket->path);
  g_free (socket);
}

void
vj_guest_socket_tick (VjGuestSocket *socket)
{
  socket->left = VJ_GUEST_SOCKET_BUDGET;
  arm (socket, TRUE);
}

const VjGuestSocketCounts *
vj_guest_socket_counts (const VjGuestSocket *socket)
{
  return &socket->counts;
}
