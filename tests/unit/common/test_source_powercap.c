/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/source_powercap.h"

#include "common/error.h"
#include "fake_powercap.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND    G_GUINT64_CONSTANT (1000000)
#define JOULE     G_GUINT64_CONSTANT (1000000)
#define ZONES_MAX 32
#define MAX_POWER (500 * JOULE) /* µW */
#define PACKAGE_0 "intel-rapl:0"
#define PACKAGE_1 "intel-rapl:1"

/* --- which zones there are ----------------------------------------------------------------------------------------- */

typedef struct
{
  const char *what;
  const char *zones[16][2]; /* directory, name */
  const char *links[4][2];  /* flat entry, nested zone */
  const char *ids;
} Layout;

static const Layout layouts[] = {
  { .what = "flat",
    .zones = { { "intel-rapl:0", "package-0" },
               { "intel-rapl:0:0", "core" },
               { "intel-rapl:0:1", "dram" },
               { "intel-rapl:1", "psys" } },
    .ids = "package-0 package-0/core package-0/dram psys" },
  { .what = "nested only",
    .zones = { { "intel-rapl/intel-rapl:0", "package-0" },
               { "intel-rapl/intel-rapl:0/intel-rapl:0:0", "core" },
               { "intel-rapl/intel-rapl:1", "package-1" },
               { "intel-rapl/intel-rapl:1/intel-rapl:1:0", "uncore" } },
    .ids = "package-0 package-0/core package-1 package-1/uncore" },
  { .what = "nested, with links as the kernel has them",
    .zones = { { "intel-rapl/intel-rapl:0", "package-0" },
               { "intel-rapl/intel-rapl:0/intel-rapl:0:0", "core" } },
    .links = { { "intel-rapl:0", "intel-rapl/intel-rapl:0" },
               { "intel-rapl:0:0", "intel-rapl/intel-rapl:0/intel-rapl:0:0" } },
    .ids = "package-0 package-0/core" },
  { .what = "links to packages alone",
    .zones = { { "elsewhere/intel-rapl:0", "package-0" },
               { "elsewhere/intel-rapl:0/intel-rapl:0:0", "core" } },
    .links = { { "intel-rapl:0", "elsewhere/intel-rapl:0" } },
    .ids = "package-0 package-0/core" },
  { .what = "indexes are numbers",
    .zones = { { "intel-rapl:10", "package-10" },
               { "intel-rapl:2", "package-2" },
               { "intel-rapl:10:0", "core" },
               { "intel-rapl:2:11", "dram" },
               { "intel-rapl:2:3", "core" } },
    .ids = "package-2 package-2/core package-2/dram package-10 package-10/core" },
  { .what = "A3: package-N-die-M",
    .zones = { { "intel-rapl:0", "package-0-die-0" },
               { "intel-rapl:0:0", "dram" },
               { "intel-rapl:1", "package-0-die-1" },
               { "intel-rapl:1:0", "dram" },
               { "intel-rapl:2", "package-1-die-0" } },
    .ids = "package-0-die-0 package-0-die-0/dram package-0-die-1 package-0-die-1/dram package-1-die-0" },
  { .what = "MMIO repeats the MSRs",
    .zones = { { "intel-rapl-mmio:0", "package-0" },
               { "intel-rapl:0", "package-0" },
               { "intel-rapl:0:0", "core" },
               { "intel-rapl-mmio:1", "package-1" } },
    .ids = "package-0 package-0/core" },
  { .what = "MMIO alone",
    .zones = { { "intel-rapl-mmio/intel-rapl-mmio:0", "package-0" }, { "intel-rapl-mmio:0:0", "dram" } },
    .ids = "package-0 package-0/dram" },
  { .what = "a second zone of one id, and what lies below it",
    .zones = { { "intel-rapl:0", "package-0" },
               { "intel-rapl:1", "package-0" },
               { "intel-rapl:1:0", "core" } },
    .ids = "package-0" },
  { .what = "zones with odd names, and what lies below them",
    .zones = { { "intel-rapl:0", "" },
               { "intel-rapl:0:0", "core" },
               { "intel-rapl:1", "../../etc" },
               { "intel-rapl:2", "package-2" },
               { "intel-rapl:2:0", "no such\nzone" } },
    .ids = "package-2" },
  { .what = "what is no RAPL zone",
    .zones = { { "intel-rapl:0", "package-0" },
               { "dtpm:0", "package-1" },
               { "intel-rapl:x", "package-2" },
               { "intel-rapl:", "package-3" },
               { "intel-rapl:-1", "package-4" },
               { "intel-rapl:1:0:0:0:0", "package-5" },
               { "intel-rapl-tmp:0", "package-6" } },
    .ids = "package-0" },
};

