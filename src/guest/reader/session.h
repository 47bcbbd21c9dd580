/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/frame.h"

/* The guest's side of the channel protocol (docs/protocol.md): when to say hello, which frames count. Pure: the time and
 * the random number are the caller's. */

#define VJ_SESSION_HELLO_MIN_US    G_GUINT64_CONSTANT (3000000)
#define VJ_SESSION_HELLO_MAX_US    G_GUINT64_CONSTANT (30000000)
#define VJ_SESSION_INTERVAL_MIN_US G_GUINT64_CONSTANT (100000)

typedef enum
{
  VJ_SESSION_ACCEPTED,
  VJ_SESSION_FOREIGN, /* of another session: sent before our hello arrived, or before a snapshot revert */
  VJ_SESSION_OLD,     /* sequence did not increase */
} VjSessionVerdict;

typedef struct
{
  char id[VJ_SESSION_LENGTH + 1];
  guint64 sequence;    /* of the last accepted frame; 0: none in this session */
  guint64 deadline_us; /* the next hello is due then, unless a frame is accepted before */
  guint64 delay_us;    /* what the hello after that waits */
  guint64 interval_us; /* the host's, from its last frame; 0: unknown */
  guint64 foreign;     /* frames dropped since the process began, by reason */
  guint64 old;
} VjSession;

/* The host is there: hellos start again without backoff. */
void vj_session_connect (VjSession *session);

/* Begins a new session under a random id, and appends its hello to out. */
void vj_session_hello (VjSession *session, guint64 random, guint64 now_us, GString *out);

/* Judges one decoded frame. An accepted one moves the deadline to three of its intervals from now. */
VjSessionVerdict vj_session_take (VjSession *session, const VjFrame *frame, guint64 now_us);

/* Appends the ack of the last accepted frame. */
void vj_session_ack (const VjSession *session, GString *out);
