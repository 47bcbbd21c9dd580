/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/processes.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/process.h"
#include "tempdir.h"

/* Real processes of this machine, in groups that exist in the test alone. */
typedef struct
{
  VjLedger *ledger;
  VjProcesses *processes;
  GArray *pids;
  GPtrArray *members;
  GPtrArray *ended;
  int group; /* its address is the owner */
} Fixture;

static void
thread_group_free (gpointer data)
{
  vj_thread_group_free (data);
}

static int
setup (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);
  VjZone zone = { 0 };
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  fixture->ledger = vj_ledger_new ();
  vj_ledger_add_zone (fixture->ledger, &zone, 0);
  fixture->processes = vj_processes_new ("/proc");
  fixture->pids = g_array_new (FALSE, FALSE, sizeof (int));
  fixture->members = g_ptr_array_new_with_free_func (thread_group_free);
  fixture->ended = g_ptr_array_new_with_free_func (thread_group_free);
  *state = fixture;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  g_ptr_array_set_free_func (fixture->members, NULL);
  vj_processes_end (fixture->processes, fixture->members, fixture->ended);
  assert_int_equal (vj_processes_count (fixture->processes), 0);
  g_ptr_array_unref (fixture->members);
  g_ptr_array_unref (fixture->ended);
  g_array_unref (fixture->pids);
  vj_processes_free (fixture->processes);
  vj_ledger_free (fixture->ledger);
  g_free (fixture);
  return 0;
}

/* Uses CPU time until it is told to stop, and waits then. */
static int
start_child (const char *name)
{
  int ready[2];
  assert_int_equal (pipe (ready), 0);
  int pid = fork ();
  if (pid == 0)
    {
      prctl (PR_SET_NAME, name);
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      close (ready[0]);
      close (ready[1]);
      for (;;)
        ;
    }
  assert_true (pid > 0);
  close (ready[1]);
  assert_int_equal (read (ready[0], &(char){ 0 }, 1), 0); /* it has its name */
  close (ready[0]);
  return pid;
}

static void
end_child (int pid)
{
  kill (pid, SIGKILL);
  assert_int_equal (waitpid (pid, NULL, 0), pid);
}

static guint64
take (Fixture *fixture, gpointer owner, guint64 born_after_us)
{
  vj_processes_begin (fixture->processes, born_after_us, TRUE, FALSE);
  GPtrArray *members = fixture->members;
  g_ptr_array_set_free_func (members, NULL); /* those that end go to the other array */
  return vj_processes_read (fixture->processes, fixture->ledger, fixture->pids, owner, members,
                            fixture->ended);
}

static VjThreadGroup *
member (const Fixture *fixture, guint i)
{
  assert_true (i < fixture->members->len);
  return g_ptr_array_index (fixture->members, i);
}

/* Reads until the child has used something since the last time. */
static guint64
take_some (Fixture *fixture)
{
  guint64 used_ns = 0;
  while (used_ns == 0)
    used_ns = take (fixture, &fixture->group, 0);
  return used_ns;
}

static void
counts_from_birth_or_from_now (void **state)
{
  Fixture *fixture = *state;
  int pid = start_child ("a (b) c");
  g_array_append_val (fixture->pids, pid);
  assert_int_equal (take (fixture, &fixture->group, G_MAXUINT64),
                    0); /* older than the last tick: its past is not ours */
  assert_string_equal (member (fixture, 0)->command, "a (b) c");
  assert_true (member (fixture, 0)->memory_bytes > 0);
  guint64 used_ns = take_some (fixture);
  assert_int_equal (member (fixture, 0)->cpu_ns, used_ns);
  assert_int_equal (vj_account_usage_ns (member (fixture, 0)->account), used_ns);
  vj_processes_end (fixture->processes, fixture->members, fixture->ended);
  take_some (fixture); /* begins anew: born after 0 */
  assert_true (member (fixture, 0)->cpu_ns >= used_ns);
  end_child (pid);
}

