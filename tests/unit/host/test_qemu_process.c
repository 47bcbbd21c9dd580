/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/qemu_process.h"

#include "host/qemu/qemu_scan.h"
#include "host/qemu/qemu_watch.h"

#include "tempdir.h"
#include "test_child.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The rest is tested with the watch (test_qemu_watch.c). */

#define STRANGER 12345
#define SOCKET   "/run/vj/guest.sock"
#define UUID     "3f2a9e9c-71d4-4a0e-9c1b-0d8c5b1e7a11"

/* Runs the program that stands for QEMU with a port whose socket is options. When it is ready, its pid. */
static int
start (guint uid, const char *program, const char *options)
{
  g_autofree char *chardev = g_strdup_printf ("socket,id=c,%s", options);
  const char *const arguments[] = {
    "qemu", "-chardev", chardev, "-device", "virtserialport,chardev=c,name=org.virtjoule.energy.0", NULL
  };
  const int pid = test_child_execute (uid, program, arguments);

  assert_true (pid > 0);
  return pid;
}

static VjQemuProcess *
open_one (guint uid, const char *options, const VjQemuRules *rules)
{
  VjQemuProcess *qemu = NULL;
  const int pid = start (uid, rules->executables[0], options);

  assert_int_equal (vj_qemu_process_open (rules, pid, &qemu), VJ_QEMU_YES);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  return qemu;
}

/* A copy that everybody may run, in a directory of the test's. */
static char *
install (const char *root)
{
  g_autofree char *program = NULL;
  gsize length = 0;
  char *path = g_build_filename (root, "qemu", NULL);

  assert_int_equal (chmod (root, 0755), 0);
  assert_true (g_file_get_contents (FAKE_QEMU, &program, &length, NULL));
  assert_true (
      g_file_set_contents_full (path, program, (gssize)length, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
  return path;
}

/* It is known by its name: nothing is looked at that somebody else may have put in the way. */
static void
names_of_the_guest_socket (void **state)
{
  static const struct
  {
    const char *guest_socket;
    const char *options;
    gboolean connects;
  } cases[] = {
    { SOCKET, "path=" SOCKET ",reconnect=2", TRUE },
    { SOCKET, "path=/run//vj/./x/../guest.sock", TRUE },
    { "/run/vj//guest.sock", "path=" SOCKET, TRUE },
    { SOCKET, "path=" SOCKET "2", FALSE },
    { SOCKET, "path=" SOCKET ",server=on", FALSE },
    { SOCKET, "path=run/vj/guest.sock", FALSE },
    { "/dev/null", "path=/proc/self/root/dev/null", FALSE },
  };
  g_autofree char *program = install (*state);
  const char *const executables[] = { program, NULL };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const VjQemuRules rules = {
        .procfs = "/proc", .plain = TRUE, .guest_socket = cases[i].guest_socket, .executables = executables
      };
      g_autoptr (VjQemuProcess) qemu = open_one (getuid (), cases[i].options, &rules);

      assert_int_equal (qemu->connects, cases[i].connects);
    }
}

/* Where anybody may run QEMU, no socket that a command line names is connected to, but for root's. */
static void
sockets_of_anybody (void **state)
{
  static const guint named = STRANGER;
  static const struct
  {
    guint uid;
    const guint *uids;
    const char *path;
  } cases[] = {
    { STRANGER, NULL, NULL },
    { STRANGER, &named, "/x/y" },
    { 0, NULL, "/x/y" },
  };
  g_autofree char *program = install (*state);
  const char *const executables[] = { program, NULL };

  if (getuid () != 0)
    skip ();
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const VjQemuRules rules = { .procfs = "/proc",
                                  .plain = TRUE,
                                  .guest_socket = SOCKET,
                                  .executables = executables,
                                  .uids = cases[i].uids,
                                  .n_uids = cases[i].uids != NULL };
      g_autoptr (VjQemuProcess) listens = open_one (cases[i].uid, "path=/x/y,server=on,wait=off", &rules);
      g_autoptr (VjQemuProcess) connects = open_one (cases[i].uid, "path=" SOCKET, &rules);

      assert_true (listens->argv.channel_listens);
      assert_int_equal (g_strcmp0 (listens->argv.channel_path, cases[i].path), 0);
      assert_true (connects->connects);
    }
}

