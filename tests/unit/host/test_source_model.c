/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/source_model.h"

#include "common/error.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND G_GUINT64_CONSTANT (1000000)
#define WATT   G_GUINT64_CONSTANT (1000000) /* µW */
#define JOULE  G_GUINT64_CONSTANT (1000000) /* µJ */
#define START  (1000 * SECOND)

/* /proc/stat of n CPUs that were idle for so many hundredths of a second each. */
static void
set_idle (const char *procfs, guint cpus, guint64 idle_centis)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const guint64 ticks = idle_centis * (guint64)sysconf (_SC_CLK_TCK) / 100;

  g_string_printf (text, "cpu  100 0 100 %" G_GUINT64_FORMAT " 0 0 0 0 50 0\n", cpus * ticks);
  for (guint i = 0; i < cpus; i++)
    g_string_append_printf (text, "cpu%u 100 0 100 %" G_GUINT64_FORMAT " 0 0 0 0 50 0\n", i, ticks);
  g_string_append (text, "intr 1 2 3\nctxt 1\nbtime 1\n");
  tempdir_write (procfs, "stat", text->str);
}

static VjSourceReading
read_at (VjSource *source, guint64 now_us)
{
  VjSourceReading reading;

  vj_source_read (source, now_us, &reading);
  return reading;
}

typedef struct
{
  guint cpus;
  guint64 idle_centis; /* per CPU, over one second */
  guint64 energy_uj;   /* between 20 W and 100 W */
} Case;

static const Case cases[] = {
  { 1, 100, 20 * JOULE }, { 1, 0, 100 * JOULE }, { 4, 50, 60 * JOULE },
  { 4, 75, 40 * JOULE },  { 3, 90, 28 * JOULE },
};

static void
power_lies_between_idle_and_full_by_busy_share (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      set_idle (*state, cases[i].cpus, 5000);
      g_autoptr (VjSource) source = vj_source_model_open (*state, 20 * WATT, 100 * WATT, NULL);
      assert_non_null (source);
      assert_int_equal (read_at (source, START).delta_uj, 0);
      set_idle (*state, cases[i].cpus, 5000 + cases[i].idle_centis);
      const VjSourceReading reading = read_at (source, START + SECOND);
      assert_true (reading.fresh);
      assert_false (reading.gap);
      assert_int_equal (reading.delta_uj, cases[i].energy_uj);
      assert_int_equal (reading.elapsed_us, SECOND);
    }
}

/* Idle time comes in steps of 10 ms and may exceed the time elapsed: over many short intervals nothing is made of it. */
static void
steps_of_idle_time_are_no_energy (void **state)
{
  guint64 total_uj = 0;

  set_idle (*state, 2, 0);
  g_autoptr (VjSource) source = vj_source_model_open (*state, 10 * WATT, 110 * WATT, NULL);
  read_at (source, START);
  for (guint64 i = 1; i <= 1000; i++)
    {
      const guint64 now_us = i * 5000;

      set_idle (*state, 2, (now_us + 5000) / 10000); /* rounded: 0 or 10 ms for each 5 ms */
      total_uj += read_at (source, START + now_us).delta_uj;
    }
  assert_in_range (total_uj, 50 * JOULE, 50 * JOULE + JOULE);
}

static void
rounding_is_carried_over (void **state)
{
  guint64 total_uj = 0;

  set_idle (*state, 1, 0);
  g_autoptr (VjSource) source = vj_source_model_open (*state, 1, 1, NULL); /* 1 µW */
  read_at (source, START);
  for (guint64 i = 1; i <= 30; i++)
    total_uj += read_at (source, START + i * SECOND / 10).delta_uj;
  assert_int_equal (total_uj, 3);
}

static void
zone_is_one_estimated_package (void **state)
{
  VjSourceMark mark;

  set_idle (*state, 1, 0);
  g_autoptr (VjSource) source = vj_source_model_open (*state, 0, 0, NULL);
  assert_int_equal (vj_source_n_zones (source), 1);
  assert_string_equal (vj_source_zone (source, 0)->id, "package-0");
  assert_int_equal (vj_source_zone (source, 0)->kind, VJ_ZONE_PACKAGE);
  assert_string_equal (source->driver->name, "model");
  assert_int_equal (source->driver->quality, VJ_QUALITY_ESTIMATED);
  assert_false (vj_source_get_mark (source, 0, &mark));
}

