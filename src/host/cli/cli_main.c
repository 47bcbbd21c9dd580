/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include <locale.h>
#include <string.h>

#include "common/error.h"

static const VjCliVerb verbs[] = {
  { "list", "Running virtual machines and their energy", vj_cli_list_run },
  { "status", "The agent, its energy sources and the host's zones", vj_cli_status_run },
  { "channel", "Give domains of libvirt the port to their energy, or take it away", vj_cli_channel_run },
  { "domain", "What is set for one domain of libvirt", vj_cli_domain_run },
  { "calibrate", "Measure the static power of the idle host", vj_cli_calibrate_run },
  { "proxmox", "The channel of Proxmox VE's virtual machines", vj_cli_proxmox_run },
};

static GOptionContext *
option_context_new (const GOptionEntry *entries)
{
  GOptionContext *context = g_option_context_new ("VERB");
  GString *help = g_string_new ("Verbs:\n");
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    g_string_append_printf (help, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
  g_string_append (help, "\nvirtjoule VERB --help lists the options of a verb. See virtjoule(1).");
  g_option_context_set_summary (
      context, "Shows the energy of the virtual machines of this host, and lets them see it.");
  g_option_context_set_description (context, help->str);
  g_option_context_set_strict_posix (context, TRUE); /* what follows the verb is the verb's */
  g_option_context_add_main_entries (context, entries, NULL);
  g_string_free (help, TRUE);
  return context;
}

static int
usage (const char *problem, const char *name)
{
  g_printerr ("virtjoule: %s%s; virtjoule --help lists what is allowed\n", problem, name);
  return VJ_EXIT_USAGE;
}

static int
run_verb (const char *runtime_dir, int argc, char **argv)
{
  if (argc < 1)
    return usage ("a verb is missing", "");
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (strcmp (argv[0], verbs[i].name) == 0)
      return verbs[i].run (runtime_dir, argc, argv);
  return usage ("unknown verb ", argv[0]);
}

int
main (int argc, char **argv)
{
  g_autofree char *runtime_dir = NULL;
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &runtime_dir,
      "Where the agent's socket is (/run/virtjoule)", "DIR" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and exit", NULL },
    { 0 },
  };
  g_autoptr (GOptionContext) context = option_context_new (entries);
  g_autoptr (GError) error = NULL;
  (void)setlocale (LC_CTYPE, ""); /* the terminal's character set; numbers stay as they are */
  g_set_prgname ("virtjoule");
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return usage (error->message, "");
  if (version)
    return vj_cli_finish ("virtjoule " VJ_VERSION "\n", NULL);
  return run_verb (runtime_dir != NULL ? runtime_dir : "/run/virtjoule", argc - 1, argv + 1);
}
