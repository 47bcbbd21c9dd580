/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/domain.h"

/* Follows the running domains of one libvirt connection. The only module that includes libvirt headers (design law 3).
 * Read-only connection (virConnectOpenReadOnly), keepalive, close callback, reconnection with backoff, and on every
 * (re)connection: events are registered first, then everything is listed; after a reconnection, domains that are no
 * longer there are reported absent. RPCs run in GTask workers; the listener is called on the thread of the default
 * main context. A slow rescan is the safety net. */
typedef struct VjLibvirtWatch VjLibvirtWatch;

/* Before any other use of the default main context: gvir_event_register (). */
void vj_libvirt_watch_init (void);
/* uri: any libvirt URI. rundir: where NAME.pid files are ("/run/libvirt/qemu"). listener is borrowed for the watch's life. Connecting goes on in the background. */
VjLibvirtWatch *vj_libvirt_watch_new (const char *uri, const char *rundir, const VjDomainListener *listener, gpointer user_data);
void vj_libvirt_watch_free (VjLibvirtWatch *watch); /* no callback comes after it, whatever workers still run */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLibvirtWatch, vj_libvirt_watch_free)
gboolean vj_libvirt_watch_is_connected (const VjLibvirtWatch *watch);