static void
defaults_grow_with_the_machine (void **state)
{
  guint64 idle_uw[2], full_uw[2];

  vj_source_model_default_uw (1, &idle_uw[0], &full_uw[0]);
  vj_source_model_default_uw (64, &idle_uw[1], &full_uw[1]);
  assert_true (idle_uw[0] > 0 && idle_uw[0] < full_uw[0]);
  assert_int_equal (idle_uw[1], 64 * idle_uw[0]);
  assert_int_equal (full_uw[1], 64 * full_uw[0]);
}

/* Nobody knows what such an interval used: it is taken to be like the one before. */
static void
cpu_that_comes_or_goes_makes_no_spike (void **state)
{
  set_idle (*state, 4, 6000);
  g_autoptr (VjSource) source = vj_source_model_open (*state, 20 * WATT, 100 * WATT, NULL);
  read_at (source, START);
  set_idle (*state, 4, 6050);
  assert_int_equal (read_at (source, START + SECOND).delta_uj, 60 * JOULE);
  set_idle (*state, 2, 6100);
  const VjSourceReading gone = read_at (source, START + 2 * SECOND);
  assert_in_range (gone.delta_uj, 20 * JOULE, 100 * JOULE);
  set_idle (*state, 2, 6150);
  assert_int_equal (read_at (source, START + 3 * SECOND).delta_uj, 60 * JOULE);
}

static void
count_notice (const VjZone *zone, const GError *error, gpointer user_data)
{
  int *changes = user_data;

  assert_int_equal (error != NULL, *changes % 2 == 0);
  (*changes)++;
}

static void
outage_is_reported_once_and_covered_by_the_next_reading (void **state)
{
  int changes = 0;

  set_idle (*state, 2, 0);
  g_autoptr (VjSource) source = vj_source_model_open (*state, 20 * WATT, 100 * WATT, NULL);
  vj_source_set_notice (source, count_notice, &changes);
  read_at (source, START);
  tempdir_write (*state, "stat", "nothing of the kind\n");
  assert_false (read_at (source, START + SECOND).fresh);
  assert_false (read_at (source, START + 2 * SECOND).fresh);
  assert_int_equal (changes, 1);
  set_idle (*state, 2, 150);
  const VjSourceReading back = read_at (source, START + 3 * SECOND);
  assert_int_equal (changes, 2);
  assert_int_equal (source->counts.failures, 2);
  assert_int_equal (back.elapsed_us, 3 * SECOND);
  assert_int_equal (back.delta_uj, 180 * JOULE);
}

static void
what_cannot_work_is_refused (void **state)
{
  g_autoptr (GError) gone = NULL;
  g_autoptr (GError) odd = NULL;
  g_autoptr (GError) upside_down = NULL;

  assert_null (vj_source_model_open (*state, 0, 0, &gone));
  assert_true (vj_error_is_gone (gone));
  tempdir_write (*state, "stat", "cpu\n");
  assert_null (vj_source_model_open (*state, 0, 0, &odd));
  assert_true (g_error_matches (odd, VJ_ERROR, VJ_ERROR_INVALID));
  set_idle (*state, 1, 0);
  assert_null (vj_source_model_open (*state, 100 * WATT, 0, &upside_down));
  assert_true (g_error_matches (upside_down, VJ_ERROR, VJ_ERROR_INVALID));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (power_lies_between_idle_and_full_by_busy_share),
    tempdir_unit_test (steps_of_idle_time_are_no_energy),
    tempdir_unit_test (rounding_is_carried_over),
    tempdir_unit_test (zone_is_one_estimated_package),
    cmocka_unit_test (defaults_grow_with_the_machine),
    tempdir_unit_test (cpu_that_comes_or_goes_makes_no_spike),
    tempdir_unit_test (outage_is_reported_once_and_covered_by_the_next_reading),
    tempdir_unit_test (what_cannot_work_is_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
