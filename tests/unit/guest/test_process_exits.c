/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/processes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "attributor_machine.h"
#include "tempdir.h"
#include "test_child.h"

#define MS (VJ_NS_PER_S / 1000)
/* On a busy machine with sanitizers; a few hundred microseconds are the rule. */
#define SLACK_NS (10 * MS)
#define BURN_NS  (30 * MS)
#define SERVICE  "/a.service"

/* Real processes of this machine that exit, and the kernel's records of them. */
typedef struct
{
  VjLedger *ledger;
  VjProcesses *processes;
  GArray *pids;
  GPtrArray *members;
  GPtrArray *ended;
  int group; /* its address is the owner */
  int pid;
  int socket;
} Fixture;

static guint64
clock_of (clockid_t clock)
{
  struct timespec now;
  assert_int_equal (clock_gettime (clock, &now), 0);
  return (guint64)now.tv_sec * VJ_NS_PER_S + (guint64)now.tv_nsec;
}

static void
burn (guint64 ns)
{
  guint64 end_ns = clock_of (CLOCK_THREAD_CPUTIME_ID) + ns;
  while (clock_of (CLOCK_THREAD_CPUTIME_ID) < end_ns)
    ;
}

/* Body of a child: uses its time when it is told to, and says so. */
static void
burn_when_told (gpointer argument, int socket)
{
  while (test_child_await (socket))
    {
      burn (BURN_NS);
      test_child_signal (socket);
    }
}

static void
let_burn (int socket)
{
  assert_true (test_child_signal (socket));
  assert_true (test_child_await (socket));
}

static int
setup_without (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);
  VjZone zone = { 0 };
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  fixture->ledger = vj_ledger_new ();
  vj_ledger_add_zone (fixture->ledger, &zone, 0);
  fixture->processes = vj_processes_new ("/proc");
  fixture->pids = g_array_new (FALSE, FALSE, sizeof (int));
  fixture->members = g_ptr_array_new ();
  fixture->ended = g_ptr_array_new ();
  fixture->pid = test_child_start (burn_when_told, NULL, &fixture->socket);
  assert_true (fixture->pid > 0);
  g_array_append_val (fixture->pids, fixture->pid);
  *state = fixture;
  return 0;
}

static int
setup_with (void **state)
{
  setup_without (state);
  Fixture *fixture = *state;
  VjExitRecords *exits = vj_exit_records_open (NULL);
  assert_non_null (exits);
  vj_processes_use_exit_records (fixture->processes, exits);
  return 0;
}

static void
exit_child (Fixture *fixture)
{
  if (fixture->pid != 0)
    test_child_stop (fixture->pid, fixture->socket);
  fixture->pid = 0;
  g_array_set_size (fixture->pids, 0);
}

static int
teardown_both (void **state)
{
  Fixture *fixture = *state;
  exit_child (fixture);
  vj_processes_end (fixture->processes, fixture->members, fixture->ended);
  for (guint i = 0; i < fixture->ended->len; i++)
    vj_thread_group_free (g_ptr_array_index (fixture->ended, i));
  g_ptr_array_unref (fixture->members);
  g_ptr_array_unref (fixture->ended);
  g_array_unref (fixture->pids);
  vj_processes_free (fixture->processes);
  vj_ledger_free (fixture->ledger);
  g_free (fixture);
  return 0;
}

/* A tick; processes that are new are older than the last one. */
static guint64
take (Fixture *fixture)
{
  vj_processes_begin (fixture->processes, G_MAXUINT64, FALSE, FALSE);
  guint64 used_ns = vj_processes_read (fixture->processes, fixture->ledger, fixture->pids, &fixture->group,
                                       fixture->members, fixture->ended);
  vj_processes_finish (fixture->processes);
  return used_ns;
}

static VjThreadGroup *
ended_at (const Fixture *fixture, guint i)
{
  assert_true (i < fixture->ended->len);
  return g_ptr_array_index (fixture->ended, i);
}

/* The child is a member, uses some time, and exits before the next tick. Returns what it used, by its clock. */
static guint64
exit_between_ticks (Fixture *fixture)
{
  take (fixture);
  assert_int_equal (fixture->members->len, 1);
  const VjThreadGroup *process = g_ptr_array_index (fixture->members, 0);
  guint64 before_ns = process->clock_ns;
  let_burn (fixture->socket);
  guint64 used_ns = clock_of (process->clock) - before_ns;
  assert_true (used_ns >= BURN_NS);
  exit_child (fixture);
  return used_ns;
}

static void
what_it_used_last_is_its_own (void **state)
{
  Fixture *fixture = *state;
  guint64 used_ns = exit_between_ticks (fixture);
  assert_int_equal (take (fixture), 0);
  guint64 told_ns = vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64);
  print_message ("clock %" G_GUINT64_FORMAT " record %" G_GUINT64_FORMAT "\n", used_ns, told_ns);
  assert_in_range (told_ns, used_ns - SLACK_NS, used_ns + SLACK_NS);
  assert_int_equal (ended_at (fixture, 0)->cpu_ns, told_ns);
  assert_int_equal (vj_account_usage_ns (ended_at (fixture, 0)->account), told_ns);
  assert_true (ended_at (fixture, 0)->ended_us > 0);
  assert_int_equal (vj_processes_completed (fixture->processes), 1);
  assert_int_equal (vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64), 0);
  assert_int_equal (vj_account_usage_ns (ended_at (fixture, 0)->account), told_ns);
}

