/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
vj_notify (const char *socket_path, const char *text)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const gsize length = socket_path == NULL ? 0 : strlen (socket_path);

  if (length == 0 || length >= sizeof address.sun_path)
    return;
  memcpy (address.sun_path, socket_path, length);
  if (address.sun_path[0] == '@') /* the abstract namespace */
    address.sun_path[0] = '\0';

  const int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  sendto (fd, text, strlen (text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
          (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length));
  close (fd);
}
