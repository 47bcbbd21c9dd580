/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/calibration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"

/* What a status document has to say here. */
typedef struct
{
  guint64 tick, monotonic_us, package_uj, dram_uj, busy_us, domains, resets;
  const char *quality, *hardware, *readable;
} Status;

static const Status start = { 10, 5000000, 1000, 70, 900, 0, 3, "measured", "0123456789abcdef", "true" };

static gboolean
add (VjCalibration *calibration, const Status *status, GError **error)
{
  g_autofree char *text = g_strdup_printf (
      "{\"hardware\":\"%s\",\"cpus\":4,\"busy_us\":%" G_GUINT64_FORMAT ",\"domains\":%" G_GUINT64_FORMAT
      ",\"ticks\":{\"count\":%" G_GUINT64_FORMAT ",\"monotonic_us\":%" G_GUINT64_FORMAT
      "},\"counters\":{\"wraps\":%" G_GUINT64_FORMAT ",\"resets\":%" G_GUINT64_FORMAT "},\"zones\":["
      "{\"id\":\"package-0\",\"quality\":\"%s\",\"readable\":%s,\"measured_uj\":%" G_GUINT64_FORMAT "},"
      "{\"id\":\"package-0/dram\",\"quality\":\"%s\",\"readable\":true,\"measured_uj\":%" G_GUINT64_FORMAT
      "}]}",
      status->hardware, status->busy_us, status->domains, status->tick, status->monotonic_us, status->tick,
      status->resets, status->quality, status->readable, status->package_uj, status->quality,
      status->dram_uj);
  g_autoptr (JsonNode) node = json_from_string (text, NULL);
  assert_non_null (node);
  return vj_calibration_add (calibration, json_node_get_object (node), error);
}

/* One interval after status. */
static Status
after (Status status, guint64 elapsed_us, guint64 package_uj, guint64 dram_uj, guint64 busy_us)
{
  status.tick++;
  status.monotonic_us += elapsed_us;
  status.package_uj += package_uj;
  status.dram_uj += dram_uj;
  status.busy_us += busy_us;
  return status;
}

/* 10 and 20 W by turns, each a second, asked for twice; 3 W of memory. n = 10: sigma = 5.270 W, t = 2.262. */
static void
test_mean_and_spread (void **state)
{
  g_autoptr (VjCalibration) calibration = vj_calibration_new (FALSE);
  Status status = start;
  assert_true (add (calibration, &status, NULL));
  assert_int_equal (vj_calibration_intervals (calibration), 0);
  for (int i = 0; i < 10; i++)
    {
      status = after (status, 1000000, i % 2 == 0 ? 10000000 : 20000000, 3000000, 40000);
      assert_true (add (calibration, &status, NULL));
      assert_true (add (calibration, &status, NULL));
    }
  g_autoptr (VjStaticFile) result = vj_calibration_result (calibration);
  assert_int_equal (vj_calibration_elapsed_us (calibration), 10000000);
  assert_int_equal (vj_calibration_intervals (calibration), 10);
  assert_int_equal (vj_calibration_busy_ppm (calibration), 10000);
  assert_int_equal (vj_calibration_domains (calibration), 0);
  assert_string_equal (result->fingerprint, start.hardware);
  const VjStaticZone *package = vj_static_file_find (result, "package-0");
  assert_int_equal (package->static_uw, 15000000);
  assert_int_equal (package->sigma_uw, 5270463);
  assert_in_range (package->error_uw, 3760000, 3780000);
  const VjStaticZone *dram = vj_static_file_find (result, "package-0/dram");
  assert_int_equal (dram->static_uw, 3000000);
  assert_int_equal (dram->sigma_uw, 0);
  assert_int_equal (dram->error_uw, 0);
}

/* The mean is energy over time, however long each interval was. */
static void
test_intervals_count_by_their_length (void **state)
{
  g_autoptr (VjCalibration) calibration = vj_calibration_new (FALSE);
  Status status = start;
  assert_true (add (calibration, &status, NULL));
  status = after (status, 1000000, 10000000, 0, 0);
  assert_true (add (calibration, &status, NULL));
  status = after (status, 3000000, 90000000, 0, 0);
  assert_true (add (calibration, &status, NULL));
  g_autoptr (VjStaticFile) result = vj_calibration_result (calibration);
  assert_int_equal (vj_static_file_find (result, "package-0")->static_uw, 25000000);
}

