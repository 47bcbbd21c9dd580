/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/http.h"
#include "host/api.h"

gboolean
vj_cli_options (const GOptionEntry *entries, const char *summary, int argc, char **argv)
{
  g_autofree char *name = g_strdup_printf ("virtjoule %s", argv[0]);
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_set_prgname (name);
  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  gboolean parsed = g_option_context_parse (context, &argc, &argv, &error);
  if (parsed && argc <= 1)
    return TRUE;
  if (parsed)
    g_printerr ("%s: unexpected argument \"%s\"; %s --help lists what is allowed\n", name, argv[1], name);
  else
    g_printerr ("%s: %s; %s --help lists what is allowed\n", name, error->message, name);
  return FALSE;
}

char *
vj_cli_get (const char *runtime_dir, const char *path, GError **error)
{
  g_autofree char *socket_path = g_build_filename (runtime_dir, VJ_API_SOCKET, NULL);
  g_autoptr (GError) local = NULL;
  char *text = vj_http_get_unix (socket_path, path, &local);
  if (text != NULL)
    return text;
  if (vj_error_is_gone (local))
    g_set_error (error, VJ_ERROR, VJ_ERROR_GONE,
                 "no agent answers at %s: is virtjouled running? (systemctl status virtjouled)", socket_path);
  else
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

int
vj_cli_finish (const char *text, const GError *error)
{
  if (text == NULL)
    {
      g_printerr ("virtjoule: %s\n", error->message);
      return VJ_EXIT_FAILED;
    }
  if (fputs (text, stdout) != EOF && fflush (stdout) == 0)
    return VJ_EXIT_OK;
  g_printerr ("virtjoule: standard output cannot be written\n");
  return VJ_EXIT_FAILED;
}
