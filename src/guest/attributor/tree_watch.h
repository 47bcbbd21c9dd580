/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Tells when to read a powercap tree: at each update of a tree that says so, by its reader's generation file
 * (virtjoule-reader(8)), renamed into <sysfs>/class; else, on a machine whose counters tick by themselves, by a clock. A
 * tree that is not there is waited for, and one that goes away and comes back is followed again (inotify(7)). */
typedef struct VjTreeWatch VjTreeWatch;

typedef enum
{
  VJ_TREE_ABSENT,   /* no zone there */
  VJ_TREE_FOLLOWED, /* by its generation file */
  VJ_TREE_CLOCKED,
} VjTreeWatchMode;

/* The tree has been updated (FOLLOWED), or it is time (CLOCKED). Never from within a function of this module. */
typedef void (*VjTreeWatchFunc) (gpointer user_data);

/* interval_us: of the clock. Nothing need exist below sysfs. */
VjTreeWatch *vj_tree_watch_new (const char *sysfs, guint64 interval_us, VjTreeWatchFunc func,
                                gpointer user_data, GError **error);
void vj_tree_watch_free (VjTreeWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjTreeWatch, vj_tree_watch_free)
VjTreeWatchMode vj_tree_watch_mode (const VjTreeWatch *watch);
