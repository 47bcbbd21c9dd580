/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/units.h"
#include "common/source_powercap.h"

typedef struct
{
  char *directory;
  char *file;
} Fixture;

static int
setup (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);
  fixture->directory = g_dir_make_tmp ("vj-config-XXXXXX", NULL);
  fixture->file = g_build_filename (fixture->directory, "agent.conf", NULL);
  *state = fixture;
  return fixture->directory == NULL;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  g_unlink (fixture->file);
  g_rmdir (fixture->directory);
  g_free (fixture->file);
  g_free (fixture->directory);
  g_free (fixture);
  return 0;
}

/* Parses "virtjouled --config FILE [extra...]"; extra is one string, split at spaces. */
static VjConfig *
parse (const char *file, const char *extra, GError **error)
{
  g_autofree char *command = g_strdup_printf ("virtjouled --config %s %s", file, extra);
  g_auto (GStrv) words = NULL;
  assert_true (g_shell_parse_argv (command, NULL, &words, NULL));
  g_autofree char **argv = g_memdup2 (words, (g_strv_length (words) + 1) * sizeof (char *));
  return vj_config_parse ((int)g_strv_length (words), argv, error);
}

static VjConfig *
parse_text (Fixture *fixture, const char *text, gssize length, const char *extra, GError **error)
{
  assert_true (g_file_set_contents (fixture->file, text, length, NULL));
  return parse (fixture->file, extra, error);
}

static void
assert_defaults (const VjConfig *config)
{
  assert_string_equal (config->roots.sysfs, "/sys");
  assert_string_equal (config->roots.procfs, "/proc");
  assert_string_equal (config->roots.cgroupfs, "/sys/fs/cgroup");
  assert_string_equal (config->roots.runtime_dir, "/run/virtjoule");
  assert_string_equal (config->roots.state_dir, "/var/lib/virtjoule");
  assert_string_equal (config->roots.libvirt_rundir, "/run/libvirt/qemu");
  assert_int_equal (config->interval_us, VJ_US_PER_S);
  assert_string_equal (config->libvirt_uri, "qemu:///system");
  assert_int_equal (config->source, VJ_SOURCE_AUTO);
  assert_int_equal (config->max_power_uw, VJ_POWERCAP_MAX_POWER_UW);
  assert_int_equal (config->model_idle_uw, 0);
  assert_int_equal (config->model_full_uw, 0);
  assert_int_equal (config->domain.measure, TRUE);
  assert_int_equal (config->domain.interval_us, VJ_US_PER_S);
  assert_int_equal (config->domain.resolution_uj, VJ_UJ_PER_MJ);
  assert_int_equal (config->domain.static_policy, VJ_STATIC_SEPARATE);
  assert_int_equal (config->managers, 0);
  assert_false (config->counter_forever);
  assert_string_equal (config->proxmox_rundir, "/run/qemu-server");
  assert_string_equal (config->pve_dir, "/etc/pve");
  assert_int_equal (g_strv_length (config->qemu_executables), 4);
  assert_int_equal (config->curve.kind, VJ_CURVE_LINEAR);
  assert_int_equal (config->curve.gamma_permille, 400);
  assert_int_equal (config->curve.stacking, VJ_STACKING_LONGEST_LIVED);
  assert_null (config->metrics_listen);
  assert_false (config->show_version);
}

static void
test_empty_file_leaves_defaults (void **state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse_text (*state, "", -1, "", &error);
  assert_null (error);
  assert_defaults (config);
  assert_int_equal (g_hash_table_size (config->static_uw), 0);
}

