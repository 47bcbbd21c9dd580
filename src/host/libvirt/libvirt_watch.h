/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"
#include "host/domains/domain.h"

/* Follows the running domains of one libvirt URI: connects in the background, again and again with backoff (1 s to 30 s).
 * Each connection registers for events first, then lists everything; after a reconnection, domains that are no longer
 * there are told to be absent, and not before. A slow rescan is the safety net. A domain is forgotten when it was undefined
 * while there was a connection, and does not run: at its end, if it ran. One that was never defined (transient) is not:
 * whoever made it may make it again, as restoring it from a file does. A start is told as soon as its NAME.pid is written and libvirt
 * knows of it, paused: QEMU has been forked, and works for a while before libvirt has an event of it. The listener is
 * called on the thread of the default main context, never from within a function of this module. */
typedef struct VjLibvirtWatch VjLibvirtWatch;

/* Once per process, before any other use of libvirt: its event loop becomes the default main context, and its habit of
 * printing errors to stderr ends. */
void vj_libvirt_watch_init (void);
/* uri: any libvirt URI. Of roots, procfs and libvirt_rundir (NAME.pid; it need not be there yet) are used, and copied. listener is borrowed for
 * the watch's life. A pid is told only if the pid file's lock or the process's age proves that the file means this
 * process; else it is 0. */
VjLibvirtWatch *vj_libvirt_watch_new (const char *uri, const VjRoots *roots, const VjDomainListener *listener,
                                      gpointer user_data);
/* Iterates the main loop until the connection is closed, for a second at most. No callback of the listener comes meanwhile or
 * later, whatever workers still run. Not to be called from within one. */
void vj_libvirt_watch_free (VjLibvirtWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLibvirtWatch, vj_libvirt_watch_free)
/* Looks again now, though no event has come: something outside says that there is news. Calls are a look
 * at once, and then one each 200 ms; while there is no connection, they shorten the wait for the next attempt to a second. */
void vj_libvirt_watch_poke (VjLibvirtWatch *watch);
gboolean vj_libvirt_watch_is_connected (const VjLibvirtWatch *watch);
