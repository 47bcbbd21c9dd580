/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Notes of hooks: an empty file <runtime-dir>/notes/MANAGER.EVENT.SUBJECT, created by the hook and removed by the agent,
 * who sees it by inotify(7). Nothing in it is trusted: a note only says where to look, now instead of a little later. A hook
 * that leaves one can neither block nor fail, whether the agent runs, hangs or has never been there. */
typedef struct VjNotes VjNotes;

#define VJ_NOTES_DIRECTORY "notes"

/* manager "libvirt" or "proxmox"; event as the hook was told ("started", "post-stop"); subject a domain's name or VMID, of
 * [A-Za-z0-9_.-] only, may be empty. All are valid during the call, which may free the notes. An event of "" says that notes
 * may have been lost (too many at once, or their directory was away): look at everything of this manager. */
typedef void (*VjNotesFunc) (const char *manager, const char *event, const char *subject, gpointer user_data);

/* Makes the directory (0700), and removes what an earlier agent left in it. In the default main context. */
VjNotes *vj_notes_open (const char *runtime_dir, VjNotesFunc func, gpointer user_data, GError **error);
/* Leaves the directory. */
void vj_notes_free (VjNotes *notes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjNotes, vj_notes_free)

/* Notes that are told one by one of each look into the directory; more become one "" of each manager. */
#define VJ_NOTES_MAX 64