/* A stranger still, as far as the way to a socket is concerned. */
static void
socket_of_one_who_has_become_root (void **state)
{
  g_autofree char *program = install (*state);
  const char *const executables[] = { program, NULL };
  const VjQemuRules rules = {
    .procfs = "/proc", .plain = TRUE, .guest_socket = SOCKET, .executables = executables
  };
  const char *const arguments[] = { "setpriv",
                                    "--ruid=12345",
                                    program,
                                    "-chardev",
                                    "socket,id=c,path=/x/y,server=on,wait=off",
                                    "-device",
                                    "virtserialport,chardev=c,name=org.virtjoule.energy.0",
                                    NULL };
  g_autoptr (VjQemuProcess) qemu = NULL;

  if (getuid () != 0)
    skip ();
  const int pid = test_child_execute (0, "/usr/bin/setpriv", arguments);

  assert_true (pid > 0);
  assert_int_equal (vj_qemu_process_open (&rules, pid, &qemu), VJ_QEMU_YES);
  assert_true (qemu->argv.channel_listens);
  assert_null (qemu->argv.channel_path);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* Whether a whole look lists the processes; notifications are of the directory of processes. */
static gboolean
lists_processes (const VjQemuRules *rules, int notifications)
{
  g_autoptr (VjQemuScan) scan = vj_qemu_scan_new (rules);
  char event[sizeof (struct inotify_event) + 256];

  scan->all = TRUE;
  vj_qemu_scan_run (scan);
  return read (notifications, event, sizeof event) > 0;
}

/* Of Proxmox's machines only the pid files are listed, however many processes there are. */
static void
looks_that_list_all_processes (void **state)
{
  const int notifications = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  VjQemuRules rules = { .procfs = *state, .rundir = "/nonexistent", .guest_socket = SOCKET };

  assert_true (inotify_add_watch (notifications, *state, IN_OPEN) > 0);
  assert_false (lists_processes (&rules, notifications));
  rules.plain = TRUE;
  assert_true (lists_processes (&rules, notifications));
  close (notifications);
}

static void
collect (gpointer data, gpointer user_data)
{
  VjQemuProcess *qemu = data;

  g_array_append_val (user_data, qemu->process->pid);
  vj_qemu_process_free (qemu);
}

/* The older one has the better right to a UUID. */
static void
looks_tell_of_the_older_one_first (void **state)
{
  g_autofree char *program = install (*state);
  const char *const executables[] = { program, NULL };
  const VjQemuRules rules = {
    .procfs = "/proc", .plain = TRUE, .guest_socket = SOCKET, .executables = executables
  };
  g_autoptr (VjQemuScan) scan = vj_qemu_scan_new (&rules);
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (int));
  int pids[8];

  for (gsize i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      pids[i] = start (getuid (), program, "path=/x");
      g_hash_table_add (scan->pids, GINT_TO_POINTER (pids[i]));
    }
  vj_qemu_scan_run (scan);
  assert_true (vj_qemu_scan_hand_over (scan, collect, found));
  assert_int_equal (found->len, G_N_ELEMENTS (pids));
  assert_memory_equal (found->data, pids, sizeof pids);
  for (gsize i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      kill (pids[i], SIGKILL);
      waitpid (pids[i], NULL, 0);
    }
}

/* --- one that begins, one that ends --- */

typedef struct
{
  gboolean listed;
  GString *names;
} Heard;

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  g_string_append_printf (((Heard *)user_data)->names, "%s %s\n", info->id, info->name);
}

static void
on_listed (gpointer user_data)
{
  ((Heard *)user_data)->listed = TRUE;
}

static void
on_absent (const char *id, gpointer user_data)
{
}

static void
on_connection (gboolean connected, const char *message, gpointer user_data)
{
}

