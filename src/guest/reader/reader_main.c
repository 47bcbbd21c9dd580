/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

#include "common/error.h"
#include "guest/reader/reader.h"
#include "guest/reader/reader_options.h"

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
  g_auto (VjReaderCommandLine) line = { .reader = { .tree = "/run/virtjoule/sys/class/powercap",
                                                    .port = { .dev = "/dev", .sysfs = "/sys" },
                                                    .report = print_line } };

  signal (SIGPIPE, SIG_IGN);
  if (!vj_reader_command_line_parse (&line, argc, argv, &error))
    return fail (VJ_EXIT_USAGE, error);
  if (line.version)
    return puts ("virtjoule-reader " VJ_VERSION) != EOF && fflush (stdout) == 0 ? VJ_EXIT_OK : VJ_EXIT_FAILED;

  g_autofree char *port = vj_port_find (&line.reader.port, &error);
  if (port == NULL && (line.no_wait || !vj_error_is_gone (error)))
    return fail (VJ_EXIT_FAILED, error);
  g_clear_error (&error);

  g_autoptr (VjReader) reader = vj_reader_new (&line.reader, &error);
  if (reader == NULL)
    return fail (VJ_EXIT_FAILED, error);
  g_unix_signal_add (SIGTERM, quit, loop);
  g_unix_signal_add (SIGINT, quit, loop);
  g_main_loop_run (loop);
  return VJ_EXIT_OK;
}