static void
test_options (void **state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse_text (
      *state, "", -1,
      "--interval 200ms --source model --metrics-listen '[::1]:9177' --libvirt-uri none "
      "--libvirt-rundir /a --sysfs /b --procfs=/c --cgroupfs /d --runtime-dir /e --state-dir /f "
      "--static-policy even --manager 'libvirt, qemu' --counter-lifetime forever --proxmox-rundir /g "
      "--pve-dir /h --qemu-executables /a,/b-* --qemu-users root,4711",
      &error);
  assert_null (error);
  assert_int_equal (config->interval_us, 200 * VJ_US_PER_MS);
  assert_int_equal (config->source, VJ_SOURCE_MODEL);
  assert_string_equal (config->metrics_listen, "[::1]:9177");
  assert_string_equal (config->libvirt_uri, "none");
  assert_string_equal (config->roots.libvirt_rundir, "/a");
  assert_string_equal (config->roots.sysfs, "/b");
  assert_string_equal (config->roots.procfs, "/c");
  assert_string_equal (config->roots.cgroupfs, "/d");
  assert_string_equal (config->roots.runtime_dir, "/e");
  assert_string_equal (config->roots.state_dir, "/f");
  assert_int_equal (config->domain.static_policy, VJ_STATIC_EVEN);
  assert_true (config->domain.said[VJ_SETTING_STATIC_POLICY]);
  assert_false (config->domain.said[VJ_SETTING_INTERVAL]);
  assert_int_equal (config->domain.interval_us, 200 * VJ_US_PER_MS);
  assert_int_equal (config->managers, VJ_MANAGER_LIBVIRT | VJ_MANAGER_QEMU);
  assert_true (config->counter_forever);
  assert_string_equal (config->proxmox_rundir, "/g");
  assert_string_equal (config->pve_dir, "/h");
  assert_string_equal (config->qemu_executables[1], "/b-*");
  assert_int_equal (config->qemu_uids->len, 2);
  assert_int_equal (g_array_index (config->qemu_uids, guint, 0), 0);
  assert_int_equal (g_array_index (config->qemu_uids, guint, 1), 4711);
}

static void
test_version_reads_nothing (void **state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse ("/nonexistent", "--version", &error);
  assert_null (error);
  assert_true (config->show_version);
}

static guint64
static_uw (const VjConfig *config, const char *zone)
{
  const guint64 *power_uw = g_hash_table_lookup (config->static_uw, zone);
  assert_non_null (power_uw);
  return *power_uw;
}

static void
test_file (void **state)
{
  const char *text = "# comment\n"
                     "\n"
                     "[agent]\r\n"
                     "  interval=60s  \n"
                     "libvirt-uri = test:///a b\n"
                     "metrics-listen = 127.0.0.1:9177\n"
                     "[static-watts]\n"
                     "package-0 = 20.5\n"
                     "package-0/dram = 0.000001\n"
                     "package-1-die-1 = 1000000\n"
                     "package-2 = auto\n"
                     "default = auto\n"
                     "[model]\n"
                     "idle-watts = 7\n"
                     "full-watts = 7.000000\n"
                     "[powercap]\n"
                     "max-watts = 350.25\n"
                     "[guest]\n"
                     "resolution = 1uJ\n"
                     "interval = 5s\n"
                     "measure = no\n"
                     "[attribution]\n"
                     "static-policy = allocation\n"
                     "curve = gamma\n"
                     "gamma = 0.725\n"
                     "stacking = largest\n"
                     "[agent]\n"
                     "source = powercap";
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse_text (*state, text, -1, "", &error);
  assert_null (error);
  assert_int_equal (config->interval_us, 60 * VJ_US_PER_S);
  assert_string_equal (config->libvirt_uri, "test:///a b");
  assert_string_equal (config->metrics_listen, "127.0.0.1:9177");
  assert_int_equal (static_uw (config, "package-0"), 20500000);
  assert_int_equal (static_uw (config, "package-0/dram"), 1);
  assert_int_equal (static_uw (config, "package-1-die-1"), 1000000 * VJ_UW_PER_W);
  assert_int_equal (static_uw (config, "package-2"), VJ_STATIC_AUTO_UW);
  assert_int_equal (static_uw (config, VJ_STATIC_DEFAULT), VJ_STATIC_AUTO_UW);
  assert_int_equal (config->model_idle_uw, 7 * VJ_UW_PER_W);
  assert_int_equal (config->model_full_uw, 7 * VJ_UW_PER_W);
  assert_int_equal (config->max_power_uw, 350250000);
  assert_int_equal (config->domain.resolution_uj, 1);
  assert_int_equal (config->domain.interval_us, 5 * VJ_US_PER_S);
  assert_false (config->domain.measure);
  assert_int_equal (config->domain.static_policy, VJ_STATIC_ALLOCATION);
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    assert_true (config->domain.said[i]);
  assert_int_equal (config->curve.kind, VJ_CURVE_GAMMA);
  assert_int_equal (config->curve.gamma_permille, 725);
  assert_int_equal (config->curve.stacking, VJ_STACKING_LARGEST);
  assert_int_equal (config->source, VJ_SOURCE_POWERCAP);
}

