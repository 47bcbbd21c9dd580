/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/reader_options.h"

#include <string.h>

#include "common/command_line.h"
#include "common/error.h"

static gboolean
refuse (GError **error, const char *option, const char *value, const char *allowed)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "--%s %s: must be %s", option, value, allowed);
  return FALSE;
}

static gboolean
parse_mode (const char *text, guint *ret_mode, GError **error)
{
  guint64 mode;

  if (strlen (text) > 4 || !g_ascii_string_to_unsigned (text, 8, 0400, 0777, &mode, NULL)
      || (mode & 0133) != 0 || (mode & 0400) == 0)
    return refuse (error, "mode", text,
                   "an octal file mode that its owner can read and nobody else write, such as 0444 or 0440");
  *ret_mode = (guint)mode;
  return TRUE;
}

static gboolean
parse_core (const char *text, VjCorePolicy *ret_core, GError **error)
{
  const gboolean always = strcmp (text, "always") == 0;

  if (!always && strcmp (text, "auto") != 0)
    return refuse (error, "core", text, "auto or always");
  *ret_core = always ? VJ_CORE_ALWAYS : VJ_CORE_AUTO;
  return TRUE;
}

static gboolean
parse_backend (const char *text, const VjTreeBackend **ret_backend, GError **error)
{
  *ret_backend = vj_tree_backend (text);
  if (*ret_backend != NULL)
    return TRUE;
  if (strcmp (text, "fuse") == 0)
    return refuse (error, "backend", text, "files: this build has no fuse");
  return refuse (error, "backend", text, "files or fuse");
}

/* "/" and "" have no directory beside them to keep the state in. */
static char *
clean_tree_path (const char *text, GError **error)
{
  g_autofree char *path = g_canonicalize_filename (text, NULL);

  if (text[0] != '\0' && strcmp (path, "/") != 0)
    return g_steal_pointer (&path);
  refuse (error, "tree", text, "a directory below the root");
  return NULL;
}

static gboolean
interpret (VjReaderCommandLine *line, GError **error)
{
  VjReaderOptions *options = &line->reader;

  if (line->tree != NULL)
    {
      char *tree = clean_tree_path (line->tree, error);
      if (tree == NULL)
        return FALSE;
      g_free (line->tree);
      options->tree = line->tree = tree;
    }
  options->port.path = line->port;
  options->port.sysfs = line->sysfs != NULL ? line->sysfs : options->port.sysfs;
  options->port.dev = line->dev != NULL ? line->dev : options->port.dev;
  return parse_backend (line->backend != NULL ? line->backend : "files", &options->backend, error)
         && parse_core (line->core != NULL ? line->core : "auto", &options->core, error)
         && parse_mode (line->mode != NULL ? line->mode : "0444", &options->mode, error);
}

static gboolean
parse_texts (VjReaderCommandLine *line, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "port", 0, 0, G_OPTION_ARG_FILENAME, &line->port,
      "Virtio port (or unix socket); default: the one named " VJ_PORT_NAME, "PATH" },
    { "tree", 0, 0, G_OPTION_ARG_FILENAME, &line->tree, "Where to build the tree", "DIR" },
    { "backend", 0, 0, G_OPTION_ARG_STRING, &line->backend, "files (default) or fuse", "NAME" },
    { "core", 0, 0, G_OPTION_ARG_STRING, &line->core,
      "auto (default), or always: also where the host has no core zone", "WHEN" },
    { "mode", 0, 0, G_OPTION_ARG_STRING, &line->mode, "Mode of the tree's files (default 0444)", "MODE" },
    { "no-wait", 0, 0, G_OPTION_ARG_NONE, &line->no_wait, "Fail if the port is not there at the start",
      NULL },
    { "sysfs", 0, 0, G_OPTION_ARG_FILENAME, &line->sysfs, "Root of sysfs (default /sys)", "DIR" },
    { "dev", 0, 0, G_OPTION_ARG_FILENAME, &line->dev, "Root of device nodes (default /dev)", "DIR" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &line->version, "Print the version", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autoptr (GOptionContext) context =
      g_option_context_new ("- show this virtual machine's energy as a powercap tree");

  g_option_context_add_main_entries (context, entries, NULL);
  return vj_command_line_parse (context, "virtjoule-reader", argc, argv, error);
}

gboolean
vj_reader_command_line_parse (VjReaderCommandLine *line, int argc, char **argv, GError **error)
{
  return parse_texts (line, argc, argv, error) && interpret (line, error);
}

void
vj_reader_command_line_clear (VjReaderCommandLine *line)
{
  char *texts[] = { line->port, line->tree, line->backend, line->core, line->mode, line->sysfs, line->dev };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
}
