/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/lifetimes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/file.h"
#include "tempdir.h"

#define A     "aaaaaaaa-0000-4000-8000-000000000001"
#define B     "bbbbbbbb-0000-4000-8000-000000000002"
#define C     "cccccccc-0000-4000-8000-000000000003"
#define EPOCH "0123456789abcdef"

static const char *const ZONES[] = { "package-0", "package-0/dram", NULL };

static VjLifetimes *
open_book (const char *dir, const char *const *zones)
{
  g_autofree char *problem = NULL;
  g_autoptr (GError) error = NULL;
  VjLifetimes *book = vj_lifetimes_open (dir, zones, &problem, &error);
  if (problem != NULL)
    print_error ("%s\n", problem);
  assert_null (error);
  assert_null (problem);
  assert_non_null (book);
  return book;
}

static void
save (VjLifetimes *book)
{
  g_autoptr (GError) error = NULL;
  assert_true (vj_lifetimes_save (book, &error));
  assert_null (error);
}

/* energy: of the first zone; the second has twice as much; a tenth of it is static. */
static void
note (VjLifetimes *book, const char *uuid, guint64 energy_uj)
{
  guint64 energies_uj[] = { energy_uj, energy_uj * 2 }, statics_uj[] = { energy_uj / 10, energy_uj / 5 };
  const VjLifetime total = { EPOCH, energy_uj * 1000, energies_uj, statics_uj };
  vj_lifetimes_note (book, uuid, &total);
}

static void
check (const VjLifetime *lifetime, guint64 energy_uj)
{
  assert_non_null (lifetime);
  assert_int_equal (lifetime->energy_uj[0], energy_uj);
  assert_int_equal (lifetime->energy_uj[1], energy_uj * 2);
  assert_int_equal (lifetime->static_uj[0], energy_uj / 10);
  assert_int_equal (lifetime->static_uj[1], energy_uj / 5);
  assert_int_equal (lifetime->cpu_ns, energy_uj * 1000);
}

static void
test_round_trip (void **state)
{
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  assert_null (vj_lifetimes_get (book, A));
  note (book, A, 1000);
  note (book, B, G_GUINT64_CONSTANT (1) << 50);
  save (book);
  g_autoptr (VjLifetimes) again = open_book (*state, ZONES);
  check (vj_lifetimes_get (again, A), 1000);
  assert_string_equal (vj_lifetimes_get (again, A)->epoch, EPOCH);
  check (vj_lifetimes_get (again, B), G_GUINT64_CONSTANT (1) << 50);
  assert_null (vj_lifetimes_get (again, C));
  vj_lifetimes_forget (again, A);
  vj_lifetimes_forget (again, C);
  assert_null (vj_lifetimes_get (again, A));
  save (again);
  g_autoptr (VjLifetimes) third = open_book (*state, ZONES);
  assert_null (vj_lifetimes_get (third, A));
  check (vj_lifetimes_get (third, B), G_GUINT64_CONSTANT (1) << 50);
}

/* A host dies in A's second run, of which 300 were noted: the third adds to it. */
static void
test_the_last_note_counts_after_a_crash (void **state)
{
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  note (book, A, 1000);
  note (book, A, 1200);
  note (book, A, 1300);
  note (book, B, 50);
  save (book);
  note (book, A, 1400);
  g_autoptr (VjLifetimes) again = open_book (*state, ZONES);
  check (vj_lifetimes_get (again, A), 1300);
  check (vj_lifetimes_get (again, B), 50);
}