static void
test_options_win_over_the_file (void **state)
{
  const char *text = "[agent]\ninterval = 5s\nmetrics-listen = 127.0.0.1:1\nsysfs = /from-file\n";
  g_autoptr (VjConfig) config =
      parse_text (*state, text, -1, "--interval 2s --interval 3s --metrics-listen none", NULL);
  assert_non_null (config);
  assert_int_equal (config->interval_us, 3 * VJ_US_PER_S);
  assert_null (config->metrics_listen);
  assert_string_equal (config->roots.sysfs, "/from-file");
}

static void
test_managers (void **state)
{
  static const struct
  {
    const char *options;
    gboolean libvirt;
    gboolean proxmox;
    gboolean qemu;
  } cases[] = {
    { "", TRUE, TRUE, FALSE },
    { "--manager auto", TRUE, TRUE, FALSE },
    { "--libvirt-uri none", FALSE, TRUE, FALSE },
    { "--manager qemu", FALSE, FALSE, TRUE },
    { "--manager qemu,proxmox,libvirt", TRUE, TRUE, TRUE },
    { "--manager libvirt --libvirt-uri none", FALSE, FALSE, FALSE },
    { "--manager qemu --manager auto", TRUE, TRUE, FALSE },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VjConfig) config = parse_text (*state, "", -1, cases[i].options, NULL);
      print_message ("%s\n", cases[i].options);
      assert_int_equal (vj_config_follows (config, VJ_MANAGER_LIBVIRT), cases[i].libvirt);
      assert_int_equal (vj_config_follows (config, VJ_MANAGER_PROXMOX), cases[i].proxmox);
      assert_int_equal (vj_config_follows (config, VJ_MANAGER_QEMU), cases[i].qemu);
    }
}

static void
test_pid_files_of_a_session_are_the_users (void **state)
{
  g_autofree char *expected = g_build_filename (g_get_user_runtime_dir (), "libvirt", "qemu", "run", NULL);
  g_autoptr (VjConfig) session = parse_text (*state, "", -1, "--libvirt-uri qemu:///session", NULL);
  g_autoptr (VjConfig) said =
      parse_text (*state, "", -1, "--libvirt-uri qemu:///session --libvirt-rundir /a", NULL);
  assert_string_equal (session->roots.libvirt_rundir, expected);
  assert_string_equal (said->roots.libvirt_rundir, "/a");
}

static void
test_any_user (void **state)
{
  g_autoptr (VjConfig) nothing = parse_text (*state, "", -1, "", NULL);
  g_autoptr (VjConfig) any = parse_text (*state, "", -1, "--qemu-users root --qemu-users any", NULL);
  assert_null (nothing->qemu_uids);
  assert_non_null (any->qemu_uids);
  assert_int_equal (any->qemu_uids->len, 0);
}

typedef struct
{
  const char *text;
  guint line;
  const char *names;   /* the message names the culprit, */
  const char *allowed; /* and says what is allowed */
} BadFile;

