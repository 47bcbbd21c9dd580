/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/workload_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "attributor_machine.h"
#include "tempdir.h"

#define MIB ((guint64)1024 * 1024)

static guint64
own_storage_uj (const Machine *machine, const char *path)
{
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  return group_of (snapshot, path)->own_uj[STORAGE];
}

static void
update_storage (Machine *machine, guint64 disk_bytes, guint64 storage_uj)
{
  move_disk (machine, disk_bytes);
  machine->storage_uj += storage_uj;
  update (machine, 0, 0);
}

static void
storage_goes_by_what_was_moved (void **state)
{
  Machine *machine = *state;
  add_storage (machine);
  make_group (machine, CTR);
  make_group (machine, "/a.service");
  move (machine, CTR, 100 * MIB); /* the past */
  move (machine, "/a.service", 0);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update_storage (machine, 0, 0);

  move (machine, CTR, 3 * MIB);
  move (machine, POD, MIB);
  move (machine, "/a.service", 2 * MIB);
  update_storage (machine, 8 * MIB, 8000000);
  assert_int_equal (own_storage_uj (machine, CTR), 3000000);
  assert_int_equal (own_storage_uj (machine, POD), 1000000);
  assert_int_equal (own_storage_uj (machine, "/a.service"), 2000000);

  move (machine, "/a.service", 5 * MIB); /* more than the disk has done yet */
  update_storage (machine, MIB, 1000000);
  assert_int_equal (own_storage_uj (machine, "/a.service"), 3000000);
  update_storage (machine, MIB, 1000000); /* nobody's */
  assert_int_equal (own_storage_uj (machine, "/a.service"), 3000000);

  remove_group (machine, "/a.service"); /* and comes again */
  update_storage (machine, 0, 0);
  make_group (machine, "/a.service");
  make_group (machine, "/b.service");
  move (machine, "/a.service", MIB);
  move (machine, "/b.service", MIB);
  update_storage (machine, 4 * MIB, 4000000);
  assert_int_equal (own_storage_uj (machine, "/a.service"), 4000000);
  assert_int_equal (own_storage_uj (machine, "/b.service"), 1000000);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, STORAGE).gap_uj, 0);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, STORAGE).kernel_uj, 5000000);
}

/* A service that is restarted: what it moved before is not taken twice off what its slice moved. */
static void
what_comes_again_takes_nothing_from_its_parent (void **state)
{
  Machine *machine = *state;
  add_storage (machine);
  make_group (machine, "/a.slice/a.service");
  make_group (machine, "/a.slice");
  move (machine, "/a.slice/a.service", 0);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update_storage (machine, 0, 0);
  move (machine, "/a.slice/a.service", 2 * MIB);
  update_storage (machine, 4 * MIB, 4000000);
  remove_group (machine, "/a.slice/a.service");
  update_storage (machine, 0, 0);
  make_group (machine, "/a.slice/a.service");
  move (machine, "/a.slice/a.service", MIB);
  move (machine, "/a.slice", MIB);
  update_storage (machine, 4 * MIB, 4000000);
  assert_int_equal (own_storage_uj (machine, "/a.slice/a.service"), 3000000);
  assert_int_equal (own_storage_uj (machine, "/a.slice"), 1000000);
}

/* This process, as files tell of it, in a group that does (not) count itself. */
static void
say_moved (const Machine *machine, const char *group, guint64 bytes)
{
  g_autofree char *procs = g_strconcat ("cgroup", group, "/cgroup.procs", NULL);
  g_autofree char *pid = g_strdup_printf ("%d\n", getpid ());
  g_autofree char *stat = g_strdup_printf ("proc/%d/stat", getpid ());
  g_autofree char *io = g_strdup_printf ("proc/%d/io", getpid ());
  g_autofree char *io_text = g_strdup_printf ("read_bytes: 0\nwrite_bytes: %" G_GUINT64_FORMAT "\n", bytes);
  g_autofree char *stat_text = NULL;
  assert_true (g_file_get_contents ("/proc/self/stat", &stat_text, NULL, NULL));
  tempdir_write (machine->root, procs, pid);
  tempdir_write (machine->root, stat, stat_text);
  tempdir_write (machine->root, io, io_text);
}

