/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_screen.h"

#include "common/error.h"

/* In the place of attributor_screen.c where there is no curses. */
VjScreen *
vj_screen_open (guint levels, GMainLoop *loop, GError **error)
{
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                       "--top: this program was built without curses; --once prints a table");
  return NULL;
}

void
vj_screen_free (VjScreen *screen)
{
}

void
vj_screen_take (VjScreen *screen, VjAttributorSnapshot *snapshot)
{
  vj_attributor_snapshot_free (snapshot);
}

void
vj_screen_tell (VjScreen *screen, const char *message)
{
}
