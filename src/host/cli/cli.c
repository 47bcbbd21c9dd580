/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

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

static int
show_subverbs (const VjCliVerb *verbs, gsize n_verbs, const char *name)
{
  g_autoptr (GString) help = g_string_new (NULL);
  g_string_append_printf (help, "Usage:\n  virtjoule %s VERB [OPTION...]\n\nVerbs:\n", name);
  for (gsize i = 0; i < n_verbs; i++)
    g_string_append_printf (help, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
  g_string_append_printf (
      help, "\nvirtjoule %s VERB --help lists the options of a verb. See virtjoule-%s(1).\n", name, name);
  g_print ("%s", help->str);
  return VJ_EXIT_OK;
}

int
vj_cli_subverb (const VjCliVerb *verbs, gsize n_verbs, const char *runtime_dir, int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : NULL;
  if (g_strcmp0 (name, "--help") == 0 || g_strcmp0 (name, "-h") == 0)
    return show_subverbs (verbs, n_verbs, argv[0]);
  for (gsize i = 0; name != NULL && i < n_verbs; i++)
    if (strcmp (name, verbs[i].name) == 0)
      {
        g_autofree char *full_name = g_strdup_printf ("%s %s", argv[0], name);
        argv[1] = full_name;
        return verbs[i].run (runtime_dir, argc - 1, argv + 1);
      }
  g_printerr ("virtjoule %s: %s%s; virtjoule %s --help lists what is allowed\n", argv[0],
              name != NULL ? "unknown verb " : "a verb is missing", name != NULL ? name : "", argv[0]);
  return VJ_EXIT_USAGE;
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
