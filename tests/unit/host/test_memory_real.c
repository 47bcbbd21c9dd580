/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same guest RAM, in anonymous memory, in a memfd, in hugepages, with and without a cgroup, gives the same figure: on
 * real processes. */
#include "host/usage/memory.h"

#include "domain_cgroup.h"
#include "test_child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB       ((gsize)1024 * 1024)
#define RAM       (64 * MIB)
#define HUGE_PAGE (2 * MIB)
/* The kernel adds up per CPU, and gives what is up to some hundred pages old. */
#define TOLERANCE  (2 * MIB)
#define RESERVED   "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define UNRESERVED "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

typedef struct
{
  const char *title;
  gboolean memfd;
  int flags; /* of mmap (2), or of memfd_create (2) */
  gboolean in_cgroup;
  gboolean two_mappers; /* as virtiofsd does */
} Case;

static const Case cases[] = {
  { "anonymous, by the process", FALSE, MAP_PRIVATE | MAP_ANONYMOUS, FALSE, FALSE },
  { "memfd, by the process", TRUE, 0, FALSE, FALSE },
  { "memfd that another maps as well, by the process", TRUE, 0, FALSE, TRUE },
  { "anonymous, by the cgroup", FALSE, MAP_PRIVATE | MAP_ANONYMOUS, TRUE, FALSE },
  { "memfd, by the cgroup", TRUE, 0, TRUE, FALSE },
  { "memfd that another maps as well, by the cgroup", TRUE, 0, TRUE, TRUE },
};

static const Case huge_cases[] = {
  { "hugepages, by the process", FALSE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, FALSE, FALSE },
  { "memfd in hugepages, by the process", TRUE, MFD_HUGETLB, FALSE, FALSE },
  { "hugepages, by the cgroup", FALSE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, TRUE, FALSE },
  { "memfd in hugepages, by the cgroup", TRUE, MFD_HUGETLB, TRUE, TRUE },
};

static gboolean skipped;

static char *
map_ram (const Case *c)
{
  void *ram;

  if (!c->memfd)
    return mmap (NULL, RAM, PROT_READ | PROT_WRITE, c->flags, -1, 0);
  const int fd = memfd_create ("guest-ram", MFD_CLOEXEC | (unsigned)c->flags);

  if (fd < 0 || ftruncate (fd, RAM) < 0)
    return MAP_FAILED;
  ram = mmap (NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close (fd);
  return ram;
}

static void
touch (char *ram)
{
  for (gsize i = 0; i < RAM; i += 4096)
    ((volatile char *)ram)[i] = 1;
}

/* A VM: maps its RAM, says so, is told to, and uses it; then so does a second process, if there is to be one. */
static void
be_vm (gpointer argument, int socket)
{
  const Case *c = argument;
  char *ram = map_ram (c);

  if (ram == MAP_FAILED || !test_child_signal (socket) || !test_child_await (socket))
    _exit (1);
  touch (ram);
  if (!c->two_mappers || fork () == 0)
    {
      touch (ram);
      test_child_signal (socket);
    }
  /* The second lives until the socket closes. */
  test_child_await (socket);
  if (c->two_mappers)
    _exit (0);
}

static guint64
read_bytes (VjMemoryUsage *usage)
{
  guint64 bytes = 0;

  assert_true (vj_memory_usage_read (usage, &bytes, NULL));
  return bytes;
}

static void
counts_all_of_it_once (const Case *c, const char *cgroup)
{
  const VjRoots roots = { .procfs = (char *)"/proc", .cgroupfs = (char *)"/sys/fs/cgroup" };
  int socket = -1;
  const int pid = test_child_start (be_vm, (gpointer)c, &socket);

  assert_true (pid > 0 && test_child_await (socket));
  if (cgroup)
    assert_true (domain_cgroup_enter (cgroup, pid));
  g_autoptr (VjMemoryUsage) usage = vj_memory_usage_open (&roots, pid, NULL);
  assert_non_null (usage);
  assert_int_equal (vj_memory_usage_kind (usage) != VJ_SCOPE_PROCESS, cgroup != NULL);
  const guint64 before = read_bytes (usage);

  assert_true (test_child_signal (socket) && test_child_await (socket));
  const guint64 after = read_bytes (usage);

  test_child_stop (pid, socket);
  assert_in_range (after, before + RAM - TOLERANCE, before + RAM + TOLERANCE);
}

static void
count_case (void **state)
{
  const Case *c = *state;
  const char *reason = NULL;
  char *cgroup = c->in_cgroup ? domain_cgroup_make ("memory", &reason) : NULL;

  if (reason)
    {
      print_message ("SKIPPED: %s: %s\n", c->title, reason);
      skipped = TRUE;
      skip ();
      return;
    }
  counts_all_of_it_once (c, cgroup);
  if (cgroup)
    domain_cgroup_remove (cgroup);
}

static guint64
read_number (const char *path)
{
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? g_ascii_strtoull (text, NULL, 10) : 0;
}

static gboolean
reserve (guint64 pages)
{
  const int fd = open (RESERVED, O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return FALSE;
  const gboolean done = dprintf (fd, "%" G_GUINT64_FORMAT "\n", pages) > 0;

  close (fd);
  return done && read_number (RESERVED) == pages;
}

#define N_HUGE G_N_ELEMENTS (huge_cases)

static int
run_huge (void)
{
  const guint64 reserved = read_number (RESERVED);
  const guint64 lacking = RAM / HUGE_PAGE - MIN (RAM / HUGE_PAGE, read_number (UNRESERVED));
  struct CMUnitTest tests[N_HUGE] = { 0 };
  int failures = 0;

  for (gsize i = 0; i < N_HUGE; i++)
    tests[i] = (struct CMUnitTest){ huge_cases[i].title, count_case, NULL, NULL, (void *)&huge_cases[i] };
  if (lacking == 0 || reserve (reserved + lacking))
    failures = cmocka_run_group_tests (tests, NULL, NULL);
  else
    {
      print_message ("SKIPPED: hugepages: %s does not let this many be reserved (root only)\n", RESERVED);
      skipped = TRUE;
    }
  if (lacking > 0)
    reserve (reserved);
  return failures;
}

int
main (void)
{
  struct CMUnitTest tests[G_N_ELEMENTS (cases)] = { 0 };
  int failures;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    tests[i] = (struct CMUnitTest){ cases[i].title, count_case, NULL, NULL, (void *)&cases[i] };
  failures = cmocka_run_group_tests (tests, NULL, NULL) + run_huge ();
  if (failures == 0 && skipped)
    return 77;
  return failures;
}
