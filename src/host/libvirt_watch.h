/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"
#include "host/domain.h"

/* Follows the running domains of one libvirt connection. The only module that includes libvirt headers (design law 3).
 * Read-only connection (virConnectOpenReadOnly), keepalive, close callback, reconnection with backoff, and on every
 * (re)connection: events are registered first, then everything is listed; after a reconnection, domains that are no
 * longer there are reported absent. RPCs run in GTask workers; the listener is called on the thread of the default
 * main context. A slow rescan is the safety net. */
typedef struct VjLibvirtWatch VjLibvirtWatch;

/* Once per process, before any other use of libvirt: its event loop becomes the default main context, and its habit of
 * printing errors to stderr ends. */
void vj_libvirt_watch_init (void);
/* uri: any libvirt URI. Of roots, libvirt_rundir (NAME.pid) and procfs are used, and copied. listener is borrowed for
 * the watch's life. Connecting goes on in the background: it never fails, it reports. A pid is told only if the pid
 * file's lock or the process's age proves that the file means this process; else it is 0. */
VjLibvirtWatch *vj_libvirt_watch_new (const char *uri, const VjRoots *roots, const VjDomainListener *listener,
                                      gpointer user_data);
void vj_libvirt_watch_free (VjLibvirtWatch *watch); /* no callback comes after it, whatever workers still run */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLibvirtWatch, vj_libvirt_watch_free)
gboolean vj_libvirt_watch_is_connected (const VjLibvirtWatch *watch);
