/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/http.h"
#include "host/api.h"

char **
vj_cli_arguments (const GOptionEntry *entries, const char *parameters, const char *summary, int argc,
                  char **argv)
{
  g_autofree char *name = g_strdup_printf ("virtjoule %s", argv[0]);
  g_autoptr (GOptionContext) context = g_option_context_new (parameters);
  g_autoptr (GError) error = NULL;
  g_set_prgname (name);
  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s: %s; %s --help lists what is allowed\n", name, error->message, name);
      return NULL;
    }
  argv +=
      argc > 1 && strcmp (argv[1], "--") == 0 ? 2 : 1; /* GLib leaves it before what looks like an option */
  return g_strdupv (argv);
}

gboolean
vj_cli_options (const GOptionEntry *entries, const char *summary, int argc, char **argv)
{
  const char *verb = argv[0];
  g_auto (GStrv) rest = vj_cli_arguments (entries, NULL, summary, argc, argv);
  if (rest != NULL && rest[0] != NULL)
    g_printerr ("virtjoule %s: unexpected argument \"%s\"; virtjoule %s --help lists what is allowed\n", verb,
                rest[0], verb);
  return rest != NULL && rest[0] == NULL;
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
