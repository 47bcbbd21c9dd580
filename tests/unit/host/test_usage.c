/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/usage.h"

#include "common/error.h"
#include "common/units.h"
#include "tempdir.h"
#include "test_child.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SCOPE_SYSTEMD "/machine.slice/machine-qemu\\x2d1\\x2da.scope"
#define SCOPE_PLAIN   "/machine/qemu-1-a.libvirt-qemu"
#define V2_STAT       "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n"
#define V1_USAGE      "1234567890\n"

typedef struct
{
  const char *title;
  const char *cgroup; /* /proc/PID/cgroup */
  const char *files[4][2];
  VjScopeKind kind;
  guint64 cpu_ns; /* 0: the process's own */
} Case;

static const Case cases[] = {
  { "pure v2, systemd",
    "0::" SCOPE_SYSTEMD "/libvirt/emulator\n",
    { { "cgroup.controllers", "cpu\n" }, { SCOPE_SYSTEMD "/cpu.stat", V2_STAT } },
    VJ_SCOPE_V2,
    1234567000 },
  { "hybrid: v2 before v1",
    "2:cpuacct:" SCOPE_PLAIN "/emulator\n0::" SCOPE_PLAIN "/emulator\n",
    { { "unified" SCOPE_PLAIN "/cpu.stat", V2_STAT }, { "cpuacct" SCOPE_PLAIN "/cpuacct.usage", "1\n" } },
    VJ_SCOPE_V2,
    1234567000 },
  { "hybrid: v1 where libvirt uses that alone",
    "2:cpuacct:" SCOPE_PLAIN "/emulator\n0::/\n",
    { { "unified/cpu.stat", V2_STAT }, { "cpuacct" SCOPE_PLAIN "/cpuacct.usage", V1_USAGE } },
    VJ_SCOPE_V1,
    1234567890 },
  { "v1, joint controllers",
    "4:cpu,cpuacct:" SCOPE_SYSTEMD "/libvirt/emulator\n1:name=systemd:/\n",
    { { "cpu,cpuacct" SCOPE_SYSTEMD "/cpuacct.usage", V1_USAGE } },
    VJ_SCOPE_V1,
    1234567890 },
  { "v2 scope without CPU time",
    "4:cpuacct:" SCOPE_PLAIN "\n0::" SCOPE_PLAIN "\n",
    { { "unified" SCOPE_PLAIN "/cpu.stat", "nr_periods 0\n" },
      { "cpuacct" SCOPE_PLAIN "/cpuacct.usage", V1_USAGE } },
    VJ_SCOPE_V1,
    1234567890 },
  { "a login session is not a domain",
    "4:cpuacct:/user.slice\n0::/user.slice/session-1.scope\n",
    { { "unified/user.slice/session-1.scope/cpu.stat", V2_STAT },
      { "cpuacct/user.slice/cpuacct.usage", V1_USAGE } },
    VJ_SCOPE_PROCESS,
    0 },
  { "the root is not a domain",
    "4:cpuacct:/\n0::/\n",
    { { "unified/cpu.stat", V2_STAT }, { "cpuacct/cpuacct.usage", V1_USAGE } },
    VJ_SCOPE_PROCESS,
    0 },
  { "a scope that is not there",
    "0::" SCOPE_PLAIN "\n",
    { { "cgroup.controllers", "cpu\n" } },
    VJ_SCOPE_PROCESS,
    0 },
  { "no cgroups", NULL, { { NULL } }, VJ_SCOPE_PROCESS, 0 },
};

typedef struct
{
  const Case *c;
  char *root;
  char *procfs;
  char *cgroupfs;
  VjRoots roots;
} Fixture;

static int
setup (void **state)
{
  Fixture *fixture;
  void *root = NULL;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture = g_new0 (Fixture, 1);
  fixture->c = *state;
  fixture->root = root;
  fixture->procfs = g_build_filename (root, "proc", NULL);
  fixture->cgroupfs = g_build_filename (root, "cgroup", NULL);
  fixture->roots = (VjRoots){ .procfs = fixture->procfs, .cgroupfs = fixture->cgroupfs };
  *state = fixture;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  void *root = fixture->root;

  g_free (fixture->procfs);
  g_free (fixture->cgroupfs);
  g_free (fixture);
  return tempdir_teardown (&root);
}

static void
write_case (const Fixture *fixture, const Case *c, int pid)
{
  g_autofree char *cgroup = g_strdup_printf ("%d/cgroup", pid);

  if (c->cgroup)
    tempdir_write (fixture->procfs, cgroup, c->cgroup);
  for (gsize i = 0; c->files[i][0]; i++)
    tempdir_write (fixture->cgroupfs, c->files[i][0], c->files[i][1]);
}

static guint64
own_cpu_ns (void)
{
  struct timespec time;

  assert_int_equal (clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &time), 0);
  return (guint64)time.tv_sec * VJ_NS_PER_S + (guint64)time.tv_nsec;
}