static void
one_that_ended_is_handed_over (void **state)
{
  Fixture *fixture = *state;
  int pid = start_child ("short");
  g_array_append_val (fixture->pids, pid);
  take_some (fixture);
  end_child (pid);
  take (fixture, &fixture->group, 0); /* the group's list was read before it ended */
  assert_int_equal (fixture->members->len, 0);
  assert_int_equal (fixture->ended->len, 1);
  assert_true (vj_account_usage_ns (((VjThreadGroup *)g_ptr_array_index (fixture->ended, 0))->account) > 0);
}

/* What it used before belongs to the group it was in. */
static void
one_that_moves_is_another (void **state)
{
  Fixture *fixture = *state;
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  int other = 0;
  int pid = start_child ("mover");
  g_array_append_val (fixture->pids, pid);
  take_some (fixture);
  vj_processes_begin (fixture->processes, 0, FALSE, FALSE);
  guint64 used_ns =
      vj_processes_read (fixture->processes, fixture->ledger, fixture->pids, &other, others, fixture->ended);
  assert_int_equal (used_ns, 0);
  g_array_set_size (fixture->pids, 0);
  vj_processes_read (fixture->processes, fixture->ledger, fixture->pids, &fixture->group, fixture->members,
                     fixture->ended);
  assert_int_equal (fixture->members->len, 0);
  assert_int_equal (fixture->ended->len, 1);
  assert_int_equal (others->len, 1);
  assert_int_equal (vj_processes_count (fixture->processes), 1);
  vj_processes_end (fixture->processes, others, fixture->ended);
  end_child (pid);
}

/* As if the pid had meant another process before, and its clock less: the start time tells, when it is next looked at. */
static void
a_pid_that_means_another_is_found_out (void **state)
{
  Fixture *fixture = *state;
  int pid = start_child ("another");
  g_array_append_val (fixture->pids, pid);
  take_some (fixture);
  VjThreadGroup *before = member (fixture, 0);
  before->start_us--;
  for (guint i = 0; i < 16; i++)
    take (fixture, &fixture->group, 0);
  assert_int_equal (fixture->members->len, 1);
  assert_ptr_not_equal (member (fixture, 0), before);
  assert_int_equal (fixture->ended->len, 1);
  end_child (pid);
}

/* hidepid: the process is there, its directory is not. */
static void
one_that_may_not_be_seen_is_no_member (void **state)
{
  Fixture *fixture = *state;
  void *root = NULL;
  int pid = getpid ();
  tempdir_setup (&root);
  g_autoptr (VjProcesses) blind = vj_processes_new (root);
  g_array_append_val (fixture->pids, pid);
  vj_processes_begin (blind, 0, TRUE, TRUE);
  assert_int_equal (vj_processes_read (blind, fixture->ledger, fixture->pids, &fixture->group,
                                       fixture->members, fixture->ended),
                    0);
  assert_int_equal (fixture->members->len, 0);
  tempdir_teardown (&root);
}

static guint64
io_bytes_of (Fixture *fixture, VjProcesses *processes, gboolean storage)
{
  vj_processes_begin (processes, G_MAXUINT64, FALSE, storage);
  vj_processes_read (processes, fixture->ledger, fixture->pids, &fixture->group, fixture->members,
                     fixture->ended);
  return member (fixture, 0)->io_bytes;
}

static void
write_io (const char *root, const char *text)
{
  g_autofree char *io = g_strdup_printf ("%d/io", getpid ());
  tempdir_write (root, io, text);
}

