/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 60
#define NEVER_S    86400 /* no look but those that events ask for */
#define UUID       "3f2a9e9c-71d4-4a0e-9c1b-0d8c5b1e7a11"
#define STRANGER   12345 /* a user who is not accepted */
#define CHANNEL                                                                                              \
  "-chardev", "socket,id=c,path=/guest/socket,reconnect=2", "-device",                                       \
      "virtserialport,bus=virtjoule.0,chardev=c,name=org.virtjoule.energy.0"

typedef struct
{
  char *root;
  char *rundir;
  char *pve_dir;
  char *qemu; /* an accepted executable */
  GPtrArray *patterns;
  GPtrArray *events; /* strings, oldest first */
  GArray *pids;      /* of the processes that were started */
  guint uid;
  guint n_honest;
  VjPoll *poll;
  VjQemuWatch *watch;
} Fixture;

static void
record (Fixture *fixture, char *event)
{
  g_ptr_array_add (fixture->events, event);
}

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  const char *channel = info->channel_connects ? "connects"
                        : info->channel_path   ? info->channel_path
                                               : "none";

  assert_int_equal (info->state, VJ_DOMAIN_RUNNING);
  assert_true (g_utf8_validate (info->name, -1, NULL));
  record (user_data, g_strdup_printf (
                         "present %s pid=%d manager=%s vmid=%u name=%s uuid=%s vcpus=%u channel=%s", info->id,
                         info->pid, info->manager, info->vmid, info->name, info->uuid, info->vcpus, channel));
}

static void
on_absent (const char *id, gpointer user_data)
{
  record (user_data, g_strdup_printf ("absent %s", id));
}

static void
on_listed (gpointer user_data)
{
  record (user_data, g_strdup ("listed"));
}

static void
on_connection (gboolean connected, const char *message, gpointer user_data)
{
  record (user_data, g_strdup_printf ("%s %s", connected ? "up" : "down", message));
}

static const VjDomainListener listener = {
  .present = on_present, .absent = on_absent, .listed = on_listed, .connection = on_connection
};

