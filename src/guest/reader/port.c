/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/port.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"

#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 2000
#define OUT_MAX      512 /* a hello and a few acks */
#define READ_SIZE    4096
#define READS_MAX    16 /* per wake, so that a flood does not keep the main loop */
#define EVENTS       ((guint32)EPOLLIN | EPOLLOUT | EPOLLET)

struct VjPort
{
  VjPoll *poll;
  char *path;
  char *dev;
  char *sysfs;
  const VjPortFuncs *funcs;
  gpointer user_data;

  int fd;       /* -1: waiting */
  char *opened; /* path of fd */
  VjPollWatch *watch;
  gboolean is_socket; /* whose end is final, while a virtio port's host may come back */
  gboolean connected;
  gboolean reported; /* this outage */
  guint retry;       /* GSource id */
  guint retry_ms;
  GString *out;
};

static void try_open (VjPort *port);

static gboolean
retry_due (gpointer user_data)
{
  VjPort *port = user_data;

  port->retry = 0;
  try_open (port);
  return G_SOURCE_REMOVE;
}

static void
report_waiting (VjPort *port, const char *why)
{
  if (!port->reported)
    port->funcs->state (VJ_PORT_WAITING, why, port->user_data);
  port->reported = TRUE;
}

static void
wait_for_port (VjPort *port, const char *why)
{
  report_waiting (port, why);
  port->retry = g_timeout_add (port->retry_ms, retry_due, port);
  port->retry_ms = MIN (port->retry_ms * 2, RETRY_MAX_MS);
}

static void
set_connected (VjPort *port, gboolean connected)
{
  if (port->connected == connected)
    return;
  port->connected = connected;
  g_string_truncate (port->out, 0);
  if (connected)
    port->reported = FALSE;
  port->funcs->state (connected ? VJ_PORT_CONNECTED : VJ_PORT_DISCONNECTED, port->opened, port->user_data);
}

static void
close_port (VjPort *port)
{
  vj_poll_remove (g_steal_pointer (&port->watch));
  if (port->fd >= 0)
    close (port->fd);
  port->fd = -1;
  set_connected (port, FALSE);
  g_clear_pointer (&port->opened, g_free);
}

static void
lose_port (VjPort *port, int reason)
{
  g_autofree char *why = g_strdup_printf ("%s: it is gone (%s)", port->opened,
                                          reason == 0 ? "end of stream" : g_strerror (reason));

  close_port (port);
  port->retry_ms = RETRY_MIN_MS;
  wait_for_port (port, why);
}

static void
flush (VjPort *port)
{
  while (port->out->len > 0)
    {
      const gssize put = write (port->fd, port->out->str, port->out->len);

      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0) /* EAGAIN: EPOLLOUT will tell; anything else: the next read tells more */
        return;
      g_string_erase (port->out, 0, put);
    }
}

/* What a read came to: whether the host is still there, and whether the port is. */
typedef enum
{
  READ_DRAINED,
  READ_MORE,
  READ_END,
  READ_FAILED
} ReadResult;

static ReadResult
read_some (VjPort *port)
{
  char buffer[READ_SIZE];

  for (int i = 0; i < READS_MAX; i++)
    {
      const gssize got = read (port->fd, buffer, sizeof buffer);

      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return errno == EAGAIN ? READ_DRAINED : READ_FAILED;
      if (got == 0)
        return READ_END;
      if (port->connected) /* else left over from before: whoever sent it is gone */
        port->funcs->bytes (buffer, (gsize)got, port->user_data);
    }
  return READ_MORE;
}

/* On a virtio port HUP means that the host is away; its return wakes us with EPOLLOUT alone (drivers/char/virtio_console.c,
 * port_fops_poll). Edge-triggered, so neither state spins. */
static void
port_event (int fd, guint32 events, gpointer user_data)
{
  VjPort *port = user_data;
  const gboolean hup = (events & (EPOLLHUP | EPOLLERR)) != 0;

  if (!hup)
    set_connected (port, TRUE);
  else if (!port->connected)
    report_waiting (port, "the host to connect to the port");

  const ReadResult result = read_some (port);
  const int reason = errno;
  if (result == READ_FAILED)
    lose_port (port, reason);
  else if (result == READ_END && (port->is_socket || (events & EPOLLERR) != 0)) /* ERR: a terminal hung up */
    lose_port (port, 0);
  else if (result == READ_MORE)
    vj_poll_modify (port->watch, EVENTS); /* re-arms the edge */
  else if (hup || result == READ_END)
    set_connected (port, FALSE);
  else
    flush (port);
}

