/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/account.h"

#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
add_zone (VjFrame *frame, const char *id, guint64 energy_uj)
{
  assert_true (vj_zone_init_from_id (&frame->zones[frame->n_zones], id, frame->zones, frame->n_zones));
  frame->energy_uj[frame->n_zones++] = energy_uj;
}

/* text: "package-0=10 package-0/core=5" */
static void
take (VjAccount *account, const char *epoch, const char *text)
{
  VjFrame frame = { 0 };
  g_auto (GStrv) words = g_strsplit (text, " ", -1);

  g_strlcpy (frame.epoch, epoch, sizeof frame.epoch);
  for (gsize i = 0; words[i] != NULL; i++)
    {
      char *equals = strchr (words[i], '=');
      *equals = '\0';
      add_zone (&frame, words[i], g_ascii_strtoull (equals + 1, NULL, 10));
    }
  vj_account_take (account, &frame);
}

/* "0 package-0 10 live; 0:0 core 5 frozen" */
static void
assert_shows (const VjAccount *account, const char *expected)
{
  g_autoptr (GArray) zones = g_array_new (FALSE, FALSE, sizeof (VjTreeZone));
  g_autoptr (GString) text = g_string_new (NULL);

  vj_account_zones (account, zones);
  for (guint i = 0; i < zones->len; i++)
    {
      const VjTreeZone *zone = &g_array_index (zones, VjTreeZone, i);
      g_autofree char *link = vj_tree_zone_link (zone);
      g_string_append_printf (text, "%s%s %s %" G_GUINT64_FORMAT "%s", i > 0 ? "; " : "",
                              link + strlen ("intel-rapl:"), zone->name, zone->energy_uj,
                              zone->live ? "" : " frozen");
    }
  assert_string_equal (text->str, expected);
}

/* What each frame makes the guest see. */
typedef struct
{
  const char *epoch, *frame, *shown;
} Row;

static void
check_rows (VjAccount *account, const Row *rows, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      take (account, rows[i].epoch, rows[i].frame);
      assert_shows (account, rows[i].shown);
    }
}