static const BadFile bad_files[] = {
  { "interval = 1s\n", 1, "\"interval\"", "[agent]" },
  { "\n[agnet]\n", 2, "\"[agnet]\"", "[static-watts], [agent], [attribution], [powercap], [model], [guest]" },
  { "[agent\n", 1, "\"[agent\"", "[agent]" },
  { "[]\n", 1, "\"[]\"", "[static-watts]" },
  { "[\n", 1, "\"[\"", "[static-watts]" },
  { "[agent]\n\n# x\nintervall = 1s\n", 4, "\"intervall\" in [agent]", "interval, source" },
  { "[agent]\nidle-watts = 1\n", 2, "\"idle-watts\" in [agent]", "interval" },
  { "[agent]\nhello\n", 2, "\"hello\"", "key = value" },
  { "[agent]\n= 1s\n", 2, "\"= 1s\"", "key = value" },
  { "[agent]\ninterval = 1\n", 2, "interval: ", "ms" },
  { "[agent]\ninterval =\n", 2, "interval: ", "ms" },
  { "[agent]\ninterval = 99ms\n", 2, "interval: \"99ms\"", "100ms to 60s" },
  { "[agent]\ninterval = 61s\n", 2, "interval: \"61s\"", "100ms to 60s" },
  { "[agent]\ninterval = 1s # often\n", 2, "interval: ", "ms" },
  { "[agent]\nsource = rapl\n", 2, "source: \"rapl\"", "auto, powercap, model" },
  { "[agent]\nlibvirt-uri = system\n", 2, "libvirt-uri: \"system\"", "qemu:///system" },
  { "[agent]\nsysfs =\n", 2, "sysfs: \"\"", "directory" },
  { "[agent]\nmetrics-listen = 9177\n", 2, "metrics-listen: \"9177\"", "127.0.0.1:9177" },
  { "[agent]\nmetrics-listen = 127.0.0.1:0\n", 2, "\"127.0.0.1:0\"", "127.0.0.1:9177" },
  { "[agent]\nmetrics-listen = 127.0.0.1:65536\n", 2, "\"127.0.0.1:65536\"", "127.0.0.1:9177" },
  { "[agent]\nmetrics-listen = ::1:9177\n", 2, "\"::1:9177\"", "[::1]:9177" },
  { "[agent]\nmetrics-listen = [127.0.0.1]:9177\n", 2, "\"[127.0.0.1]:9177\"", "[::1]:9177" },
  { "[agent]\nmetrics-listen = localhost:9177\n", 2, "\"localhost:9177\"", "in numbers" },
  { "[static-watts]\npackage-0 = 20W\n", 2, "package-0: \"20W\"", "20.5" },
  { "[static-watts]\npackage-0 = automatic\n", 2, "package-0: \"automatic\"", "auto, or watts" },
  { "[static-watts]\ndefault = 20\n", 2, "default: \"20\"", "auto or none" },
  { "[static-watts]\npackage-0 = -1\n", 2, "package-0: \"-1\"", "20.5" },
  { "[static-watts]\npackage-0 = .5\n", 2, "package-0: \".5\"", "20.5" },
  { "[static-watts]\npackage-0 = 5.\n", 2, "package-0: \"5.\"", "20.5" },
  { "[static-watts]\npackage-0 = 1.2.3\n", 2, "package-0: \"1.2.3\"", "20.5" },
  { "[static-watts]\npackage-0 = 1,5\n", 2, "package-0: \"1,5\"", "20.5" },
  { "[static-watts]\npackage-0 =\n", 2, "package-0: \"\"", "20.5" },
  { "[static-watts]\npackage-0 = 0.0000001\n", 2, "package-0: ", "20.5" },
  { "[static-watts]\npackage-0 = 1000000.000001\n", 2, "package-0: ", "1000000" },
  { "[static-watts]\npackage-0 = 99999999999999999999999\n", 2, "package-0: ", "1000000" },
  { "[static-watts]\npackage 0 = 20\n", 2, "\"package 0\"", "package-0/dram" },
  { "[static-watts]\npackage-0/ = 20\n", 2, "\"package-0/\"", "package-0/dram" },
  { "[static-watts]\n/core = 20\n", 2, "\"/core\"", "package-0/dram" },
  { "[attribution]\nstatic-policy = fair\n", 2, "static-policy: \"fair\"",
    "separate, even, proportional, allocation" },
  { "[attribution]\ncurve = cubic\n", 2, "curve: \"cubic\"", "linear, gamma" },
  { "[attribution]\ngamma = 0\n", 2, "gamma: \"0\"", "0.001 to 1" },
  { "[attribution]\ngamma = 1.001\n", 2, "gamma: \"1.001\"", "0.001 to 1" },
  { "[attribution]\ngamma = 0.0004\n", 2, "gamma: \"0.0004\"", "0.001 to 1" },
  { "[attribution]\ngamma = -0.4\n", 2, "gamma: \"-0.4\"", "0.001 to 1" },
  { "[attribution]\nstacking = random\n", 2, "stacking: \"random\"", "longest-lived, largest" },
  { "[powercap]\nmax-watts = 0\n", 2, "max-watts: \"0\"", "1 to 1000000" },
  { "[model]\nidle-watts = 50\nfull-watts = 20\n", 3, "idle-watts is more", "at most" },
  { "[model]\nfull-watts = 20\nidle-watts = 50\n", 3, "idle-watts is more", "at most" },
  { "[agent]\nmanager = xen\n", 2, "manager: \"xen\"", "libvirt, proxmox, qemu" },
  { "[agent]\nmanager = libvirt,\n", 2, "manager: \"libvirt,\"", "libvirt, proxmox, qemu" },
  { "[agent]\nmanager = auto, qemu\n", 2, "manager: \"auto, qemu\"", "libvirt, proxmox, qemu" },
  { "[agent]\ncounter-lifetime = boot\n", 2, "counter-lifetime: \"boot\"", "forever, run" },
  { "[agent]\nqemu-executables = ,\n", 2, "qemu-executables: \",\"", "commas" },
  { "[agent]\nqemu-users = no-such-user\n", 2, "qemu-users: \"no-such-user\"", "any" },
  { "[agent]\nqemu-users =\n", 2, "qemu-users: \"\"", "any" },
  { "[guest]\nmeasure = maybe\n", 2, "measure: \"maybe\"", "yes, no" },
  { "[guest]\ninterval = 10ms\n", 2, "interval: \"10ms\"", "100ms to 60s" },
  { "[guest]\nresolution = 1\n", 2, "resolution: \"1\"", "1mJ" },
  { "[guest]\nresolution = 0mJ\n", 2, "resolution: \"0mJ\"", "1uJ to 1J" },
  { "[guest]\nresolution = 2J\n", 2, "resolution: \"2J\"", "1uJ to 1J" },
  { "[guest]\nresolution = mJ\n", 2, "resolution: \"mJ\"", "1uJ to 1J" },
};

