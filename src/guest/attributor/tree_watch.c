/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/tree_watch.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <errno.h>

#include "common/error.h"
#include "common/ticker.h"

#define GENERATION_NAME "generation"
#define WATCHED                                                                                              \
  (IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_MOVED_FROM | IN_ONLYDIR)

struct VjTreeWatch
{
  char *directory; /* <sysfs>/class */
  VjTreeWatchFunc func;
  gpointer user_data;
  VjTreeWatchMode mode;
  VjTicker *ticker;
  int inotify_fd;
  guint source;
  int watch;     /* -1: none */
  char *watched; /* directory itself, or the nearest one above it that is there */
};

static gboolean
has_zones (const VjTreeWatch *watch)
{
  g_autofree char *path = g_build_filename (watch->directory, "powercap", NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    if (strncmp (name, "intel-rapl", strlen ("intel-rapl")) == 0 && strchr (name, ':') != NULL)
      return TRUE;
  return FALSE;
}

static VjTreeWatchMode
look (const VjTreeWatch *watch)
{
  g_autofree char *generation = g_build_filename (watch->directory, GENERATION_NAME, NULL);

  if (!has_zones (watch))
    return VJ_TREE_ABSENT;
  return g_file_test (generation, G_FILE_TEST_IS_REGULAR) ? VJ_TREE_FOLLOWED : VJ_TREE_CLOCKED;
}

static gboolean
watch_directory (VjTreeWatch *watch, const char *directory)
{
  int descriptor = inotify_add_watch (watch->inotify_fd, directory, WATCHED);

  if (descriptor < 0)
    return FALSE;
  if (watch->watch >= 0 && watch->watch != descriptor)
    inotify_rm_watch (watch->inotify_fd, watch->watch);
  watch->watch = descriptor;
  g_free (watch->watched);
  watch->watched = g_strdup (directory);
  return TRUE;
}

/* Waits where the next thing can happen: in the directory, or in the nearest one above it that is there. It is looked for
 * again after it is watched, since it may have come in between. */
static void
aim (VjTreeWatch *watch)
{
  g_autofree char *directory = g_strdup (watch->directory);

  while (!watch_directory (watch, directory))
    {
      char *parent = g_path_get_dirname (directory);
      gboolean at_top = strcmp (parent, directory) == 0;

      g_free (directory);
      directory = parent;
      if (at_top)
        return;
    }
}

static void
look_again (VjTreeWatch *watch)
{
  if (g_strcmp0 (watch->watched, watch->directory) != 0)
    {
      aim (watch);
      if (g_strcmp0 (watch->watched, watch->directory) != 0
          && g_file_test (watch->directory, G_FILE_TEST_IS_DIR))
        aim (watch);
    }
  watch->mode = look (watch);
}

/* Returns what all the events that wait amount to: the generation file was replaced, the watched directory has gone. */
static gboolean
drain (VjTreeWatch *watch, gboolean *ret_lost)
{
  _Alignas(struct inotify_event) char buffer[4096];
  gboolean updated = FALSE;
  ssize_t n;

  while ((n = read (watch->inotify_fd, buffer, sizeof buffer)) > 0)
    for (const char *p = buffer; p < buffer + n;)
      {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)p;

        updated = updated || (event->mask & IN_Q_OVERFLOW) != 0
                  || ((event->mask & IN_MOVED_TO) != 0 && strcmp (event->name, GENERATION_NAME) == 0);
        *ret_lost = *ret_lost
                    || (event->wd == watch->watch
                        && (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0);
        p += sizeof *event + event->len;
      }
  return updated;
}

static gboolean
on_inotify (int fd, GIOCondition condition, gpointer user_data)
{
  VjTreeWatch *watch = user_data;
  gboolean lost = FALSE;
  gboolean updated = drain (watch, &lost);
  VjTreeWatchMode before = watch->mode;

  if (lost)
    g_clear_pointer (&watch->watched, g_free);
  look_again (watch);
  /* A tree that has just come is complete, and its first values are an update too. */
  if (watch->mode == VJ_TREE_FOLLOWED && (updated || before != VJ_TREE_FOLLOWED))
    watch->func (watch->user_data);
  return G_SOURCE_CONTINUE;
}

static void
on_tick (guint64 late_us, guint64 missed, gpointer user_data)
{
  VjTreeWatch *watch = user_data;

  if (watch->mode == VJ_TREE_FOLLOWED && g_strcmp0 (watch->watched, watch->directory) == 0)
    return; /* inotify tells whatever happens; unless there is nothing left to watch with */
  look_again (watch);
  if (watch->mode != VJ_TREE_ABSENT)
    watch->func (watch->user_data);
}

static gboolean
open_inotify (VjTreeWatch *watch, GError **error)
{
  watch->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (watch->inotify_fd < 0)
    {
      vj_error_set_errno (error, errno,
                          "cannot watch %s (raise fs.inotify.max_user_instances if it is used up)",
                          watch->directory);
      return FALSE;
    }
  watch->source = g_unix_fd_add_full (G_PRIORITY_HIGH, watch->inotify_fd, G_IO_IN, on_inotify, watch, NULL);
  return TRUE;
}

VjTreeWatch *
vj_tree_watch_new (const char *sysfs, guint64 interval_us, VjTreeWatchFunc func, gpointer user_data,
                   GError **error)
{
  g_autoptr (VjTreeWatch) watch = g_new0 (VjTreeWatch, 1);

  watch->directory = g_build_filename (sysfs, "class", NULL);
  watch->func = func;
  watch->user_data = user_data;
  watch->inotify_fd = -1;
  watch->watch = -1;
  if (!open_inotify (watch, error))
    return NULL;
  watch->ticker = vj_ticker_new (NULL, interval_us, on_tick, watch, error);
  if (watch->ticker == NULL)
    return NULL;
  look_again (watch);
  return g_steal_pointer (&watch);
}

void
vj_tree_watch_free (VjTreeWatch *watch)
{
  if (watch == NULL)
    return;
  g_clear_handle_id (&watch->source, g_source_remove);
  g_clear_pointer (&watch->ticker, vj_ticker_free);
  if (watch->inotify_fd >= 0)
    close (watch->inotify_fd);
  g_free (watch->watched);
  g_free (watch->directory);
  g_free (watch);
}

VjTreeWatchMode
vj_tree_watch_mode (const VjTreeWatch *watch)
{
  return watch->mode;
}
