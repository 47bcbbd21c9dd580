/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/static_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "tempdir.h"

#define PRINT "0123456789abcdef"

static void
test_round_trip (void **state)
{
  const VjStaticZone zones[] = {
    { "package-0", 80123456, 120001, 950000 },
    { "package-0/dram", 3000000, 1, 0 },
    { "psys", G_GUINT64_CONSTANT (1000000000000), 0, 7 },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (VjStaticFile) written = vj_static_file_new (PRINT);
  g_array_append_vals (written->zones, zones, G_N_ELEMENTS (zones));
  assert_true (vj_static_file_save (written, *state, VJ_STATIC_CALIBRATED, &error));
  g_autoptr (VjStaticFile) read = vj_static_file_load (*state, VJ_STATIC_CALIBRATED, &error);
  assert_non_null (read);
  assert_string_equal (read->fingerprint, PRINT);
  assert_int_equal (read->zones->len, G_N_ELEMENTS (zones));
  for (gsize i = 0; i < G_N_ELEMENTS (zones); i++)
    {
      const VjStaticZone *zone = vj_static_file_find (read, zones[i].id);
      assert_non_null (zone);
      assert_int_equal (zone->static_uw, zones[i].static_uw);
      assert_int_equal (zone->error_uw, zones[i].error_uw);
      assert_int_equal (zone->sigma_uw, zones[i].sigma_uw);
    }
  assert_null (vj_static_file_find (read, "package-1"));
}

static void
test_no_file (void **state)
{
  g_autoptr (GError) error = NULL;
  assert_null (vj_static_file_load (*state, VJ_STATIC_CALIBRATED, &error));
  assert_true (vj_error_is_gone (error));
}

static void
test_no_directory (void **state)
{
  g_autofree char *directory = g_build_filename (*state, "nowhere", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (VjStaticFile) file = vj_static_file_new (PRINT);
  assert_false (vj_static_file_save (file, directory, VJ_STATIC_CALIBRATED, &error));
  assert_non_null (strstr (error->message, directory));
}

#define HEAD "[hardware]\nfingerprint=" PRINT "\n[zone package-0]\n"
static void
test_odd_files (void **state)
{
  static const char *const texts[] = {
    "",
    "static power",
    "[zone package-0]\nstatic-uw=1\nerror-uw=0\nsigma-uw=0\n",
    HEAD,
    HEAD "static-uw=1\nerror-uw=0\n",
    HEAD "static-uw=-1\nerror-uw=0\nsigma-uw=0\n",
    HEAD "static-uw=20.5\nerror-uw=0\nsigma-uw=0\n",
    HEAD "static-uw=1000000000001\nerror-uw=0\nsigma-uw=0\n",
    HEAD "static-uw=99999999999999999999999999\nerror-uw=0\nsigma-uw=0\n",
    "[hardware]\nfingerprint=x\n[zone 0123456789012345678901234567890123456789012345678901234567890123]\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      tempdir_write (*state, VJ_STATIC_CALIBRATED, texts[i]);
      print_message ("%s\n", texts[i]);
      assert_null (vj_static_file_load (*state, VJ_STATIC_CALIBRATED, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      assert_non_null (strstr (error->message, VJ_STATIC_CALIBRATED));
    }
}

/* A later version may say more. */
static void
test_more_than_is_known (void **state)
{
  g_autoptr (GError) error = NULL;
  tempdir_write (*state, VJ_STATIC_CALIBRATED,
                 HEAD "static-uw=5\nerror-uw=1\nsigma-uw=2\nmood=good\n[weather]\nrain=yes\n");
  g_autoptr (VjStaticFile) file = vj_static_file_load (*state, VJ_STATIC_CALIBRATED, &error);
  assert_non_null (file);
  assert_int_equal (file->zones->len, 1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_round_trip),         tempdir_unit_test (test_no_file),
    tempdir_unit_test (test_no_directory),       tempdir_unit_test (test_odd_files),
    tempdir_unit_test (test_more_than_is_known),
  };
  return cmocka_run_group_tests_name ("static_file", tests, NULL, NULL);
}
