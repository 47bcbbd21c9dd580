/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/poll.h"

/* A directory in which each QEMU has its NAME.pid (host/qemu/pidfile.h), by inotify(7). It may be made later; until then its
 * parent is watched. */
typedef struct VjPidfileWatch VjPidfileWatch;

/* NAME.pid was written; NULL: any may have been. Nothing is known of NAME but that a file can have it. */
typedef void (*VjPidfileWatchFunc) (const char *name, gpointer user_data);

/* poll is borrowed. func may be called from within. */
VjPidfileWatch *vj_pidfile_watch_new (VjPoll *poll, const char *path, VjPidfileWatchFunc func,
                                      gpointer user_data, GError **error);
void vj_pidfile_watch_free (VjPidfileWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjPidfileWatch, vj_pidfile_watch_free)
/* Now and then: not even the parent may have been there. */
void vj_pidfile_watch_retry (VjPidfileWatch *watch);
