/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/un.h>

#include "host/channel/channel.h"

/* The two ends that a channel stands between, for its tests. */

#define INTERVAL_US 1000000
#define SESSION_A   "00000000000000aa"
#define SESSION_B   "00000000000000bb"
#define HELLO_A     "{\"v\":1,\"hello\":\"" SESSION_A "\"}\n"
#define HELLO_B     "{\"v\":1,\"hello\":\"" SESSION_B "\"}\n"

/* The agent's side: a poll set, the time, and what it knows. */
typedef struct
{
  VjPoll *poll;
  guint64 now_us;
  guint fills;
  gsize n_zones;
  gboolean no_figures;
  gboolean no_source; /* a frame that cannot be encoded */
  char *path;
} Host;

/* QEMU's side of one channel: the listening socket and the one client it serves. */
typedef struct
{
  int listener;
  int fd;
  GString *received;
} Guest;

gboolean fill (VjFrame *ret_frame, gpointer user_data);
Host *host_new (const char *directory);
void host_free (Host *host);
/* Runs the main loop until it has nothing left to do; returns how often it woke. What is on a local socket is there at
 * once, so there is nothing to wait for. */
guint settle (void);
void tick (Host *host, VjChannel *channel);
VjChannelStatus status_of (const VjChannel *channel);
void assert_state (const VjChannel *channel, VjChannelState state);
int unix_socket (const char *path, struct sockaddr_un *ret_address);
Guest *guest_new (const char *path, int backlog);
void guest_hang_up (Guest *guest);
void guest_free (Guest *guest);
void guest_accept (Guest *guest);
/* "connect" way: QEMU has made a connection, which the channel is given. */
void guest_connect (Guest *guest, VjChannel *channel);
/* Whether the host has hung up. */
gboolean guest_has_gone (Guest *guest);
void guest_say (Guest *guest, const char *text);
void guest_ack (Guest *guest, const char *session, guint sequence);
/* Takes at most limit bytes from the port. */
gsize guest_read (Guest *guest, gsize limit);
/* The next whole line, without its newline; NULL if there is none. */
char *guest_take_line (Guest *guest);
void assert_nothing_to_read (Guest *guest);
void assert_empty_line (Guest *guest);
void assert_frame (Guest *guest, const char *session, guint64 sequence, guint64 monotonic_us);
/* A channel whose guest has said hello as session A and got frame 1. */
VjChannel *open_channel (Host *host, Guest *guest);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Host, host_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Guest, guest_free)
