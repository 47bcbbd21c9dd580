/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/error.h"
#include "ledger_machine.h"

/* A ledger that was stored and read back goes on as if nothing had happened, from whatever state. */
static void
test_round_trip_continues (void **state)
{
  for (guint32 seed = 100; seed < 132; seed++)
    {
      World world, again;
      g_autoptr (GString) text = g_string_new (NULL);
      g_autoptr (GError) error = NULL;
      world_init (&world, seed);
      world_init (&again, seed);
      world.mixed = again.mixed = seed / 4 % 2 == 0;
      for (guint i = 0; i < 20 + seed; i++)
        tick (&world);
      use_time (&world);
      if (seed % 2 == 0)
        measure_all (&world);
      vj_ledger_encode (world.ledger, text);
      assert_true (vj_ledger_decode (again.ledger, text->str, text->len, &error));
      assert_null (error);
      check_same (world.ledger, again.ledger);
      check_books (again.ledger);
      g_rand_set_seed (world.rand, seed);
      g_rand_set_seed (again.rand, seed);
      g_rand_set_seed (world.policies, seed);
      g_rand_set_seed (again.policies, seed);
      again.born = world.born;
      for (int i = 0; i < 100; i++)
        {
          tick (&world);
          tick (&again);
        }
      check_same (world.ledger, again.ledger);
      world_clear (&world);
      world_clear (&again);
    }
}

static const char STORED[] = "virtjoule-ledger-3 8\n"
                             "zone package-0 0 100 60 30 10 5 20 7 8 -9 90 -10 11 0 0 0 0 0 0\n"
                             "zone package-0/core 0 50 20 30 0 0 6 0 0 0 0 4 11 3 1000 50 2 0 1\n"
                             "zone package-9 0 8 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0\n"
                             "zone package-9/core 0 8 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0\n"
                             "account a 500 2 7 40 12 6 -7 3 15 6 8 9 -4 8 0 0 0 0 8 0 0 0 0\n"
                             "closed b 20 1 5 10 8 6 -7 0 5 0 8 9 0 0 0 0 0 0 0 0 0 0 0\n"
                             "end\n";

