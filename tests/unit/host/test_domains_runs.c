/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "domains_bed.h"
#include "tempdir.h"
#include "test_child.h"

/* --- whose time is whose --- */

/* One that was there before is billed from now on, as the others' tests have it. */
static void
test_one_born_in_the_interval_is_billed_from_zero (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 5 * SECOND);
  vj_domains_begin_interval (bed->domains, 1);
  tell (bed, "libvirt", UUID, &qemu);
  tick (bed);
  assert_int_equal (cpu_s (bed), 5);
  qemu_stop (&qemu);
}

/* Figures of another counter, or a process that is counted already, would add up to what nobody used. */
static void
test_a_run_goes_on_only_as_what_it_was (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 5 * SECOND);
  VjStoredDomain stored = { .id = UUID,
                            .manager = "libvirt",
                            .name = (char *)"a",
                            .pid = qemu.pid,
                            .mark = { "00112233445566aa", 4 * VJ_NS_PER_S, VJ_SCOPE_V1 } };
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_false (vj_domains_restore (bed->domains, &stored, TRUE));
  stored.mark.usage_kind = VJ_SCOPE_V2;
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_true (vj_domains_restore (bed->domains, &stored, TRUE));
  VjStoredDomain again = stored;
  g_strlcpy (again.id, "qemu-a", sizeof again.id);
  g_strlcpy (again.mark.epoch, "ffffffffffffffff", sizeof again.mark.epoch);
  vj_ledger_open (bed->ledger, again.mark.epoch);
  assert_false (vj_domains_restore (bed->domains, &again, TRUE));
  tick (bed);
  assert_string_equal (only (bed)->id, UUID);
  assert_int_equal (cpu_s (bed), 1);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_UNKNOWN], 2);
  qemu_stop (&qemu);
}

static void
test_two_in_one_scope_are_read_by_their_processes (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "1-a", 0);
  Qemu third = qemu_start (bed, "1-a", 0), other = qemu_start (bed, "2-b", 0);
  tell (bed, "qemu", "qemu-1", &first);
  assert_string_equal (only (bed)->usage, "cgroup-v2");
  tell (bed, "qemu", "qemu-2", &second);
  tell (bed, "qemu", "qemu-3", &third);
  tell (bed, "qemu", "qemu-4", &other);
  use_cpu (bed, &first, 9 * SECOND);
  tick (bed);
  assert_int_equal (show (bed), 4);
  for (guint i = 0; i < 4; i++)
    {
      const VjDomainSnapshot *domain = g_ptr_array_index (bed->shown, i);
      assert_string_equal (domain->usage, i < 3 ? "process" : "cgroup-v2");
      assert_true (domain->cpu_ns < VJ_NS_PER_S);
    }
  tell (bed, "libvirt", UUID, &second); /* whose own clock is no beginning for the scope's */
  tick (bed);
  assert_int_equal (show (bed), 4);
  for (guint i = 0; i < 4; i++)
    assert_true (((const VjDomainSnapshot *)g_ptr_array_index (bed->shown, i))->cpu_ns < VJ_NS_PER_S);
  Qemu *all[] = { &first, &second, &third, &other };
  for (guint i = 0; i < 4; i++)
    qemu_stop (all[i]);
}

/* Moved by hand, once its own scope has gone. */
static void
test_a_process_that_is_moved_into_anothers_scope_is_not_billed_for_it (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu moved = qemu_start (bed, "1-a", 0), other = qemu_start (bed, "2-b", 0);
  g_autofree char *cgroup = g_strdup_printf ("proc/%d/cgroup", moved.pid);
  tell (bed, "qemu", "qemu-1", &moved);
  tell (bed, "qemu", "qemu-2", &other);
  tick (bed);
  tempdir_write (bed->root, moved.cpu_stat, "nothing\n");
  tempdir_write (bed->root, cgroup, "0::/machine/qemu-2-b.libvirt-qemu/emulator\n");
  tick (bed);
  tick (bed);
  use_cpu (bed, &other, 4 * SECOND);
  tick (bed);
  assert_int_equal (show (bed), 2);
  for (guint i = 0; i < 2; i++)
    {
      const VjDomainSnapshot *domain = g_ptr_array_index (bed->shown, i);
      assert_string_equal (domain->usage, "process");
      assert_true (domain->cpu_ns < VJ_NS_PER_S);
    }
  qemu_stop (&moved);
  qemu_stop (&other);
}

/* --- endings and lifetimes --- */