static void
test_bad_files (void **state)
{
  Fixture *fixture = *state;
  for (gsize i = 0; i < G_N_ELEMENTS (bad_files); i++)
    {
      const BadFile *bad = &bad_files[i];
      g_autoptr (GError) error = NULL;
      g_autoptr (VjConfig) config = parse_text (fixture, bad->text, -1, "", &error);
      g_autofree char *place = g_strdup_printf ("%s:%u: ", fixture->file, bad->line);
      print_message ("%s\n", error != NULL ? error->message : bad->text);
      assert_null (config);
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      assert_true (g_str_has_prefix (error->message, place));
      assert_non_null (strstr (error->message, bad->names));
      assert_non_null (strstr (error->message, bad->allowed));
      assert_null (strchr (error->message, '\n'));
    }
}

static void
test_bad_bytes (void **state)
{
  static const char bytes[] = "[agent]\nint\xff"
                              "er\0val = 1s\n";
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse_text (*state, bytes, sizeof bytes - 1, "", &error);
  assert_null (config);
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_true (g_utf8_validate (error->message, -1, NULL));
}

/* Whoever runs QEMU chooses its UUID. */
static void
test_lasting_counters_need_trusted_users (void **state)
{
  g_autoptr (GError) error = NULL;
  assert_null (parse_text (*state, "", -1, "--manager libvirt,qemu --counter-lifetime forever", &error));
  assert_non_null (strstr (error->message, "qemu-users"));
  g_autoptr (VjConfig) any =
      parse_text (*state, "", -1, "--manager qemu --counter-lifetime forever --qemu-users any", NULL);
  assert_non_null (any);
  g_autoptr (VjConfig) managed = parse_text (*state, "", -1, "--counter-lifetime forever", NULL);
  assert_non_null (managed);
}

static void
test_bad_options (void **state)
{
  static const struct
  {
    const char *options;
    const char *message;
  } bad[] = {
    { "--interval 5", "--interval: " }, { "--interval 50ms", "100ms to 60s" },
    { "--interval", "--interval" },     { "--source x", "--source: \"x\"" },
    { "--sysfs ''", "--sysfs: " },      { "--libvirt-uri ''", "--libvirt-uri: " },
    { "--max-watts 5", "--max-watts" }, { "--nonsense", "--nonsense" },
    { "start", "\"start\"" },
  };
  Fixture *fixture = *state;
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VjConfig) config = parse_text (fixture, "", -1, bad[i].options, &error);
      print_message ("%s\n", error != NULL ? error->message : bad[i].options);
      assert_null (config);
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      assert_non_null (strstr (error->message, bad[i].message));
    }
}

