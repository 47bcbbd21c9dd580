/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/static_power.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/units.h"
#include "host/energy/hardware.h"
#include "host/energy/source_model.h"
#include "host/energy/static_file.h"
#include "tempdir.h"

#define W         VJ_UW_PER_W
#define CPUS      4
#define WINDOW_US (10 * VJ_US_PER_S)

#define CPUINFO                                                                                              \
  "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 2.00GHz\n"
#define MEMINFO "MemTotal:       16384000 kB\nMemFree: 1 kB\n"

/* A machine of 80 W + 200 W x load in its package, 3 W in its memory. */
typedef struct
{
  const char *directory;
  VjSource source;
  VjSourceDriver driver;
  VjConfig config;
  VjLedger *ledger;
  VjStaticPower *power;
  GString *said;
  guint warnings;
  guint windows;
} Machine;

enum
{
  PACKAGE,
  CORE,
  DRAM
};

static void
add_zone (Machine *machine, const char *name, const VjZone *parent)
{
  VjZone zone = { 0 };
  assert_true (vj_zone_init (&zone, name, parent, parent != NULL ? 0 : -1));
  g_array_append_val (machine->source.zones, zone);
  vj_ledger_add_zone (machine->ledger, &zone, 0);
}

static int
setup (void **state)
{
  void *directory = NULL;
  if (tempdir_setup (&directory) != 0)
    return -1;
  Machine *machine = g_new0 (Machine, 1);
  *state = machine;
  machine->directory = directory;
  tempdir_write (directory, "cpuinfo", CPUINFO);
  tempdir_write (directory, "meminfo", MEMINFO);
  machine->driver = (VjSourceDriver){ .name = "fake", .quality = VJ_QUALITY_MEASURED };
  machine->source.driver = &machine->driver;
  machine->source.zones = g_array_new (FALSE, TRUE, sizeof (VjZone));
  machine->config.roots.procfs = machine->config.roots.state_dir = directory;
  machine->config.static_uw = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  machine->ledger = vj_ledger_new ();
  machine->said = g_string_new (NULL);
  add_zone (machine, "package-0", NULL);
  const VjZone package = *vj_source_zone (&machine->source, PACKAGE);
  add_zone (machine, "core", &package);
  add_zone (machine, "dram", &package);
  return 0;
}

static int
teardown (void **state)
{
  Machine *machine = *state;
  void *directory = machine->config.roots.state_dir;
  vj_static_power_free (machine->power);
  vj_ledger_free (machine->ledger);
  g_hash_table_unref (machine->config.static_uw);
  g_array_unref (machine->source.zones);
  g_string_free (machine->said, TRUE);
  g_free (machine);
  return tempdir_teardown (&directory);
}

static void
on_notice (gboolean is_warning, const char *message, gpointer user_data)
{
  Machine *machine = user_data;
  machine->warnings += is_warning ? 1 : 0;
  g_string_append_printf (machine->said, "%s\n", message);
}

static void
configure (Machine *machine, const char *zone, guint64 power_uw)
{
  g_hash_table_insert (machine->config.static_uw, (gpointer)zone, g_memdup2 (&power_uw, sizeof power_uw));
}

static void
start (Machine *machine)
{
  g_clear_pointer (&machine->power, vj_static_power_free);
  machine->power =
      vj_static_power_new (&machine->config, &machine->source, machine->ledger, on_notice, machine);
}

static void
store (const Machine *machine, const char *name, const char *fingerprint, guint64 power_uw)
{
  g_autoptr (VjStaticFile) file = vj_static_file_new (fingerprint);
  const VjStaticZone zone = { "package-0", power_uw, W / 10, W / 5 };
  g_array_append_val (file->zones, zone);
  assert_true (vj_static_file_save (file, machine->config.roots.state_dir, name, NULL));
}

static char *
fingerprint_of (const Machine *machine)
{
  return vj_hardware_fingerprint (machine->config.roots.procfs, &machine->source);
}

static void
assert_zone (const Machine *machine, guint zone, guint64 power_uw, const char *source, const char *note)
{
  VjStaticView view;
  vj_static_power_view (machine->power, zone, &view);
  assert_int_equal (view.static_uw, power_uw);
  assert_int_equal (vj_ledger_static_uw (machine->ledger, zone), power_uw);
  assert_string_equal (view.source, source);
  if (note == NULL)
    assert_null (view.note);
  else if (view.note == NULL || strstr (view.note, note) == NULL)
    fail_msg ("\"%s\" does not say \"%s\"", view.note, note);
}

static void
feed_zone (Machine *machine, guint zone, guint64 delta_uj, guint64 elapsed_us, gboolean gap)
{
  const VjSourceReading reading = {
    .fresh = TRUE, .gap = gap, .delta_uj = delta_uj, .elapsed_us = elapsed_us
  };
  vj_static_power_add_reading (machine->power, zone, &reading);
}

