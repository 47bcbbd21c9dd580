/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/attributor.h"
#include "guest/names/kubernetes.h"

/* The command line of virtjoule-attributor. */
typedef struct
{
  VjAttributorOptions attributor; /* but for report, updated and user_data */
  guint levels;                   /* VjLevels */
  char *log_dir;                  /* of kubelet; NULL: names are not looked for there */
  char *runtime_root;             /* below which container runtimes keep their state; NULL: as above */
  VjKubernetesOptions kubernetes;
  char *listen; /* ADDRESS:PORT, or NULL: nowhere */
  gboolean once;
  gboolean json; /* with once, as is metrics */
  gboolean metrics;
  gboolean top;
  gboolean version;
} VjAttributorCommandLine;

/* FALSE, with what is allowed in *error, for anything wrong. --help ends the process, as GLib does it. */
gboolean vj_attributor_command_line_parse (VjAttributorCommandLine *line, int argc, char **argv,
                                           GError **error);
void vj_attributor_command_line_clear (VjAttributorCommandLine *line);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjAttributorCommandLine, vj_attributor_command_line_clear)
