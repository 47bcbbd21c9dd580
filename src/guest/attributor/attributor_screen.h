/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/attributor_snapshot.h"

/* virtjoule-attributor --top: vj_attributor_top () on a terminal, with keys. One at a time. */
typedef struct VjScreen VjScreen;

/* levels: those that there are to choose from. loop ends with the key q, and with the terminal. UNAVAILABLE if standard input
 * and output are no terminal that can be used, or if the program was built without curses. */
VjScreen *vj_screen_open (guint levels, GMainLoop *loop, GError **error);
void vj_screen_free (VjScreen *screen); /* the terminal is as it was before */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjScreen, vj_screen_free)
/* An interval has been attributed; snapshot is taken. */
void vj_screen_take (VjScreen *screen, VjAttributorSnapshot *snapshot);
/* Shown until the next interval. */
void vj_screen_tell (VjScreen *screen, const char *message);