static void
test_how_a_run_ended_is_known (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu first = qemu_start (bed, "1-a", 0);
  tell (bed, "libvirt", UUID, &first);
  use_cpu (bed, &first, SECOND);
  vj_domains_ending (bed->domains, UUID);
  assert_int_equal (cpu_s (bed), 1); /* without a tick */
  use_cpu (bed, &first, 2 * SECOND);
  wait_for_exit (bed, &first);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_EXACT], 1);
  const guint64 before_uj = vj_ledger_totals (bed->ledger, 0)->attributed_uj;
  tick (bed);
  assert_true (vj_ledger_totals (bed->ledger, 0)->attributed_uj - before_uj > ENERGY_UJ * 9 / 10);

  Qemu second = qemu_start (bed, "2-a", 0);
  tell (bed, "libvirt", UUID, &second);
  tempdir_write (bed->root, second.cpu_stat, "nothing\n");
  wait_for_exit (bed, &second);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_EXACT], 1);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_UNKNOWN], 1);
  qemu_stop (&first);
  qemu_stop (&second);
}

/* Body of a child: ten milliseconds of its CPU's time whenever it is told to. */
static void
use_when_told (gpointer argument, int socket)
{
  struct timespec now;
  for (long ms = 10; test_child_await (socket); ms += 10)
    {
      do
        clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
      while (now.tv_sec == 0 && now.tv_nsec < ms * 1000000);
      test_child_signal (socket);
    }
}

/* A real process, which the kernel tells of; by the tick it has ended, and nobody knows yet. */
static void
test_a_tick_before_the_news_of_an_end_loses_nothing (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = { .pid = 0 };
  guint64 cpu_ns = 0;
  bed->exits = vj_exit_records_open (NULL);
  if (bed->exits == NULL)
    skip (); /* test_exit_records says why */
  vj_domains_free (bed->domains);
  open_domains (bed);
  g_free (bed->roots.procfs);
  bed->roots.procfs = g_strdup ("/proc");
  qemu.pid = test_child_start (use_when_told, NULL, &qemu.socket);
  tell (bed, "libvirt", UUID, &qemu);
  tick (bed);
  assert_string_equal (only (bed)->usage, "process");
  assert_true (test_child_signal (qemu.socket) && test_child_await (qemu.socket));
  const int pid = qemu.pid;
  qemu_stop (&qemu);
  tick (bed);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_COMPLETED], 1);
  assert_false (vj_exit_records_get (bed->exits, pid, &cpu_ns)); /* whoever has that number next is another */
}

static void
test_counters_that_last_for_ever (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0);
  tell (bed, "libvirt", UUID, &first);
  use_cpu (bed, &first, SECOND);
  tick (bed);
  g_autofree char *epoch = g_strdup (only (bed)->epoch);
  const guint64 before_uj = only (bed)->energy_uj[0];
  assert_true (before_uj > 0);
  use_cpu (bed, &first, 2 * SECOND);
  vj_domains_absent (bed->domains, UUID);
  tick (bed); /* the last second is settled here */
  assert_int_equal (show (bed), 0);

  Qemu second = qemu_start (bed, "2-a", 0);
  tell (bed, "libvirt", UUID, &second);
  assert_string_equal (only (bed)->epoch, epoch);
  assert_int_equal (cpu_s (bed), 2);
  assert_int_equal (only (bed)->energy_uj[0], vj_ledger_totals (bed->ledger, 0)->attributed_uj);
  tick (bed);

  Qemu third = qemu_start (bed, "3-a", 0); /* starts anew within one interval */
  use_cpu (bed, &second, SECOND);
  vj_domains_absent (bed->domains, UUID);
  tell (bed, "libvirt", UUID, &third);
  tick (bed);
  assert_string_equal (only (bed)->epoch, epoch);
  assert_int_equal (cpu_s (bed), 3);
  assert_int_equal (only (bed)->energy_uj[0], vj_ledger_totals (bed->ledger, 0)->attributed_uj);

  vj_domains_absent (bed->domains, UUID);
  vj_domains_forgotten (bed->domains, UUID);
  tick (bed);
  tell (bed, "libvirt", UUID, &second);
  assert_string_not_equal (only (bed)->epoch, epoch);
  assert_int_equal (only (bed)->energy_uj[0], 0);
  qemu_stop (&first);
  qemu_stop (&second);
  qemu_stop (&third);
}

/* It was undefined while it ran, and runs again without having been away. */
static void
test_what_was_forgotten_is_kept_from_its_next_run_on (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "2-a", 0);
  tell (bed, "libvirt", UUID, &first);
  vj_domains_forgotten (bed->domains, UUID);
  vj_domains_note_lifetimes (bed->domains);
  assert_null (vj_lifetimes_get (bed->lifetimes, UUID));
  wait_for_exit (bed, &first);
  tell (bed, "libvirt", UUID, &second);
  vj_domains_note_lifetimes (bed->domains);
  assert_non_null (vj_lifetimes_get (bed->lifetimes, UUID));
  qemu_stop (&first);
  qemu_stop (&second);
}