static void
test_named_file_must_exist (void **state)
{
  Fixture *fixture = *state;
  g_unlink (fixture->file);
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse (fixture->file, "", &error);
  assert_null (config);
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_true (g_str_has_prefix (error->message, "--config: "));
  assert_non_null (strstr (error->message, fixture->file));
}

static char *
read_source_file (const char *relative)
{
  g_autofree char *path = g_build_filename (VJ_SOURCE_DIR, relative, NULL);
  char *text = NULL;
  assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

/* "#key = value" to "key = value"; prose has a space after its "#". */
static char *
uncomment (const char *text)
{
  g_autoptr (GRegex) regex = g_regex_new ("^#(?=\\S)", G_REGEX_MULTILINE, 0, NULL);
  return g_regex_replace_literal (regex, text, -1, 0, "", 0, NULL);
}

static void
test_example_shows_the_defaults (void **state)
{
  g_autofree char *example = read_source_file ("data/host/virtjouled.conf");
  g_autofree char *uncommented = uncomment (example);
  assert_string_not_equal (example, uncommented);
  const char *texts[] = { example, uncommented };
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VjConfig) config = parse_text (*state, texts[i], -1, "", &error);
      assert_null (error);
      assert_defaults (config);
      assert_int_equal (g_hash_table_size (config->static_uw), 2 * i);
    }
}

/* The names that a refusal lists as allowed: the parser's own table. */
static char **
allowed_names (Fixture *fixture, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjConfig) config = parse_text (fixture, text, -1, "", &error);
  assert_null (config);
  const char *list = strrchr (error->message, ':') + 2;
  return g_strsplit (list, ", ", -1);
}

static void
assert_documented (const char *manual, const char *example, const char *group, const char *key)
{
  g_autofree char *in_manual = g_strdup_printf ("\n.It Cm %s Ns", key);
  g_autofree char *in_example = g_strdup_printf ("\n#%s = ", key);
  g_autofree char *section = g_strdup_printf ("\n.Ss %s", group);
  print_message ("%s %s\n", group, key);
  assert_non_null (strstr (manual, section));
  assert_non_null (strstr (strstr (manual, section), in_manual));
  assert_non_null (strstr (example, in_example));
}

static guint
count (const char *text, const char *needle)
{
  guint n = 0;
  for (const char *p = strstr (text, needle); p != NULL; p = strstr (p + 1, needle))
    n++;
  return n;
}

/* Parser, example and manual page know the same keys. The example holds no key more: it was parsed above. */
static void
test_every_key_is_documented (void **state)
{
  g_autofree char *manual = read_source_file ("docs/virtjouled.conf.5");
  g_autofree char *example = read_source_file ("data/host/virtjouled.conf");
  g_auto (GStrv) groups = allowed_names (*state, "[?]");
  guint keys = 0;
  for (guint i = 0; groups[i] != NULL; i++)
    {
      if (strcmp (groups[i], "[static-watts]") == 0)
        continue;
      g_autofree char *text = g_strdup_printf ("%s\n? = ?", groups[i]);
      g_auto (GStrv) names = allowed_names (*state, text);
      for (guint k = 0; names[k] != NULL; k++, keys++)
        assert_documented (manual, example, groups[i], names[k]);
    }
  assert_int_equal (count (manual, "\n.It Cm "), keys);
  assert_non_null (strstr (manual, "\n.Ss [static-watts]"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_empty_file_leaves_defaults),
    cmocka_unit_test (test_options),
    cmocka_unit_test (test_version_reads_nothing),
    cmocka_unit_test (test_file),
    cmocka_unit_test (test_options_win_over_the_file),
    cmocka_unit_test (test_managers),
    cmocka_unit_test (test_pid_files_of_a_session_are_the_users),
    cmocka_unit_test (test_any_user),
    cmocka_unit_test (test_bad_files),
    cmocka_unit_test (test_bad_bytes),
    cmocka_unit_test (test_bad_options),
    cmocka_unit_test (test_lasting_counters_need_trusted_users),
    cmocka_unit_test (test_named_file_must_exist),
    cmocka_unit_test (test_example_shows_the_defaults),
    cmocka_unit_test (test_every_key_is_documented),
  };
  return cmocka_run_group_tests (tests, setup, teardown);
}
