/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/pidfile.h"

#include "tempdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A process that holds the lock of lock_path, if given, as QEMU holds that of its pid file; it is ready on return. */
static int
start_child (const char *lock_path)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  int ready[2];
  char byte = 0;

  assert_int_equal (pipe (ready), 0);
  const int pid = fork ();
  if (pid == 0)
    {
      const int fd = lock_path ? open (lock_path, O_RDWR) : -1;

      if (lock_path && fcntl (fd, F_SETLK, &lock) < 0)
        _exit (1);
      if (write (ready[1], &byte, 1) != 1)
        _exit (1);
      for (;;)
        pause ();
    }
  close (ready[1]);
  assert_int_equal (read (ready[0], &byte, 1), 1);
  close (ready[0]);
  return pid;
}

static void
end_child (int pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

static void
write_pid (const char *root, int pid)
{
  g_autofree char *text = g_strdup_printf ("%d\n", pid);

  tempdir_write (root, "a.pid", text);
}

/* As if the file had been written an hour before now. */
static void
age (const char *root)
{
  g_autofree char *path = g_build_filename (root, "a.pid", NULL);
  const struct timespec then = { .tv_sec = g_get_real_time () / G_USEC_PER_SEC - 3600 };

  assert_int_equal (utimensat (AT_FDCWD, path, (const struct timespec[]){ then, then }, 0), 0);
}

static void
file_of_a_live_process_counts (void **state)
{
  const int pid = start_child (NULL);

  write_pid (*state, pid);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), pid);
  end_child (pid);
}

static void
file_older_than_the_process_is_stale (void **state)
{
  const int pid = start_child (NULL);

  write_pid (*state, pid);
  age (*state);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), 0);
  end_child (pid);
}

/* The wall clock may have been set forward since. */
static void
lock_proves_more_than_age (void **state)
{
  g_autofree char *path = g_build_filename (*state, "a.pid", NULL);

  tempdir_write (*state, "a.pid", "");
  const int pid = start_child (path);
  write_pid (*state, pid);
  age (*state);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), pid);
  end_child (pid);
}

static void
lock_of_another_process_disproves (void **state)
{
  g_autofree char *path = g_build_filename (*state, "a.pid", NULL);

  tempdir_write (*state, "a.pid", "");
  const int holder = start_child (path);
  const int pid = start_child (NULL);
  write_pid (*state, pid);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), 0);
  end_child (pid);
  end_child (holder);
}

static void
process_that_has_gone_does_not_count (void **state)
{
  const int pid = start_child (NULL);

  write_pid (*state, pid);
  end_child (pid);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), 0);
}

static void
only_a_pid_file_of_that_directory_counts (void **state)
{
  static const char *const texts[] = { "", "x", "0", "-1", "1 2", "99999999999999999999" };

  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), 0);
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      tempdir_write (*state, "a.pid", texts[i]);
      assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), 0);
    }
  write_pid (*state, getpid ());
  assert_int_equal (vj_pidfile_read ("/proc", *state, "a"), getpid ());
  tempdir_mkdir (*state, "b");
  assert_int_equal (vj_pidfile_read ("/proc", *state, "b/../a"), 0);
  assert_int_equal (vj_pidfile_read ("/proc", *state, ""), 0);
}

/* None is even opened: a pipe would make us wait for its other end. */
static void
only_a_regular_file_counts (void **state)
{
  write_pid (*state, getpid ());
  g_autofree char *other = g_build_filename (*state, "b.pid", NULL);
  assert_int_equal (symlink ("a.pid", other), 0);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "b"), 0);
  tempdir_remove (*state, "b.pid");
  assert_int_equal (mkfifo (other, 0600), 0);
  assert_int_equal (vj_pidfile_read ("/proc", *state, "b"), 0);
  tempdir_mkdir (*state, "c.pid");
  assert_int_equal (vj_pidfile_read ("/proc", *state, "c"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (file_of_a_live_process_counts),
    tempdir_unit_test (file_older_than_the_process_is_stale),
    tempdir_unit_test (lock_proves_more_than_age),
    tempdir_unit_test (lock_of_another_process_disproves),
    tempdir_unit_test (process_that_has_gone_does_not_count),
    tempdir_unit_test (only_a_pid_file_of_that_directory_counts),
    tempdir_unit_test (only_a_regular_file_counts),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
