/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_options.h"

#include <string.h>

#include "common/cli_table.h"
#include "common/command_line.h"
#include "common/duration.h"
#include "common/error.h"
#include "common/units.h"
#include "guest/names/kubernetes_options.h"

#define READERS_SYSFS   "/run/virtjoule/sys"
#define DEFAULT_LISTEN  "127.0.0.1:9178"
#define DEFAULT_GROUPS  10000
#define DEFAULT_KEEP_US (300 * VJ_US_PER_S)
#define MAX_ENDED       2000

/* What the command line said: the raw text of each option. */
typedef struct
{
  char *sysfs;
  char *device_sysfs;
  char *procfs;
  char *cgroupfs;
  char *interval;
  char *levels;
  char *keep;
  char *max_groups;
  char *listen;
  char *log_dir;
  char *runtime_root;
  VjKubernetesTexts kubernetes;
} Texts;

static void
texts_clear (Texts *texts)
{
  g_free (texts->sysfs);
  g_free (texts->device_sysfs);
  g_free (texts->procfs);
  g_free (texts->cgroupfs);
  g_free (texts->interval);
  g_free (texts->levels);
  g_free (texts->keep);
  g_free (texts->max_groups);
  g_free (texts->listen);
  g_free (texts->log_dir);
  g_free (texts->runtime_root);
  vj_kubernetes_texts_clear (&texts->kubernetes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Texts, texts_clear)

static gboolean
refuse (GError **error, const char *option, const char *value, const char *allowed)
{
  g_autofree char *printable = vj_cli_printable (value);
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "--%s %s: must be %s", option, printable, allowed);
  return FALSE;
}

static gboolean
parse_level (const char *name, guint *levels)
{
  static const struct
  {
    const char *name;
    guint levels;
  } known[] = {
    { "workload", VJ_LEVEL_WORKLOAD }, { "pod", VJ_LEVEL_POD },         { "container", VJ_LEVEL_CONTAINER },
    { "unit", VJ_LEVEL_UNIT },         { "process", VJ_LEVEL_PROCESS }, { "node", 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (name, known[i].name) == 0)
      {
        *levels |= known[i].levels;
        return TRUE;
      }
  return FALSE;
}

static gboolean
parse_levels (const char *text, guint *ret_levels, GError **error)
{
  g_auto (GStrv) names = g_strsplit (text, ",", -1);
  guint levels = 0;
  gboolean known = names[0] != NULL;
  for (guint i = 0; names[i] != NULL; i++)
    known = known && parse_level (names[i], &levels);
  *ret_levels = levels;
  return known
         || refuse (error, "levels", text,
                    "a list of node, workload, pod, container, unit, process, such as pod,unit");
}

static gboolean
parse_duration (const char *option, const char *text, guint64 least_us, guint64 most_us, const char *allowed,
                guint64 *ret_us, GError **error)
{
  guint64 us = 0;
  if (!vj_duration_parse (text, &us, NULL) || us < least_us || us > most_us)
    return refuse (error, option, text, allowed);
  *ret_us = us;
  return TRUE;
}

static gboolean
parse_count (const char *option, const char *text, guint *ret_count, GError **error)
{
  guint64 count = 0;
  if (!g_ascii_string_to_unsigned (text, 10, 1, 1000000, &count, NULL))
    return refuse (error, option, text, "a number from 1 to 1000000");
  *ret_count = (guint)count;
  return TRUE;
}

/* This machine's own counters where it has some and no reader shows others, which may lie over them. Else the reader's tree,
 * even before it is there: the port may come late, by hot-plug too. */
static char *
default_sysfs (void)
{
  gboolean own = g_file_test ("/sys/class/powercap/intel-rapl:0", G_FILE_TEST_IS_DIR);
  gboolean readers = g_file_test (READERS_SYSFS "/class", G_FILE_TEST_IS_DIR);
  return g_strdup (own && !readers ? "/sys" : READERS_SYSFS);
}

static char *
either (char *text, const char *fallback)
{
  return g_strdup (text != NULL ? text : fallback);
}

static gboolean
interpret_numbers (VjAttributorCommandLine *line, const Texts *texts, GError **error)
{
  VjAttributorOptions *options = &line->attributor;
  options->interval_us = VJ_US_PER_S;
  options->workloads = (VjWorkloadsOptions){ .max_groups = DEFAULT_GROUPS,
                                             .keep_us = DEFAULT_KEEP_US,
                                             .max_ended = MAX_ENDED };
  line->levels = VJ_LEVEL_WORKLOAD | VJ_LEVEL_POD | VJ_LEVEL_CONTAINER | VJ_LEVEL_UNIT;
  return (texts->interval == NULL
          || parse_duration ("interval", texts->interval, 100 * VJ_US_PER_MS, 60 * VJ_US_PER_S,
                             "100ms to 60s", &options->interval_us, error))
         && (texts->keep == NULL
             || parse_duration ("keep", texts->keep, 0, 86400 * VJ_US_PER_S, "0s to 86400s",
                                &options->workloads.keep_us, error))
         && (texts->max_groups == NULL
             || parse_count ("max-groups", texts->max_groups, &options->workloads.max_groups, error))
         && (texts->levels == NULL || parse_levels (texts->levels, &line->levels, error));
}

static gboolean
interpret (VjAttributorCommandLine *line, Texts *texts, GError **error)
{
  VjRoots *roots = &line->attributor.roots;
  if (!interpret_numbers (line, texts, error))
    return FALSE;
  line->attributor.workloads.processes = (line->levels & VJ_LEVEL_PROCESS) != 0;
  roots->sysfs = texts->sysfs != NULL ? g_steal_pointer (&texts->sysfs) : default_sysfs ();
  line->attributor.device_sysfs = either (texts->device_sysfs, "/sys");
  roots->procfs = either (texts->procfs, "/proc");
  roots->cgroupfs = either (texts->cgroupfs, "/sys/fs/cgroup");
  if (g_strcmp0 (texts->listen, "none") != 0)
    line->listen = either (texts->listen, DEFAULT_LISTEN);
  if (g_strcmp0 (texts->log_dir, "none") != 0)
    line->log_dir = either (texts->log_dir, "/var/log");
  if (g_strcmp0 (texts->runtime_root, "none") != 0)
    line->runtime_root = either (texts->runtime_root, "/");
  return vj_kubernetes_options_interpret (&line->kubernetes, &texts->kubernetes, error);
}

static gboolean
check_together (const VjAttributorCommandLine *line, GError **error)
{
  const char *problem = NULL;
  if (line->once && line->top)
    problem = "--once and --top exclude each other";
  else if (line->json && line->metrics)
    problem = "--json and --metrics exclude each other";
  else if (line->json && !line->once)
    problem = "--json goes with --once";
  else if (line->metrics && !line->once)
    problem = "--metrics goes with --once";
  if (problem == NULL)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s; virtjoule-attributor --help lists what is allowed",
               problem);
  return FALSE;
}

