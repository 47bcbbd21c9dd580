/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/connector.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
vj_connector_init (VjConnector *connector, const char *path)
{
  *connector = (VjConnector){ .path = g_strdup (path), .pause_ticks = 1 };
}

void
vj_connector_clear (VjConnector *connector)
{
  g_clear_pointer (&connector->path, g_free);
}

/* On unix sockets connect (2) succeeds or fails at once; a full backlog is EAGAIN. */
static int
connect_to (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = -1;

  if (g_strlcpy (address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
    return -1;

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && connect (fd, (const struct sockaddr *)&address, sizeof address) < 0)
    {
      close (fd);
      fd = -1;
    }
  return fd;
}

static gboolean
is_due (VjConnector *connector, guint64 now_us)
{
  if (connector->ticks_to_wait > 0)
    connector->ticks_to_wait--;
  return connector->ticks_to_wait == 0 || now_us - connector->tried_us >= VJ_CONNECTOR_PAUSE_US;
}

int
vj_connector_tick (VjConnector *connector, guint64 now_us)
{
  int fd = -1;

  if (connector->path == NULL || !is_due (connector, now_us))
    return -1;

  connector->tried_us = now_us;
  fd = connect_to (connector->path);
  if (fd < 0)
    vj_connector_lost (connector);
  return fd;
}

void
vj_connector_lost (VjConnector *connector)
{
  connector->ticks_to_wait = connector->pause_ticks;
  connector->pause_ticks = MIN (connector->pause_ticks * 2, VJ_CONNECTOR_PAUSE_TICKS);
}

void
vj_connector_proved (VjConnector *connector)
{
  connector->pause_ticks = 1;
}