static void
it_is_given_no_more_than_its_group_has (void **state)
{
  Fixture *fixture = *state;
  exit_between_ticks (fixture);
  take (fixture);
  assert_int_equal (vj_processes_complete (fixture->processes, fixture->ended, MS), MS);
  assert_int_equal (vj_account_usage_ns (ended_at (fixture, 0)->account), MS);
}

static void
two_of_them_are_given_no_more_together (void **state)
{
  Fixture *fixture = *state;
  int socket = -1;
  int pid = test_child_start (burn_when_told, NULL, &socket);
  g_array_append_val (fixture->pids, pid);
  take (fixture);
  let_burn (fixture->socket);
  let_burn (socket);
  exit_child (fixture);
  test_child_stop (pid, socket);
  take (fixture);
  assert_int_equal (fixture->ended->len, 2);
  assert_int_equal (vj_processes_complete (fixture->processes, fixture->ended, BURN_NS / 2), BURN_NS / 2);
}

static void
a_group_ends_with_its_processes (void **state)
{
  Fixture *fixture = *state;
  exit_between_ticks (fixture);
  vj_processes_end (fixture->processes, fixture->members, fixture->ended);
  assert_true (vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64) >= BURN_NS - SLACK_NS);
}

static void
without_records_it_is_its_groups (void **state)
{
  Fixture *fixture = *state;
  exit_between_ticks (fixture);
  take (fixture);
  assert_int_equal (vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64), 0);
  assert_int_equal (ended_at (fixture, 0)->cpu_ns, 0);
  assert_int_equal (ended_at (fixture, 0)->ended_us, 0);
}

/* It has not ended, and is told of where it does. */
static void
one_that_moves_is_told_of_where_it_ends (void **state)
{
  Fixture *fixture = *state;
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  g_autoptr (GPtrArray) others_ended = g_ptr_array_new ();
  int other = 0;
  take (fixture);
  vj_processes_begin (fixture->processes, G_MAXUINT64, FALSE, FALSE);
  vj_processes_read (fixture->processes, fixture->ledger, fixture->pids, &other, others, others_ended);
  let_burn (fixture->socket);
  exit_child (fixture); /* after the one group's reading, before the other's */
  vj_processes_read (fixture->processes, fixture->ledger, fixture->pids, &fixture->group, fixture->members,
                     fixture->ended);
  assert_int_equal (vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64), 0);
  assert_int_equal (ended_at (fixture, 0)->ended_us, 0);
  vj_processes_finish (fixture->processes);
  vj_processes_end (fixture->processes, others, others_ended);
  assert_true (vj_processes_complete (fixture->processes, others_ended, G_MAXUINT64) >= BURN_NS - SLACK_NS);
  vj_thread_group_free (g_ptr_array_index (others_ended, 0));
}

/* As if the pid had meant another process before, which ended untold: the one that has it now is followed all the same. */
static void
a_reused_pid_is_followed_anew (void **state)
{
  Fixture *fixture = *state;
  take (fixture);
  VjThreadGroup *before = g_ptr_array_index (fixture->members, 0);
  before->start_us--;
  before->clock_ns = G_MAXUINT64;
  take (fixture);
  assert_int_equal (fixture->members->len, 1);
  assert_int_equal (vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64), 0);
  assert_int_equal (ended_at (fixture, 0)->ended_us, 0);
  exit_between_ticks (fixture);
  take (fixture);
  assert_true (vj_processes_complete (fixture->processes, fixture->ended, G_MAXUINT64) >= BURN_NS - SLACK_NS);
  assert_ptr_equal (ended_at (fixture, 0), before);
  assert_true (ended_at (fixture, 1)->ended_us > 0);
}

/* --- in the attributor: a real process in a group of files --- */

static void
list_process (const Machine *machine, int pid)
{
  g_autofree char *text = pid != 0 ? g_strdup_printf ("%d\n", pid) : g_strdup ("");
  tempdir_write (machine->root, "cgroup" SERVICE "/cgroup.procs", text);
}

/* Exits after the second update. Whatever the group is said to have used, the machine was busy for longer. */
static void
run_process (Machine *machine, guint64 group_us)
{
  int socket = -1;
  int pid = test_child_start (burn_when_told, NULL, &socket);
  let_burn (socket); /* it has started, and waits for the next */
  machine->options.workloads.processes = TRUE;
  make_group (machine, SERVICE);
  list_process (machine, pid);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  let_burn (socket);
  test_child_stop (pid, socket);
  list_process (machine, 0);
  use (machine, SERVICE, group_us, 0);
  burn (150 * MS);
}

