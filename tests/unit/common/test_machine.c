/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/units.h"
#include "tempdir.h"

#define TICK_US VJ_US_PER_S

/* A machine of files with one CPU and one disk, and a ledger with the zones that a test wants. */
typedef struct
{
  const char *root;
  VjLedger *ledger;
  VjMachine *machine;
  VjAccount *account;
  guint64 now_us;
} Bed;

static void
write_disk (const char *root, guint64 bytes)
{
  g_autofree char *text = g_strdup_printf (
      " 8 0 sda 1 1 %" G_GUINT64_FORMAT " 1 1 1 0 1 0 0 0\n 9 0 md0 1 1 999 1 1 1 0 1 0 0 0\n", bytes / 512);
  tempdir_write (root, "proc/diskstats", text);
}

static Bed
bed_new (const char *root, const char *second_zone)
{
  Bed bed = { .root = root, .ledger = vj_ledger_new (), .now_us = TICK_US };
  g_autofree char *procfs = g_build_filename (root, "proc", NULL);
  g_autofree char *sysfs = g_build_filename (root, "sys", NULL);
  const VjRoots roots = { .procfs = procfs, .sysfs = sysfs };
  const char *names[] = { "package-0", second_zone };
  VjZone zone;
  tempdir_write (root, "proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n");
  tempdir_mkdir (sysfs, "block/sda/device");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      assert_true (vj_zone_init (&zone, names[i], NULL, -1));
      vj_ledger_add_zone (bed.ledger, &zone, 0);
    }
  bed.machine = vj_machine_open (&roots, bed.ledger, TRUE, NULL);
  assert_non_null (bed.machine);
  bed.account = vj_ledger_open (bed.ledger, "a");
  return bed;
}

static void
bed_clear (Bed *bed)
{
  vj_machine_free (bed->machine);
  vj_ledger_free (bed->ledger);
}

/* An interval in which both zones measured a millijoule, and the account moved so many bytes. */
static void
tick (Bed *bed, guint64 bytes)
{
  bed->now_us += TICK_US;
  assert_true (vj_machine_read (bed->machine, bed->now_us));
  vj_account_add_usage (bed->account, VJ_RESOURCE_STORAGE, bytes);
  for (guint zone = 0; zone < 2; zone++)
    vj_ledger_measure (bed->ledger, zone, 1000, TICK_US, FALSE);
  vj_ledger_settle (bed->ledger);
}

static void
check_storage (const Bed *bed, guint64 given_uj, guint64 gap_uj)
{
  const VjZoneTotals *totals = vj_ledger_totals (bed->ledger, 1);
  assert_int_equal (vj_account_energy_uj (bed->account, 1), given_uj);
  assert_int_equal (totals->gap_uj, gap_uj);
  assert_int_equal (totals->attributed_uj + totals->remainder_uj, totals->measured_uj);
}

static void
storage_is_shared_by_what_disks_moved (void **state)
{
  write_disk (*state, 1 << 30);
  Bed bed = bed_new (*state, "storage");
  assert_non_null (vj_machine_disks (bed.machine));
  assert_false (vj_machine_shares_memory (bed.machine));
  tick (&bed, 512); /* nobody knows since when */
  check_storage (&bed, 0, 1000);
  write_disk (*state, (1 << 30) + 4096);
  tick (&bed, 1024);
  check_storage (&bed, 250, 1000);
  tick (&bed, 512); /* written back later: all there is, and no more */
  check_storage (&bed, 1250, 1000);
  tick (&bed, 0);
  check_storage (&bed, 1250, 1000);
  bed_clear (&bed);
}

static void
unreadable_disks_are_a_gap_of_that_zone_alone (void **state)
{
  write_disk (*state, 0);
  Bed bed = bed_new (*state, "storage");
  const guint64 gap_uj[] = { 1000, 1000, 2000, 3000, 3000 };
  const guint64 given_uj[] = { 0, 500, 500, 500, 1000 };
  for (guint i = 0; i < G_N_ELEMENTS (gap_uj); i++)
    {
      write_disk (*state, (guint64)i * 1024);
      if (i == 2)
        tempdir_write (*state, "proc/diskstats", "odd\n");
      tick (&bed, 512);
      check_storage (&bed, given_uj[i], gap_uj[i]);
    }
  assert_int_equal (vj_ledger_totals (bed.ledger, 0)->gap_uj, 0);
  bed_clear (&bed);
}

static void
a_machine_without_disks_gives_nobody_anything (void **state)
{
  Bed bed = bed_new (*state, "storage");
  assert_null (vj_machine_disks (bed.machine));
  for (guint i = 1; i <= 3; i++)
    {
      tick (&bed, 512);
      check_storage (&bed, 0, i * 1000);
    }
  bed_clear (&bed);
}

/* Nothing is read that nobody needs. */
static void
disks_are_left_alone_without_such_a_zone (void **state)
{
  write_disk (*state, 0);
  Bed bed = bed_new (*state, "gpu");
  assert_null (vj_machine_disks (bed.machine));
  tick (&bed, 512);
  check_storage (&bed, 0, 0);
  bed_clear (&bed);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (storage_is_shared_by_what_disks_moved),
    tempdir_unit_test (unreadable_disks_are_a_gap_of_that_zone_alone),
    tempdir_unit_test (a_machine_without_disks_gives_nobody_anything),
    tempdir_unit_test (disks_are_left_alone_without_such_a_zone),
  };
  return cmocka_run_group_tests_name ("machine", tests, NULL, NULL);
}
