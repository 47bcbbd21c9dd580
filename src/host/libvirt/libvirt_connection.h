/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"
#include "host/domains/domain.h"

/* One read-only connection to libvirt, with events, keepalive and close callback: all that virtjouled asks of libvirt,
 * and the only module that includes its headers (design law 3). libvirt's calls block, so they run in GTask workers,
 * one at a time for each connection, which keeps the answers in the order of the questions. Everything is told on the
 * thread of the default main context. */
typedef struct VjLibvirtConnection VjLibvirtConnection;

/* What libvirt said of one domain. */
typedef struct
{
  VjDomainInfo info; /* of a list: the UUID alone */
  int id;            /* libvirt's number of this run of the domain; -1: it does not run */
  gboolean known;    /* FALSE: libvirt could not tell, the rest means nothing */
} VjLibvirtFinding;

typedef enum
{
  VJ_LIBVIRT_CHANGED,   /* something of it is new: ask */
  VJ_LIBVIRT_DEFINED,   /* the same; its definition is kept beyond this run */
  VJ_LIBVIRT_UNDEFINED, /* the same; its definition has gone, it may still run */
  VJ_LIBVIRT_ENDING,    /* the guest has shut down, QEMU is about to end, or to start over as a reboot */
  VJ_LIBVIRT_STOPPED
} VjLibvirtEvent;

/* findings are the connection's, valid during the call. None of these is called from within a function of this module. */
typedef struct
{
  void (*opened) (const char *error, gpointer user_data); /* NULL: open, and events are registered */
  void (*listed) (const VjLibvirtFinding *findings, guint n_findings, const char *error, gpointer user_data);
  void (*fetched) (const VjLibvirtFinding *findings, guint n_findings, gpointer user_data);
  void (*happened) (const char *uuid, VjLibvirtEvent event, gpointer user_data);
  void (*lost) (const char *reason, gpointer user_data); /* of no use any more: close it */
} VjLibvirtConnectionFuncs;

/* Once per process, before any other use of libvirt: its event loop becomes the default main context, and its habit of
 * printing errors to stderr ends. */
void vj_libvirt_connection_init (void);
/* Begins to open uri. Of roots, procfs and libvirt_rundir are used, and copied. funcs is borrowed until the close. */
VjLibvirtConnection *vj_libvirt_connection_open (const char *uri, const VjRoots *roots,
                                                 const VjLibvirtConnectionFuncs *funcs, gpointer user_data);
/* Nothing is told afterwards. A worker that still runs ends on its own. */
void vj_libvirt_connection_close (VjLibvirtConnection *connection);
/* The same, and iterates the main loop until no worker runs, or for wait_ms if one hangs: before the process exits, or else
 * the libraries are taken down beneath a worker that is closing the connection. */
void vj_libvirt_connection_close_and_wait (VjLibvirtConnection *connection, guint wait_ms);
/* A worker runs, and neither of the following may be called. */
gboolean vj_libvirt_connection_is_busy (const VjLibvirtConnection *connection);
/* All domains that run. */
void vj_libvirt_connection_list (VjLibvirtConnection *connection);
/* keys: strings, taken over: UUIDs, or ":NAME". What libvirt does not know by its name is not known in any way. Of a domain
 * that is being started, libvirt answers once QEMU is about to run. */
void vj_libvirt_connection_fetch (VjLibvirtConnection *connection, GPtrArray *keys);
