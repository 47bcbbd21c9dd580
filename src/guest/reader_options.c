/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader_options.h"

#include <string.h>

#include "common/error.h"

typedef struct
{
  char *port;
  char *tree;
  char *backend;
  char *core;
  char *mode;
  char *sysfs;
  char *dev;
  gboolean no_wait;
  gboolean version;
} Texts;

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
interpret (VjReaderOptions *options, const Texts *texts, GError **error)
{
  options->port = (VjPortPlace){ .path = texts->port, .dev = texts->dev, .sysfs = texts->sysfs };
  options->tree = clean_tree_path (texts->tree, error);
  return options->tree != NULL && parse_backend (texts->backend, &options->backend, error)
         && parse_core (texts->core, &options->core, error)
         && parse_mode (texts->mode, &options->mode, error);
}

static gboolean
parse_texts (Texts *texts, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "port", 0, 0, G_OPTION_ARG_FILENAME, &texts->port,
      "Virtio port (or unix socket); default: the one named " VJ_PORT_NAME, "PATH" },
    { "tree", 0, 0, G_OPTION_ARG_FILENAME, &texts->tree, "Where to build the tree", "DIR" },
    { "backend", 0, 0, G_OPTION_ARG_STRING, &texts->backend, "files (default) or fuse", "NAME" },
    { "core", 0, 0, G_OPTION_ARG_STRING, &texts->core,
      "auto (default), or always: also where the host has no core zone", "WHEN" },
    { "mode", 0, 0, G_OPTION_ARG_STRING, &texts->mode, "Mode of the tree's files (default 0444)", "MODE" },
    { "no-wait", 0, 0, G_OPTION_ARG_NONE, &texts->no_wait, "Fail if the port is not there at the start",
      NULL },
    { "sysfs", 0, 0, G_OPTION_ARG_FILENAME, &texts->sysfs, "Root of sysfs (default /sys)", "DIR" },
    { "dev", 0, 0, G_OPTION_ARG_FILENAME, &texts->dev, "Root of device nodes (default /dev)", "DIR" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &texts->version, "Print the version", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autoptr (GOptionContext) context =
      g_option_context_new ("- show this virtual machine's energy as a powercap tree");

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, error))
    return FALSE;
  if (argc == 1)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "unexpected argument %s; see --help", argv[1]);
  return FALSE;
}

gboolean
vj_reader_options_parse (VjReaderOptions *options, int argc, char **argv, gboolean *ret_no_wait,
                         GError **error)
{
  /* GLib frees a default that an option replaces. */
  Texts texts = { .tree = g_strdup (options->tree),
                  .backend = g_strdup (vj_tree_files.name),
                  .core = g_strdup ("auto"),
                  .mode = g_strdup ("0444"),
                  .sysfs = g_strdup (options->port.sysfs),
                  .dev = g_strdup (options->port.dev) };

  if (!parse_texts (&texts, argc, argv, error))
    return FALSE;
  if (texts.version)
    {
      g_print ("virtjoule-reader " VJ_VERSION "\n");
      return FALSE;
    }
  *ret_no_wait = texts.no_wait;
  return interpret (options, &texts, error);
}