static void
check_process (const Machine *machine, const char *group, guint64 own_uj, guint64 process_uj)
{
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  const VjGroupSnapshot *shown = group_of (snapshot, group);
  assert_int_equal (shown->own_uj[STORAGE], own_uj);
  assert_int_equal (shown->processes->len, 1);
  assert_int_equal (((VjProcessSnapshot *)g_ptr_array_index (shown->processes, 0))->energy_uj[STORAGE],
                    process_uj);
}

static void
processes_tell_where_their_group_does_not_count (void **state)
{
  Machine *machine = *state;
  add_storage (machine);
  machine->options.workloads.processes = TRUE;
  make_group (machine, "/a.slice/a.service");
  make_group (machine, "/a.slice");
  move (machine, "/a.slice", 0);
  say_moved (machine, "/a.slice/a.service", 100 * MIB);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update_storage (machine, 0, 0);
  move (machine, "/a.slice", 4 * MIB);
  say_moved (machine, "/a.slice/a.service", 103 * MIB);
  update_storage (machine, 8 * MIB, 8000000);
  check_process (machine, "/a.slice/a.service", 3000000, 3000000);
  assert_int_equal (own_storage_uj (machine, "/a.slice"), 1000000);
}

/* A page counts for a process when it becomes dirty, and for its group when it is written. */
static void
processes_are_billed_no_more_than_their_group_moved (void **state)
{
  Machine *machine = *state;
  add_storage (machine);
  machine->options.workloads.processes = TRUE;
  make_group (machine, "/a.service");
  move (machine, "/a.service", 0);
  say_moved (machine, "/a.service", 0);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update_storage (machine, 0, 0);
  move (machine, "/a.service", 2 * MIB);
  say_moved (machine, "/a.service", 5 * MIB);
  update_storage (machine, 4 * MIB, 4000000);
  check_process (machine, "/a.service", 2000000, 2000000);
  move (machine, "/a.service", 3 * MIB); /* written back */
  say_moved (machine, "/a.service", 6 * MIB);
  update_storage (machine, 4 * MIB, 4000000);
  check_process (machine, "/a.service", 5000000, 3000000);
}

/* What was moved before the first reading that succeeds is nobody's, whenever that is. */
static void
a_first_reading_that_comes_late_bills_no_past (void **state)
{
  Machine *machine = *state;
  add_storage (machine);
  make_group (machine, "/a.service");
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update_storage (machine, 0, 0);
  move (machine, "/a.service", 100 * MIB);
  update_storage (machine, 8 * MIB, 8000000);
  assert_int_equal (own_storage_uj (machine, "/a.service"), 0);
  move (machine, "/a.service", 2 * MIB);
  update_storage (machine, 8 * MIB, 8000000);
  assert_int_equal (own_storage_uj (machine, "/a.service"), 2000000);
}

/* What cannot be read is nobody's, in that zone alone. */
static void
disks_that_cannot_be_read_make_a_gap (void **state)
{
  Machine *machine = *state;
  add_storage (machine);
  make_group (machine, "/a.service");
  move (machine, "/a.service", 0);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update_storage (machine, 0, 0);
  for (guint i = 0; i < 4; i++)
    {
      move (machine, "/a.service", MIB);
      move_disk (machine, MIB);
      if (i == 1)
        tempdir_write (machine->root, "proc/diskstats", "odd\n");
      machine->storage_uj += 1000;
      update (machine, 0, 0);
    }
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, STORAGE).gap_uj, 2000);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, 0).gap_uj, 0);
  assert_int_equal (group_of (snapshot, "/a.service")->energy_uj[STORAGE], 2000);
}

#define machine_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    machine_test (storage_goes_by_what_was_moved),
    machine_test (what_comes_again_takes_nothing_from_its_parent),
    machine_test (processes_tell_where_their_group_does_not_count),
    machine_test (processes_are_billed_no_more_than_their_group_moved),
    machine_test (a_first_reading_that_comes_late_bills_no_past),
    machine_test (disks_that_cannot_be_read_make_a_gap),
  };
  return cmocka_run_group_tests_name ("workload_io", tests, NULL, NULL);
}
