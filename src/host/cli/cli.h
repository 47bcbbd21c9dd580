/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The verbs of virtjoule(1). Each asks the agent for one document and shows it. */

/* One verb. argv[0] is its name; its options follow. Returns the exit status. */
typedef struct
{
  const char *name;
  const char *summary;
  int (*run) (const char *runtime_dir, int argc, char **argv);
} VjCliVerb;

int vj_cli_calibrate_run (const char *runtime_dir, int argc, char **argv);
int vj_cli_channel_run (const char *runtime_dir, int argc, char **argv);
int vj_cli_domain_run (const char *runtime_dir, int argc, char **argv);
int vj_cli_list_run (const char *runtime_dir, int argc, char **argv);
int vj_cli_proxmox_run (const char *runtime_dir, int argc, char **argv);
int vj_cli_status_run (const char *runtime_dir, int argc, char **argv);

/* The tables of the agent's documents (virtjoule(1), JSON). Pure. INVALID if json is not of that form. */
char *vj_cli_list_text (const char *json, gboolean show_uuid, GError **error);
/* What holds for each domain, and by whose word. */
char *vj_cli_settings_text (const char *json, GError **error);
char *vj_cli_status_text (const char *json, GError **error);

/* What verbs share. Parses a verb's options, which take no further arguments. On failure the error is shown. */
gboolean vj_cli_options (const GOptionEntry *entries, const char *summary, int argc, char **argv);
/* The same for a verb that takes arguments, which parameters shows in its --help ("DOMAIN..."). They are the caller's; NULL
 * if an error was shown. */
char **vj_cli_arguments (const GOptionEntry *entries, const char *parameters, const char *summary, int argc,
                         char **argv);
/* Runs the one of verbs that argv[1] names, as "virtjoule argv[0] argv[1]"; or shows them. */
int vj_cli_subverb (const VjCliVerb *verbs, gsize n_verbs, const char *runtime_dir, int argc, char **argv);
/* GET path from the agent. GONE: none answers. */
char *vj_cli_get (const char *runtime_dir, const char *path, GError **error);
/* Prints text, or the error if text is NULL. Returns the exit status. */
int vj_cli_finish (const char *text, const GError *error);