/* Loads of 0 to 31 %, in no order, evenly spread. */
static void
run (Machine *machine, guint windows)
{
  for (guint i = 0; i < windows; i++)
    {
      const guint64 load_ppm = (guint64)machine->windows++ * 48271 % 31 * 10000;
      vj_static_power_add_busy (machine->power, WINDOW_US * VJ_NS_PER_US * CPUS / 1000000 * load_ppm, CPUS);
      feed_zone (machine, PACKAGE, (80 * W + 200 * load_ppm) * 10, WINDOW_US, FALSE);
      feed_zone (machine, CORE, (200 * load_ppm) * 10, WINDOW_US, FALSE);
      feed_zone (machine, DRAM, 3 * W * 10, WINDOW_US, FALSE);
    }
}

static void
test_nothing_is_known (void **state)
{
  Machine *machine = *state;
  start (machine);
  run (machine, 1000);
  assert_zone (machine, PACKAGE, 0, "none", NULL);
  assert_string_equal (machine->said->str, "");
}

static void
test_the_configuration_comes_first (void **state)
{
  Machine *machine = *state;
  g_autofree char *fingerprint = fingerprint_of (machine);
  store (machine, VJ_STATIC_CALIBRATED, fingerprint, 70 * W);
  configure (machine, "package-0", 20 * W);
  configure (machine, "default", VJ_STATIC_AUTO_UW);
  start (machine);
  assert_zone (machine, PACKAGE, 20 * W, "configured", NULL);
  assert_zone (machine, CORE, 0, "none", NULL);
  assert_zone (machine, DRAM, 0, "auto", "not yet justified");
}

static void
test_a_calibration_comes_before_auto (void **state)
{
  Machine *machine = *state;
  g_autofree char *fingerprint = fingerprint_of (machine);
  store (machine, VJ_STATIC_CALIBRATED, fingerprint, 70 * W);
  configure (machine, "package-0", VJ_STATIC_AUTO_UW);
  start (machine);
  run (machine, 1000);
  assert_zone (machine, PACKAGE, 70 * W, "calibrated", "+-0.100 W");
  assert_int_equal (machine->warnings, 0);
}

static void
test_an_unknown_zone_is_said (void **state)
{
  Machine *machine = *state;
  configure (machine, "package-7", W);
  configure (machine, "default", VJ_STATIC_AUTO_UW);
  start (machine);
  assert_int_equal (machine->warnings, 1);
  assert_non_null (strstr (machine->said->str, "package-7"));
}

static void
test_other_hardware_is_said_and_ignored (void **state)
{
  Machine *machine = *state;
  store (machine, VJ_STATIC_CALIBRATED, "fedcba9876543210", 70 * W);
  start (machine);
  assert_zone (machine, PACKAGE, 0, "none", NULL);
  assert_int_equal (machine->warnings, 1);
  assert_non_null (strstr (machine->said->str, "other hardware"));
}

static void
test_a_broken_file_is_said_and_ignored (void **state)
{
  Machine *machine = *state;
  tempdir_write (machine->directory, VJ_STATIC_CALIBRATED, "70 W\n");
  start (machine);
  assert_zone (machine, PACKAGE, 0, "none", NULL);
  assert_int_equal (machine->warnings, 1);
}

/* A value of this machine must not be put on an estimate. */
static void
test_an_estimate_has_its_idle_power (void **state)
{
  Machine *machine = *state;
  g_autofree char *stat = g_strdup ("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n");
  tempdir_write (machine->directory, "stat", stat);
  g_autoptr (VjSource) model = vj_source_model_open (machine->directory, 30 * W, 90 * W, NULL);
  assert_non_null (model);
  g_autofree char *fingerprint = vj_hardware_fingerprint (machine->config.roots.procfs, model);
  store (machine, VJ_STATIC_CALIBRATED, fingerprint, 70 * W);
  configure (machine, "default", VJ_STATIC_AUTO_UW);
  machine->power = vj_static_power_new (&machine->config, model, machine->ledger, on_notice, machine);
  assert_zone (machine, PACKAGE, 30 * W, "model", NULL);
  g_clear_pointer (&machine->power, vj_static_power_free);
}

static void
test_auto_waits_then_goes_there_without_a_jump (void **state)
{
  Machine *machine = *state;
  configure (machine, "default", VJ_STATIC_AUTO_UW);
  start (machine);
  run (machine, 59);
  assert_zone (machine, PACKAGE, 0, "auto", "not yet justified: too few");
  guint64 before_uw = 0;
  for (int i = 0; i < 1500; i++)
    {
      run (machine, 1);
      const guint64 now_uw = vj_ledger_static_uw (machine->ledger, PACKAGE);
      assert_in_range (now_uw, before_uw, MIN (before_uw + 2 * W, 80 * W + W / 10));
      before_uw = now_uw;
    }
  assert_in_range (before_uw, 80 * W - W / 10, 80 * W + W / 10);
  assert_zone (machine, PACKAGE, before_uw, "auto", "W from ");
  assert_zone (machine, CORE, 0, "none", NULL);
  assert_in_range (vj_ledger_static_uw (machine->ledger, DRAM), 3 * W - W / 10, 3 * W);
}

