/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/frame.h"
#include "common/poll.h"

/* The host's end of one guest channel (docs/protocol.md). Never blocks; one frame outstanding at most; what a guest
 * does here costs a bounded amount per tick and touches no other channel. How the connection came about ("bind": by us;
 * "connect": by QEMU) makes no difference once it is there. */
typedef struct VjChannel VjChannel;

typedef enum
{
  VJ_CHANNEL_DISCONNECTED, /* "bind": nobody listens at the path, or it refused us; tried again at ticks (connector.h).
                            * "connect": QEMU has not connected, or is gone */
  VJ_CHANNEL_WAITING, /* connected; the guest has not said hello: no reader there, or another client owns the socket.
                            * QEMU serves one at a time and leaves us in its queue; to stay there costs nothing and makes us
                            * the next one. */
  VJ_CHANNEL_OPEN, /* frames flow */
} VjChannelState;

const char *vj_channel_state_name (VjChannelState state); /* "disconnected", "waiting", "open" */

typedef struct
{
  VjChannelState state;
  gboolean outstanding;       /* a frame waits for its acknowledgement */
  guint64 acked_monotonic_us; /* reading time of the last acknowledged frame; 0: none */
  guint64 frames_sent;
  /* Ticks of an open channel without a new frame: the last one is still outstanding, the guest reads nothing and the
   * socket is full, or there are no figures. */
  guint64 frames_skipped;
  /* Frames that no reader would take, being too long for instance: not sent. */
  guint64 frames_unencodable;
  guint64 hellos;
  guint64 lines_dropped; /* malformed, over-long, acks of another session or of no outstanding frame */
  guint64 floods;        /* connections given up (VJ_CHANNEL_FLOOD_TICKS) */
  int peer_pid;          /* SO_PEERCRED, 0 if not connected */
} VjChannelStatus;

/* Fills everything of the frame (all zeros up to the zones) but session and sequence with the newest settled figures.
 * Called from within vj_channel_tick () and, for a hello, from the poll's dispatch. FALSE: there are none (the domain's
 * process is not known), and nothing is sent. */
typedef gboolean (*VjChannelFill) (VjFrame *ret_frame, gpointer user_data);

/* What a guest may make us read per tick; the rest waits in its socket. A read counts for VJ_CHANNEL_READ_LEAST at least, so
 * that single bytes do not wake the main loop more often than that. */
#define VJ_CHANNEL_READ_BUDGET 4096
#define VJ_CHANNEL_READ_LEAST  512
/* After so many ticks in a row in which a guest used up that budget, its connection is given up, and with it what else waits
 * there: an honest reader, who says hello to each new connection, need not wait until a flood has been read. */
#define VJ_CHANNEL_FLOOD_TICKS 4

/* poll is borrowed. "bind" way: connects to QEMU's listening unix socket at path, at once and again after a loss.
 * "connect" way (path NULL): waits for vj_channel_adopt (). */
VjChannel *vj_channel_new (VjPoll *poll, const char *path, VjChannelFill fill, gpointer user_data);
/* Takes over fd, a non-blocking connection that the domain's QEMU has made, in place of any before. A session does not
 * outlive its connection: nothing is sent but a newline before the guest says hello. */
void vj_channel_adopt (VjChannel *channel, int fd);
void vj_channel_free (VjChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjChannel, vj_channel_free)
const char *vj_channel_path (const VjChannel *channel); /* NULL: the "connect" way */
void vj_channel_get_status (const VjChannel *channel, VjChannelStatus *ret_status);
/* Once per tick, after the store is written: reconnects if due, refills the guest's read budget, and sends the newest
 * frame if the channel is open and nothing is outstanding. A hello between ticks is answered at once, but only once per
 * tick. */
void vj_channel_tick (VjChannel *channel, guint64 now_us);
/* A tick at which nothing is due for this guest: the same without a frame. A hello is answered as ever. */
void vj_channel_rest (VjChannel *channel, guint64 now_us);