typedef struct
{
  const char *what;
  Status (*change) (Status status);
  int code;
  const char *says;
} Refusal;

static Status
with_domains (Status status)
{
  status.domains = 3;
  return status;
}

static Status
estimated (Status status)
{
  status.quality = "estimated";
  return status;
}

static Status
unreadable (Status status)
{
  status.readable = "false";
  return status;
}

static Status
restarted (Status status)
{
  status.tick = 1;
  return status;
}

static Status
restarted_with_less_energy (Status status)
{
  status.package_uj = 0;
  return status;
}

static Status
reset (Status status)
{
  status.resets++;
  return status;
}

static Status
other_hardware (Status status)
{
  status.hardware = "fedcba9876543210";
  return status;
}

static const Refusal refusals[] = {
  { "domains", with_domains, VJ_ERROR_BUSY, "3 domains are running" },
  { "estimated", estimated, VJ_ERROR_UNAVAILABLE, "estimates" },
  { "unreadable", unreadable, VJ_ERROR_UNAVAILABLE, "package-0 cannot be read" },
  { "restarted", restarted, VJ_ERROR_UNAVAILABLE, "restarted" },
  { "less energy", restarted_with_less_energy, VJ_ERROR_UNAVAILABLE, "restarted" },
  { "reset", reset, VJ_ERROR_UNAVAILABLE, "reset" },
  { "other hardware", other_hardware, VJ_ERROR_UNAVAILABLE, "restarted" },
};

static void
test_refusals (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autoptr (VjCalibration) calibration = vj_calibration_new (FALSE);
      g_autoptr (GError) error = NULL;
      Status status = after (start, 1000000, 1, 1, 0);
      print_message ("%s\n", refusals[i].what);
      assert_true (add (calibration, &start, NULL));
      assert_true (add (calibration, &status, NULL));
      status = refusals[i].change (after (status, 1000000, 1, 1, 0));
      assert_false (add (calibration, &status, &error));
      assert_true (g_error_matches (error, VJ_ERROR, refusals[i].code));
      assert_non_null (strstr (error->message, refusals[i].says));
    }
}

static void
test_force (void **state)
{
  g_autoptr (VjCalibration) calibration = vj_calibration_new (TRUE);
  Status status = with_domains (start);
  assert_true (add (calibration, &status, NULL));
  status = after (start, 1000000, 1, 1, 0);
  assert_true (add (calibration, &status, NULL));
  assert_int_equal (vj_calibration_domains (calibration), 3);
}

static void
test_odd_documents (void **state)
{
  static const char *const texts[] = {
    "{}",
    "{\"zones\":[]}",
    "{\"zones\":{},\"hardware\":\"x\"}",
    "{\"zones\":[1],\"hardware\":\"x\"}",
    "{\"zones\":[{\"id\":\"package-0\",\"quality\":\"measured\",\"readable\":true}]}",
    "{\"hardware\":\"x\",\"zones\":[{\"id\":\"a]\\n[b\",\"quality\":\"measured\",\"readable\":true}]}",
    "{\"hardware\":\"x\",\"zones\":[{\"quality\":\"measured\",\"readable\":true}]}",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (VjCalibration) calibration = vj_calibration_new (FALSE);
      g_autoptr (GError) error = NULL;
      g_autoptr (JsonNode) node = json_from_string (texts[i], NULL);
      print_message ("%s\n", texts[i]);
      assert_false (vj_calibration_add (calibration, json_node_get_object (node), &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_mean_and_spread), cmocka_unit_test (test_intervals_count_by_their_length),
    cmocka_unit_test (test_refusals),        cmocka_unit_test (test_force),
    cmocka_unit_test (test_odd_documents),
  };
  return cmocka_run_group_tests_name ("calibration", tests, NULL, NULL);
}