/* The store does not keep zones that were not there when it was written; the book does, of the same epoch. */
static void
test_a_zone_that_was_not_there_goes_on_too (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  guint64 known_uj = 500, known_static_uj = 200, none[2] = { 0 };
  const VjLifetime known = { "00112233445566aa", 0, &known_uj, &known_static_uj };
  const VjLifetime other = { "ffffffffffffffff", 0, &known_uj, &known_static_uj };
  VjLifetime stored_base = { "00112233445566aa", 0, &none[0], &none[1] };
  VjStoredDomain stored = { .id = UUID,
                            .uuid = UUID,
                            .manager = "libvirt",
                            .name = (char *)"a",
                            .pid = qemu.pid,
                            .mark = { "00112233445566aa", 0, VJ_SCOPE_V2 },
                            .base = &stored_base };
  vj_lifetimes_note (bed->lifetimes, UUID, &other);
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_true (vj_domains_restore (bed->domains, &stored, FALSE));
  assert_int_equal (only (bed)->energy_uj[0], 0);
  vj_domains_absent (bed->domains, UUID);
  tick (bed);

  vj_lifetimes_note (bed->lifetimes, UUID, &known);
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_true (vj_domains_restore (bed->domains, &stored, FALSE));
  assert_int_equal (only (bed)->energy_uj[0], known_uj);
  assert_int_equal (only (bed)->static_uj[0], known_static_uj);
  use_cpu (bed, &qemu, SECOND);
  tick (bed);
  vj_domains_note_lifetimes (bed->domains);
  assert_true (vj_lifetimes_get (bed->lifetimes, UUID)->energy_uj[0] > known_uj);
  qemu_stop (&qemu);
}

/* As Proxmox gives a VMID to another machine: what the one before used is not the next one's. */
static void
test_another_machine_by_the_same_id (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "2-b", 0);
  tell (bed, "proxmox", "proxmox-100", &first);
  use_cpu (bed, &first, SECOND);
  tick (bed);
  const guint64 before_uj = only (bed)->energy_uj[0];
  VjDomainInfo info = info_of ("proxmox", "proxmox-100", second.pid);
  info.uuid[0] = '9';
  vj_domains_present (bed->domains, &info);
  assert_int_equal (only (bed)->energy_uj[0], 0);
  tick (bed);
  assert_true (vj_lifetimes_get (bed->lifetimes, UUID)->energy_uj[0] >= before_uj);
  assert_null (vj_lifetimes_get (bed->lifetimes, info.uuid));
  qemu_stop (&first);
  qemu_stop (&second);
}

/* Two runs of one UUID side by side: the second is nobody's continuation. */
static void
test_a_uuid_that_stands_twice_adds_nothing_up (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "2-b", 0);
  tell (bed, "libvirt", UUID, &first);
  tick (bed);
  vj_domains_note_lifetimes (bed->domains);
  tell (bed, "qemu", "qemu-b", &second);
  use_cpu (bed, &first, SECOND);
  tick (bed);
  assert_int_equal (show (bed), 2);
  const VjDomainSnapshot *a = g_ptr_array_index (bed->shown, 0), *b = g_ptr_array_index (bed->shown, 1);
  assert_string_not_equal (a->epoch, b->epoch);
  assert_int_equal (a->energy_uj[0] + b->energy_uj[0], vj_ledger_totals (bed->ledger, 0)->attributed_uj);
  qemu_stop (&first);
  qemu_stop (&second);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_one_born_in_the_interval_is_billed_from_zero),
    tempdir_unit_test (test_a_run_goes_on_only_as_what_it_was),
    tempdir_unit_test (test_two_in_one_scope_are_read_by_their_processes),
    tempdir_unit_test (test_a_process_that_is_moved_into_anothers_scope_is_not_billed_for_it),
    tempdir_unit_test (test_how_a_run_ended_is_known),
    tempdir_unit_test (test_a_tick_before_the_news_of_an_end_loses_nothing),
    tempdir_unit_test (test_counters_that_last_for_ever),
    tempdir_unit_test (test_what_was_forgotten_is_kept_from_its_next_run_on),
    tempdir_unit_test (test_a_zone_that_was_not_there_goes_on_too),
    tempdir_unit_test (test_another_machine_by_the_same_id),
    tempdir_unit_test (test_a_uuid_that_stands_twice_adds_nothing_up),
  };
  return cmocka_run_group_tests_name ("domains_runs", tests, NULL, NULL);
}
