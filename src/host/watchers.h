/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/config.h"
#include "host/domains/domains.h"

/* Everybody who tells of domains: libvirt, Proxmox VE, plain QEMU, as the configuration names them; and what makes them
 * look again before they would by themselves. */
typedef struct VjWatchers VjWatchers;

/* ready is called once, when all have told what runs or have said that they cannot. Not from within a function of this
 * module, but for vj_watchers_new () where nobody is to be asked. What does not work is logged; domains are borrowed. */
VjWatchers *vj_watchers_new (const VjConfig *config, VjPoll *poll, VjDomains *domains,
                             void (*ready) (gpointer user_data), gpointer user_data);
/* Iterates the main loop for a while (vj_libvirt_watch_free ()). */
void vj_watchers_free (VjWatchers *watchers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjWatchers, vj_watchers_free)
/* Somebody who is nobody's QEMU as yet has connected as pid. libvirt is not asked: a start is in its directory of pid files
 * before QEMU can connect. */
void vj_watchers_poke (VjWatchers *watchers, int pid);
/* Notes of hooks that have been seen one by one (host/notes.h). */
guint64 vj_watchers_notes (const VjWatchers *watchers);
gboolean vj_watchers_libvirt_connected (const VjWatchers *watchers);
