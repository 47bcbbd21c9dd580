/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/exit_records.h"

#include "common/error.h"
#include "test_child.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 8
#define MS      G_GUINT64_CONSTANT (1000000)
/* On a busy machine with sanitizers; a few hundred microseconds are the rule. */
#define SLACK_NS (10 * MS)

static VjExitRecords *
open_records (void)
{
  g_autoptr (GError) error = NULL;
  VjExitRecords *records = vj_exit_records_open (&error);

  if (records == NULL)
    g_error ("%s", error->message);
  return records;
}

static guint64
clock_ns (clockid_t clock)
{
  struct timespec now;

  clock_gettime (clock, &now);
  return (guint64)now.tv_sec * 1000 * MS + (guint64)now.tv_nsec;
}

static void *
burn (void *milliseconds)
{
  const guint64 end = GPOINTER_TO_UINT (milliseconds) * MS;

  while (clock_ns (CLOCK_THREAD_CPUTIME_ID) < end)
    ;
  return NULL;
}

G_GNUC_NORETURN static void *
burn_and_wait (void *milliseconds)
{
  burn (milliseconds);
  for (;;)
    pause ();
}

/* Bodies of children: they say when they have used their time. */
static void
use_some (gpointer argument, int socket)
{
  burn (argument);
  test_child_signal (socket);
}

static void
use_in_threads_that_exit (gpointer argument, int socket)
{
  pthread_t threads[THREADS];

  for (guint i = 0; i < THREADS; i++)
    pthread_create (&threads[i], NULL, burn, argument);
  for (guint i = 0; i < THREADS; i++)
    pthread_join (threads[i], NULL);
  use_some (argument, socket);
}

static void
use_in_threads_that_stay (gpointer argument, int socket)
{
  pthread_t thread;

  for (guint i = 0; i < THREADS; i++)
    pthread_create (&thread, NULL, burn_and_wait, argument);
  /* All of them have used it by then. */
  while (clock_ns (CLOCK_PROCESS_CPUTIME_ID) < THREADS * GPOINTER_TO_UINT (argument) * MS)
    usleep (1000);
  use_some (argument, socket);
}

/* The CPU clock of a process that waits for its end. */
static guint64
process_ns (int pid)
{
  clockid_t clock;

  assert_int_equal (clock_getcpuclockid (pid, &clock), 0);
  return clock_ns (clock);
}

/* A child that is followed, when it has done body. Its pid. */
static int
start_followed (VjExitRecords *records, TestChildBody body, guint milliseconds, int *ret_socket)
{
  const int pid = test_child_start (body, GUINT_TO_POINTER (milliseconds), ret_socket);

  assert_true (test_child_await (*ret_socket));
  vj_exit_records_follow (records, pid);
  return pid;
}

/* What the record says of a child that did body, and what its CPU clock said just before it was killed. On its way from
 * the signal to its end it can use all CPUs, and seems to where a hypervisor takes them away meanwhile. */
static void
compare (TestChildBody body, guint milliseconds)
{
  g_autoptr (VjExitRecords) records = open_records ();
  guint64 cpu_ns = 0;
  int socket = -1;
  const int pid = test_child_start (body, GUINT_TO_POINTER (milliseconds), &socket);

  vj_exit_records_follow (records, pid);
  assert_true (test_child_await (socket));
  assert_false (vj_exit_records_get (records, pid, &cpu_ns));

  const guint64 begin_ns = clock_ns (CLOCK_MONOTONIC);
  const guint64 before_ns = process_ns (pid);

  test_child_stop (pid, socket);

  const guint64 most_ns = (clock_ns (CLOCK_MONOTONIC) - begin_ns) * g_get_num_processors ();

  assert_true (vj_exit_records_get (records, pid, &cpu_ns));
  print_message ("clock %" G_GUINT64_FORMAT " record %" G_GUINT64_FORMAT "\n", before_ns, cpu_ns);
  /* What a thread does after its record is not in it. */
  assert_in_range (cpu_ns, before_ns - MIN (before_ns, SLACK_NS), before_ns + MAX (SLACK_NS, most_ns));
  assert_int_equal (vj_exit_records_lost (records), 0);
}

static void
tells_of_one_thread (void **state)
{
  compare (use_some, 50);
}

static void
tells_of_threads_that_exited (void **state)
{
  compare (use_in_threads_that_exit, 30);
}

static void
tells_of_threads_that_are_killed_together (void **state)
{
  for (guint i = 0; i < 10; i++)
    compare (use_in_threads_that_stay, 15);
}

static void
counts_threads_from_before (void **state)
{
  g_autoptr (VjExitRecords) records = open_records ();
  guint64 cpu_ns = 0;
  int socket = -1;
  const int pid = start_followed (records, use_in_threads_that_exit, 30, &socket);

  test_child_stop (pid, socket);
  assert_true (vj_exit_records_get (records, pid, &cpu_ns));
  assert_true (cpu_ns >= THREADS * 30 * MS);
}

static void
follows_none_but_those (void **state)
{
  g_autoptr (VjExitRecords) records = open_records ();
  guint64 cpu_ns = 7;
  int sockets[3];
  int pids[3];

  for (guint i = 0; i < 3; i++)
    {
      pids[i] = test_child_start (use_some, GUINT_TO_POINTER (1), &sockets[i]);
      assert_true (test_child_await (sockets[i]));
    }
  vj_exit_records_follow (records, pids[0]);
  vj_exit_records_follow (records, pids[0]);
  vj_exit_records_follow (records, pids[1]);
  vj_exit_records_unfollow (records, pids[1]);
  for (guint i = 0; i < 3; i++)
    test_child_stop (pids[i], sockets[i]);
  vj_exit_records_tick (records);
  assert_false (vj_exit_records_get (records, pids[1], &cpu_ns));
  assert_false (vj_exit_records_get (records, pids[2], &cpu_ns));
  assert_int_equal (cpu_ns, 7);
  assert_true (vj_exit_records_get (records, pids[0], &cpu_ns));
  vj_exit_records_unfollow (records, pids[0]);
  assert_false (vj_exit_records_get (records, pids[0], &cpu_ns));
}

