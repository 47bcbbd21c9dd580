/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/error.h"
#include "common/http.h"
#include "common/metrics.h"
#include "guest/attributor.h"
#include "guest/attributor_options.h"
#include "guest/names_logs.h"
#include "guest/names_runtime.h"

typedef struct
{
  const VjAttributorCommandLine *line;
  VjAttributor *attributor;
  VjNamesRuntime *runtime; /* NULL: not asked for */
  GMainLoop *loop;
  guint intervals;
} Program;

static void
print_line (const char *line, gpointer user_data)
{
  fprintf (stderr, "virtjoule-attributor: %s\n", line);
}

static int
fail (int code, const GError *error)
{
  print_line (error->message, NULL);
  return code;
}

static gboolean
quit (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

/* A descriptor for each control group. */
static void
raise_file_limit (void)
{
  struct rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

static char *
serve_metrics (const char **ret_content_type, gpointer user_data, GError **error)
{
  const Program *program = user_data;
  g_autoptr (VjAttributorSnapshot) snapshot = vj_attributor_snapshot (program->attributor);
  *ret_content_type = VJ_METRICS_CONTENT_TYPE;
  return vj_attributor_metrics (snapshot, program->line->levels);
}

static char *
serve_json (const char **ret_content_type, gpointer user_data, GError **error)
{
  const Program *program = user_data;
  g_autoptr (VjAttributorSnapshot) snapshot = vj_attributor_snapshot (program->attributor);
  *ret_content_type = "application/json";
  return vj_attributor_json (snapshot, program->line->levels);
}

static void
on_appeared (const VjCgroupClass *class, gpointer user_data)
{
  const Program *program = user_data;
  if (program->runtime != NULL)
    vj_names_runtime_appeared (program->runtime, class);
}

/* The first interval begins the count, and the second is the one that is shown. */
static void
on_updated (gpointer user_data)
{
  Program *program = user_data;
  program->intervals++;
  if (program->line->once && program->intervals >= 2)
    g_main_loop_quit (program->loop);
}

static int
print_once (const Program *program)
{
  g_autoptr (VjAttributorSnapshot) snapshot = vj_attributor_snapshot (program->attributor);
  guint levels = program->line->levels;
  g_autofree char *text =
      program->line->json ? vj_attributor_json (snapshot, levels) : vj_attributor_metrics (snapshot, levels);
  if (fputs (text, stdout) != EOF && fflush (stdout) == 0)
    return VJ_EXIT_OK;
  print_line ("standard output cannot be written", NULL);
  return VJ_EXIT_FAILED;
}

static int
run (Program *program, VjNames *names, GError **error)
{
  g_autoptr (VjHttp) http = vj_http_new ();
  g_autoptr (VjNamesLogs) logs = NULL;
  g_autoptr (VjNamesRuntime) runtime = NULL;
  VjAttributorOptions options = program->line->attributor;
  if (program->line->log_dir != NULL)
    {
      logs = vj_names_logs_new (program->line->log_dir, names, error);
      if (logs == NULL)
        return VJ_EXIT_FAILED;
    }
  if (program->line->runtime_root != NULL)
    program->runtime = runtime = vj_names_runtime_new (program->line->runtime_root, names);
  options.appeared = on_appeared;
  options.report = print_line;
  options.updated = on_updated;
  options.user_data = program;
  program->attributor = vj_attributor_new (&options, names, error);
  if (program->attributor == NULL)
    return VJ_EXIT_FAILED;
  vj_http_handle (http, "/metrics", serve_metrics, program);
  vj_http_handle (http, "/v1/energy", serve_json, program);
  if (!program->line->once && program->line->listen != NULL
      && !vj_http_listen_tcp (http, program->line->listen, error))
    {
      vj_attributor_free (program->attributor);
      return VJ_EXIT_FAILED;
    }
  g_main_loop_run (program->loop);
  int code = program->line->once && program->intervals >= 2 ? print_once (program) : VJ_EXIT_OK;
  vj_attributor_free (program->attributor);
  return code;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (VjNames) names = vj_names_new ();
  g_auto (VjAttributorCommandLine) line = { 0 };
  Program program = { .line = &line, .loop = loop };
  (void)setlocale (LC_CTYPE, "");
  signal (SIGPIPE, SIG_IGN);
  raise_file_limit ();
  mallopt (M_ARENA_MAX, 1);
  if (!vj_attributor_command_line_parse (&line, argc, argv, &error))
    return fail (VJ_EXIT_USAGE, error);
  if (line.version)
    {
      puts ("virtjoule-attributor " VJ_VERSION);
      return VJ_EXIT_OK;
    }
  g_unix_signal_add (SIGTERM, quit, loop);
  g_unix_signal_add (SIGINT, quit, loop);
  int code = run (&program, names, &error);
  return error != NULL ? fail (code, error) : code;
}
