/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/cli_table.h"
#include "common/error.h"
#include "common/http.h"
#include "common/metrics.h"
#include "guest/attributor/attributor.h"
#include "guest/attributor/attributor_once.h"
#include "guest/attributor/attributor_options.h"
#include "guest/attributor/attributor_screen.h"
#include "guest/attributor/attributor_top.h"
#include "guest/names/kubernetes.h"
#include "guest/names/names_logs.h"
#include "guest/names/names_runtime.h"

typedef struct
{
  const VjAttributorCommandLine *line;
  VjAttributor *attributor;
  VjNamesRuntime *runtime;  /* NULL: not asked for */
  VjKubernetes *kubernetes; /* likewise */
  VjScreen *screen;         /* of --top */
  GMainLoop *loop;
  guint readings;
} Program;

/* Parts of it may be a server's. */
static void
print_line (const char *line, gpointer user_data)
{
  g_autofree char *printable = vj_cli_printable (line);
  (void)fprintf (stderr, "virtjoule-attributor: %s\n", printable);
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
  if (program->kubernetes != NULL)
    vj_kubernetes_appeared (program->kubernetes, class);
}

/* --- what an interval and a complaint mean to each way of running --- */

/* The first reading begins the count; --once ends with the second, an interval later. */
static void
on_updated (gpointer user_data)
{
  Program *program = user_data;
  program->readings++;
  if (program->screen != NULL && program->attributor != NULL)
    vj_screen_take (program->screen, vj_attributor_snapshot (program->attributor));
  if (program->line->once && program->readings == 2)
    g_main_loop_quit (program->loop);
}

static void
on_report (const char *line, gpointer user_data)
{
  const Program *program = user_data;
  if (program->screen != NULL)
    vj_screen_tell (program->screen, line);
  else
    print_line (line, NULL);
}

static char *
render_once (const Program *program)
{
  g_autoptr (VjAttributorSnapshot) snapshot = vj_attributor_snapshot (program->attributor);
  const VjTopView view = { .levels = program->line->levels };
  if (program->line->json)
    return vj_attributor_json (snapshot, program->line->levels);
  if (program->line->metrics)
    return vj_attributor_metrics (snapshot, program->line->levels);
  return vj_attributor_top (NULL, snapshot, &view);
}

/* Waits for an interval to begin, and for it to end. */
static gboolean
run_once (Program *program, const VjAttributorOptions *options, VjNames *names, GError **error)
{
  if (!vj_once_await_update (options, program->loop, error))
    return FALSE;
  program->attributor = vj_attributor_new (options, names, error);
  if (program->attributor == NULL || program->readings == 0 || !vj_once_run (options, program->loop, error)
      || program->readings < 2)
    return FALSE;
  g_autofree char *text = render_once (program);
  if (fputs (text, stdout) != EOF && fflush (stdout) == 0)
    return TRUE;
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_FAILED, "standard output cannot be written");
  return FALSE;
}

static gboolean
run_top (Program *program, const VjAttributorOptions *options, VjNames *names, GError **error)
{
  program->screen = vj_screen_open (program->line->levels, program->loop, error);
  if (program->screen == NULL)
    return FALSE;
  program->attributor = vj_attributor_new (options, names, error);
  if (program->attributor != NULL && program->readings > 0)
    vj_screen_take (program->screen, vj_attributor_snapshot (program->attributor));
  if (program->attributor != NULL)
    g_main_loop_run (program->loop);
  g_clear_pointer (&program->screen, vj_screen_free);
  return program->attributor != NULL;
}

static gboolean
serve (Program *program, const VjAttributorOptions *options, VjNames *names, GError **error)
{
  g_autoptr (VjHttp) http = vj_http_new ();
  vj_http_handle (http, "/metrics", serve_metrics, program);
  vj_http_handle (http, "/v1/energy", serve_json, program);
  if (program->line->listen != NULL && !vj_http_listen_tcp (http, program->line->listen, error))
    {
      g_prefix_error_literal (error, "--listen: ");
      return FALSE;
    }
  program->attributor = vj_attributor_new (options, names, error);
  if (program->attributor != NULL)
    g_main_loop_run (program->loop);
  return program->attributor != NULL;
}

static gboolean
run (Program *program, VjNames *names, GError **error)
{
  g_autoptr (VjNamesLogs) logs = NULL;
  g_autoptr (VjNamesRuntime) runtime = NULL;
  VjAttributorOptions options = program->line->attributor;
  gboolean done = FALSE;
  if (program->line->log_dir != NULL)
    {
      logs = vj_names_logs_new (program->line->log_dir, names, error);
      if (logs == NULL)
        return FALSE;
    }
  if (program->line->runtime_root != NULL)
    runtime = vj_names_runtime_new (program->line->runtime_root, names);
  program->runtime = runtime;
  if (program->line->kubernetes.mode != VJ_KUBERNETES_NONE)
    program->kubernetes = vj_kubernetes_new (&program->line->kubernetes, names, on_report, program);
  options.appeared = on_appeared;
  options.report = on_report;
  options.updated = on_updated;
  options.user_data = program;
  if (program->line->once)
    done = run_once (program, &options, names, error);
  else if (program->line->top)
    done = run_top (program, &options, names, error);
  else
    done = serve (program, &options, names, error);
  vj_attributor_free (program->attributor);
  return done;
}

static int
exit_code (const GError *error)
{
  return g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID) ? VJ_EXIT_USAGE : VJ_EXIT_FAILED;
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
    return puts ("virtjoule-attributor " VJ_VERSION) != EOF && fflush (stdout) == 0 ? VJ_EXIT_OK
                                                                                    : VJ_EXIT_FAILED;
  g_unix_signal_add (SIGTERM, quit, loop);
  g_unix_signal_add (SIGINT, quit, loop);
  gboolean done = run (&program, names, &error);
  vj_kubernetes_free (program.kubernetes); /* runs the loop, on which nothing else is left */
  if (done)
    return VJ_EXIT_OK;
  return error != NULL ? fail (exit_code (error), error) : VJ_EXIT_FAILED;
}
