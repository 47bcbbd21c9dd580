/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/poll.h"

/* The guest's end of the channel: a virtio port, or a unix socket where the transport is another. Found, opened,
 * waited for and reopened here; edge-triggered, never blocking. */

#define VJ_PORT_NAME "org.virtjoule.energy.0"

typedef struct VjPort VjPort;

typedef enum
{
  VJ_PORT_WAITING,      /* no such port (yet), or it cannot be opened: detail says why. Once per outage. */
  VJ_PORT_CONNECTED,    /* the host is at the other end */
  VJ_PORT_DISCONNECTED, /* it is not any more */
} VjPortState;

typedef struct
{
  void (*state) (VjPortState state, const char *detail, gpointer user_data);
  void (*bytes) (const char *bytes, gsize length, gpointer user_data); /* only while connected */
} VjPortFuncs;

typedef struct
{
  const char *path;  /* NULL: the virtio port named VJ_PORT_NAME */
  const char *dev;   /* root of device nodes */
  const char *sysfs; /* where a port's name is found without udev */
} VjPortPlace;

/* Finds the port's path now; the caller frees. NULL with GONE where there is none, INVALID where path is something that no
 * port can be. */
char *vj_port_find (const VjPortPlace *place, GError **error);

/* Opens it, now or as soon as it is there. funcs must outlive the port; they are called from the main loop only. */
VjPort *vj_port_new (VjPoll *poll, const VjPortPlace *place, const VjPortFuncs *funcs, gpointer user_data);
void vj_port_free (VjPort *port);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjPort, vj_port_free)

/* Queues whole lines and writes what the port takes. FALSE if they were dropped: not connected, or too much is queued
 * already. */
gboolean vj_port_send (VjPort *port, const char *lines, gsize length);