static void
epochs_add_up (void **state)
{
  const Row rows[] = {
    { "a", "package-0=100 package-0/core=60", "0 package-0 100; 0:0 core 60" },
    { "a", "package-0=150 package-0/core=60", "0 package-0 150; 0:0 core 60" },
    { "b", "package-0=1 package-0/core=1", "0 package-0 151; 0:0 core 61" },
    { "c", "package-0=0 package-0/core=0", "0 package-0 151; 0:0 core 61" },
    { "b", "package-0=8 package-0/core=3", "0 package-0 158; 0:0 core 63" }, /* it is still known */
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  check_rows (account, rows, G_N_ELEMENTS (rows));
  assert_int_equal (account->generation, G_N_ELEMENTS (rows));
  assert_int_equal (account->clamped, 0);
}

/* Where counters last for ever, a guest that comes back to a host is told what it knows, and more. */
static void
epochs_that_come_back_count_once (void **state)
{
  const Row rows[] = {
    { "a", "package-0=100", "0 package-0 100" },
    { "b", "package-0=5 package-0/core=4", "0 package-0 105; 0:0 core 4" },
    { "a", "package-0=103 package-0/core=9", "0 package-0 108; 0:0 core 13" },
    { "a", "package-0=104 package-0/core=9", "0 package-0 109; 0:0 core 13" },
    { "b", "package-0=3 package-0/core=6", "0 package-0 109; 0:0 core 15" },
    { "c", "package-0=1", "0 package-0 110; 0:0 core 15 frozen" },
    { "d", "package-0=1", "0 package-0 111; 0:0 core 15 frozen" },
    { "e", "package-0=1", "0 package-0 112; 0:0 core 15 frozen" },
    { "a", "package-0=105", "0 package-0 113; 0:0 core 15 frozen" },
    { "f", "package-0=1", "0 package-0 114; 0:0 core 15 frozen" },
    { "g", "package-0=1", "0 package-0 115; 0:0 core 15 frozen" },
    { "c", "package-0=1", "0 package-0 116; 0:0 core 15 frozen" }, /* too long ago */
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *text = vj_account_to_text (account);

      if (i > 0)
        assert_true (vj_account_parse (account, text, NULL)); /* the reader is restarted */
      check_rows (account, &rows[i], 1);
    }
}

static void
values_never_go_backwards (void **state)
{
  const Row rows[] = {
    { "a", "package-0=100", "0 package-0 100" }, { "a", "package-0=90", "0 package-0 100" },
    { "a", "package-0=101", "0 package-0 101" }, { "b", "package-0=5", "0 package-0 106" },
    { "b", "package-0=4", "0 package-0 106" },
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  check_rows (account, rows, G_N_ELEMENTS (rows));
  assert_int_equal (account->clamped, 2);
}

static void
zones_keep_their_numbers (void **state)
{
  const Row rows[] = {
    { "a", "package-1=1 package-1/dram=2", "0 package-1 1; 0:0 dram 2" },
    { "b", "package-0=10 package-0/core=3 package-1=4 package-1/core=1",
      "0 package-1 5; 0:0 dram 2 frozen; 1 package-0 10; 1:0 core 3; 0:1 core 1" },
    { "b", "package-0=11",
      "0 package-1 5 frozen; 0:0 dram 2 frozen; 1 package-0 11; 1:0 core 3 frozen; 0:1 core 1 frozen" },
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  check_rows (account, rows, G_N_ELEMENTS (rows));
}

static void
only_packages_and_their_parts_are_shown (void **state)
{
  const Row rows[] = {
    { "a", "psys=9 package-0-die-1=1 package-0-die-1/core=1 other=5 dram=3",
      "0 package-0-die-1 1; 0:0 core 1" },
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  check_rows (account, rows, G_N_ELEMENTS (rows));
}

/* The packages that were there keep their numbers, and disks have no cores. */
static void
storage_is_shown_beside_packages (void **state)
{
  const Row rows[] = {
    { "a", "package-0=10 storage=3", "0 package-0 10; 0:0 core 10; 1 storage 3" },
    { "a", "package-0=11 storage=4 package-1=1",
      "0 package-0 11; 0:0 core 11; 1 storage 4; 2 package-1 1; 2:0 core 1" },
    { "b", "package-0=1",
      "0 package-0 12; 0:0 core 12; 1 storage 4 frozen; 2 package-1 1 frozen; 2:0 core 1 frozen" },
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  account->core = VJ_CORE_ALWAYS;
  check_rows (account, rows, G_N_ELEMENTS (rows));
}

static void
core_always (void **state)
{
  const Row rows[] = {
    { "a", "package-0=10 package-0/dram=2", "0 package-0 10; 0:0 core 10; 0:1 dram 2" },
    { "b", "package-0=5 package-0/core=3", "0 package-0 15; 0:0 core 13; 0:1 dram 2 frozen" },
    { "c", "package-1=4 package-1/uncore=4",
      "0 package-0 15 frozen; 0:0 core 13 frozen; "
      "0:1 dram 2 frozen; 1 package-1 4; 1:0 uncore 4" },
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  account->core = VJ_CORE_ALWAYS;
  check_rows (account, rows, G_N_ELEMENTS (rows));
}

static void
state_survives_a_restart (void **state)
{
  g_autofree VjAccount *before = g_new0 (VjAccount, 1);
  g_autofree VjAccount *after = g_new0 (VjAccount, 1);

  take (before, "aaaaaaaaaaaaaaaa", "package-1=100 package-1/core=60");
  take (before, "bbbbbbbbbbbbbbbb", "package-0=7 package-1=50 package-1/core=20 package-1/dram=9");
  g_autofree char *text = vj_account_to_text (before);
  assert_true (vj_account_parse (after, text, NULL));
  assert_int_equal (after->generation, 2);
  assert_shows (after, "0 package-1 150 frozen; 0:0 core 80 frozen; 1 package-0 7 frozen; 0:1 dram 9 frozen");

  take (after, "bbbbbbbbbbbbbbbb", "package-0=8 package-1=51 package-1/core=21 package-1/dram=9");
  assert_shows (after, "0 package-1 151; 0:0 core 81; 1 package-0 8; 0:1 dram 9");
}

static void
a_spoilt_state_is_refused (void **state)
{
  const char *texts[] = {
    "",
    "garbage",
    "[reader]\nversion=2\nepoch=a\n",
    "[reader]\nversion=1\n",
    "[reader]\nversion=1\nepoch=a\n[package-0]\nbase_uj=1\n",
    "[reader]\nversion=1\nepoch=a\n[package-0]\nbase_uj=1\nlast_uj=-1\n",
    "[reader]\nversion=1\nepoch=a\n[package-0]\nbase_uj=1\nlast_uj=1\nrecent_uj_1=x\n",
    "[reader]\nversion=1\nepoch=a\n[package-0/core]\nbase_uj=1\nlast_uj=1\n",
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  account->core = VJ_CORE_ALWAYS;
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      assert_false (vj_account_parse (account, texts[i], &error));
      assert_non_null (error);
      assert_int_equal (account->core, VJ_CORE_ALWAYS);
    }
}

static void
what_a_tree_showed_can_be_adopted (void **state)
{
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  assert_true (vj_account_adopt (account, "package-1", 100));
  assert_true (vj_account_adopt (account, "package-1/core", 50));
  assert_false (vj_account_adopt (account, "package-2/core", 50));
  assert_true (vj_account_adopt (account, "package-1", 90));
  assert_shows (account, "0 package-1 100 frozen; 0:0 core 50 frozen");
  take (account, "a", "package-1=5 package-1/core=1");
  assert_shows (account, "0 package-1 105; 0:0 core 51");
}

/* 2^62 and more from a mad host: values stop, they do not wrap. */
static void
values_saturate (void **state)
{
  const Row rows[] = {
    { "a", "package-0=9223372036854775807", "0 package-0 4611686018427387904" },
    { "b", "package-0=9223372036854775807", "0 package-0 4611686018427387904" },
    { "c", "package-0=1", "0 package-0 4611686018427387904" },
  };
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  check_rows (account, rows, G_N_ELEMENTS (rows));
}

static void
zones_are_bounded (void **state)
{
  g_autofree VjAccount *account = g_new0 (VjAccount, 1);

  for (int i = 0; i < VJ_ACCOUNT_ZONES_MAX + 3; i++)
    {
      g_autofree char *text = g_strdup_printf ("package-%d=1", i);
      take (account, "a", text);
    }
  assert_int_equal (account->n_zones, VJ_ACCOUNT_ZONES_MAX);
  assert_int_equal (account->ignored, 3);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (epochs_add_up),
    cmocka_unit_test (epochs_that_come_back_count_once),
    cmocka_unit_test (values_never_go_backwards),
    cmocka_unit_test (zones_keep_their_numbers),
    cmocka_unit_test (only_packages_and_their_parts_are_shown),
    cmocka_unit_test (storage_is_shown_beside_packages),
    cmocka_unit_test (core_always),
    cmocka_unit_test (state_survives_a_restart),
    cmocka_unit_test (a_spoilt_state_is_refused),
    cmocka_unit_test (what_a_tree_showed_can_be_adopted),
    cmocka_unit_test (values_saturate),
    cmocka_unit_test (zones_are_bounded),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
