/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/poll.h"

/* The agent's one listening socket of the "connect" way: QEMU connects to <runtime-dir>/guest.sock, and SO_PEERCRED
 * (unix(7)) says which process that was. Who may connect is decided by that alone, so the socket is open to every user. */
typedef struct VjGuestSocket VjGuestSocket;

#define VJ_GUEST_SOCKET "guest.sock"

/* pid is a process that has just connected and still lives, fd the connection (non-blocking, close-on-exec). TRUE: fd is
 * taken over; FALSE: it is refused and closed, and QEMU tries again by its reconnect time. The pid that SO_PEERCRED tells
 * outlives its process; from Linux 6.5 on SO_PEERPIDFD tells whether it is still the same, before that only whether
 * somebody holds the other end. */
typedef gboolean (*VjGuestSocketFunc) (int fd, int pid, gpointer user_data);

typedef struct
{
  guint64 accepted;
  guint64 refused;
  guint64
      failed; /* no file descriptor or memory for a connection (LimitNOFILE=); it waits for the next tick */
} VjGuestSocketCounts;

/* Replaces the socket of an agent that has died; poll is borrowed. BUSY: somebody listens at path; INVALID: path is too
 * long for a socket, or something else than a socket. */
VjGuestSocket *vj_guest_socket_open (VjPoll *poll, const char *path, VjGuestSocketFunc func,
                                     gpointer user_data, GError **error);
/* Removes the socket. */
void vj_guest_socket_free (VjGuestSocket *socket);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjGuestSocket, vj_guest_socket_free)
/* Connections per tick, and the length of the backlog: who has got into the queue is served within two ticks, whoever else
 * floods it. And QEMU gets into it: its connect (2), in a thread of its own, waits for room, and each accept wakes one that
 * waits, in turn (beside 18 processes that do nothing but connect it was served within three ticks). A connection that is
 * refused costs a few microseconds. */
#define VJ_GUEST_SOCKET_BUDGET 1024
void vj_guest_socket_tick (VjGuestSocket *socket);
const VjGuestSocketCounts *vj_guest_socket_counts (const VjGuestSocket *socket);