/* Zones by id, in whatever order; what was used in one that is away is there when it comes back. */
static void
test_other_zones (void **state)
{
  static const char *const others[] = { "psys", "package-0/dram", NULL };
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  note (book, A, 1000);
  note (book, A, 1500);
  save (book);
  g_autoptr (VjLifetimes) other = open_book (*state, others);
  const VjLifetime *known = vj_lifetimes_get (other, A);
  assert_int_equal (known->energy_uj[0], 0);
  assert_int_equal (known->energy_uj[1], 3000);
  guint64 energies_uj[] = { 7, 3200 }, statics_uj[] = { 0, 300 };
  const VjLifetime total = { EPOCH, 1700000, energies_uj, statics_uj };
  vj_lifetimes_note (other, A, &total);
  save (other);
  g_autoptr (VjLifetimes) again = open_book (*state, ZONES);
  known = vj_lifetimes_get (again, A);
  assert_int_equal (known->energy_uj[0], 1500);
  assert_int_equal (known->static_uj[0], 150);
  assert_int_equal (known->energy_uj[1], 3200);
  assert_int_equal (known->cpu_ns, 1700000);
}

static void
test_a_zone_of_which_nothing_was_used_is_dropped (void **state)
{
  static const char *const none[] = { NULL };
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  note (book, A, 0);
  save (book);
  g_autoptr (VjLifetimes) other = open_book (*state, none);
  assert_non_null (vj_lifetimes_get (other, A));
  note (other, A, 0);
  save (other);
  g_autofree char *text = vj_file_read (*state, "lifetimes", 4096, NULL, NULL);
  assert_non_null (strstr (text, "\nzones\n"));
}

#define HEAD "virtjoule-lifetimes 1\nzones package-0\n"
#define LINE "domain " A " " EPOCH " 9 7 3\n"

static void
check_refused (const char *dir, const char *text)
{
  g_autofree char *problem = NULL;
  g_autoptr (GError) error = NULL;
  tempdir_write (dir, "lifetimes", text);
  g_autoptr (VjLifetimes) book = vj_lifetimes_open (dir, ZONES, &problem, &error);
  if (problem == NULL)
    print_error ("accepted: %s\n", text);
  assert_non_null (book);
  assert_non_null (strstr (problem, "lifetimes.bad"));
  assert_null (vj_lifetimes_get (book, A));
  g_autofree char *aside = vj_file_read (dir, "lifetimes.bad", 4096, NULL, &error);
  assert_string_equal (aside, text);
  note (book, B, 1);
  assert_true (vj_lifetimes_save (book, NULL));
}

static void
test_torn_and_odd_files (void **state)
{
  static const char *const texts[] = {
    "garbage",
    "virtjoule-lifetimes 2\nzones package-0\nend\n",
    HEAD LINE LINE "end\n",
    HEAD LINE "end\nend\n",
    HEAD LINE "\nend\n",
    HEAD "domain " A " " EPOCH " 9 7\nend\n",
    HEAD "domain " A " " EPOCH " 9 7 3 0\nend\n",
    HEAD "domain " A " " EPOCH " 9 7 8\nend\n",
    HEAD "domain " A " " EPOCH " 9 -7 3\nend\n",
    HEAD "domain " A " " EPOCH " 9 4611686018427387905 3\nend\n",
    HEAD "domain " A " " EPOCH "0 9 7 3\nend\n",
    HEAD "domain ../" A " " EPOCH " 9 7 3\nend\n",
    HEAD "run " A " " EPOCH " 9 7 3\nend\n",
    "virtjoule-lifetimes 1\nzones  package-0\n" LINE "end\n",
    "virtjoule-lifetimes 1\nzone package-0\n" LINE "end\n",
  };
  static const char whole[] = HEAD LINE "end\n";
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    check_refused (*state, texts[i]);
  for (gsize length = 0; length < strlen (whole); length++)
    {
      g_autofree char *torn = g_strndup (whole, length);
      check_refused (*state, torn);
    }
  tempdir_write (*state, "lifetimes", whole);
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  assert_int_equal (vj_lifetimes_get (book, A)->energy_uj[0], 7);
}