/* Of this process, as a file says it. What was not told of in one interval is told of in the next. */
static void
io_is_counted_where_it_is_asked_for (void **state)
{
  Fixture *fixture = *state;
  void *root = NULL;
  int pid = getpid ();
  g_autofree char *text = NULL;
  g_autofree char *stat = g_strdup_printf ("%d/stat", pid);
  assert_true (g_file_get_contents ("/proc/self/stat", &text, NULL, NULL));
  tempdir_setup (&root);
  tempdir_write (root, stat, text);
  g_autoptr (VjProcesses) processes = vj_processes_new (root);
  g_array_append_val (fixture->pids, pid);
  g_ptr_array_set_free_func (fixture->members, NULL);
  write_io (root, "read_bytes: 1000\nwrite_bytes: 1\n");
  assert_int_equal (io_bytes_of (fixture, processes, FALSE), 0);
  assert_int_equal (io_bytes_of (fixture, processes, TRUE), 0); /* from now on */
  write_io (root, "read_bytes: 1010\nwrite_bytes: 2\n");
  assert_int_equal (io_bytes_of (fixture, processes, TRUE), 11);
  write_io (root, "odd\n");
  assert_int_equal (io_bytes_of (fixture, processes, TRUE), 0);
  write_io (root, "read_bytes: 1010\nwrite_bytes: 7\n");
  assert_int_equal (io_bytes_of (fixture, processes, TRUE), 5);
  assert_int_equal (io_bytes_of (fixture, processes, FALSE), 0);
  vj_processes_end (processes, fixture->members, fixture->ended);
  vj_processes_begin (processes, 0, FALSE, TRUE); /* born meanwhile */
  vj_processes_read (processes, fixture->ledger, fixture->pids, &fixture->group, fixture->members,
                     fixture->ended);
  assert_int_equal (member (fixture, 0)->io_bytes, 1017);
  vj_processes_end (processes, fixture->members, fixture->ended);
  tempdir_teardown (&root);
}

static void
a_pid_twice_in_the_list_counts_once (void **state)
{
  Fixture *fixture = *state;
  int pid = start_child ("twice");
  g_array_append_val (fixture->pids, pid);
  g_array_append_val (fixture->pids, pid);
  take_some (fixture);
  assert_int_equal (fixture->members->len, 1);
  end_child (pid);
}

/* A pid that means another process by now: its clock began anew. */
static void
a_reused_pid_is_another_process (void **state)
{
  Fixture *fixture = *state;
  int pid = start_child ("reused");
  g_array_append_val (fixture->pids, pid);
  take_some (fixture);
  member (fixture, 0)->clock_ns = G_MAXUINT64; /* more than the one that has the pid now ever used */
  take (fixture, &fixture->group, G_MAXUINT64);
  assert_int_equal (fixture->members->len, 1);
  assert_int_equal (fixture->ended->len, 1);
  assert_true (member (fixture, 0)->clock_ns < G_MAXUINT64);
  end_child (pid);
}

/* Its leader has ended, and is a zombie; another of its threads goes on. */
static gpointer
spin (gpointer data)
{
  volatile gboolean on = TRUE;
  while (on)
    ;
  return data;
}

static int
start_headless (void)
{
  int pid = fork ();
  if (pid == 0)
    {
      pthread_t thread;
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (pthread_create (&thread, NULL, spin, NULL) != 0)
        _exit (1);
      pthread_exit (NULL);
    }
  assert_true (pid > 0);
  return pid;
}

static gboolean
is_zombie (int pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return strstr (text, ") Z ") != NULL;
}

static void
one_without_its_leader_goes_on (void **state)
{
  Fixture *fixture = *state;
  int pid = start_headless ();
  while (!is_zombie (pid))
    g_thread_yield ();
  g_array_append_val (fixture->pids, pid);
  take_some (fixture);
  assert_true (take_some (fixture) > 0);
  assert_int_equal (fixture->members->len, 1);
  end_child (pid);
}

#define process_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    process_test (counts_from_birth_or_from_now),
    process_test (one_that_ended_is_handed_over),
    process_test (one_that_moves_is_another),
    process_test (a_pid_that_means_another_is_found_out),
    process_test (one_that_may_not_be_seen_is_no_member),
    process_test (io_is_counted_where_it_is_asked_for),
    process_test (a_pid_twice_in_the_list_counts_once),
    process_test (a_reused_pid_is_another_process),
    process_test (one_without_its_leader_goes_on),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
