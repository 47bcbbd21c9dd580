/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "common/error.h"
#include "host/agent.h"
#include "host/libvirt/libvirt_watch.h"

/* Two descriptors a domain and one a connection: the soft limit of 1024 would end at 500 domains. */
static void
raise_file_limit (void)
{
  struct rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

static gboolean
on_signal (gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_CONTINUE;
}

static int
run (const VjConfig *config, GError **error)
{
  vj_libvirt_watch_init ();
  g_autoptr (VjAgent) agent = vj_agent_new (config, error);
  if (agent == NULL)
    return VJ_EXIT_FAILED;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGTERM, on_signal, loop);
  g_unix_signal_add (SIGINT, on_signal, loop);
  sd_notify (0, "READY=1");
  g_main_loop_run (loop);
  sd_notify (0, "STOPPING=1");
  return VJ_EXIT_OK;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  int exit_code = VJ_EXIT_USAGE;
  (void)setlocale (LC_CTYPE, ""); /* of the terminal, for --help; numbers stay in the C locale */
  g_log_writer_default_set_use_stderr (TRUE);
  raise_file_limit ();
  mallopt (M_ARENA_MAX, 1); /* workers run seldom; an arena for each would hold what libvirt has used once */
  g_autoptr (VjConfig) config = vj_config_parse (argc, argv, &error);
  if (config != NULL && config->show_version)
    return printf ("virtjouled %s\n", VJ_VERSION) > 0 && fflush (stdout) == 0 ? VJ_EXIT_OK : VJ_EXIT_FAILED;
  if (config != NULL)
    exit_code = run (config, &error);
  if (error != NULL)
    fprintf (stderr, "virtjouled: %s\n", g_strdelimit (error->message, "\n\r", ' '));
  return exit_code;
}
