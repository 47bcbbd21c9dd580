/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/consumption.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/units.h"
#include "tempdir.h"
#include "test_child.h"

/* This process, in a control group that the test writes. */

#define SCOPE "/machine/qemu-1-a.libvirt-qemu"
#define EPOCH "00112233445566aa"

static guint64
used_ns (void)
{
  struct timespec time;
  assert_int_equal (clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &time), 0);
  return (guint64)time.tv_sec * VJ_NS_PER_S + (guint64)time.tv_nsec;
}

static VjLedger *
ledger_new (gboolean with_storage)
{
  VjZone zone;
  VjLedger *ledger = vj_ledger_new ();
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  vj_ledger_add_zone (ledger, &zone, 0);
  assert_true (vj_zone_init (&zone, "storage", NULL, -1));
  if (with_storage)
    vj_ledger_add_zone (ledger, &zone, 0);
  return ledger;
}

typedef struct
{
  VjLedger *ledger;
  VjMachine *machine;
  VjAccount *account;
  VjConsumption *consumption;
  guint64 around_ns; /* how exactly it is known when that was opened */
  guint64 opened_ns; /* at the latest */
} Bed;

/* cpu_stat NULL: in no scope. */
static Bed
bed_open (const char *root, int pid, const char *cpu_stat, gboolean with_storage)
{
  Bed bed = { .ledger = ledger_new (with_storage) };
  g_autofree char *procfs = g_build_filename (root, "proc", NULL);
  g_autofree char *cgroupfs = g_build_filename (root, "cgroup", NULL);
  g_autofree char *cgroup = g_strdup_printf ("proc/%d/cgroup", pid);
  const VjRoots roots = { .procfs = procfs, .cgroupfs = cgroupfs, .sysfs = (char *)root };
  tempdir_write (root, "proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n");
  tempdir_write (root, "cgroup/cgroup.controllers", "cpu\n");
  tempdir_write (root, "cgroup" SCOPE "/cpu.stat", cpu_stat != NULL ? cpu_stat : "");
  tempdir_write (root, cgroup, "0::" SCOPE "/emulator\n");
  bed.machine = vj_machine_open (&roots, bed.ledger, TRUE, NULL);
  bed.account = vj_ledger_open (bed.ledger, EPOCH);
  const guint64 before_ns = used_ns ();
  bed.consumption = vj_consumption_open (&roots, bed.machine, pid, NULL);
  bed.opened_ns = used_ns ();
  bed.around_ns = bed.opened_ns - before_ns;
  assert_non_null (bed.consumption);
  assert_int_equal (vj_consumption_kind (bed.consumption), cpu_stat != NULL ? VJ_SCOPE_V2 : VJ_SCOPE_PROCESS);
  return bed;
}

static Bed
bed_new (const char *root, int pid, const char *cpu_stat)
{
  return bed_open (root, pid, cpu_stat, FALSE);
}

static void
bed_clear (Bed *bed)
{
  vj_consumption_free (bed->consumption);
  vj_machine_free (bed->machine);
  vj_ledger_free (bed->ledger);
}

static guint64
billed_ns (const Bed *bed)
{
  return vj_account_usage_ns (bed->account);
}

/* What the process used before it came to its scope, and what others used in that, are no part of its last interval. */
static void
check_completed (const char *root, const char *cpu_stat)
{
  Bed bed = bed_new (root, getpid (), cpu_stat);
  assert_true (vj_consumption_complete (bed.consumption, bed.account, bed.opened_ns + 7 * VJ_NS_PER_S));
  assert_in_range (billed_ns (&bed), 7 * VJ_NS_PER_S, 7 * VJ_NS_PER_S + bed.around_ns);
  assert_false (vj_consumption_complete (bed.consumption, bed.account, bed.opened_ns + 6 * VJ_NS_PER_S));

  const guint64 before_ns = used_ns ();
  assert_true (vj_consumption_sample (bed.consumption, bed.account, 0));
  const guint64 around_ns = used_ns () - before_ns;
  const guint64 sampled_ns = billed_ns (&bed);
  assert_true (vj_consumption_complete (bed.consumption, bed.account, before_ns + 3 * VJ_NS_PER_S));
  assert_in_range (billed_ns (&bed), sampled_ns + 3 * VJ_NS_PER_S - around_ns, sampled_ns + 3 * VJ_NS_PER_S);
  bed_clear (&bed);
}

static void
test_completed_after_time_outside_the_scope (void **state)
{
  while (used_ns () < 50 * VJ_NS_PER_US * 1000)
    ;
  check_completed (*state, "usage_usec 1000\n");
}

static void
test_completed_where_others_used_the_scope (void **state)
{
  check_completed (*state, "usage_usec 3600000000\n");
}

/* One that was born in this interval. */
static void
test_completed_from_zero (void **state)
{
  Bed bed = bed_new (*state, getpid (), NULL);
  vj_consumption_set_cpu_ns (bed.consumption, 0);
  assert_true (vj_consumption_complete (bed.consumption, bed.account, bed.opened_ns + VJ_NS_PER_S));
  assert_in_range (billed_ns (&bed), bed.opened_ns + VJ_NS_PER_S - bed.around_ns,
                   bed.opened_ns + VJ_NS_PER_S);
  bed_clear (&bed);
}

/* What its scope told after its end was all of it. */
static void
test_nothing_is_left_of_a_process_that_had_gone_before_the_last_sample (void **state)
{
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);
  Bed bed = bed_new (*state, pid, "usage_usec 1000\n");
  test_child_stop (pid, socket);
  tempdir_write (*state, "cgroup" SCOPE "/cpu.stat", "usage_usec 1003\n");
  assert_true (vj_consumption_sample (bed.consumption, bed.account, 0));
  assert_false (vj_consumption_complete (bed.consumption, bed.account, 9 * VJ_NS_PER_S));
  assert_int_equal (billed_ns (&bed), 3 * VJ_NS_PER_US);
  bed_clear (&bed);
}

