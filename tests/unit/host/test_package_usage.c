/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real threads, on a machine that is told to have CPU 0 in package 0 and CPU 1 in package 1. */
#include "host/usage/package_usage.h"

#include "common/error.h"
#include "common/procfs.h"
#include "fake_topology.h"
#include "tempdir.h"
#include "test_child.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS ((guint64)1000 * 1000)
#define S  (1000 * MS)

typedef struct
{
  int cpu;
  guint64 ns;        /* to run */
  guint rounds;      /* threads one after the other */
  gboolean unpinned; /* when it has run and sleeps */
  gboolean replaced; /* the thread stays until the next round's takes its place */
  int tid;
} Work;

static sem_t done; /* by those that stay */
static sem_t leave;

static void
pin (int cpu)
{
  cpu_set_t set;

  CPU_ZERO (&set);
  CPU_SET ((gsize)cpu, &set);
  if (sched_setaffinity (0, sizeof set, &set) < 0)
    abort ();
}

static void
run (guint64 ns)
{
  struct timespec time;

  do
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  while ((guint64)time.tv_sec * S + (guint64)time.tv_nsec < ns);
}

static void *
work (void *data)
{
  const Work *one = data;

  pin (one->cpu);
  run (one->ns);
  return NULL;
}

static gboolean
is_asleep (int tid)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/stat", tid);
  g_autofree char *text = NULL;
  gsize length = 0;
  VjProcPidStat stat;

  return g_file_get_contents (path, &text, &length, NULL) && vj_procfs_parse_pid_stat (text, length, &stat)
         && stat.state == 'S';
}

/* From then on it may run anywhere, but does not: a thread that is asleep is moved by nobody. */
static void
unpin_when_asleep (int tid)
{
  cpu_set_t both;

  CPU_ZERO (&both);
  CPU_SET (0, &both);
  CPU_SET (1, &both);
  while (!is_asleep (tid))
    g_usleep (1000);
  if (sched_setaffinity (tid, sizeof both, &both) < 0)
    abort ();
}

/* Works, and stays when it has done so. */
static void *
work_and_stay (void *data)
{
  Work *one = data;

  work (one);
  one->tid = gettid ();
  one->rounds = 0;
  sem_post (&done);
  for (;;)
    pause ();
  return NULL;
}

static void *
work_until_replaced (void *data)
{
  work (data);
  sem_post (&done);
  sem_wait (&leave);
  return NULL;
}

/* The first thread runs too: much at first, then little. */
static void
replace (Work *one)
{
  static pthread_t thread;
  static gboolean is_there;
  static guint64 own_ns = 60 * MS;

  run (own_ns);
  own_ns += 4 * MS;
  if (is_there)
    {
      sem_post (&leave);
      pthread_join (thread, NULL);
    }
  is_there = pthread_create (&thread, NULL, work_until_replaced, one) == 0;
  sem_wait (&done);
}

/* A VM of two vCPUs and, if the third is to do anything, short-lived workers: when told to, all work, and then it says
 * so. */
static void
be_vm (gpointer argument, int socket)
{
  Work *works = argument;

  sem_init (&done, 0, 0);
  sem_init (&leave, 0, 0);
  while (test_child_await (socket))
    {
      pthread_t thread;

      guint begun = 0;

      for (guint i = 0; i < 2; i++)
        {
          if (works[i].rounds > 0 && pthread_create (&thread, NULL, work_and_stay, &works[i]) == 0)
            begun++;
        }
      for (; begun > 0; begun--)
        sem_wait (&done);
      if (works[1].unpinned)
        unpin_when_asleep (works[1].tid);
      if (works[2].replaced)
        replace (&works[2]);
      for (guint i = 0; i < works[2].rounds; i++)
        {
          if (pthread_create (&thread, NULL, work, &works[2]) != 0)
            abort ();
          pthread_join (thread, NULL);
        }
      test_child_signal (socket);
    }
  _exit (0);
}

typedef struct
{
  char *root;
  VjTopology *topology;
  VjPackageUsage *usage;
  Work works[3];
  int pid;
  int socket;
} Fixture;

static int
setup (void **state)
{
  static const guint package_of_cpu[] = { 0, 1 };
  void *root = NULL;
  Fixture *fixture;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture = g_new0 (Fixture, 1);
  fixture->root = root;
  fake_topology_write (root, package_of_cpu, 2);
  fixture->topology = vj_topology_open (root);
  *state = fixture;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  void *root = fixture->root;

  if (fixture->pid > 0)
    test_child_stop (fixture->pid, fixture->socket);
  vj_package_usage_free (fixture->usage);
  vj_topology_free (fixture->topology);
  g_free (fixture);
  return tempdir_teardown (&root);
}

static void
start (Fixture *fixture, guint max_fds)
{
  fixture->pid = test_child_start (be_vm, fixture->works, &fixture->socket);
  assert_true (fixture->pid > 0);
  fixture->usage = vj_package_usage_open ("/proc", fixture->topology, fixture->pid, max_fds, NULL);
  assert_non_null (fixture->usage);
}

static void
let_it_work (const Fixture *fixture)
{
  assert_true (test_child_signal (fixture->socket));
  assert_true (test_child_await (fixture->socket));
}

/* In a thousand parts of total_ns. */
static gboolean
split (const Fixture *fixture, guint64 total_ns, guint64 *ret_permille)
{
  guint64 ns[2] = { 7, 7 };
  const gboolean exact = vj_package_usage_split (fixture->usage, total_ns, ns);

  assert_int_equal (ns[0] + ns[1], total_ns);
  *ret_permille = total_ns > 0 ? ns[0] * 1000 / total_ns : 0;
  return exact;
}