static char *
join_ids (const VjSource *source)
{
  GString *ids = g_string_new (NULL);

  for (guint i = 0; i < vj_source_n_zones (source); i++)
    g_string_append_printf (ids, "%s%s", i > 0 ? " " : "", vj_source_zone (source, i)->id);
  return g_string_free (ids, FALSE);
}

static void
build_layout (const char *sysfs, const Layout *layout)
{
  for (guint i = 0; layout->zones[i][0] != NULL; i++)
    fake_powercap_add (sysfs, layout->zones[i][0], layout->zones[i][1], 0);
  for (guint i = 0; i < G_N_ELEMENTS (layout->links) && layout->links[i][0] != NULL; i++)
    fake_powercap_link (sysfs, layout->links[i][0], layout->links[i][1]);
}

static void
each_zone_is_found_once (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (layouts); i++)
    {
      g_autofree char *sysfs = g_strdup_printf ("%s/%" G_GSIZE_FORMAT, (char *)*state, i);

      build_layout (sysfs, &layouts[i]);
      g_autoptr (VjSource) source = vj_source_powercap_open (sysfs, MAX_POWER, NULL);
      if (source == NULL)
        fail_msg ("no zone: %s", layouts[i].what);
      g_autofree char *ids = join_ids (source);
      if (!g_str_equal (ids, layouts[i].ids))
        fail_msg ("%s: found %s", layouts[i].what, ids);
    }
}

static void
parents_come_before_what_they_enclose (void **state)
{
  const char *sysfs = *state;

  build_layout (sysfs, &layouts[4]);
  g_autoptr (VjSource) source = vj_source_powercap_open (sysfs, MAX_POWER, NULL);
  const int parents[] = { -1, 0, 0, -1, 3 };
  for (guint i = 0; i < G_N_ELEMENTS (parents); i++)
    assert_int_equal (vj_source_zone (source, i)->parent, parents[i]);
  assert_int_equal (vj_source_zone (source, 4)->package, 10);
  assert_int_equal (source->driver->quality, VJ_QUALITY_MEASURED);
}

/* --- where no zone can be read ------------------------------------------------------------------------------------- */

static void
no_meter_is_unavailable (void **state)
{
  const char *directories[] = { ".", "class/powercap", "class/powercap/intel-rapl", "class/powercap/dtpm:0" };

  for (gsize i = 0; i < G_N_ELEMENTS (directories); i++)
    {
      g_autoptr (GError) error = NULL;

      tempdir_mkdir (*state, directories[i]);
      assert_null (vj_source_powercap_open (*state, MAX_POWER, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));
      assert_non_null (strstr (error->message, "modprobe intel_rapl_msr"));
      assert_null (strchr (error->message, '\n'));
    }
}

