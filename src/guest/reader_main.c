/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "guest/reader.h"
#include "guest/reader_options.h"

static void
print_line (const char *line, gpointer user_data)
{
  fprintf (stderr, "virtjoule-reader: %s\n", line);
}

static gboolean
quit (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

static int
fail (int code, const GError *error)
{
  print_line (error->message, NULL);
  return code;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  VjReaderOptions options = { .tree = "/run/virtjoule/sys/class/powercap",
                              .port = { .dev = "/dev", .sysfs = "/sys" },
                              .report = print_line };
  gboolean no_wait = FALSE;

  signal (SIGPIPE, SIG_IGN);
  if (!vj_reader_options_parse (&options, argc, argv, &no_wait, &error))
    return error == NULL ? VJ_EXIT_OK : fail (VJ_EXIT_USAGE, error);

  g_autofree char *port = vj_port_find (&options.port, &error);
  if (port == NULL && (no_wait || !vj_error_is_gone (error)))
    return fail (VJ_EXIT_FAILED, error);
  g_clear_error (&error);

  g_autoptr (VjReader) reader = vj_reader_new (&options, &error);
  if (reader == NULL)
    return fail (VJ_EXIT_FAILED, error);
  g_unix_signal_add (SIGTERM, quit, loop);
  g_unix_signal_add (SIGINT, quit, loop);
  g_main_loop_run (loop);
  return VJ_EXIT_OK;
}
