/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/reader/reader.h"

/* The command line of virtjoule-reader. */
typedef struct
{
  VjReaderOptions reader; /* points to the texts */
  gboolean no_wait;
  gboolean version;
  char *port;
  char *tree;
  char *backend;
  char *core;
  char *mode;
  char *sysfs;
  char *dev;
} VjReaderCommandLine;

/* reader comes with the defaults for tree and roots and leaves with everything but report. FALSE, with what is
 * allowed in *error, for anything wrong. --help ends the process, as GLib does it. */
gboolean vj_reader_command_line_parse (VjReaderCommandLine *line, int argc, char **argv, GError **error);
void vj_reader_command_line_clear (VjReaderCommandLine *line);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjReaderCommandLine, vj_reader_command_line_clear)
