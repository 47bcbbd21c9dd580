/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* 63 and 64 bytes */
#define LONGEST  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TOO_LONG LONGEST "x"

static void
test_top_level_names (void **state)
{
  static const struct
  {
    const char *text, *name;
    VjZoneKind kind;
    int package, die;
  } cases[] = {
    { "package-0\n", "package-0", VJ_ZONE_PACKAGE, 0, -1 },
    { "package-13", "package-13", VJ_ZONE_PACKAGE, 13, -1 },
    { "package-1-die-2\n", "package-1-die-2", VJ_ZONE_PACKAGE, 1, 2 },
    { "psys\n", "psys", VJ_ZONE_PSYS, -1, -1 },
    { "psys-1", "psys-1", VJ_ZONE_PSYS, -1, -1 },
    { "dram", "dram", VJ_ZONE_DRAM, -1, -1 },
    { "storage\n", "storage", VJ_ZONE_STORAGE, -1, -1 },
    { "storage-0", "storage-0", VJ_ZONE_OTHER, -1, -1 },
    { "core", "core", VJ_ZONE_CORE, -1, -1 },
    { "package-", "package-", VJ_ZONE_OTHER, -1, -1 },
    { "package-0x", "package-0x", VJ_ZONE_OTHER, -1, -1 },
    { "package-0-die-", "package-0-die-", VJ_ZONE_OTHER, -1, -1 },
    { "package-0-die-1x", "package-0-die-1x", VJ_ZONE_OTHER, -1, -1 },
    { "package-9999999999", "package-9999999999", VJ_ZONE_OTHER, -1, -1 },
    { "psys-", "psys-", VJ_ZONE_OTHER, -1, -1 },
    { "psys-x", "psys-x", VJ_ZONE_OTHER, -1, -1 },
    { "Gpu_0.x", "Gpu_0.x", VJ_ZONE_OTHER, -1, -1 },
    { LONGEST "\n", LONGEST, VJ_ZONE_OTHER, -1, -1 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjZone zone;
      assert_true (vj_zone_init (&zone, cases[i].text, NULL, 5));
      assert_string_equal (zone.name, cases[i].name);
      assert_string_equal (zone.id, cases[i].name);
      assert_int_equal (zone.kind, cases[i].kind);
      assert_int_equal (zone.package, cases[i].package);
      assert_int_equal (zone.die, cases[i].die);
      assert_int_equal (zone.parent, -1);
      assert_false (vj_zone_is_within_parent (&zone));
      const gboolean is_component =
          zone.kind == VJ_ZONE_PACKAGE || zone.kind == VJ_ZONE_DRAM || zone.kind == VJ_ZONE_STORAGE;
      assert_int_equal (vj_zone_is_component (&zone), is_component);
    }
}

static void
test_refused_names (void **state)
{
  static const char *const cases[] = { "",      "\n",  "a b",  "a/b", "..",   ".",  ".hidden",
                                       "a\n\n", "\na", "a\n ", "a\t", "\xff", "a%", TOO_LONG };
  VjZone zone = { .package = 77 };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_false (vj_zone_init (&zone, cases[i], NULL, -1));
  assert_int_equal (zone.package, 77);
}

/* Only below psys is it what the packages leave of it. */
static void
test_rest (void **state)
{
  VjZone psys, package, zone;
  assert_true (vj_zone_init (&psys, "psys", NULL, -1));
  assert_true (vj_zone_init (&package, "package-0", NULL, -1));
  assert_true (vj_zone_init (&zone, "rest", &psys, 0));
  assert_int_equal (zone.kind, VJ_ZONE_REST);
  assert_string_equal (zone.id, "psys/rest");
  assert_false (vj_zone_is_within_parent (&zone));
  assert_true (vj_zone_init (&zone, "rest", &package, 0));
  assert_int_equal (zone.kind, VJ_ZONE_OTHER);
  assert_true (vj_zone_init (&zone, "rest", NULL, -1));
  assert_int_equal (zone.kind, VJ_ZONE_OTHER);
}

static void
test_sub_zones (void **state)
{
  static const struct
  {
    const char *name, *id;
    VjZoneKind kind;
    gboolean within;
  } cases[] = {
    { "core\n", "package-1-die-2/core", VJ_ZONE_CORE, TRUE },
    { "uncore", "package-1-die-2/uncore", VJ_ZONE_UNCORE, TRUE },
    { "dram", "package-1-die-2/dram", VJ_ZONE_DRAM, FALSE },
    { "other", "package-1-die-2/other", VJ_ZONE_OTHER, FALSE },
    { "storage", "package-1-die-2/storage", VJ_ZONE_OTHER, FALSE },
  };
  VjZone zones[2], zone, again;
  assert_true (vj_zone_init (&zones[0], "psys", NULL, -1));
  assert_true (vj_zone_init (&zones[1], "package-1-die-2", NULL, -1));
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      assert_true (vj_zone_init (&zone, cases[i].name, &zones[1], 1));
      assert_string_equal (zone.id, cases[i].id);
      assert_int_equal (zone.kind, cases[i].kind);
      assert_int_equal (zone.parent, 1);
      assert_int_equal (zone.package, 1);
      assert_int_equal (zone.die, 2);
      assert_int_equal (vj_zone_is_within_parent (&zone), cases[i].within);
      assert_true (vj_zone_init_from_id (&again, cases[i].id, zones, 2));
      assert_memory_equal (&again, &zone, sizeof zone);
    }
}

static void
test_id_of_a_sub_zone_is_bounded (void **state)
{
  VjZone parent, zone;
  assert_true (vj_zone_init (&parent, "p", NULL, -1));
  assert_true (vj_zone_init (&zone, &LONGEST[2], &parent, 0));
  assert_int_equal (strlen (zone.id), VJ_ZONE_ID_MAX);
  assert_false (vj_zone_init (&zone, &LONGEST[1], &parent, 0));
}

static void
test_refused_ids (void **state)
{
  static const char *const cases[] = { "",
                                       "/",
                                       "package-0/",
                                       "/core",
                                       "package-1/core",
                                       "package-0//core",
                                       "package-0/core/x",
                                       "core\n",
                                       "../core",
                                       "package-0/..",
                                       "package-/core",
                                       TOO_LONG };
  VjZone zones[1], zone = { .package = 77 };
  assert_true (vj_zone_init (&zones[0], "package-0", NULL, -1));
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_false (vj_zone_init_from_id (&zone, cases[i], zones, 1));
  assert_int_equal (zone.package, 77);
  assert_false (vj_zone_init_from_id (&zone, "package-0/core", NULL, 0));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_top_level_names),
    cmocka_unit_test (test_refused_names),
    cmocka_unit_test (test_rest),
    cmocka_unit_test (test_sub_zones),
    cmocka_unit_test (test_id_of_a_sub_zone_is_bounded),
    cmocka_unit_test (test_refused_ids),
  };
  return cmocka_run_group_tests_name ("zone", tests, NULL, NULL);
}
