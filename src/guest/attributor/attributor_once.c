/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_once.h"

#include "common/error.h"
#include "guest/attributor/tree_watch.h"

typedef struct
{
  GMainLoop *loop;
  gboolean happened;
} Event;

static void
on_update (gpointer user_data)
{
  Event *event = user_data;
  event->happened = TRUE;
  g_main_loop_quit (event->loop);
}

static gboolean
on_deadline (gpointer user_data)
{
  on_update (user_data);
  return G_SOURCE_CONTINUE;
}

gboolean
vj_once_run (const VjAttributorOptions *options, GMainLoop *loop, GError **error)
{
  Event deadline = { .loop = loop };
  guint source = g_timeout_add_seconds (VJ_ONCE_UPDATE_S, on_deadline, &deadline);
  g_main_loop_run (loop);
  g_source_remove (source);
  if (!deadline.happened)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
               "%s/class/powercap has not been updated for %d s: see whether virtjoule-reader runs, and the "
               "agent on the host",
               options->roots.sysfs, VJ_ONCE_UPDATE_S);
  return FALSE;
}

gboolean
vj_once_await_update (const VjAttributorOptions *options, GMainLoop *loop, GError **error)
{
  Event update = { .loop = loop };
  g_autoptr (VjTreeWatch) watch =
      vj_tree_watch_new (options->roots.sysfs, options->interval_us, on_update, &update, error);
  if (watch == NULL)
    return FALSE;
  if (vj_tree_watch_mode (watch) == VJ_TREE_CLOCKED)
    return TRUE;
  if (vj_tree_watch_mode (watch) == VJ_TREE_FOLLOWED)
    return vj_once_run (options, loop, error) && update.happened;
  g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
               "no energy counters below %s/class/powercap: in a virtual machine start virtjoule-reader",
               options->roots.sysfs);
  return FALSE;
}
