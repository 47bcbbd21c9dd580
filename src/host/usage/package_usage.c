/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/package_usage.h"

#include "common/cpu_list.h"
#include "common/error.h"
#include "common/file.h"
#include "common/procfs.h"
#include "common/units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 2048
/* What threads may leave unaccounted for in an exact split: readings are not taken at one instant, and the kernel
 * brings a running thread's time up to date at its clock tick. */
#define UNEXPLAINED_PART 32
#define UNEXPLAINED_NS   (10 * VJ_NS_PER_US * VJ_US_PER_MS)

#define NO_PACKAGE G_MAXUINT

typedef struct
{
  int tid;
  int run_fd;   /* schedstat or -1 */
  int where_fd; /* stat or -1 */
  guint64 run_ns;
  guint pinned;   /* the package its affinity was within when it last ran, or NO_PACKAGE */
  gboolean known; /* pinned has been asked for before */
} Thread;

struct VjPackageUsage
{
  const VjTopology *topology;
  DIR *tasks; /* <procfs>/PID/task */
  guint fds;  /* kept, of the threads' */
  guint max_fds;
  guint64 links;       /* of tasks: their number and a constant */
  GHashTable *threads; /* tid -> Thread */
  guint64 *run_ns;     /* per package, of the last time that there was any */
  guint64 *now_ns;     /* the same, while sampling */
  gboolean pinned;     /* while sampling: all that ran were pinned */
};

static void
thread_free (gpointer data)
{
  Thread *thread = data;

  if (thread->run_fd >= 0)
    close (thread->run_fd);
  if (thread->where_fd >= 0)
    close (thread->where_fd);
  g_free (thread);
}

VjPackageUsage *
vj_package_usage_open (const char *procfs, const VjTopology *topology, int pid, guint max_fds, GError **error)
{
  g_autofree char *path = g_strdup_printf ("%s/%d/task", procfs, pid);
  DIR *tasks = opendir (path);
  const guint n = vj_topology_n_packages (topology);
  VjPackageUsage *usage;

  if (!tasks)
    {
      vj_error_set_errno (error, errno, "cannot list the threads of process %d", pid);
      return NULL;
    }
  usage = g_new0 (VjPackageUsage, 1);
  usage->topology = topology;
  usage->tasks = tasks;
  usage->max_fds = max_fds;
  usage->threads = g_hash_table_new_full (g_direct_hash, g_direct_equal, NULL, thread_free);
  usage->run_ns = g_new0 (guint64, n);
  usage->run_ns[0] = 1;
  usage->now_ns = g_new0 (guint64, n);
  return usage;
}

void
vj_package_usage_free (VjPackageUsage *usage)
{
  if (!usage)
    return;
  closedir (usage->tasks);
  g_hash_table_unref (usage->threads);
  g_free (usage->run_ns);
  g_free (usage->now_ns);
  g_free (usage);
}

/* Reads one of a thread's files, keeping it open while there is room. */
static gboolean
read_file (VjPackageUsage *usage, const Thread *thread, int *fd, const char *name, char *text,
           gsize *ret_length)
{
  char relative[64];

  if (*fd < 0)
    {
      g_snprintf (relative, sizeof relative, "%d/%s", thread->tid, name);
      *fd = openat (dirfd (usage->tasks), relative, O_RDONLY | O_CLOEXEC);
      if (*fd < 0)
        return FALSE;
      usage->fds++;
    }
  const gboolean done = vj_file_pread (*fd, text, TEXT_MAX, ret_length, NULL);

  if (usage->fds > usage->max_fds)
    {
      close (*fd);
      *fd = -1;
      usage->fds--;
    }
  return done;
}

/* The package that all of the thread's CPUs are in, or NO_PACKAGE. */
static guint
read_pinned (const VjPackageUsage *usage, int tid)
{
  guint64 mask[VJ_CPUS_MAX / 64] = { 0 };
  guint package = NO_PACKAGE;

  if (sched_getaffinity (tid, sizeof mask, (cpu_set_t *)mask) < 0)
    return NO_PACKAGE;
  for (guint cpu = 0; cpu < VJ_CPUS_MAX; cpu++)
    {
      if (mask[cpu / 64] == 0)
        cpu |= 63;
      if (!(mask[cpu / 64] >> (cpu % 64) & 1))
        continue;
      const guint of_cpu = vj_topology_package_of_cpu (usage->topology, cpu);

      if (package != NO_PACKAGE && of_cpu != package)
        return NO_PACKAGE;
      package = of_cpu;
    }
  return package;
}

static guint
read_last (VjPackageUsage *usage, Thread *thread)
{
  char text[TEXT_MAX];
  gsize length = 0;
  guint cpu = 0;

  if (!read_file (usage, thread, &thread->where_fd, "stat", text, &length)
      || !vj_procfs_parse_processor (text, length, &cpu))
    return NO_PACKAGE;
  return vj_topology_package_of_cpu (usage->topology, cpu);
}