static void
chooses_the_first_that_is_the_domains_own (void **state)
{
  const Fixture *fixture = *state;
  const Case *c = fixture->c;
  g_autoptr (GError) error = NULL;
  g_autoptr (VjUsage) usage = NULL;
  guint64 cpu_ns = 0;

  write_case (fixture, c, getpid ());
  usage = vj_usage_open (&fixture->roots, getpid (), &error);
  assert_non_null (usage);
  assert_null (error);
  assert_string_equal (vj_scope_kind_name (vj_usage_kind (usage)), vj_scope_kind_name (c->kind));
  const guint64 before_ns = own_cpu_ns ();
  assert_true (vj_usage_read (usage, &cpu_ns, &error));
  assert_in_range (cpu_ns, c->cpu_ns ? c->cpu_ns : before_ns, c->cpu_ns ? c->cpu_ns : own_cpu_ns ());
}

static void
kept_file_is_read_again_and_never_decreases (void **state)
{
  static const char path[] = "unified" SCOPE_PLAIN "/cpu.stat";
  static const struct
  {
    const char *text;
    guint64 cpu_ns;
  } steps[] = {
    { "usage_usec 1234567\n", 1234567000 },
    { "usage_usec 2000000\n", 2000000000 },
    { "usage_usec 1999999\n", 2000000000 },
    { "usage_usec 2000001\n", 2000001000 },
  };
  const Fixture *fixture = *state;
  g_autoptr (VjUsage) usage = NULL;

  write_case (fixture, &cases[1], getpid ());
  usage = vj_usage_open (&fixture->roots, getpid (), NULL);
  assert_non_null (usage);
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      guint64 cpu_ns = 0;

      tempdir_write (fixture->cgroupfs, path, steps[i].text);
      assert_true (vj_usage_read (usage, &cpu_ns, NULL));
      assert_int_equal (cpu_ns, steps[i].cpu_ns);
    }
}

static void
text_of_another_form_is_invalid (void **state)
{
  const Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;
  g_autoptr (VjUsage) usage = NULL;
  guint64 cpu_ns = 7;

  write_case (fixture, &cases[1], getpid ());
  usage = vj_usage_open (&fixture->roots, getpid (), NULL);
  tempdir_write (fixture->cgroupfs, "unified" SCOPE_PLAIN "/cpu.stat", "usage_usec\n");
  assert_false (vj_usage_read (usage, &cpu_ns, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  assert_int_equal (cpu_ns, 7);
}

static void
process_that_ends_is_gone (void **state)
{
  const Fixture *fixture = *state;
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);
  g_autoptr (GError) error = NULL;
  g_autoptr (VjUsage) usage = vj_usage_open (&fixture->roots, pid, NULL);
  guint64 cpu_ns = 0;

  assert_non_null (usage);
  assert_true (vj_usage_read (usage, &cpu_ns, NULL));
  test_child_stop (pid, socket);
  assert_false (vj_usage_read (usage, &cpu_ns, &error));
  assert_true (vj_error_is_gone (error));
  g_clear_error (&error);
  assert_null (vj_usage_open (&fixture->roots, pid, &error));
  assert_true (vj_error_is_gone (error));
}

/* The real thing: libvirt's way to name a scope, in this machine's own cgroup v2. */
static void
removed_cgroup_is_gone (void **state)
{
  static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
  const Fixture *fixture = *state;
  g_autofree char *name = g_strdup_printf ("qemu-1-test%d.libvirt-qemu", getpid ());
  g_autofree char *line = g_strdup_printf ("0::/%s\n", name);
  g_autofree char *relative = g_strdup_printf ("%d/cgroup", getpid ());
  g_autofree char *scope = NULL;
  const VjRoots roots = { .procfs = fixture->procfs, .cgroupfs = (char *)mounts[0] };
  g_autoptr (GError) error = NULL;
  g_autoptr (VjUsage) usage = NULL;
  guint64 cpu_ns = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (mounts) && !scope; i++)
    {
      g_autofree char *controllers = g_build_filename (mounts[i], "cgroup.controllers", NULL);

      if (access (controllers, F_OK) == 0)
        scope = g_build_filename (mounts[i], name, NULL);
    }
  if (!scope || mkdir (scope, 0755) < 0)
    {
      print_message ("cannot make a cgroup here: %s\n", scope ? strerror (errno) : "no cgroup v2");
      skip ();
      return;
    }
  tempdir_write (fixture->procfs, relative, line);
  usage = vj_usage_open (&roots, getpid (), &error);
  const gboolean read = usage && vj_usage_read (usage, &cpu_ns, &error);
  rmdir (scope);
  assert_null (error);
  assert_non_null (usage);
  assert_true (read);
  assert_int_equal (vj_usage_kind (usage), VJ_SCOPE_V2);
  assert_false (vj_usage_read (usage, &cpu_ns, &error));
  assert_true (vj_error_is_gone (error));
}

#define usage_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  struct CMUnitTest choices[G_N_ELEMENTS (cases)] = { 0 };
  const struct CMUnitTest tests[] = {
    usage_test (kept_file_is_read_again_and_never_decreases),
    usage_test (text_of_another_form_is_invalid),
    usage_test (process_that_ends_is_gone),
    usage_test (removed_cgroup_is_gone),
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    choices[i] = (struct CMUnitTest){ cases[i].title, chooses_the_first_that_is_the_domains_own, setup,
                                      teardown, (void *)&cases[i] };
  return cmocka_run_group_tests (choices, NULL, NULL) + cmocka_run_group_tests (tests, NULL, NULL);
}
