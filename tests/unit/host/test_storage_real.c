/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real bytes, written past the page cache to a real disk by a real process in a cgroup of its own. */
#include "host/usage/storage.h"

#include "common/ledger.h"
#include "common/units.h"
#include "domain_cgroup.h"
#include "test_child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB   ((gsize)1024 * 1024)
#define MOVED (64 * MIB)
#define BLOCK (4 * MIB)
/* The file system's own reads and writes on behalf of the process. */
#define EXTRA (4 * MIB)

static const VjRoots roots = { .procfs = (char *)"/proc",
                               .sysfs = (char *)"/sys",
                               .cgroupfs = (char *)"/sys/fs/cgroup" };

typedef struct
{
  int fd; /* of a file on a disk that counts, opened with O_DIRECT */
  VjDisks *disks;
  GArray *before;
  GArray *now;
} Fixture;

static gboolean skipped;

static gboolean
is_on (const GArray *disks, int fd)
{
  struct stat status;

  if (fstat (fd, &status) < 0)
    return FALSE;
  for (guint i = 0; i < disks->len; i++)
    {
      const VjDiskBytes *disk = &g_array_index (disks, VjDiskBytes, i);

      if (disk->major == major (status.st_dev) && disk->minor <= minor (status.st_dev))
        return TRUE;
    }
  return FALSE;
}

/* A file without a name beside the program, where the build is, or in the temporary directory. */
static int
open_on_disk (const GArray *disks)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *beside = program ? g_path_get_dirname (program) : g_strdup (".");
  const char *const directories[] = { beside, g_get_tmp_dir (), "/var/tmp" };

  for (gsize i = 0; i < G_N_ELEMENTS (directories); i++)
    {
      const int fd = open (directories[i], O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

      if (fd >= 0 && is_on (disks, fd))
        return fd;
      if (fd >= 0)
        close (fd);
    }
  return -1;
}

static int
setup (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);

  fixture->before = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  fixture->now = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  fixture->disks = vj_disks_open (&roots, NULL);
  fixture->fd = -1;
  if (fixture->disks && vj_disks_read (fixture->disks, fixture->before, NULL))
    fixture->fd = open_on_disk (fixture->before);
  *state = fixture;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;

  if (fixture->fd >= 0)
    close (fixture->fd);
  vj_disks_free (fixture->disks);
  g_array_unref (fixture->before);
  g_array_unref (fixture->now);
  g_free (fixture);
  return 0;
}

/* Half of it written, the same half read back. */
static void
move_bytes (gpointer argument, int socket)
{
  const int *fd = argument;
  void *block = NULL;

  if (!test_child_await (socket) || posix_memalign (&block, 4096, BLOCK) != 0)
    _exit (1);
  memset (block, 7, BLOCK);
  for (gsize at = 0; at < MOVED / 2; at += BLOCK)
    {
      if (pwrite (*fd, block, BLOCK, (off_t)at) != (gssize)BLOCK)
        _exit (1);
    }
  for (gsize at = 0; at < MOVED / 2; at += BLOCK)
    {
      if (pread (*fd, block, BLOCK, (off_t)at) != (gssize)BLOCK)
        _exit (1);
    }
  free (block);
  test_child_signal (socket);
}

static void
skip_because (const char *reason)
{
  print_message ("SKIPPED: %s\n", reason);
  skipped = TRUE;
  skip ();
}

/* Equation 4.12-4.14 on what was really moved. No kernel has a meter for storage yet, so its energy is simulated, one joule,
 * and the shares are what is proven. */
static void
assert_shared_by_bytes (guint64 domain_bytes, guint64 machine_bytes)
{
  const guint64 energy_uj = VJ_UJ_PER_J;
  g_autoptr (VjLedger) ledger = vj_ledger_new ();
  VjZone zone;

  assert_true (vj_zone_init (&zone, "storage", NULL, -1));
  vj_ledger_add_zone (ledger, &zone, 0);
  vj_ledger_set_resource (ledger, 0, vj_resource_of_zone (&zone, 1));
  VjAccount *account = vj_ledger_open (ledger, "domain");

  vj_account_add_usage (account, VJ_RESOURCE_STORAGE, domain_bytes);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_STORAGE, machine_bytes);
  vj_ledger_measure (ledger, 0, energy_uj, VJ_US_PER_S, FALSE);
  vj_ledger_settle (ledger);
  const guint64 given_uj = vj_account_energy_uj (account, 0);
  const guint64 fair_uj = energy_uj * domain_bytes / MAX (machine_bytes, domain_bytes);

  assert_in_range (given_uj, fair_uj, fair_uj + 1);
  assert_int_equal (given_uj + vj_ledger_totals (ledger, 0)->remainder_uj, energy_uj);
}

/* However it is counted, it is right. Returns how. */
static VjScopeKind
count_moved (Fixture *fixture, const char *cgroup)
{
  g_autoptr (GArray) machine = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  guint64 domain_bytes = 0;
  int socket = -1;
  const int pid = test_child_start (move_bytes, &fixture->fd, &socket);

  assert_true (pid > 0);
  if (cgroup)
    assert_true (domain_cgroup_enter (cgroup, pid));
  g_autoptr (VjStorageUsage) usage = vj_storage_usage_open (&roots, fixture->disks, pid, NULL);
  assert_non_null (usage);
  assert_true (vj_disks_read (fixture->disks, machine, NULL));

  assert_true (test_child_signal (socket) && test_child_await (socket));
  assert_true (vj_storage_usage_take (usage, fixture->disks, &domain_bytes, NULL));
  assert_true (vj_disks_read (fixture->disks, fixture->now, NULL));
  const guint64 machine_bytes = vj_disk_bytes_delta (machine, fixture->now);

  test_child_stop (pid, socket);
  print_message ("%s: domain %" G_GUINT64_FORMAT ", machine %" G_GUINT64_FORMAT " bytes\n",
                 vj_scope_kind_name (vj_storage_usage_kind (usage)), domain_bytes, machine_bytes);
  assert_in_range (domain_bytes, MOVED, MOVED + EXTRA);
  assert_true (machine_bytes >= MOVED); /* others use the disk as well */
  assert_shared_by_bytes (domain_bytes, machine_bytes);
  return vj_storage_usage_kind (usage);
}

static void
cgroup_counts_what_was_moved (void **state)
{
  Fixture *fixture = *state;
  const char *reason = NULL;
  char *cgroup;

  if (fixture->fd < 0)
    {
      skip_because ("no directory here is on a disk that takes direct I/O");
      return;
    }
  cgroup = domain_cgroup_make ("blkio", &reason);
  if (!cgroup)
    {
      skip_because (reason);
      return;
    }
  const VjScopeKind kind = count_moved (fixture, cgroup);

  domain_cgroup_remove (cgroup);
  if (kind == VJ_SCOPE_PROCESS)
    skip_because (
        "this kernel counts no I/O for cgroups of version 1 where no limit is set: the process told");
}

static void
process_counts_what_was_moved (void **state)
{
  Fixture *fixture = *state;

  if (fixture->fd < 0)
    skip_because ("no directory here is on a disk that takes direct I/O");
  else
    assert_int_equal (count_moved (fixture, NULL), VJ_SCOPE_PROCESS);
}

#define storage_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    storage_test (cgroup_counts_what_was_moved),
    storage_test (process_counts_what_was_moved),
  };
  const int failures = cmocka_run_group_tests (tests, NULL, NULL);

  if (failures == 0 && skipped)
    return 77;
  return failures;
}