static void
test_auto_survives_a_restart (void **state)
{
  Machine *machine = *state;
  configure (machine, "default", VJ_STATIC_AUTO_UW);
  start (machine);
  run (machine, 1500);
  const guint64 reached_uw = vj_ledger_static_uw (machine->ledger, PACKAGE);
  assert_in_range (reached_uw, 79 * W, 81 * W);
  start (machine);
  assert_zone (machine, PACKAGE, reached_uw, "auto", "restarted");
  run (machine, 30);
  assert_zone (machine, PACKAGE, reached_uw, "auto", "last justified");
  tempdir_write (machine->directory, "cpuinfo", "processor\t: 0\n");
  start (machine);
  assert_zone (machine, PACKAGE, 0, "auto", "not yet justified");
  assert_int_equal (machine->warnings, 1);
}

/* Energy that cannot be matched with CPU time is not observed: a gap, an unknown CPU time, an unreadable zone. */
static void
test_what_cannot_be_matched_is_left_out (void **state)
{
  Machine *machine = *state;
  configure (machine, "package-0", VJ_STATIC_AUTO_UW);
  start (machine);
  run (machine, 1000);
  for (int i = 0; i < 200; i++)
    {
      vj_static_power_add_busy (machine->power, 0, CPUS);
      feed_zone (machine, PACKAGE, 500 * W, WINDOW_US, TRUE);
      vj_static_power_add_busy (machine->power, 0, 0);
      vj_static_power_add_reading (machine->power, PACKAGE, &(VjSourceReading){ 0 });
      vj_static_power_add_busy (machine->power, 0, CPUS);
      feed_zone (machine, PACKAGE, 1000 * W, 2 * WINDOW_US, FALSE);
    }
  run (machine, 50);
  const guint64 reached_uw = vj_ledger_static_uw (machine->ledger, PACKAGE);
  assert_in_range (reached_uw, 79 * W, 81 * W);
  assert_zone (machine, PACKAGE, reached_uw, "auto", "W from ");
}

static gboolean
wake (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

static void
test_a_new_calibration_is_noticed (void **state)
{
  Machine *machine = *state;
  g_autofree char *fingerprint = fingerprint_of (machine);
  start (machine);
  store (machine, VJ_STATIC_CALIBRATED, fingerprint, 70 * W);
  const gint64 deadline = g_get_monotonic_time () + (gint64)30 * G_USEC_PER_SEC;
  guint waker = g_timeout_add (100, wake, NULL);
  while (vj_ledger_static_uw (machine->ledger, PACKAGE) == 0 && g_get_monotonic_time () < deadline)
    g_main_context_iteration (NULL, TRUE);
  assert_zone (machine, PACKAGE, 70 * W, "calibrated", "+-0.100 W");
  tempdir_remove (machine->directory, VJ_STATIC_CALIBRATED);
  while (vj_ledger_static_uw (machine->ledger, PACKAGE) != 0 && g_get_monotonic_time () < deadline)
    g_main_context_iteration (NULL, TRUE);
  assert_zone (machine, PACKAGE, 0, "none", NULL);
  g_source_remove (waker);
}

static void
test_fingerprint (void **state)
{
  Machine *machine = *state;
  static const struct
  {
    const char *file;
    const char *text;
    gboolean same;
  } cases[] = {
    { "meminfo", "MemTotal:       16383000 kB\n", TRUE }, /* another kernel keeps a little more */
    { "meminfo", "MemTotal:       32768000 kB\n", FALSE },
    { "meminfo", MEMINFO, TRUE },
    { "cpuinfo", CPUINFO "processor\t: 2\n", FALSE },
    { "cpuinfo", "processor\t: 0\nmodel name\t: Other\n\nprocessor\t: 1\nmodel name\t: Other\n", FALSE },
    { "cpuinfo", CPUINFO "cpu MHz\t\t: 2000.123\n", TRUE },
  };
  g_autofree char *first = fingerprint_of (machine);
  assert_int_equal (strlen (first), VJ_FINGERPRINT_LENGTH);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      tempdir_write (machine->directory, cases[i].file, cases[i].text);
      g_autofree char *now = fingerprint_of (machine);
      print_message ("%s", cases[i].text);
      assert_int_equal (strcmp (now, first) == 0, cases[i].same);
    }
  add_zone (machine, "package-1", NULL);
  g_autofree char *larger = fingerprint_of (machine);
  assert_string_not_equal (larger, first);
}

#define machine_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    machine_test (test_nothing_is_known),
    machine_test (test_the_configuration_comes_first),
    machine_test (test_a_calibration_comes_before_auto),
    machine_test (test_an_unknown_zone_is_said),
    machine_test (test_other_hardware_is_said_and_ignored),
    machine_test (test_a_broken_file_is_said_and_ignored),
    machine_test (test_an_estimate_has_its_idle_power),
    machine_test (test_auto_waits_then_goes_there_without_a_jump),
    machine_test (test_auto_survives_a_restart),
    machine_test (test_what_cannot_be_matched_is_left_out),
    machine_test (test_a_new_calibration_is_noticed),
    machine_test (test_fingerprint),
  };
  return cmocka_run_group_tests_name ("static_power", tests, NULL, NULL);
}