gboolean
vj_attributor_command_line_parse (VjAttributorCommandLine *line, int argc, char **argv, GError **error)
{
  g_auto (Texts) texts = { 0 };
  const GOptionEntry entries[] = {
    { "top", 0, 0, G_OPTION_ARG_NONE, &line->top, "Show on this terminal what uses the energy", NULL },
    { "once", 0, 0, G_OPTION_ARG_NONE, &line->once, "Attribute one interval, print a table of it, and end",
      NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &line->json, "With --once: a JSON document in its place", NULL },
    { "metrics", 0, 0, G_OPTION_ARG_NONE, &line->metrics, "With --once: metrics in its place", NULL },
    { "levels", 0, 0, G_OPTION_ARG_STRING, &texts.levels,
      "What is shown: node, workload, pod, container, unit, process (all but process)", "LIST" },
    { "listen", 0, 0, G_OPTION_ARG_STRING, &texts.listen,
      "Serve /metrics there (" DEFAULT_LISTEN "), or none", "ADDRESS:PORT" },
    { "keep", 0, 0, G_OPTION_ARG_STRING, &texts.keep, "How long what ended is still shown (300s)",
      "DURATION" },
    { "max-groups", 0, 0, G_OPTION_ARG_STRING, &texts.max_groups, "Most control groups to follow (10000)",
      "N" },
    { "interval", 0, 0, G_OPTION_ARG_STRING, &texts.interval,
      "Time between readings of counters that tick by themselves (1s)", "DURATION" },
    { "sysfs", 0, 0, G_OPTION_ARG_FILENAME, &texts.sysfs,
      "What holds class/powercap (/sys where this machine has counters of its own, else " READERS_SYSFS ")",
      "DIR" },
    { "device-sysfs", 0, 0, G_OPTION_ARG_FILENAME, &texts.device_sysfs,
      "Where sysfs tells of this machine's disks and memory (/sys)", "DIR" },
    { "procfs", 0, 0, G_OPTION_ARG_FILENAME, &texts.procfs, "Where procfs is mounted (/proc)", "DIR" },
    { "cgroupfs", 0, 0, G_OPTION_ARG_FILENAME, &texts.cgroupfs,
      "Where control groups are mounted (/sys/fs/cgroup)", "DIR" },
    { "log-dir", 0, 0, G_OPTION_ARG_FILENAME, &texts.log_dir,
      "Where kubelet keeps pods and containers, for names (/var/log), or none", "DIR" },
    { "runtime-root", 0, 0, G_OPTION_ARG_FILENAME, &texts.runtime_root,
      "Below which docker, containerd, CRI-O and Podman keep their state, for names (/), or none", "DIR" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &line->version, "Print the version", NULL },
    { 0 },
  };
  g_autoptr (GOptionContext) context =
      g_option_context_new ("- attribute this machine's energy to what runs on it");
  g_option_context_add_main_entries (context, entries, NULL);
  vj_kubernetes_texts_add_to (&texts.kubernetes, context);
  return vj_command_line_parse (context, "virtjoule-attributor", argc, argv, error)
         && interpret (line, &texts, error) && check_together (line, error);
}

void
vj_attributor_command_line_clear (VjAttributorCommandLine *line)
{
  vj_roots_clear (&line->attributor.roots);
  g_free (line->attributor.device_sysfs);
  g_free (line->listen);
  g_free (line->log_dir);
  g_free (line->runtime_root);
  vj_kubernetes_options_clear (&line->kubernetes);
}