static void
test_decode_by_zone_id (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  assert_true (vj_ledger_decode (ledger, STORED, strlen (STORED), NULL));
  VjAccount *a = vj_ledger_find (ledger, "a");
  assert_non_null (a);
  assert_null (vj_ledger_find (ledger, "b"));
  assert_int_equal (vj_account_energy_uj (a, PACKAGE), 40);
  assert_int_equal (vj_account_energy_uj (a, CORE), 15);
  assert_int_equal (vj_account_energy_uj (a, DRAM), 0);
  assert_int_equal (vj_account_usage_ns (a), 500);
  check_zone (ledger, PACKAGE, 60, 30, 10, 5);
  check_zone (ledger, CORE, 20, 30, 0, 0);
  check_zone (ledger, PACKAGE_1, 0, 0, 0, 0);
  assert_int_equal (vj_account_static_uj (a, PACKAGE), 12);
  assert_int_equal (vj_ledger_totals (ledger, PACKAGE)->attributed_static_uj, 20);
  assert_true (text_has (ledger, "\nzone package-1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
  assert_true (text_has (ledger, "\naccount a 500 2 7 40 12 6 -7 3 15 6 8 9 -4 0 0 0 0 0 0 0 0 0"));
  assert_true (text_has (ledger, "\nclosed b 20 1 5 10 8 6 -7 0 5 0 8 9 0"));
  assert_true (text_has (ledger, "\nzone package-0/core 0 50 20 30 0 0 6 0 0 0 0 4 11 3 1000 50 2 0 1\n"));
}

/* Both may be left out, as by versions that knew of neither. */
static void
test_policies_of_accounts_are_kept (void **state)
{
  static const char text[] = "virtjoule-ledger-3 8\n"
                             "zone package-0 0 100 60 30 10 5 20 7 8 -9 90 -10 11 0 0 0 0 0 0 1 -2 1 0\n"
                             "account a 500 2 7 40 12 6 -7 3 even\n"
                             "account b 500 2 7 10 2 6 -7 3\n"
                             "closed c 20 1 5 10 6 8 -7 0 proportional\n"
                             "end\n";
  g_autoptr (VjLedger) ledger = vj_ledger_new ();
  g_autoptr (GString) again = g_string_new (NULL);
  VjZone zone;
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  vj_ledger_add_zone (ledger, &zone, 0);
  assert_true (vj_ledger_decode (ledger, text, strlen (text), NULL));
  vj_ledger_encode (ledger, again);
  assert_string_equal (again->str, text);
}

/* A core whose package is not stored starts anew with it: else it would stand above it. */
static void
test_decode_drops_orphans (void **state)
{
  static const char text[] = "virtjoule-ledger-3 8\n"
                             "zone package-0/core 0 50 20 30 0 0 0 0 0 0 0 4 0 0 0 0 0 0 0\n"
                             "account a 500 1 0 20 0 0 0 0\n"
                             "end\n";
  g_autoptr (VjLedger) ledger = new_machine (0);
  assert_true (vj_ledger_decode (ledger, text, strlen (text), NULL));
  assert_int_equal (vj_account_energy_uj (vj_ledger_find (ledger, "a"), CORE), 0);
  check_zone (ledger, CORE, 0, 0, 0, 0);
}

static void
check_refused (const char *text, gsize length)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  g_autoptr (VjLedger) fresh = new_machine (0);
  g_autoptr (GError) error = NULL;
  if (vj_ledger_decode (ledger, text, length, &error))
    print_error ("accepted: %.*s\n", (int)length, text);
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  check_same (ledger, fresh);
}

static void
test_malformed_text_is_refused (void **state)
{
  static const char *const edits[][2] = {
    { "ledger-3", "ledger-2" },
    { "-3 8\n", "-3 8 \n" },
    { "-3 8\n", "-3\n" },
    { "-3 8\n", "-3 7\n" },
    { "end\n", "end\nend\n" },
    { "end\n", "end" },
    { "100 60 30", "100 60 31" },
    { "package-0 0 100", "package-0 1003 100" },
    { "10 5 20", "10 31 20" },
    { "5 20 7", "5 61 7" },
    { "5 20 7", "5 19 7" },
    { "7 8 -9 90", "7 1000000 -9 90" },
    { "-9 90", "-9 4611686018427387905" },
    { "-9 90", "- 90" },
    { "-10 11", "- 11" },
    { "-10 11", "-10 4611686018427387905" },
    { "-10 11", "-274877906945 11" },
    { "zone package-9 ", "zone package-0 " },
    { "closed b", "account a" },
    { "closed b", "closed  b" },
    { "account a", "account " },
    { "2 7 40", "2 7 51" },
    { "2 7 40 12", "2 7 40 41" },
    { "a 500 2", "a 500 0" },
    { "a 500 2", "a 500 1000001" },
    { "-7 3 15", "-7 274877906945 15" },
    { "12 6 -7", "12 4611686018427387905 -7" },
    { "a 500", "a -500" },
    { "a 500", "a 99999999999999999999" },
    { "8 0 0 0 0\nclosed", "8 0 0 0\nclosed" },
    { "8 0 0 0 0\nclosed", "8 0 0 0 0 0\nclosed" },
    { "50 2 0 1", "50 2 2 1" },
    { "50 2 0 1", "50 601 0 1" },
    { "zone package-0 ", "Zone package-0 " },
    { "account a 500", "account a 0500x" },
    { "8 0 0 0 0\nclosed", "8 0 0 0 0 Even\nclosed" },
    { "8 0 0 0 0\nclosed", "8 0 0 0 0 \nclosed" },
    { "8 0 0 0 0\nclosed", "8 0 0 0 0 even even\nclosed" },
    { "0 0 0 0 0 0\nzone package-0/", "0 0 0 0 0 0 1 2 3\nzone package-0/" },
    { "0 0 0 0 0 0\nzone package-0/", "0 0 0 0 0 0 1 2 3 4 5\nzone package-0/" },
  };
  check_refused ("", 0);
  for (gsize length = 0; length < strlen (STORED); length++)
    check_refused (STORED, length);
  for (gsize i = 0; i < G_N_ELEMENTS (edits); i++)
    {
      g_autoptr (GString) text = g_string_new (STORED);
      assert_true (g_string_replace (text, edits[i][0], edits[i][1], 1) == 1);
      check_refused (text->str, text->len);
    }
}

static void
test_decode_needs_an_empty_ledger (void **state)
{
  g_autoptr (VjLedger) ledger = new_machine (0);
  g_autoptr (GError) error = NULL;
  vj_ledger_open (ledger, "x");
  assert_false (vj_ledger_decode (ledger, STORED, strlen (STORED), &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

/* Whatever the bytes: refused and unchanged, or a ledger whose books balance and that can go on. */
static void
test_mutated_text (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (9);
  World world;
  guint accepted = 0;
  world_init (&world, 6);
  for (int i = 0; i < 50; i++)
    tick (&world);
  g_autoptr (GString) text = g_string_new (NULL);
  vj_ledger_encode (world.ledger, text);
  for (int i = 0; i < 20000; i++)
    {
      static const char alphabet[] = "0123456789 -\naceolsz\0\xff";
      g_autoptr (GString) mutant =
          i % 2 == 0 ? g_string_new (STORED) : g_string_new_len (text->str, (gssize)text->len);
      for (guint n = 1 + g_rand_int (rand) % 3; n > 0; n--)
        {
          const gsize at = g_rand_int (rand) % mutant->len;
          const char byte = alphabet[g_rand_int (rand) % (sizeof alphabet - 1)];
          switch (g_rand_int (rand) % 3)
            {
            case 0:
              mutant->str[at] = byte;
              break;
            case 1:
              g_string_insert_c (mutant, (gssize)at, byte);
              break;
            default:
              g_string_erase (mutant, (gssize)at,
                              1 + (gssize)(g_rand_int (rand) % MIN (8, mutant->len - at)));
            }
        }
      g_autoptr (VjLedger) ledger = new_machine (1000);
      if (!vj_ledger_decode (ledger, mutant->str, mutant->len, NULL))
        continue;
      accepted++;
      for (guint z = 0; z < N_ZONES; z++)
        vj_ledger_measure (ledger, z, 1000000, TICK_US, FALSE);
      vj_ledger_settle (ledger);
      for (guint z = 0; z < N_ZONES; z++)
        {
          const VjZoneTotals *totals = vj_ledger_totals (ledger, z);
          assert_int_equal (totals->measured_uj,
                            totals->attributed_uj + totals->remainder_uj + totals->static_uj);
          assert_true (totals->gap_uj <= totals->remainder_uj);
        }
    }
  assert_in_range (accepted, 100, 19000);
  world_clear (&world);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_round_trip_continues),
    cmocka_unit_test (test_decode_by_zone_id),
    cmocka_unit_test (test_policies_of_accounts_are_kept),
    cmocka_unit_test (test_decode_drops_orphans),
    cmocka_unit_test (test_malformed_text_is_refused),
    cmocka_unit_test (test_decode_needs_an_empty_ledger),
    cmocka_unit_test (test_mutated_text),
  };
  return cmocka_run_group_tests_name ("ledger text", tests, NULL, NULL);
}