/* vfork (2), as sanitizers make copies of the address space expensive. */
G_NO_INLINE static void
start_and_end_a_process (void)
{
  const int pid = vfork (); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

  if (pid == 0)
    _exit (0);
  waitpid (pid, NULL, 0);
}

static void
storm (guint processes)
{
  for (guint i = 0; i < processes; i++)
    start_and_end_a_process ();
}

static void
is_not_moved_by_a_storm (void **state)
{
  g_autoptr (VjExitRecords) records = open_records ();
  guint64 cpu_ns = 0;
  int socket = -1;
  const int pid = start_followed (records, use_some, 5, &socket);

  storm (10000);

  const guint64 before_ns = clock_ns (CLOCK_THREAD_CPUTIME_ID);

  vj_exit_records_tick (records);
  print_message ("after 10000 exits a tick takes %" G_GUINT64_FORMAT " ns\n",
                 clock_ns (CLOCK_THREAD_CPUTIME_ID) - before_ns);
  storm (1000);
  test_child_stop (pid, socket);
  assert_true (vj_exit_records_get (records, pid, &cpu_ns));
  assert_true (cpu_ns >= 5 * MS);
  assert_int_equal (vj_exit_records_lost (records), 0);
}

/* No pids: they cannot turn up. From now on the last record of every process passes. */
static void
follow_more_than_a_filter_holds (VjExitRecords *records)
{
  for (int i = 0; i < 2100; i++)
    vj_exit_records_follow (records, G_MAXINT - i);
  vj_exit_records_tick (records);
}

static void
storm_until_some_are_lost (const VjExitRecords *records)
{
  for (guint i = 0; i < 100 && vj_exit_records_lost (records) == 0; i++)
    storm (500);
  assert_true (vj_exit_records_lost (records) > 0);
}

/* Nobody that is followed may be forgotten. */
static void
follows_very_many (void **state)
{
  g_autoptr (VjExitRecords) records = open_records ();
  guint64 cpu_ns = 0;
  int socket = -1;
  const int pid = start_followed (records, use_some, 5, &socket);

  follow_more_than_a_filter_holds (records);
  storm (20);
  test_child_stop (pid, socket);
  vj_exit_records_tick (records);
  assert_true (vj_exit_records_get (records, pid, &cpu_ns));
  assert_true (cpu_ns >= 5 * MS);
}

/* A storm of processes that nobody follows, on a socket that must take them all: the tick reads its budget, and what there
 * is no room for is counted. */
static void
counts_what_is_lost (void **state)
{
  g_autoptr (VjExitRecords) records = open_records ();

  follow_more_than_a_filter_holds (records);
  storm_until_some_are_lost (records);

  const guint64 before_ns = clock_ns (CLOCK_THREAD_CPUTIME_ID);

  vj_exit_records_tick (records);
  print_message ("a tick with all its budget takes %" G_GUINT64_FORMAT " ns\n",
                 clock_ns (CLOCK_THREAD_CPUTIME_ID) - before_ns);
}

static void
finds_what_came_before_others_were_lost (void **state)
{
  g_autoptr (VjExitRecords) records = open_records ();
  guint64 cpu_ns = 0;
  int socket = -1;
  const int pid = start_followed (records, use_some, 5, &socket);

  follow_more_than_a_filter_holds (records);
  test_child_stop (pid, socket);
  storm_until_some_are_lost (records);
  assert_true (vj_exit_records_get (records, pid, &cpu_ns));
  assert_true (cpu_ns >= 5 * MS);
}

/* What a listener of the same address asked for, and the kernel has not forgotten yet, is no answer. */
static void
opens_again_while_others_exit (void **state)
{
  const pid_t storm = fork ();

  if (storm == 0)
    prctl (PR_SET_PDEATHSIG, SIGKILL);
  while (storm == 0)
    {
      const pid_t child = fork ();
      if (child == 0)
        _exit (0);
      waitpid (child, NULL, 0);
    }
  for (guint i = 0; i < 300; i++)
    vj_exit_records_free (open_records ());
  kill (storm, SIGKILL);
  assert_int_equal (waitpid (storm, NULL, 0), storm);
}

static void
says_why_it_cannot_open (void **state)
{
  int status = 0;
  const int pid = fork ();

  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;

      if (setgid (65534) != 0 || setuid (65534) != 0 || vj_exit_records_open (&error) != NULL)
        _exit (1);
      _exit (vj_error_is_denied (error) ? 0 : 2);
    }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (tells_of_one_thread),
    cmocka_unit_test (tells_of_threads_that_exited),
    cmocka_unit_test (tells_of_threads_that_are_killed_together),
    cmocka_unit_test (counts_threads_from_before),
    cmocka_unit_test (follows_none_but_those),
    cmocka_unit_test (is_not_moved_by_a_storm),
    cmocka_unit_test (follows_very_many),
    cmocka_unit_test (counts_what_is_lost),
    cmocka_unit_test (finds_what_came_before_others_were_lost),
    cmocka_unit_test (opens_again_while_others_exit),
    cmocka_unit_test (says_why_it_cannot_open),
  };
  g_autoptr (GError) error = NULL;
  VjExitRecords *records = vj_exit_records_open (&error);

  if (records == NULL)
    {
      printf ("skipped: %s\n", error->message);
      return 77;
    }
  vj_exit_records_free (records);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
