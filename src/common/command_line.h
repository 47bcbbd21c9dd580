/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parses the options of a program that takes no other arguments. INVALID, with where to look, for an option that is not one
 * and for an argument that is left. program: its name, as it is called. */
gboolean vj_command_line_parse (GOptionContext *context, const char *program, int argc, char **argv,
                                GError **error);
