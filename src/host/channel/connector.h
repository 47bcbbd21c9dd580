/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Connects to a unix socket that somebody else listens at, again and again, and with pauses that grow while it is in vain. */
typedef struct
{
  char *path; /* NULL: never */
  guint ticks_to_wait;
  guint pause_ticks; /* after the next failure */
  guint64 tried_us;
} VjConnector;

/* A connection that fails is tried again after 1, 2, 4, 8, 16, 16, ... ticks, and after this time at the latest. */
#define VJ_CONNECTOR_PAUSE_TICKS 16
#define VJ_CONNECTOR_PAUSE_US    G_GUINT64_CONSTANT (30000000)

void vj_connector_init (VjConnector *connector, const char *path);
void vj_connector_clear (VjConnector *connector);
/* To be called at each tick without a connection. A new one (non-blocking, close-on-exec), or -1: it is not time yet, nobody
 * listens, we may not, or the backlog is full. Never waits. */
int vj_connector_tick (VjConnector *connector, guint64 now_us);
/* The connection has ended: begins the next pause. */
void vj_connector_lost (VjConnector *connector);
/* The peer has said something of sense: the next pause is the shortest. */
void vj_connector_proved (VjConnector *connector);