/* Its scope moved so many bytes in all, and the machine's disk. */
static void
write_moved (const char *root, guint64 bytes, guint64 disk_bytes)
{
  g_autofree char *io = g_strdup_printf ("8:0 rbytes=%" G_GUINT64_FORMAT " wbytes=0\n9:0 rbytes=7\n", bytes);
  g_autofree char *disk =
      g_strdup_printf (" 8 0 sda 1 1 %" G_GUINT64_FORMAT " 1 1 1 0 1 0 0 0\n", disk_bytes / 512);
  tempdir_mkdir (root, "block/sda/device");
  tempdir_write (root, "cgroup" SCOPE "/io.stat", io);
  tempdir_write (root, "proc/diskstats", disk);
}

/* One interval with a millijoule of storage. Returns what the domain has been given of that so far. */
static guint64
storage_after_tick (Bed *bed)
{
  vj_machine_read (bed->machine, 1);
  assert_true (vj_consumption_sample (bed->consumption, bed->account, 0));
  vj_ledger_measure (bed->ledger, 1, 1000, VJ_US_PER_S, FALSE);
  vj_ledger_settle (bed->ledger);
  const VjZoneTotals *totals = vj_ledger_totals (bed->ledger, 1);
  assert_int_equal (totals->attributed_uj + totals->remainder_uj, totals->measured_uj);
  return vj_account_energy_uj (bed->account, 1);
}

static void
test_storage_is_shared_by_what_the_scope_moved (void **state)
{
  write_moved (*state, 1 << 20, 1 << 20);
  Bed bed = bed_open (*state, getpid (), "usage_usec 1000\n", TRUE);
  assert_int_equal (storage_after_tick (&bed), 0); /* nobody knows what the machine has moved before */
  write_moved (*state, (1 << 20) + 4096, (1 << 20) + 16384);
  assert_int_equal (storage_after_tick (&bed), 250);
  write_moved (*state, (1 << 20) + 4096, (1 << 20) + 32768);
  assert_int_equal (storage_after_tick (&bed), 250);
  assert_int_equal (vj_ledger_totals (bed.ledger, 1)->gap_uj, 1000);
  bed_clear (&bed);
}

static void
test_storage_of_one_born_now_counts_from_zero (void **state)
{
  write_moved (*state, 0, 0);
  Bed bed = bed_open (*state, getpid (), "usage_usec 1000\n", TRUE);
  storage_after_tick (&bed);
  write_moved (*state, 4096, 8192);
  g_autofree char *procfs = g_build_filename (*state, "proc", NULL);
  g_autofree char *cgroupfs = g_build_filename (*state, "cgroup", NULL);
  const VjRoots roots = { .procfs = procfs, .cgroupfs = cgroupfs, .sysfs = *state };
  vj_consumption_free (bed.consumption);
  bed.consumption = vj_consumption_open (&roots, bed.machine, getpid (), NULL);
  vj_consumption_set_cpu_ns (bed.consumption, 0);
  assert_int_equal (storage_after_tick (&bed), 500);
  bed_clear (&bed);
}

static void
burn (guint64 cpu_ns)
{
  const guint64 until_ns = used_ns () + cpu_ns;
  while (used_ns () < until_ns)
    ;
}

/* What the process uses elsewhere while its scope rests is not the domain's, as far as it was seen in time. */
static void
test_the_process_is_looked_at_when_its_scope_moves_and_now_and_then (void **state)
{
  const guint64 burnt_ns = 20 * VJ_US_PER_MS * VJ_NS_PER_US, left_ns = 3 * VJ_NS_PER_S;
  const struct
  {
    const char *cpu_stat;
    guint64 elapsed_us;
    gboolean looked;
  } cases[] = { { "usage_usec 1000\n", 1 * VJ_US_PER_S, FALSE },
                { "usage_usec 1001\n", 1 * VJ_US_PER_S, TRUE },
                { "usage_usec 1000\n", 60 * VJ_US_PER_S, TRUE } };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Bed bed = bed_new (*state, getpid (), "usage_usec 1000\n");
      burn (burnt_ns);
      tempdir_write (*state, "cgroup" SCOPE "/cpu.stat", cases[i].cpu_stat);
      assert_true (vj_consumption_sample (bed.consumption, bed.account, cases[i].elapsed_us));
      const guint64 sampled_ns = billed_ns (&bed);
      assert_true (
          vj_consumption_complete (bed.consumption, bed.account, bed.opened_ns + burnt_ns + left_ns));
      const guint64 completed_ns = billed_ns (&bed) - sampled_ns;
      if (cases[i].looked)
        assert_in_range (completed_ns, 0, left_ns);
      else
        assert_in_range (completed_ns, left_ns + burnt_ns, left_ns + burnt_ns + bed.around_ns);
      bed_clear (&bed);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_completed_after_time_outside_the_scope),
    tempdir_unit_test (test_completed_where_others_used_the_scope),
    tempdir_unit_test (test_completed_from_zero),
    tempdir_unit_test (test_storage_is_shared_by_what_the_scope_moved),
    tempdir_unit_test (test_storage_of_one_born_now_counts_from_zero),
    tempdir_unit_test (test_nothing_is_left_of_a_process_that_had_gone_before_the_last_sample),
    tempdir_unit_test (test_the_process_is_looked_at_when_its_scope_moves_and_now_and_then),
  };
  return cmocka_run_group_tests_name ("consumption", tests, NULL, NULL);
}