/* One that was on stage when the limit was met is kept, whenever it was first seen. */
static void
test_the_longest_unused_go_first (void **state)
{
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  note (book, A, 1);
  note (book, B, 2);
  for (guint i = 0; i < VJ_LIFETIMES_MAX - 1; i++)
    {
      g_autofree char *uuid = g_strdup_printf ("00000000-0000-4000-8000-%012u", i);
      note (book, uuid, i);
    }
  note (book, A, 3);
  save (book);
  g_autoptr (VjLifetimes) again = open_book (*state, ZONES);
  check (vj_lifetimes_get (again, A), 3);
  assert_null (vj_lifetimes_get (again, B));
  check (vj_lifetimes_get (again, "00000000-0000-4000-8000-000000000000"), 0);
  check (vj_lifetimes_get (again, "00000000-0000-4000-8000-000000009998"), 9998);
  note (again, C, 5);
  save (again);
  g_autoptr (VjLifetimes) third = open_book (*state, ZONES);
  assert_null (vj_lifetimes_get (third, "00000000-0000-4000-8000-000000000000"));
  assert_non_null (vj_lifetimes_get (third, "00000000-0000-4000-8000-000000000001"));
  assert_non_null (vj_lifetimes_get (third, C));
}

static void
test_only_changes_are_written (void **state)
{
  g_autofree char *path = g_build_filename (*state, "lifetimes", NULL);
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  save (book);
  assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  note (book, A, 1);
  save (book);
  assert_int_equal (g_unlink (path), 0);
  vj_lifetimes_forget (book, B);
  save (book);
  assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  vj_lifetimes_forget (book, A);
  save (book);
  assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* Replaced, not written over: whoever has it open has the old one, whole. A failure leaves it as it was, and what it
 * did not take is written next time. */
static void
test_atomic (void **state)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VjLifetimes) book = open_book (*state, ZONES);
  note (book, A, 1);
  save (book);
  g_autofree char *before = vj_file_read (*state, "lifetimes", 4096, NULL, NULL);
  g_autofree char *path = g_build_filename (*state, "lifetimes", NULL);
  FILE *open_file = g_fopen (path, "r");
  assert_non_null (open_file);
  note (book, A, 2);
  tempdir_mkdir (*state, ".lifetimes.new");
  assert_false (vj_lifetimes_save (book, &error));
  assert_non_null (strstr (error->message, path));
  g_autofree char *untouched = vj_file_read (*state, "lifetimes", 4096, NULL, NULL);
  assert_string_equal (untouched, before);
  tempdir_remove (*state, ".lifetimes.new");
  save (book);
  char text[4096] = "";
  assert_int_equal (fread (text, 1, sizeof text - 1, open_file), strlen (before));
  assert_string_equal (text, before);
  fclose (open_file);
  GStatBuf status;
  assert_int_equal (g_stat (path, &status), 0);
  assert_int_equal (status.st_mode & 0777, 0600);
  g_autoptr (VjLifetimes) again = open_book (*state, ZONES);
  check (vj_lifetimes_get (again, A), 2);
}

static void
test_no_directory (void **state)
{
  g_autofree char *dir = g_build_filename (*state, "nowhere", NULL);
  g_autofree char *problem = NULL;
  g_autoptr (GError) error = NULL;
  assert_null (vj_lifetimes_open (dir, ZONES, &problem, &error));
  assert_true (vj_error_is_gone (error));
  assert_non_null (strstr (error->message, dir));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_round_trip),
    tempdir_unit_test (test_the_last_note_counts_after_a_crash),
    tempdir_unit_test (test_other_zones),
    tempdir_unit_test (test_a_zone_of_which_nothing_was_used_is_dropped),
    tempdir_unit_test (test_torn_and_odd_files),
    tempdir_unit_test (test_the_longest_unused_go_first),
    tempdir_unit_test (test_only_changes_are_written),
    tempdir_unit_test (test_atomic),
    tempdir_unit_test (test_no_directory),
  };
  return cmocka_run_group_tests_name ("lifetimes", tests, NULL, NULL);
}
