/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/reader.h"

/* The command line. *options comes with the default tree and roots; fills the port, tree, backend, core and mode; their strings live as long as the process.
 * FALSE with *error: a wrong command line; FALSE without: --help or --version was asked for and printed. */
gboolean vj_reader_options_parse (VjReaderOptions *options, int argc, char **argv, gboolean *ret_no_wait,
                                  GError **error);