static int
connect_socket (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0)
    return -1;
  if (g_strlcpy (address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
    errno = ENAMETOOLONG;
  else if (connect (fd, (const struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  const int reason = errno;
  close (fd);
  errno = reason;
  return -1;
}

static int
open_path (const char *path, gboolean *ret_is_socket)
{
  struct stat status;

  if (stat (path, &status) < 0)
    return -1;
  *ret_is_socket = S_ISSOCK (status.st_mode);
  if (*ret_is_socket)
    return connect_socket (path);
  return open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static void
try_open (VjPort *port)
{
  const VjPortPlace place = { .path = port->path, .dev = port->dev, .sysfs = port->sysfs };
  g_autoptr (GError) error = NULL;
  char *path = port->opened = vj_port_find (&place, &error);

  if (path != NULL && (port->fd = open_path (path, &port->is_socket)) < 0)
    vj_error_set_errno (&error, errno, "%s", path);
  else if (path != NULL
           && (port->watch = vj_poll_add (port->poll, port->fd, EVENTS, port_event, port, &error)) == NULL)
    g_prefix_error (&error, "%s: ", path);
  if (port->watch != NULL)
    {
      port->retry_ms = RETRY_MIN_MS;
      return; /* epoll reports the state it finds, so the first event tells whether the host is there */
    }
  close_port (port);
  wait_for_port (port, error->message);
}

/* Without udev: the port's number is where its name is. */
static char *
find_by_name (const VjPortPlace *place)
{
  g_autofree char *class_dir = g_build_filename (place->sysfs, "class", "virtio-ports", NULL);
  g_autoptr (GDir) dir = g_dir_open (class_dir, 0, NULL);
  const char *entry;

  while (dir != NULL && (entry = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *relative = g_build_filename (entry, "name", NULL);
      g_autofree char *name = vj_file_read (class_dir, relative, 256, NULL, NULL);
      if (name != NULL && strcmp (g_strchomp (name), VJ_PORT_NAME) == 0)
        return g_build_filename (place->dev, entry, NULL);
    }
  return NULL;
}

char *
vj_port_find (const VjPortPlace *place, GError **error)
{
  g_autofree char *path = place->path != NULL
                              ? g_strdup (place->path)
                              : g_build_filename (place->dev, "virtio-ports", VJ_PORT_NAME, NULL);
  struct stat status;

  if (stat (path, &status) < 0 && place->path == NULL)
    {
      char *found = find_by_name (place);
      if (found != NULL)
        return found;
      g_set_error (error, VJ_ERROR, VJ_ERROR_GONE,
                   "%s: no such port; the host adds it as a virtio channel of that name", path);
      return NULL;
    }
  if (stat (path, &status) < 0)
    {
      vj_error_set_errno (error, errno, "%s", path);
      return NULL;
    }
  if (!S_ISCHR (status.st_mode) && !S_ISSOCK (status.st_mode))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                   "%s is neither a virtio port nor a unix socket: give --port one of these", path);
      return NULL;
    }
  return g_steal_pointer (&path);
}

VjPort *
vj_port_new (VjPoll *poll, const VjPortPlace *place, const VjPortFuncs *funcs, gpointer user_data)
{
  VjPort *port = g_new (VjPort, 1);

  *port = (VjPort){ .poll = poll,
                    .path = g_strdup (place->path),
                    .dev = g_strdup (place->dev),
                    .sysfs = g_strdup (place->sysfs),
                    .funcs = funcs,
                    .user_data = user_data,
                    .fd = -1,
                    .retry_ms = RETRY_MIN_MS,
                    .out = g_string_new (NULL) };
  /* From the main loop, so that the owner is complete when it is told. */
  port->retry = g_timeout_add (0, retry_due, port);
  return port;
}

void
vj_port_free (VjPort *port)
{
  if (port == NULL)
    return;
  if (port->retry != 0)
    g_source_remove (port->retry);
  vj_poll_remove (port->watch);
  if (port->fd >= 0)
    close (port->fd);
  g_string_free (port->out, TRUE);
  g_free (port->opened);
  g_free (port->path);
  g_free (port->dev);
  g_free (port->sysfs);
  g_free (port);
}

gboolean
vj_port_send (VjPort *port, const char *lines, gsize length)
{
  if (!port->connected || port->out->len + length > OUT_MAX)
    return FALSE;
  g_string_append_len (port->out, lines, (gssize)length);
  flush (port);
  return TRUE;
}
