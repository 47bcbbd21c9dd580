/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/process.h"

#include "common/clock.h"
#include "common/error.h"
#include "tempdir.h"
#include "test_child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STAT_OF(comm, start)                                                                                 \
  "%d (" comm ") S 1 1 1 0 -1 0 0 0 0 0 7 8 0 0 20 0 1 0 " start                                             \
  " 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"

static void
end_child (int pid)
{
  siginfo_t info;

  kill (pid, SIGKILL);
  waitid (P_PID, (id_t)pid, &info, WEXITED | WNOWAIT); /* a zombie: exited, its pid not yet free */
}

static void
real_process_is_held_with_its_start_time (void **state)
{
  const guint64 before_us = vj_clock_boottime_us ();
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);
  const guint64 after_us = vj_clock_boottime_us ();
  g_autoptr (VjProcess) process = vj_process_open ("/proc", pid, NULL);

  assert_non_null (process);
  assert_int_equal (process->pid, pid);
  assert_in_range (process->start_us, before_us - 20000, after_us);
  assert_true (vj_process_is_alive (process));

  end_child (pid);
  assert_false (vj_process_is_alive (process));
  test_child_stop (pid, socket);
  assert_false (vj_process_is_alive (process));
}

static void
exited_process_is_gone (void **state)
{
  g_autoptr (GError) error = NULL;
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);

  end_child (pid);
  assert_null (vj_process_open ("/proc", pid, &error));
  assert_true (vj_error_is_gone (error));

  test_child_stop (pid, socket);
  g_clear_error (&error);
  assert_null (vj_process_open ("/proc", pid, &error));
  assert_true (vj_error_is_gone (error));
}

static void
start_time_is_read_below_the_given_root (void **state)
{
  const char *root = *state;
  g_autofree char *relative = g_strdup_printf ("%d/stat", getpid ());
  g_autofree char *text = g_strdup_printf (STAT_OF ("qemu) S (x", "4200"), getpid ());
  g_autoptr (GError) error = NULL;

  assert_null (vj_process_open (root, getpid (), &error));
  assert_true (vj_error_is_gone (error));

  tempdir_write (root, relative, text);
  g_autoptr (VjProcess) process = vj_process_open (root, getpid (), NULL);
  assert_non_null (process);
  assert_int_equal (process->start_us, 4200 * G_GINT64_CONSTANT (1000000) / sysconf (_SC_CLK_TCK));
}

static void
odd_stat_is_invalid (void **state)
{
  const char *root = *state;
  g_autofree char *relative = g_strdup_printf ("%d/stat", getpid ());
  g_autoptr (GError) error = NULL;

  tempdir_write (root, relative, "not a process\n");
  assert_null (vj_process_open (root, getpid (), &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

static void
impossible_pids_are_refused (void **state)
{
  const int pids[] = { 0, -1 };

  for (gsize i = 0; i < G_N_ELEMENTS (pids); i++)
    assert_null (vj_process_open ("/proc", pids[i], NULL));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (real_process_is_held_with_its_start_time),
    cmocka_unit_test (exited_process_is_gone),
    tempdir_unit_test (start_time_is_read_below_the_given_root),
    tempdir_unit_test (odd_stat_is_invalid),
    cmocka_unit_test (impossible_pids_are_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