static const VjProcessSnapshot *
only_process (const VjGroupSnapshot *group)
{
  assert_int_equal (group->processes->len, 1);
  return g_ptr_array_index (group->processes, 0);
}

static void
its_energy_is_shown_with_it_for_a_while (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.keep_us = 0;
  run_process (machine, 100000);
  update (machine, 50000000, 0);
  g_autoptr (VjAttributorSnapshot) shown = checked_snapshot (machine);
  const VjGroupSnapshot *group = group_of (shown, SERVICE);
  const VjProcessSnapshot *process = only_process (group);
  assert_true (process->terminated);
  assert_true (process->cpu_ns >= BURN_NS - SLACK_NS);
  assert_int_equal (group->cpu_ns, 100 * MS);
  assert_true (group->exited_uj[0] > 0);
  guint64 share_uj = group->own_uj[0] * process->cpu_ns / group->cpu_ns;
  assert_in_range (process->energy_uj[0], share_uj - share_uj / 100, share_uj + share_uj / 100);
  assert_int_equal (shown->processes, 0);
  update (machine, 0, 0);
  g_autoptr (VjAttributorSnapshot) folded = checked_snapshot (machine);
  assert_int_equal (group_of (folded, SERVICE)->processes->len, 0);
  assert_int_equal (group_of (folded, SERVICE)->exited_uj[0], group->own_uj[0]);
}

static void
it_is_never_given_more_than_its_group (void **state)
{
  Machine *machine = *state;
  run_process (machine, 10000);
  update (machine, 50000000, 0);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  const VjGroupSnapshot *group = group_of (snapshot, SERVICE);
  assert_int_equal (only_process (group)->cpu_ns, 10 * MS);
  assert_int_equal (only_process (group)->energy_uj[0], group->own_uj[0]);
  assert_int_equal (group->exited_uj[0], 0);
  assert_true (group->own_uj[0] > 0);
}

static void
no_more_of_them_are_shown_than_allowed (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.max_ended = 0;
  run_process (machine, 100000);
  update (machine, 50000000, 0);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  const VjGroupSnapshot *group = group_of (snapshot, SERVICE);
  assert_int_equal (group->processes->len, 0);
  assert_int_equal (group->exited_uj[0], group->own_uj[0]);
  assert_true (group->own_uj[0] > 0);
}

/* The group's last reading was before: its parent has what came after, and nothing is made up. */
static void
what_a_group_used_last_is_its_parents (void **state)
{
  Machine *machine = *state;
  run_process (machine, 100000);
  remove_group (machine, SERVICE);
  update (machine, 50000000, 0);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  const VjGroupSnapshot *group = group_of (snapshot, SERVICE);
  assert_true (group->terminated);
  assert_true (only_process (group)->terminated);
  assert_int_equal (group->cpu_ns, 0);
  assert_true (only_process (group)->cpu_ns < BURN_NS / 2);
}

/* It is still shown when its group, one of too many, no longer is. */
static void
what_it_was_given_outlives_its_group (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.max_ended = 1;
  run_process (machine, 100000);
  make_group (machine, "/b.service");
  update (machine, 50000000, 0);
  g_autoptr (VjAttributorSnapshot) shown = checked_snapshot (machine);
  assert_true (only_process (group_of (shown, SERVICE))->terminated);
  remove_group (machine, SERVICE);
  update (machine, 0, 0);
  remove_group (machine, "/b.service");
  update (machine, 0, 0);
  g_autoptr (VjAttributorSnapshot) folded = checked_snapshot (machine);
  assert_null (find (folded, SERVICE));
  assert_int_equal (g_array_index (folded->zones, VjZoneView, 0).folded_uj,
                    group_of (shown, SERVICE)->energy_uj[0]);
}

#define with_records(f)      cmocka_unit_test_setup_teardown (f, setup_with, teardown_both)
#define without_records(f)   cmocka_unit_test_setup_teardown (f, setup_without, teardown_both)
#define in_the_attributor(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    with_records (what_it_used_last_is_its_own),
    with_records (it_is_given_no_more_than_its_group_has),
    with_records (two_of_them_are_given_no_more_together),
    with_records (a_group_ends_with_its_processes),
    with_records (one_that_moves_is_told_of_where_it_ends),
    with_records (a_reused_pid_is_followed_anew),
    without_records (without_records_it_is_its_groups),
    in_the_attributor (its_energy_is_shown_with_it_for_a_while),
    in_the_attributor (it_is_never_given_more_than_its_group),
    in_the_attributor (no_more_of_them_are_shown_than_allowed),
    in_the_attributor (what_a_group_used_last_is_its_parents),
    in_the_attributor (what_it_was_given_outlives_its_group),
  };
  g_autoptr (GError) error = NULL;
  VjExitRecords *exits = vj_exit_records_open (&error);
  if (exits == NULL)
    {
      printf ("skipped: %s\n", error->message);
      return 77;
    }
  vj_exit_records_free (exits);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