/* Where a thread that ran since the last time did so. */
static guint
find_package (VjPackageUsage *usage, Thread *thread)
{
  const guint pinned = read_pinned (usage, thread->tid);
  const gboolean moved = thread->known && thread->pinned != pinned;

  thread->known = TRUE;
  thread->pinned = pinned;
  if (pinned == NO_PACKAGE || moved)
    usage->pinned = FALSE;
  return pinned != NO_PACKAGE ? pinned : read_last (usage, thread);
}

/* FALSE: it has ended. A thread that has run less than before is another one of the same number. */
static gboolean
sample_thread (VjPackageUsage *usage, Thread *thread)
{
  char text[TEXT_MAX];
  gsize length = 0;
  guint64 run_ns = 0;
  guint package;

  if (!read_file (usage, thread, &thread->run_fd, "schedstat", text, &length)
      || !vj_procfs_parse_schedstat (text, length, &run_ns))
    return FALSE;
  if (run_ns == thread->run_ns)
    return TRUE;
  const guint64 delta_ns = run_ns > thread->run_ns ? run_ns - thread->run_ns : run_ns;

  thread->run_ns = run_ns;
  package = find_package (usage, thread);
  if (package != NO_PACKAGE)
    usage->now_ns[package] += delta_ns;
  return TRUE;
}

/* The number of links of a directory of procfs grows with the number of threads, and costs less than to read it. */
static gboolean
number_has_changed (VjPackageUsage *usage)
{
  struct stat status;
  const guint64 links = fstat (dirfd (usage->tasks), &status) == 0 ? (guint64)status.st_nlink : 0;
  const gboolean changed = links != usage->links;

  usage->links = links;
  return changed;
}

static gboolean
sample_known (VjPackageUsage *usage)
{
  GHashTableIter iter;
  gpointer value;
  gboolean ended = FALSE;

  g_hash_table_iter_init (&iter, usage->threads);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Thread *thread = value;

      if (sample_thread (usage, thread))
        continue;
      usage->fds -= (thread->run_fd >= 0 ? 1U : 0U) + (thread->where_fd >= 0 ? 1U : 0U);
      g_hash_table_iter_remove (&iter);
      ended = TRUE;
    }
  return ended;
}

static void
sample_new (VjPackageUsage *usage, int tid)
{
  Thread *thread;

  if (g_hash_table_contains (usage->threads, GINT_TO_POINTER (tid)))
    return;
  thread = g_new0 (Thread, 1);
  thread->tid = tid;
  thread->run_fd = -1;
  thread->where_fd = -1;
  g_hash_table_insert (usage->threads, GINT_TO_POINTER (tid), thread);
  sample_thread (usage, thread); /* the next time sees what has ended already */
}

static void
scan_tasks (VjPackageUsage *usage)
{
  const struct dirent *entry;
  int tid = 0;

  rewinddir (usage->tasks);
  while ((entry = readdir (usage->tasks)))
    {
      if (vj_procfs_parse_pid (entry->d_name, strlen (entry->d_name), &tid))
        sample_new (usage, tid);
    }
}

/* As one thread may begin while another ends, the number alone does not tell. */
static void
sample (VjPackageUsage *usage)
{
  const gboolean changed = number_has_changed (usage);

  memset (usage->now_ns, 0, vj_topology_n_packages (usage->topology) * sizeof usage->now_ns[0]);
  usage->pinned = TRUE;
  if (sample_known (usage) || changed)
    scan_tasks (usage);
}

/* By running sums, so that every nanosecond is in one package and none in a package without use. */
static void
split (const guint64 *weights, guint n, guint64 total_ns, guint64 *ret_ns)
{
  VjU128 sum = 0;
  VjU128 upto = 0;
  guint64 before_ns = 0;

  for (guint i = 0; i < n; i++)
    sum += weights[i];
  for (guint i = 0; i < n; i++)
    {
      upto += weights[i];
      const guint64 until_ns = (guint64)(upto * total_ns / sum);

      ret_ns[i] = until_ns - before_ns;
      before_ns = until_ns;
    }
}

gboolean
vj_package_usage_split (VjPackageUsage *usage, guint64 total_ns, guint64 *ret_ns)
{
  const guint n = vj_topology_n_packages (usage->topology);
  guint64 seen_ns = 0;

  sample (usage);
  for (guint i = 0; i < n; i++)
    seen_ns += usage->now_ns[i];
  /* Crumbs do not tell where the rest was. */
  if (seen_ns > total_ns / UNEXPLAINED_PART)
    memcpy (usage->run_ns, usage->now_ns, n * sizeof usage->now_ns[0]);
  split (usage->run_ns, n, total_ns, ret_ns);
  return usage->pinned
         && total_ns - MIN (total_ns, seen_ns) <= MAX (total_ns / UNEXPLAINED_PART, UNEXPLAINED_NS);
}