/* A meter that is there and cannot be used must not be mistaken for none: an estimate would take its place. */
static void
broken_meter_is_not_unavailable (void **state)
{
  const char *sysfs = *state;
  g_autoptr (GError) error = NULL;

  fake_powercap_add (sysfs, PACKAGE_0, "", 0);
  assert_null (vj_source_powercap_open (sysfs, MAX_POWER, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));

  g_clear_error (&error);
  fake_powercap_set_name (sysfs, PACKAGE_0, "package-0");
  fake_powercap_remove_energy (sysfs, PACKAGE_0);
  assert_null (vj_source_powercap_open (sysfs, MAX_POWER, &error));
  assert_false (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));

  g_clear_error (&error);
  tempdir_remove (sysfs, "class");
  fake_powercap_add (sysfs, "intel-rapl:0:0", "core", 0);
  assert_null (vj_source_powercap_open (sysfs, MAX_POWER, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

/* As an ordinary user, in a child: 0 if opening ends as expected. */
static int
open_unprivileged (const char *sysfs, gboolean expect_denied)
{
  int status = 0;
  const int pid = fork ();

  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;

      if (geteuid () == 0 && setresuid (65534, 65534, 65534) != 0)
        _exit (2);
      VjSource *source = vj_source_powercap_open (sysfs, MAX_POWER, &error);
      const gboolean denied = source == NULL && vj_error_is_denied (error)
                              && strstr (error->message, "CAP_DAC_READ_SEARCH") != NULL;
      _exit (expect_denied ? !denied : source == NULL);
    }
  waitpid (pid, &status, 0);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

static void
unreadable_meter_is_denied_with_the_remedy (void **state)
{
  const char *sysfs = *state;

  fake_powercap_add (sysfs, PACKAGE_0, "package-0", 0);
  fake_powercap_add (sysfs, PACKAGE_1, "package-1", 0);
  fake_powercap_make_private (sysfs, PACKAGE_0);
  assert_int_equal (open_unprivileged (sysfs, FALSE), 0);
  fake_powercap_make_private (sysfs, PACKAGE_1);
  assert_int_equal (open_unprivileged (sysfs, TRUE), 0);
}

/* --- readings ------------------------------------------------------------------------------------------------------ */

typedef struct
{
  const char *sysfs;
  VjSource *source;
  guint64 now_us;
  VjSourceReading readings[ZONES_MAX];
  GString *notices; /* "-ID " for a zone that turned unreadable, "+ID " for one that came back */
} Bench;

static void
take_notice (const VjZone *zone, const GError *error, gpointer user_data)
{
  Bench *bench = user_data;

  g_string_append_printf (bench->notices, "%c%s ", error != NULL ? '-' : '+', zone->id);
}

static void
bench_open (Bench *bench, void **state)
{
  *bench = (Bench){ .sysfs = *state, .now_us = 1000 * SECOND, .notices = g_string_new (NULL) };
  bench->source = vj_source_powercap_open (bench->sysfs, MAX_POWER, NULL);
  assert_non_null (bench->source);
  vj_source_set_notice (bench->source, take_notice, bench);
}

static void
bench_close (Bench *bench)
{
  vj_source_free (bench->source);
  g_string_free (bench->notices, TRUE);
}

static void
bench_read_after (Bench *bench, guint64 elapsed_us)
{
  bench->now_us += elapsed_us;
  vj_source_read (bench->source, bench->now_us, bench->readings);
}

static void
assert_reading (const VjSourceReading *reading, guint64 delta_uj, guint64 elapsed_us)
{
  assert_true (reading->fresh);
  assert_false (reading->gap);
  assert_int_equal (reading->delta_uj, delta_uj);
  assert_int_equal (reading->elapsed_us, elapsed_us);
}

static void
first_reading_starts_from_zero_and_the_next_are_deltas (void **state)
{
  Bench bench;

  fake_powercap_add (*state, PACKAGE_0, "package-0", 5 * JOULE);
  bench_open (&bench, state);
  bench_read_after (&bench, 0);
  assert_reading (&bench.readings[0], 0, 0);
  fake_powercap_set_energy (bench.sysfs, PACKAGE_0, 47 * JOULE);
  bench_read_after (&bench, SECOND);
  assert_reading (&bench.readings[0], 42 * JOULE, SECOND);
  bench_read_after (&bench, SECOND);
  assert_reading (&bench.readings[0], 0, SECOND);
  assert_string_equal (bench.notices->str, "");
  bench_close (&bench);
}

typedef struct
{
  const char *what;
  guint64 last_uj, raw_uj, elapsed_us;
  guint64 delta_uj;
  gboolean gap;
  VjSourceCounts counts;
} Step;

static const Step steps[] = {
  { "S3: a wrap loses nothing",
    FAKE_RANGE_UJ - 10 * JOULE,
    5 * JOULE,
    SECOND,
    15 * JOULE,
    FALSE,
    { .wraps = 1 } },
  { "A2: a reset is no wrap", 5000 * JOULE, 7 * JOULE, SECOND, 7 * JOULE, TRUE, { .resets = 1 } },
  { "a reset to an implausible value", 5000 * JOULE, 4000 * JOULE, SECOND, 0, TRUE, { .resets = 1 } },
  { "a jump that nobody can have used", 5 * JOULE, 900 * JOULE, SECOND, 0, TRUE, { .rejected = 1 } },
  { "the same over two seconds", 5 * JOULE, 900 * JOULE, 2 * SECOND, 895 * JOULE, FALSE, { 0 } },
  { "more than one wrap is possible", 5 * JOULE, 9 * JOULE, 600 * SECOND, 0, TRUE, { .gaps = 1 } },
};

static void
steps_are_told_apart_and_counted (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      const Step *step = &steps[i];
      Bench bench;

      fake_powercap_add (*state, PACKAGE_0, "package-0", step->last_uj);
      bench_open (&bench, state);
      bench_read_after (&bench, SECOND);
      fake_powercap_set_energy (bench.sysfs, PACKAGE_0, step->raw_uj);
      bench_read_after (&bench, step->elapsed_us);
      if (bench.readings[0].delta_uj != step->delta_uj || bench.readings[0].gap != step->gap)
        fail_msg ("%s: %" G_GUINT64_FORMAT " uJ", step->what, bench.readings[0].delta_uj);
      assert_memory_equal (&bench.source->counts, &step->counts, sizeof step->counts);

      fake_powercap_set_energy (bench.sysfs, PACKAGE_0, step->raw_uj + JOULE);
      bench_read_after (&bench, SECOND);
      assert_reading (&bench.readings[0], JOULE, SECOND);
      bench_close (&bench);
    }
}

static void
zone_without_a_range_never_wraps (void **state)
{
  Bench bench;

  fake_powercap_add (*state, PACKAGE_0, "package-0", 9 * JOULE);
  tempdir_remove (*state, "class/powercap/" PACKAGE_0 "/max_energy_range_uj");
  bench_open (&bench, state);
  bench_read_after (&bench, SECOND);
  fake_powercap_set_energy (bench.sysfs, PACKAGE_0, JOULE);
  bench_read_after (&bench, SECOND);
  assert_int_equal (bench.readings[0].delta_uj, JOULE);
  assert_true (bench.readings[0].gap);
  assert_int_equal (bench.source->counts.resets, 1);
  bench_close (&bench);
}

static void
outage_is_reported_once_and_its_energy_comes_in_one_reading (void **state)
{
  Bench bench;

  fake_powercap_add (*state, PACKAGE_0, "package-0", 0);
  fake_powercap_add (*state, PACKAGE_1, "package-1", 0);
  bench_open (&bench, state);
  bench_read_after (&bench, SECOND);

  fake_powercap_remove_energy (bench.sysfs, PACKAGE_0);
  for (guint64 i = 1; i <= 3; i++)
    {
      fake_powercap_set_energy (bench.sysfs, PACKAGE_1, i * JOULE);
      bench_read_after (&bench, SECOND);
      assert_false (bench.readings[0].fresh);
      assert_int_equal (bench.readings[0].delta_uj, 0);
      assert_reading (&bench.readings[1], JOULE, SECOND);
    }
  assert_string_equal (bench.notices->str, "-package-0 ");
  assert_int_equal (bench.source->counts.failures, 3);

  fake_powercap_set_energy (bench.sysfs, PACKAGE_0, 70 * JOULE);
  bench_read_after (&bench, SECOND);
  assert_reading (&bench.readings[0], 70 * JOULE, 4 * SECOND);
  assert_string_equal (bench.notices->str, "-package-0 +package-0 ");
  bench_close (&bench);
}

static void
zone_unreadable_from_the_start_is_reported_and_picked_up (void **state)
{
  Bench bench;

  fake_powercap_add (*state, PACKAGE_0, "package-0", 0);
  fake_powercap_add (*state, PACKAGE_1, "package-1", 0);
  fake_powercap_remove_energy (*state, PACKAGE_1);
  bench_open (&bench, state);
  bench_read_after (&bench, SECOND);
  assert_string_equal (bench.notices->str, "-package-1 ");

  fake_powercap_set_energy (bench.sysfs, PACKAGE_1, 1000 * JOULE);
  bench_read_after (&bench, SECOND);
  assert_reading (&bench.readings[1], 0, 0);
  fake_powercap_set_energy (bench.sysfs, PACKAGE_1, 1003 * JOULE);
  bench_read_after (&bench, SECOND);
  assert_reading (&bench.readings[1], 3 * JOULE, SECOND);
  bench_close (&bench);
}

static void
zone_that_came_back_as_another_is_not_taken_for_it (void **state)
{
  Bench bench;

  fake_powercap_add (*state, PACKAGE_0, "package-0", 0);
  bench_open (&bench, state);
  bench_read_after (&bench, SECOND);
  fake_powercap_remove_energy (bench.sysfs, PACKAGE_0);
  bench_read_after (&bench, SECOND);
  fake_powercap_set_name (bench.sysfs, PACKAGE_0, "psys");
  fake_powercap_set_energy (bench.sysfs, PACKAGE_0, JOULE);
  bench_read_after (&bench, SECOND);
  assert_false (bench.readings[0].fresh);
  bench_close (&bench);
}

static void
mark_lets_an_interval_span_a_restart (void **state)
{
  Bench bench;
  VjSourceMark mark;

  fake_powercap_add (*state, PACKAGE_0, "package-0", 5 * JOULE);
  bench_open (&bench, state);
  assert_false (vj_source_get_mark (bench.source, 0, &mark));
  bench_read_after (&bench, 0);
  assert_true (vj_source_get_mark (bench.source, 0, &mark));
  assert_string_equal (mark.id, "package-0");
  assert_int_equal (mark.raw_uj, 5 * JOULE);
  assert_int_equal (mark.monotonic_us, bench.now_us);
  bench_close (&bench);

  bench_open (&bench, state);
  vj_source_set_mark (bench.source, 0, &mark);
  fake_powercap_set_energy (bench.sysfs, PACKAGE_0, 25 * JOULE);
  bench_read_after (&bench, 3 * SECOND);
  assert_reading (&bench.readings[0], 20 * JOULE, 3 * SECOND);
  bench_close (&bench);
}

/* --- mirrored dies ------------------------------------------------------------------------------------------------- */

/* Reads n times, one second apart, with both dies of a package set before; returns what each was given. */
static void
run_dies (Bench *bench, guint n, guint64 start_uj[2], const guint64 step_uj[2], guint64 total_uj[2])
{
  const char *zones[] = { PACKAGE_0, PACKAGE_1 };

  for (guint i = 0; i < n; i++)
    {
      for (guint die = 0; die < 2; die++)
        fake_powercap_set_energy (bench->sysfs, zones[die], start_uj[die] += step_uj[die]);
      bench_read_after (bench, SECOND);
      for (guint die = 0; die < 2; die++)
        total_uj[die] += bench->readings[die].delta_uj;
    }
}

static void
add_dies (void **state, Bench *bench, guint64 first_uj, guint64 second_uj)
{
  fake_powercap_add (*state, PACKAGE_0, "package-0-die-0", first_uj);
  fake_powercap_add (*state, PACKAGE_1, "package-0-die-1", second_uj);
  fake_powercap_add (*state, "intel-rapl:1:0", "dram", 0);
  bench_open (bench, state);
  bench_read_after (bench, SECOND);
}

static void
mirrored_die_is_never_counted (void **state)
{
  Bench bench;
  guint64 energy_uj[2] = { 900 * JOULE, 900 * JOULE };
  guint64 total_uj[2] = { 0, 0 };
  VjSourceMark mark;

  add_dies (state, &bench, energy_uj[0], energy_uj[1]);
  run_dies (&bench, 15, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_false (bench.readings[1].fresh); /* held */
  energy_uj[1] += 20000;                  /* read a little later than the first: within the skew */
  run_dies (&bench, 1, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_reading (&bench.readings[1], 0, 16 * SECOND); /* the mirror is marked */
  assert_false (vj_source_get_mark (bench.source, 1, &mark));
  run_dies (&bench, 5, energy_uj, (guint64[]){ 100 * JOULE, 130 * JOULE }, total_uj);
  assert_int_equal (total_uj[0], 2100 * JOULE);
  assert_int_equal (total_uj[1], 0);
  bench_close (&bench);
}

static void
distinct_dies_of_equal_power_are_both_counted (void **state)
{
  Bench bench;
  guint64 energy_uj[2] = { 900 * JOULE, 920 * JOULE };
  guint64 total_uj[2] = { 0, 0 };

  add_dies (state, &bench, energy_uj[0], energy_uj[1]);
  run_dies (&bench, 40, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_true (bench.readings[1].fresh);
  assert_int_equal (total_uj[0], 4000 * JOULE);
  assert_int_equal (total_uj[1], 4000 * JOULE);
  bench_close (&bench);
}

/* Now and then a little further apart than one counter can be: the matches before do not count. */
static void
only_successive_matches_make_a_mirror (void **state)
{
  Bench bench;
  guint64 energy_uj[2] = { 900 * JOULE, 900 * JOULE };
  guint64 total_uj[2] = { 0, 0 };

  add_dies (state, &bench, energy_uj[0], energy_uj[1]);
  for (guint i = 0; i < 8; i++)
    {
      run_dies (&bench, 5, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
      run_dies (&bench, 1, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE + 700000 }, total_uj);
      energy_uj[1] -= 700000;
    }
  assert_int_equal (total_uj[1], 0);
  energy_uj[1] += 100 * JOULE; /* distinct after all: everything held is given */
  run_dies (&bench, 1, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_int_equal (total_uj[1], 5000 * JOULE);
  bench_close (&bench);
}

/* Two counters that start together and drift apart: held at first, then given all that was held. */
static void
dies_that_drift_apart_lose_nothing (void **state)
{
  Bench bench;
  guint64 energy_uj[2] = { 0, 0 };
  guint64 total_uj[2] = { 0, 0 };

  add_dies (state, &bench, 0, 0);
  run_dies (&bench, 20, energy_uj, (guint64[]){ 0, 0 }, total_uj); /* at rest: says nothing */
  assert_reading (&bench.readings[1], 0, SECOND);
  run_dies (&bench, 30, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE + 300000 }, total_uj);
  assert_int_equal (total_uj[0], 3000 * JOULE);
  assert_int_equal (total_uj[1], 3009 * JOULE);
  bench_close (&bench);
}

static void
what_lies_within_a_mirror_is_not_counted_either (void **state)
{
  Bench bench;
  guint64 energy_uj[2] = { 900 * JOULE, 900 * JOULE };
  guint64 total_uj[2] = { 0, 0 };

  add_dies (state, &bench, energy_uj[0], energy_uj[1]);
  fake_powercap_set_energy (bench.sysfs, "intel-rapl:1:0", 10 * JOULE);
  run_dies (&bench, 1, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_false (bench.readings[2].fresh);
  run_dies (&bench, 16, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_reading (&bench.readings[2], 0, SECOND);
  bench_close (&bench);
}

/* The packages of a machine are never compared. */
static void
packages_are_no_dies (void **state)
{
  Bench bench;
  guint64 energy_uj[2] = { 0, 0 };
  guint64 total_uj[2] = { 0, 0 };

  fake_powercap_add (*state, PACKAGE_0, "package-0-die-0", 0);
  fake_powercap_add (*state, PACKAGE_1, "package-1-die-0", 0);
  bench_open (&bench, state);
  bench_read_after (&bench, SECOND);
  run_dies (&bench, 20, energy_uj, (guint64[]){ 100 * JOULE, 100 * JOULE }, total_uj);
  assert_int_equal (total_uj[1], 2000 * JOULE);
  bench_close (&bench);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (each_zone_is_found_once),
    tempdir_unit_test (parents_come_before_what_they_enclose),
    tempdir_unit_test (no_meter_is_unavailable),
    tempdir_unit_test (broken_meter_is_not_unavailable),
    tempdir_unit_test (unreadable_meter_is_denied_with_the_remedy),
    tempdir_unit_test (first_reading_starts_from_zero_and_the_next_are_deltas),
    tempdir_unit_test (steps_are_told_apart_and_counted),
    tempdir_unit_test (zone_without_a_range_never_wraps),
    tempdir_unit_test (outage_is_reported_once_and_its_energy_comes_in_one_reading),
    tempdir_unit_test (zone_unreadable_from_the_start_is_reported_and_picked_up),
    tempdir_unit_test (zone_that_came_back_as_another_is_not_taken_for_it),
    tempdir_unit_test (mark_lets_an_interval_span_a_restart),
    tempdir_unit_test (mirrored_die_is_never_counted),
    tempdir_unit_test (distinct_dies_of_equal_power_are_both_counted),
    tempdir_unit_test (only_successive_matches_make_a_mirror),
    tempdir_unit_test (dies_that_drift_apart_lose_nothing),
    tempdir_unit_test (what_lies_within_a_mirror_is_not_counted_either),
    tempdir_unit_test (packages_are_no_dies),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
