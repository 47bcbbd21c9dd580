/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtjouled in one process with a hypervisor of libvirt's test driver (test:///default), which obeys what is said on
 * standard input, one command a line, and answers "ok" or "error WHY":
 *   define XML | start NAME | destroy NAME | rename NAME NEW | undefine NAME */
#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/agent.h"
#include "host/libvirt/libvirt_watch.h"

typedef struct
{
  virConnectPtr hypervisor;
  GMainLoop *loop;
  GDataInputStream *input;
} Program;

static gboolean
obey_for_domain (virDomainPtr domain, const char *verb, const char *argument)
{
  if (strcmp (verb, "start") == 0)
    return virDomainCreate (domain) == 0;
  if (strcmp (verb, "destroy") == 0)
    return virDomainDestroy (domain) == 0;
  if (strcmp (verb, "rename") == 0)
    return virDomainRename (domain, argument, 0) == 0;
  return strcmp (verb, "undefine") == 0 && virDomainUndefine (domain) == 0;
}

static gboolean
obey (virConnectPtr hypervisor, const char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", 3);
  if (words[0] == NULL || words[1] == NULL)
    return FALSE;
  virDomainPtr domain = strcmp (words[0], "define") == 0
                            ? virDomainDefineXML (hypervisor, line + strlen ("define "))
                            : virDomainLookupByName (hypervisor, words[1]);
  const gboolean done =
      domain != NULL && (strcmp (words[0], "define") == 0 || obey_for_domain (domain, words[0], words[2]));
  if (domain != NULL)
    virDomainFree (domain);
  return done;
}

static void
on_line (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Program *program = user_data;
  g_autofree char *line = g_data_input_stream_read_line_finish (program->input, result, NULL, NULL);
  if (line == NULL)
    {
      g_main_loop_quit (program->loop);
      return;
    }
  if (obey (program->hypervisor, line))
    puts ("ok");
  else
    printf ("error %s\n", virGetLastErrorMessage ());
  fflush (stdout);
  g_data_input_stream_read_line_async (program->input, G_PRIORITY_DEFAULT, NULL, on_line, program);
}

static gboolean
on_signal (gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = vj_config_parse (argc, argv, &error);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GInputStream) stdin_stream = g_unix_input_stream_new (STDIN_FILENO, FALSE);
  g_autoptr (GDataInputStream) input = g_data_input_stream_new (stdin_stream);
  vj_libvirt_watch_init ();
  Program program = { virConnectOpen ("test:///default"), loop, input };
  g_autoptr (VjAgent) agent = config != NULL ? vj_agent_new (config, &error) : NULL;
  if (agent == NULL || program.hypervisor == NULL)
    {
      fprintf (stderr, "%s\n", error != NULL ? error->message : virGetLastErrorMessage ());
      return 1;
    }
  g_unix_signal_add (SIGTERM, on_signal, loop);
  g_data_input_stream_read_line_async (input, G_PRIORITY_DEFAULT, NULL, on_line, &program);
  g_main_loop_run (loop);
  g_clear_pointer (&agent, vj_agent_free);
  virConnectClose (program.hypervisor);
  return 0;
}