static void
pinned_threads_are_split_exactly (void **state)
{
  static const guint max_fds[] = { 100, 3, 0 };
  Fixture *fixture = *state;
  guint64 permille = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (max_fds); i++)
    {
      fixture->works[0] = (Work){ 0, 150 * MS, 1, FALSE, FALSE, 0 };
      fixture->works[1] = (Work){ 1, 50 * MS, 1, FALSE, FALSE, 0 };
      start (fixture, max_fds[i]);
      let_it_work (fixture);
      split (fixture, 200 * MS, &permille);
      assert_in_range (permille, 600, 900);
      test_child_stop (fixture->pid, fixture->socket);
      fixture->pid = 0;
      g_clear_pointer (&fixture->usage, vj_package_usage_free);
    }
}

static void
exact_means_pinned_and_accounted_for (void **state)
{
  Fixture *fixture = *state;
  guint64 permille = 0;

  fixture->works[0] = (Work){ 1, 200 * MS, 1, FALSE, FALSE, 0 };
  pin (0); /* and with this one all that it starts and that do not pin themselves */
  start (fixture, 100);
  let_it_work (fixture);
  assert_true (split (fixture, 200 * MS, &permille));
  assert_in_range (permille, 0, 50);

  /* Nobody ran since: as the last time; what was used, then, was used by something else. */
  assert_false (split (fixture, 200 * MS, &permille));
  assert_in_range (permille, 0, 50);
}

static void
unpinned_threads_are_modelled_by_where_they_ran_last (void **state)
{
  Fixture *fixture = *state;
  guint64 permille = 0;

  fixture->works[0] = (Work){ 0, 50 * MS, 1, FALSE, FALSE, 0 };
  fixture->works[1] = (Work){ 1, 150 * MS, 1, TRUE, FALSE, 0 };
  start (fixture, 100);
  let_it_work (fixture);
  assert_false (split (fixture, 200 * MS, &permille));
  assert_in_range (permille, 100, 400);
}

/* Workers of QEMU's pools come and go; what ended in between is spread as the rest is, and never is anything negative. */
static void
threads_that_come_and_go (void **state)
{
  Fixture *fixture = *state;
  guint64 permille = 0;

  fixture->works[0] = (Work){ 0, 60 * MS, 1, FALSE, FALSE, 0 };
  fixture->works[1] = (Work){ 1, 60 * MS, 1, FALSE, FALSE, 0 };
  fixture->works[2] = (Work){ 1, 20 * MS, 3, FALSE, FALSE, 0 };
  start (fixture, 100);
  let_it_work (fixture);
  assert_false (split (fixture, 180 * MS, &permille)); /* a third of it is nobody's who is there */
  assert_in_range (permille, 350, 650);
  for (guint i = 0; i < 3; i++)
    {
      let_it_work (fixture);
      split (fixture, 60 * MS, &permille);
    }
}

/* One begins while another ends: their number says nothing. What ran before the last split says nothing either. */
static void
thread_that_takes_anothers_place_is_seen (void **state)
{
  Fixture *fixture = *state;
  guint64 permille = 0;

  fixture->works[2] = (Work){ 1, 40 * MS, 0, FALSE, TRUE, 0 };
  pin (0);
  start (fixture, 100);
  let_it_work (fixture);
  assert_true (split (fixture, 100 * MS, &permille));
  assert_in_range (permille, 450, 750);
  for (guint i = 0; i < 3; i++)
    {
      let_it_work (fixture);
      assert_true (split (fixture, 44 * MS, &permille));
      assert_in_range (permille, 0, 400);
    }
}

static void
thread_that_ends_is_no_more_read (void **state)
{
  Fixture *fixture = *state;
  guint64 permille = 0;

  fixture->works[0] = (Work){ 0, 50 * MS, 1, FALSE, FALSE, 0 };
  start (fixture, 100);
  let_it_work (fixture);
  split (fixture, 50 * MS, &permille);
  assert_in_range (permille, 950, 1000);
  test_child_stop (fixture->pid, fixture->socket);
  fixture->pid = 0;

  /* The last of its time is split as before. */
  const gboolean exact = split (fixture, 50 * MS, &permille);

  assert_false (exact);
  assert_in_range (permille, 950, 1000);
}

static void
odd_totals_are_split_whole (void **state)
{
  static const guint64 totals[] = { 0, 1, 2, 3, 999999999, G_MAXUINT64 };
  Fixture *fixture = *state;
  guint64 permille = 0;

  fixture->works[0] = (Work){ 0, 7 * MS, 1, FALSE, FALSE, 0 };
  fixture->works[1] = (Work){ 1, 13 * MS, 1, FALSE, FALSE, 0 };
  start (fixture, 100);
  for (gsize i = 0; i < G_N_ELEMENTS (totals); i++)
    {
      let_it_work (fixture);
      split (fixture, totals[i], &permille);
    }
}

static void
process_that_is_not_there_is_gone (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;

  assert_null (vj_package_usage_open (fixture->root, fixture->topology, 1, 9, &error));
  assert_true (vj_error_is_gone (error));
}

#define package_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    package_test (unpinned_threads_are_modelled_by_where_they_ran_last),
    package_test (pinned_threads_are_split_exactly),
    package_test (exact_means_pinned_and_accounted_for),
    package_test (threads_that_come_and_go),
    package_test (thread_that_takes_anothers_place_is_seen),
    package_test (thread_that_ends_is_no_more_read),
    package_test (odd_totals_are_split_whole),
    package_test (process_that_is_not_there_is_gone),
  };

  if (sysconf (_SC_NPROCESSORS_ONLN) < 2)
    {
      print_message ("SKIPPED: threads cannot be pinned to two CPUs where there is one\n");
      return 77;
    }
  return cmocka_run_group_tests (tests, NULL, NULL);
}