/* A copy of the program that stands for QEMU, at <root>/<relative>. */
static char *
install (Fixture *fixture, const char *relative)
{
  g_autofree char *program = NULL;
  gsize length = 0;
  char *path = g_build_filename (fixture->root, relative, NULL);
  g_autofree char *directory = g_path_get_dirname (path);

  assert_int_equal (g_mkdir_with_parents (directory, 0755), 0);
  assert_true (g_file_get_contents (FAKE_QEMU, &program, &length, NULL));
  assert_true (
      g_file_set_contents_full (path, program, (gssize)length, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
  return path;
}

static int
setup (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);
  void *root = NULL;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture->root = root;
  assert_int_equal (chmod (root, 0755), 0);
  fixture->rundir = g_build_filename (root, "run", "qemu-server", NULL);
  fixture->pve_dir = g_build_filename (root, "pve", NULL);
  tempdir_mkdir (root, "run/qemu-server");
  fixture->qemu = install (fixture, "bin/qemu-system-x86_64");
  fixture->patterns = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (fixture->patterns, g_build_filename (root, "bin", "qemu-system-x86_64", NULL));
  g_ptr_array_add (fixture->patterns, g_build_filename (root, "bin", "qemu-system-?rm", NULL));
  g_ptr_array_add (fixture->patterns, NULL);
  fixture->events = g_ptr_array_new_with_free_func (g_free);
  fixture->pids = g_array_new (FALSE, FALSE, sizeof (int));
  fixture->uid = getuid ();
  fixture->poll = vj_poll_new (NULL, NULL);
  *state = fixture;
  return fixture->poll ? 0 : -1;
}

static void
end (int pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  void *root = fixture->root;

  vj_qemu_watch_free (fixture->watch);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  vj_poll_free (fixture->poll);
  for (guint i = 0; i < fixture->pids->len; i++)
    end (g_array_index (fixture->pids, int, i));
  g_array_unref (fixture->pids);
  g_ptr_array_unref (fixture->events);
  g_ptr_array_unref (fixture->patterns);
  g_free (fixture->qemu);
  g_free (fixture->rundir);
  g_free (fixture->pve_dir);
  g_free (fixture);
  return tempdir_teardown (&root);
}

static int
start_as (Fixture *fixture, guint uid, const char *program, const char *const *arguments)
{
  const int pid = test_child_execute (uid, program, arguments);

  assert_true (pid > 0);
  g_array_append_val (fixture->pids, pid);
  return pid;
}

static int
start (Fixture *fixture, const char *const *arguments)
{
  return start_as (fixture, 0, fixture->qemu, arguments);
}

#define ARGUMENTS(...)                                                                                       \
  (const char *const[]) { "kvm", __VA_ARGS__, NULL }

static char *
pid_file (Fixture *fixture, const char *vmid)
{
  return g_strdup_printf ("%s/%s.pid", fixture->rundir, vmid);
}

/* As Proxmox does: the pid file is written, and its lock held, by the process itself. */
static int
start_vm (Fixture *fixture, const char *vmid, const char *name)
{
  g_autofree char *path = pid_file (fixture, vmid);

  return start (fixture, ARGUMENTS ("-id", vmid, "-name", name, "-pidfile", path, "-smbios",
                                    "type=1,uuid=" UUID, "-smp", "2", CHANNEL));
}

/* As options say, and for the rest as it is nearly always here. */
static void
watch_with (Fixture *fixture, const char *procfs, VjQemuWatchOptions options)
{
  const VjRoots roots = { .procfs = (char *)procfs };

  options.rundir = fixture->rundir;
  options.pve_dir = fixture->pve_dir;
  options.guest_socket = options.guest_socket != NULL ? options.guest_socket : "/guest/socket";
  options.executables = (const char *const *)fixture->patterns->pdata;
  options.rescan_s = options.rescan_s != 0 ? options.rescan_s : NEVER_S;
  options.deadline_s = options.deadline_s != 0 ? options.deadline_s : NEVER_S;
  fixture->watch = vj_qemu_watch_new (&options, &roots, fixture->poll, &listener, fixture, NULL);
  assert_non_null (fixture->watch);
  assert_int_equal (fixture->events->len, 0);
}

static void
watch (Fixture *fixture, gboolean proxmox, gboolean plain)
{
  watch_with (fixture, "/proc",
              (VjQemuWatchOptions){ .proxmox = proxmox, .plain = plain, .uids = &fixture->uid, .n_uids = 1 });
}

static gboolean
on_deadline (gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_CONTINUE;
}

/* Runs the main loop until an event that starts so has come, and takes it and what came before it. The caller's. */
static char *
take (Fixture *fixture, const char *start)
{
  gboolean late = FALSE;
  const guint deadline = g_timeout_add_seconds (DEADLINE_S, on_deadline, &late);
  char *event = NULL;

  while (!late && event == NULL)
    {
      if (fixture->events->len == 0)
        g_main_context_iteration (NULL, TRUE);
      else if (g_str_has_prefix (g_ptr_array_index (fixture->events, 0), start))
        event = g_ptr_array_steal_index (fixture->events, 0);
      else
        {
          print_message ("  passed over: %s\n", (const char *)g_ptr_array_index (fixture->events, 0));
          g_ptr_array_remove_index (fixture->events, 0);
        }
    }
  g_source_remove (deadline);
  if (event == NULL)
    fail_msg ("no event \"%s\"", start);
  return event;
}

/* The next event is just this. */
G_GNUC_PRINTF (2, 3)
static void
expect (Fixture *fixture, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_autofree char *expected = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autofree char *event = take (fixture, "");
  assert_string_equal (event, expected);
}

static void
expect_vm (Fixture *fixture, const char *vmid, int pid, const char *name)
{
  expect (fixture,
          "present proxmox-%s pid=%d manager=proxmox vmid=%s name=%s uuid=" UUID " vcpus=2 channel=connects",
          vmid, pid, vmid, name);
}

static void
expect_listed (Fixture *fixture)
{
  g_free (take (fixture, "up "));
  expect (fixture, "listed");
}

/* One that has neither name nor UUID. */
static void
expect_started (Fixture *fixture, int pid)
{
  g_autofree char *event = take (fixture, "");
  g_autofree char *expected = g_strdup_printf ("present qemu-%d-", pid);

  if (!g_str_has_prefix (event, expected))
    fail_msg ("\"%s\", not \"%s...\"", event, expected);
}

/* A whole look finds nothing else: an honest one that starts now, and is the youngest, comes next. */
static void
expect_no_other (Fixture *fixture)
{
  g_autofree char *vmid = g_strdup_printf ("%u", 1000 + fixture->n_honest++);
  const int pid = start_vm (fixture, vmid, "honest");

  vj_qemu_watch_poke (fixture->watch, 0);
  expect_vm (fixture, vmid, pid, "honest");
}

/* What runs program, with -id VMID and all, until the test ends. */
static int
pretend (Fixture *fixture, guint uid, const char *program, const char *vmid)
{
  g_autofree char *path = pid_file (fixture, vmid);

  return start_as (fixture, uid, program, ARGUMENTS ("-id", vmid, "-uuid", UUID, "-pidfile", path));
}

static void
virtual_machines_come_and_go (void **state)
{
  Fixture *fixture = *state;
  const int before = start_vm (fixture, "100", "before,debug-threads=on");

  watch (fixture, TRUE, FALSE);
  expect_vm (fixture, "100", before, "before");
  expect_listed (fixture);

  const int later = start_vm (fixture, "101", "later");
  expect_vm (fixture, "101", later, "later");
  end (before);
  expect (fixture, "absent proxmox-100");

  /* The VMID is the same, the run another. */
  const int again = start_vm (fixture, "100", "again");
  expect_vm (fixture, "100", again, "again");
  expect_no_other (fixture);
}

static void
directory_comes_later (void **state)
{
  Fixture *fixture = *state;

  tempdir_remove (fixture->root, "run/qemu-server");
  watch (fixture, TRUE, FALSE);
  expect_listed (fixture);
  tempdir_mkdir (fixture->root, "run/other");
  tempdir_mkdir (fixture->root, "run/qemu-server");
  const int first = start_vm (fixture, "1", "a");
  expect_vm (fixture, "1", first, "a");

  /* Proxmox leaves it when the last one stops, an operator may not. */
  end (first);
  expect (fixture, "absent proxmox-1");
  tempdir_remove (fixture->root, "run/qemu-server");
  tempdir_mkdir (fixture->root, "run/qemu-server");
  const int second = start_vm (fixture, "2", "b");
  expect_vm (fixture, "2", second, "b");

  /* Without even a parent a hook's word has it looked for. */
  tempdir_remove (fixture->root, "run");
  vj_qemu_watch_poke (fixture->watch, 0);
  tempdir_mkdir (fixture->root, "run/qemu-server");
  expect_no_other (fixture);
}

static void
configuration_names (void **state)
{
  Fixture *fixture = *state;

  tempdir_write (fixture->root, "pve/qemu-server/100.conf", "name: renamed\n[PENDING]\nname: other\n");
  watch (fixture, TRUE, FALSE);
  expect_listed (fixture);
  const int pid = start_vm (fixture, "100", "started-as");
  expect_vm (fixture, "100", pid, "started-as");
  expect_vm (fixture, "100", pid, "renamed");
  tempdir_write (fixture->root, "pve/qemu-server/100.conf", "name: again\n");
  vj_qemu_watch_poke (fixture->watch, 0);
  expect_vm (fixture, "100", pid, "again");
  tempdir_remove (fixture->root, "pve");
  expect_no_other (fixture);
  expect_no_other (fixture); /* it has been asked for since, and its name stays */

  g_autofree char *path = pid_file (fixture, "7");
  tempdir_write (fixture->root, "pve/qemu-server/7.conf", "smbios1: uuid=" UUID "\n");
  start (fixture, ARGUMENTS ("-id", "7", "-pidfile", path));
  g_free (take (fixture, "present proxmox-7 "));
  g_autofree char *event = take (fixture, "present proxmox-7 ");
  assert_non_null (strstr (event, " uuid=" UUID " "));
}

static void
executable_was_upgraded (void **state)
{
  Fixture *fixture = *state;
  const int pid = start_vm (fixture, "100", "a");

  assert_int_equal (g_unlink (fixture->qemu), 0);
  watch (fixture, TRUE, FALSE);
  expect_vm (fixture, "100", pid, "a");
}

/* Without any event. */
static void
rescan_finds_the_rest (void **state)
{
  Fixture *fixture = *state;

  watch_with (fixture, "/proc",
              (VjQemuWatchOptions){ .plain = TRUE, .uids = &fixture->uid, .n_uids = 1, .rescan_s = 1 });
  expect_listed (fixture);
  expect_started (fixture, start (fixture, ARGUMENTS ("-smp", "3")));
}

/* Each looks like a virtual machine in one way, and is none. */
static void
impostors_are_not_seen (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *strange = install (fixture, "other/qemu-system-x86_64");
  g_autofree char *longer = install (fixture, "bin/not-qemu-system-x86_64");
  g_autofree char *bytes = install (fixture, "bin/qemu-system-\xf7???rm"); /* no character of UTF-8 */
  g_autofree char *one = pid_file (fixture, "1");
  g_autofree char *two = pid_file (fixture, "2");
  g_autofree char *line = g_strdup_printf ("%s -id 1 -pidfile %s", fixture->qemu, one);
  g_autofree char *shell =
      g_strdup_printf ("echo $$ >%s; echo; kill -STOP $$; : %s -id 2", two, fixture->qemu);

  watch (fixture, TRUE, TRUE);
  expect_listed (fixture);
  /* its arguments without its executable */
  start_as (fixture, 0, strange, (const char *const[]){ line, "-pidfile", one, NULL });
  start_as (fixture, 0, "/bin/sh", (const char *const[]){ "/usr/bin/kvm", "-c", shell, NULL });
  pretend (fixture, 0, strange, "3");
  pretend (fixture, 0, longer, "4");
  pretend (fixture, 0, bytes, "9");
  expect_no_other (fixture);
  /* without a pid file; with that of another VMID; with a VMID that is none */
  g_autofree char *six = pid_file (fixture, "6");
  g_autofree char *seven = pid_file (fixture, "7");
  start (fixture, ARGUMENTS ("-id", "1000")); /* the honest one's */
  start (fixture, ARGUMENTS ("-id", "5"));
  start (fixture, ARGUMENTS ("-id", "5", "-pidfile", six));
  start (fixture, ARGUMENTS ("-id", "7", "-id", "8", "-pidfile", seven));
  expect_no_other (fixture);
}

static void
strangers_are_not_seen (void **state)
{
  Fixture *fixture = *state;

  if (fixture->uid != 0)
    skip ();
  watch (fixture, TRUE, TRUE);
  expect_listed (fixture);
  assert_int_equal (chmod (fixture->rundir, 0777), 0);
  pretend (fixture, STRANGER, fixture->qemu, "1");
  start_as (fixture, STRANGER, fixture->qemu, ARGUMENTS ("-uuid", UUID));
  /* Their /proc entries are root's, as if they were. */
  g_autofree char *path = pid_file (fixture, "2");
  start_as (fixture, STRANGER, fixture->qemu, ARGUMENTS ("-secret", "-id", "2", "-pidfile", path));
  start_as (fixture, STRANGER, fixture->qemu, ARGUMENTS ("-secret", "-uuid", UUID));
  /* One who has become root, and root as one of them. */
  start_as (fixture, 0, "/usr/bin/setpriv",
            (const char *const[]){ "setpriv", "--ruid=12345", fixture->qemu, "-uuid", UUID, NULL });
  start_as (fixture, 0, "/usr/bin/setpriv",
            (const char *const[]){ "setpriv", "--euid=12345", fixture->qemu, "-uuid", UUID, NULL });
  expect_no_other (fixture);
}

static void
executable_of_a_stranger_is_not_accepted (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *foreign = install (fixture, "bin/qemu-system-arm");

  if (fixture->uid != 0)
    skip ();
  assert_int_equal (chown (foreign, STRANGER, STRANGER), 0);
  watch (fixture, TRUE, TRUE);
  expect_listed (fixture);
  pretend (fixture, 0, foreign, "1");
  expect_no_other (fixture);
}

static gboolean
can_unshare (void)
{
  const char *const arguments[] = { "unshare", "-m", "mount", "--bind", "/mnt", "/mnt", NULL };
  int status = 1;

  return g_spawn_sync (NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status,
                       NULL)
         && status == 0;
}

/* As KubeVirt's: the path is that of its own mount namespace, and leads nowhere here. */
static void
executable_of_a_container (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *bin = g_path_get_dirname (fixture->qemu);

  if (fixture->uid != 0 || !can_unshare ())
    skip ();
  g_free (g_ptr_array_index (fixture->patterns, 0));
  g_ptr_array_index (fixture->patterns, 0) = g_strdup ("/mnt/qemu-system-x86_64");
  watch (fixture, FALSE, TRUE);
  expect_listed (fixture);
  const int pid =
      start_as (fixture, 0, "/usr/bin/unshare",
                (const char *const[]){ "unshare", "-m", "sh", "-c",
                                       "mount --bind \"$0\" /mnt && exec /mnt/qemu-system-x86_64 -uuid " UUID,
                                       bin, NULL });
  vj_qemu_watch_poke (fixture->watch, pid);
  expect (fixture,
          "present qemu-" UUID " pid=%d manager=qemu vmid=0 name=qemu-" UUID " uuid=" UUID
          " vcpus=1 channel=none",
          pid);
}

/* pid is a process with -id 1 and no pid file of its own. */
static void
replace_pid_file (Fixture *fixture, int pid, gboolean is_old)
{
  g_autofree char *text = g_strdup_printf ("%d\n", pid);
  g_autofree char *aside = g_build_filename (fixture->rundir, "aside", NULL);
  g_autofree char *path = pid_file (fixture, "1");
  const struct timespec then[] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

  tempdir_write (fixture->rundir, "aside", text);
  if (is_old)
    assert_int_equal (utimensat (AT_FDCWD, aside, then, 0), 0);
  assert_int_equal (g_rename (aside, path), 0);
}

static void
pid_files_that_prove_nothing (void **state)
{
  Fixture *fixture = *state;
  const int pid = start (fixture, ARGUMENTS ("-id", "1"));
  g_autofree char *path = pid_file (fixture, "1");
  g_autofree char *text = g_strdup_printf ("%d\n", pid);

  watch (fixture, TRUE, TRUE);
  expect_listed (fixture);
  /* those of others, and what is no virtual machine's */
  tempdir_write (fixture->rundir, "2.pid", text);
  tempdir_write (fixture->rundir, "x.pid", text);
  tempdir_write (fixture->rundir, "01.pid", text);
  tempdir_write (fixture->rundir, "1.swtpm.pid", text);
  expect_no_other (fixture);
  /* one of a run that is long over, whose pid was given away again */
  replace_pid_file (fixture, pid, TRUE);
  expect_no_other (fixture);
  g_unlink (path);
  assert_int_equal (symlink ("2.pid", path), 0);
  expect_no_other (fixture);
  g_unlink (path);
  assert_int_equal (mkfifo (path, 0666), 0);
  expect_no_other (fixture);
  g_unlink (path);
  tempdir_mkdir (fixture->rundir, "1.pid");
  expect_no_other (fixture);

  /* At last the file means this process. */
  tempdir_remove (fixture->rundir, "1.pid");
  replace_pid_file (fixture, pid, FALSE);
  expect (fixture,
          "present proxmox-1 pid=%d manager=proxmox vmid=1 name=proxmox-1 uuid= vcpus=1 channel=none", pid);
}

static void
odd_names_are_only_shown (void **state)
{
  Fixture *fixture = *state;

  watch (fixture, TRUE, FALSE);
  expect_listed (fixture);
  expect_vm (fixture, "1", start_vm (fixture, "1", "../../x,debug-threads=on"), "../../x");
  expect_vm (fixture, "2", start_vm (fixture, "2", "/"), "/");
  expect_vm (fixture, "3", start_vm (fixture, "3", "a\xff\xfe\nb"),
             "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
             "b");
}

static void
long_arguments (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *filler = g_strnfill (128 * 1024 - 1, 'x');
  g_autofree char *path = pid_file (fixture, "1");
  g_autofree char *other = pid_file (fixture, "2");

  watch (fixture, TRUE, FALSE);
  expect_listed (fixture);
  const int pid = start (fixture, ARGUMENTS ("-append", filler, "-id", "1", "-pidfile", path));
  g_autofree char *event = take (fixture, "present ");
  g_autofree char *expected = g_strdup_printf ("present proxmox-1 pid=%d ", pid);
  assert_true (g_str_has_prefix (event, expected));
  /* -id comes after what is looked at. */
  start (fixture, ARGUMENTS ("-append", filler, "-append", filler, "-id", "2", "-pidfile", other));
  expect_no_other (fixture);
}

static void
plain_ones_are_opt_in (void **state)
{
  Fixture *fixture = *state;

  start (fixture, ARGUMENTS ("-name", "a", "-uuid", UUID));
  watch (fixture, TRUE, FALSE);
  expect_listed (fixture);
  expect_no_other (fixture);
}

static void
plain_ones (void **state)
{
  Fixture *fixture = *state;
  const int first = start (fixture, ARGUMENTS ("-name", "guest=a", "-uuid", UUID, "-chardev",
                                               "socket,id=c,path=/x/y,server=on,wait=off", "-device",
                                               "virtserialport,chardev=c,name=org.virtjoule.energy.0"));

  watch (fixture, FALSE, TRUE);
  expect (fixture,
          "present qemu-" UUID " pid=%d manager=qemu vmid=0 name=a uuid=" UUID " vcpus=1 channel=/x/y",
          first);
  expect_listed (fixture);

  /* Somebody has connected as these: they are looked at now. */
  const int second = start (fixture, ARGUMENTS ("-name", "b", "-uuid", UUID, "-id", "100"));
  vj_qemu_watch_poke (fixture->watch, second);
  g_autofree char *twin = take (fixture, "present ");
  g_autofree char *start_of_id = g_strdup_printf ("present qemu-%d-", second);
  assert_true (g_str_has_prefix (twin, start_of_id));
  const int third = start (fixture, ARGUMENTS ("-smp", "3"));
  vj_qemu_watch_poke (fixture->watch, third);
  g_autofree char *nameless = take (fixture, "present ");
  assert_non_null (strstr (nameless, "uuid= vcpus=3 channel=none"));

  end (first);
  expect (fixture, "absent qemu-" UUID);
  const int fourth = start (fixture, ARGUMENTS ("-uuid", UUID));
  vj_qemu_watch_poke (fixture->watch, fourth);
  expect (fixture,
          "present qemu-" UUID " pid=%d manager=qemu vmid=0 name=qemu-" UUID " uuid=" UUID
          " vcpus=1 channel=none",
          fourth);
}

/* A process that has died before it was looked at, that is not there, or that is ours. */
static void
pokes_of_no_virtual_machine (void **state)
{
  Fixture *fixture = *state;
  const int pid = start (fixture, ARGUMENTS ("-uuid", UUID));

  end (pid);
  watch (fixture, TRUE, TRUE);
  vj_qemu_watch_poke (fixture->watch, pid);
  for (int i = 1; i < 5000; i++)
    vj_qemu_watch_poke (fixture->watch, G_MAXINT - i);
  vj_qemu_watch_poke (fixture->watch, getpid ());
  expect_listed (fixture);
  expect_no_other (fixture);
}

/* As of a /proc mounted with hidepid, where a process of others' is not there at all. */
static void
hidden_processes (void **state)
{
  Fixture *fixture = *state;

  start_vm (fixture, "100", "a");
  watch_with (fixture, fixture->root, (VjQemuWatchOptions){ .proxmox = TRUE, .plain = TRUE });
  expect_listed (fixture);
}

/* A process as /proc has it, but for its arguments. Where those are to be; the caller's. */
static char *
make_entry (Fixture *fixture)
{
  static const char *const links[] = { "stat", "status" };
  const int pid = start (fixture, ARGUMENTS ("-no-shutdown"));
  g_autofree char *entry = g_strdup_printf ("%s/proc/%d", fixture->root, pid);
  g_autofree char *executable = g_build_filename (entry, "exe", NULL);

  assert_int_equal (g_mkdir_with_parents (entry, 0755), 0);
  for (gsize i = 0; i < G_N_ELEMENTS (links); i++)
    {
      g_autofree char *real = g_strdup_printf ("/proc/%d/%s", pid, links[i]);
      g_autofree char *link = g_build_filename (entry, links[i], NULL);
      assert_int_equal (symlink (real, link), 0);
    }
  char *arguments = g_build_filename (entry, "cmdline", NULL);
  assert_int_equal (mkfifo (arguments, 0600), 0); /* who reads it waits */
  assert_int_equal (symlink (fixture->qemu, executable), 0);
  return arguments;
}

/* From now on they can be read, by who waits for them and by who comes later. */
static void
let_go (const char *arguments)
{
  const int fd = open (arguments, O_WRONLY | O_CLOEXEC); /* there is one who waits */

  assert_true (fd >= 0);
  assert_true (g_file_set_contents (arguments, "kvm", 4, NULL));
  assert_int_equal (close (fd), 0);
}

static void
watch_entries (Fixture *fixture)
{
  g_autofree char *procfs = g_build_filename (fixture->root, "proc", NULL);

  watch_with (fixture, procfs, (VjQemuWatchOptions){ .plain = TRUE, .deadline_s = 1 });
}

/* A process can make who reads its arguments wait for ever. The others are found all the same, and it is, too, as soon as
 * it lets go. */
static void
arguments_that_never_come (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *never = make_entry (fixture);
  const int pid = g_array_index (fixture->pids, int, 0);

  watch_entries (fixture);
  expect (fixture, "down the arguments of process %d cannot be read: it is passed over until they can", pid);
  expect (fixture, "listed");
  g_autofree char *good = make_entry (fixture);
  assert_true (g_file_set_contents (good, "kvm", 4, NULL));
  vj_qemu_watch_poke (fixture->watch, 0);
  expect_started (fixture, g_array_index (fixture->pids, int, 1));
  let_go (never);
  expect_started (fixture, pid);
}

/* Each of them holds a thread, of which there are few. What was found before they did so is found. */
static void
many_such_arguments (void **state)
{
  Fixture *fixture = *state;
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *good = make_entry (fixture);

  assert_true (g_file_set_contents (good, "kvm", 4, NULL));
  for (guint i = 0; i < VJ_QEMU_WATCH_HELD_MAX; i++)
    g_ptr_array_add (entries, make_entry (fixture));
  watch_entries (fixture);
  vj_qemu_watch_poke (fixture->watch, g_array_index (fixture->pids, int, 0)); /* is looked at first */
  expect_started (fixture, g_array_index (fixture->pids, int, 0));
  g_free (take (fixture, "down the arguments of process "));
  g_free (take (fixture, "down no other "));
  for (guint i = 0; i < entries->len; i++)
    let_go (g_ptr_array_index (entries, i));
  for (guint i = 0; i < entries->len; i++)
    g_free (take (fixture, "present "));
}

static void
freed_while_it_looks (void **state)
{
  Fixture *fixture = *state;

  start_vm (fixture, "100", "a");
  watch (fixture, TRUE, TRUE);
  g_main_context_iteration (NULL, TRUE);
  vj_qemu_watch_free (g_steal_pointer (&fixture->watch));
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  assert_int_equal (fixture->events->len, 0);
}

#define watch_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    watch_test (virtual_machines_come_and_go), watch_test (directory_comes_later),
    watch_test (configuration_names),          watch_test (executable_was_upgraded),
    watch_test (rescan_finds_the_rest),        watch_test (impostors_are_not_seen),
    watch_test (strangers_are_not_seen),       watch_test (executable_of_a_stranger_is_not_accepted),
    watch_test (executable_of_a_container),    watch_test (pid_files_that_prove_nothing),
    watch_test (odd_names_are_only_shown),     watch_test (long_arguments),
    watch_test (plain_ones_are_opt_in),        watch_test (plain_ones),
    watch_test (pokes_of_no_virtual_machine),  watch_test (hidden_processes),
    watch_test (arguments_that_never_come),    watch_test (many_such_arguments),
    watch_test (freed_while_it_looks),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
