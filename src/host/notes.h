/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Notes of hooks: an empty file <runtime-dir>/notes/MANAGER.EVENT, created by the hook and removed by the agent, who sees it
 * by inotify(7). Nothing in it is trusted: a note only says to look at what that manager has, now instead of a little later.
 * A hook that leaves one can neither block nor fail, whether the agent runs, hangs or has never been there; and as a note
 * that is there already says the same, there are never more of them than events have names. */
typedef struct VjNotes VjNotes;

#define VJ_NOTES_DIRECTORY "notes"

/* Once for each look at the directory: manager is "libvirt" or "proxmox", notes how many of it were there; 0: some may have
 * been lost, since their directory was away. May free the notes. */
typedef void (*VjNotesFunc) (const char *manager, guint notes, gpointer user_data);

/* Makes the directory (0700), and removes what an earlier agent left in it. In the default main context. */
VjNotes *vj_notes_open (const char *runtime_dir, VjNotesFunc func, gpointer user_data, GError **error);
/* Leaves the directory. */
void vj_notes_free (VjNotes *notes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjNotes, vj_notes_free)