/* What /proc has of pid, with other arguments. */
static void
write_entry (const char *root, int pid, const char *program, const char *arguments, gssize length)
{
  static const char *const links[] = { "stat", "status" };
  g_autofree char *directory = g_strdup_printf ("%s/%d", root, pid);
  g_autofree char *executable = g_build_filename (directory, "exe", NULL);
  g_autofree char *cmdline = g_build_filename (directory, "cmdline", NULL);

  g_mkdir (directory, 0755);
  for (gsize i = 0; i < G_N_ELEMENTS (links); i++)
    {
      g_autofree char *real = g_strdup_printf ("/proc/%d/%s", pid, links[i]);
      g_autofree char *link = g_build_filename (directory, links[i], NULL);
      (void)!symlink (real, link);
    }
  (void)!symlink (program, executable);
  assert_true (g_file_set_contents (cmdline, arguments, length, NULL));
}

/* Until execve (2) ends, a process runs QEMU and has no arguments, and so no name yet. It is looked at once more. */
static void
arguments_that_come_later (void **state)
{
  static const char text[] = "kvm\0-name\0late\0-uuid\0" UUID;
  static const VjDomainListener listener = {
    .present = on_present, .absent = on_absent, .listed = on_listed, .connection = on_connection
  };
  g_autofree char *program = install (*state);
  const char *const executables[] = { program, NULL };
  const VjQemuWatchOptions options = {
    .plain = TRUE, .guest_socket = SOCKET, .executables = executables, .rescan_s = 86400, .deadline_s = 86400
  };
  const VjRoots roots = { .procfs = *state };
  Heard heard = { .names = g_string_new (NULL) };
  const int pid = start (getuid (), program, "path=/x/y");
  VjPoll *poll = vj_poll_new (NULL, NULL);

  write_entry (*state, pid, program, "", 0);
  VjQemuWatch *watch = vj_qemu_watch_new (&options, &roots, poll, &listener, &heard, NULL);
  while (!heard.listed)
    g_main_context_iteration (NULL, TRUE);
  assert_string_equal (heard.names->str, "");
  write_entry (*state, pid, program, text, sizeof text);
  while (heard.names->len == 0)
    g_main_context_iteration (NULL, TRUE);
  assert_string_equal (heard.names->str, "qemu-" UUID " late\n");
  vj_qemu_watch_free (watch);
  vj_poll_free (poll);
  g_string_free (heard.names, TRUE);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* Where the arguments of a process are, which it takes with it to its grave. */
typedef struct
{
  int pid;
  const char *arguments;
} Dying;

/* There is one who reads them by now. */
static gpointer
die (gpointer data)
{
  const Dying *dying = data;
  const int fd = open (dying->arguments, O_WRONLY | O_CLOEXEC);

  kill (dying->pid, SIGKILL);
  waitpid (dying->pid, NULL, 0);
  (void)!write (fd, "kvm", 4);
  close (fd);
  return NULL;
}

/* What has been read of it may be another's by now. */
static void
a_process_that_ends_meanwhile (void **state)
{
  g_autofree char *program = install (*state);
  const char *const executables[] = { program, NULL };
  const VjQemuRules rules = {
    .procfs = *state, .plain = TRUE, .guest_socket = SOCKET, .executables = executables
  };
  const int pid = start (getuid (), program, "path=/x");
  g_autofree char *arguments = g_strdup_printf ("%s/%d/cmdline", (const char *)*state, pid);
  Dying dying = { pid, arguments };
  VjQemuProcess *qemu = NULL;

  write_entry (*state, pid, program, "", 0);
  assert_int_equal (g_unlink (arguments), 0);
  assert_int_equal (mkfifo (arguments, 0600), 0);

  GThread *thread = g_thread_new ("die", die, &dying);

  assert_int_equal (vj_qemu_process_open (&rules, pid, &qemu), VJ_QEMU_NO);
  assert_null (qemu);
  g_thread_join (thread);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (names_of_the_guest_socket),         tempdir_unit_test (sockets_of_anybody),
    tempdir_unit_test (socket_of_one_who_has_become_root), tempdir_unit_test (looks_that_list_all_processes),
    tempdir_unit_test (looks_tell_of_the_older_one_first), tempdir_unit_test (arguments_that_come_later),
    tempdir_unit_test (a_process_that_ends_meanwhile),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
