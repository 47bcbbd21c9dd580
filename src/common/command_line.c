/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/command_line.h"

#include "common/error.h"

gboolean
vj_command_line_parse (GOptionContext *context, const char *program, int argc, char **argv, GError **error)
{
  g_autoptr (GError) local = NULL;
  if (!g_option_context_parse (context, &argc, &argv, &local))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s; %s --help lists what is allowed", local->message,
                   program);
      return FALSE;
    }
  if (argc <= 1)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "unexpected argument \"%s\"; %s --help lists what is allowed", argv[1], program);
  return FALSE;
}
