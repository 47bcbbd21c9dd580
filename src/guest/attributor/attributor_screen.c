/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_screen.h"

#include <glib-unix.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <curses.h>

#include "common/cli_table.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/units.h"
#include "guest/attributor/attributor_top.h"

#define QUIET_US (2 * VJ_US_PER_S)
#define KEYS     " q quit   s sort   l level: "

struct VjScreen
{
  GMainLoop *loop;
  SCREEN *terminal;
  gboolean utf8;
  guint levels;
  guint only; /* one of levels; 0: all of them */
  VjTopSort sort;
  VjAttributorSnapshot *before;
  VjAttributorSnapshot *now;
  guint64 taken_us;
  char *message;
  guint keys;
  guint resize;
  guint clock;
};

/* --- drawing --- */

static void
put_line (const VjScreen *screen, int row, const char *line)
{
  g_autofree char *text = g_strndup (line, vj_cli_clip (line, (guint)COLS));
  for (char *p = text; !screen->utf8 && *p != '\0'; p++)
    *p = g_ascii_isprint (*p) ? *p : '?';
  mvaddstr (row, 0, text);
}

static const char *
level_name (guint level)
{
  switch (level)
    {
    case VJ_LEVEL_WORKLOAD:
      return "workload";
    case VJ_LEVEL_POD:
      return "pod";
    case VJ_LEVEL_CONTAINER:
      return "container";
    case VJ_LEVEL_UNIT:
      return "unit";
    case VJ_LEVEL_PROCESS:
      return "process";
    default:
      return "all";
    }
}

static char *
screen_text (const VjScreen *screen)
{
  const VjTopView view = {
    .levels = screen->only != 0 ? screen->only : screen->levels,
    .sort = screen->sort,
    .max_rows = (guint)MAX (LINES, 1),
    .silent_us = vj_clock_monotonic_us () - screen->taken_us,
    .message = screen->message,
  };
  if (screen->now == NULL)
    {
      g_autofree char *message = vj_cli_printable (screen->message != NULL ? screen->message : "");
      return g_strconcat (" Waiting for an interval\n ", message, "\n", NULL);
    }
  return vj_attributor_top (screen->before, screen->now, &view);
}

static void
draw (const VjScreen *screen)
{
  g_autofree char *text = screen_text (screen);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autofree char *keys = g_strconcat (KEYS, level_name (screen->only), NULL);
  erase ();
  for (int i = 0; i < LINES - 1 && lines[i] != NULL; i++)
    put_line (screen, i, lines[i]);
  put_line (screen, LINES - 1, keys);
  refresh ();
}

/* --- what happens --- */

static void
choose_level (VjScreen *screen)
{
  guint level = screen->only != 0 ? screen->only << 1 : 1;
  while (level <= screen->levels && (level & screen->levels) == 0)
    level <<= 1;
  screen->only = level <= screen->levels ? level : 0;
}

static void
on_key (VjScreen *screen, int key)
{
  if (key == 'q')
    g_main_loop_quit (screen->loop);
  else if (key == 's')
    screen->sort = (screen->sort + 1) % VJ_TOP_SORTS;
  else if (key == 'l')
    choose_level (screen);
}

static gboolean
on_keys (int fd, GIOCondition condition, gpointer user_data)
{
  VjScreen *screen = user_data;
  int key;
  while ((key = getch ()) != ERR)
    on_key (screen, key);
  if ((condition & (G_IO_HUP | G_IO_ERR)) != 0)
    {
      screen->keys = 0;
      g_main_loop_quit (screen->loop);
      return G_SOURCE_REMOVE;
    }
  draw (screen);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_resize (gpointer user_data)
{
  struct winsize size;
  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
    resizeterm (size.ws_row, size.ws_col);
  clear ();
  draw (user_data);
  return G_SOURCE_CONTINUE;
}

/* A tree that stands still is said to; while it does not, each interval draws. */
static gboolean
on_clock (gpointer user_data)
{
  const VjScreen *screen = user_data;
  if (vj_clock_monotonic_us () - screen->taken_us >= QUIET_US)
    draw (screen);
  return G_SOURCE_CONTINUE;
}

void
vj_screen_take (VjScreen *screen, VjAttributorSnapshot *snapshot)
{
  g_clear_pointer (&screen->before, vj_attributor_snapshot_free);
  g_clear_pointer (&screen->message, g_free);
  screen->before = g_steal_pointer (&screen->now);
  screen->now = snapshot;
  screen->taken_us = vj_clock_monotonic_us ();
  draw (screen);
}

void
vj_screen_tell (VjScreen *screen, const char *message)
{
  g_free (screen->message);
  screen->message = g_strdup (message);
  draw (screen);
}

/* --- the terminal --- */

static SCREEN *
open_terminal (GError **error)
{
  const char *type = g_getenv ("TERM");
  SCREEN *terminal = NULL;
  if (!isatty (STDIN_FILENO) || !isatty (STDOUT_FILENO))
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                         "--top needs a terminal as standard input and output; --once prints a table");
  else if (type == NULL || (terminal = newterm (type, stdout, stdin)) == NULL)
    g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                 "--top: this terminal's type (TERM=%s) is not known; --once prints a table",
                 type != NULL ? type : "");
  return terminal;
}

VjScreen *
vj_screen_open (guint levels, GMainLoop *loop, GError **error)
{
  SCREEN *terminal = open_terminal (error);
  if (terminal == NULL)
    return NULL;
  VjScreen *screen = g_new0 (VjScreen, 1);
  screen->loop = loop;
  screen->terminal = terminal;
  screen->levels = levels;
  screen->utf8 = g_get_charset (NULL);
  cbreak ();
  noecho ();
  nodelay (stdscr, TRUE);
  keypad (stdscr, TRUE);
  curs_set (0);
  screen->keys = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_keys, screen);
  screen->resize = g_unix_signal_add (SIGWINCH, on_resize, screen);
  screen->clock = g_timeout_add_seconds (1, on_clock, screen);
  draw (screen);
  return screen;
}

void
vj_screen_free (VjScreen *screen)
{
  if (screen == NULL)
    return;
  g_clear_handle_id (&screen->keys, g_source_remove);
  g_clear_handle_id (&screen->resize, g_source_remove);
  g_clear_handle_id (&screen->clock, g_source_remove);
  endwin ();
  delscreen (screen->terminal);
  g_clear_pointer (&screen->before, vj_attributor_snapshot_free);
  g_clear_pointer (&screen->now, vj_attributor_snapshot_free);
  g_free (screen->message);
  g_free (screen);
}
