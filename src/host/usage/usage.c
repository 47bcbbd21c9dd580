/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/usage.h"

#include "common/cgroup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/units.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CPU_STAT_MAX 4096

struct VjUsage
{
  VjScopeKind kind;
  int pid;
  int fd;          /* of the cgroup's file; -1: none */
  clockid_t clock; /* the process's */
  int no_clock;    /* why there is none; 0: there is */
  guint64 last_ns;
};

VjScopeKind
vj_usage_kind (const VjUsage *usage)
{
  return usage->kind;
}

guint64
vj_usage_scope (const VjUsage *usage)
{
  struct stat status;

  return usage->fd >= 0 && fstat (usage->fd, &status) == 0 ? status.st_ino : 0;
}

static gboolean
read_cgroup (const VjUsage *usage, guint64 *ret_cpu_ns, GError **error)
{
  char text[CPU_STAT_MAX];
  gsize length = 0;
  guint64 usage_us = 0;

  if (!vj_file_pread (usage->fd, text, sizeof text, &length, error))
    return FALSE;
  if (usage->kind == VJ_SCOPE_V1 && vj_cgroup_parse_u64 (text, length, ret_cpu_ns))
    return TRUE;
  if (usage->kind == VJ_SCOPE_V2 && vj_cgroup_parse_cpu_stat (text, length, &usage_us))
    {
      *ret_cpu_ns = usage_us * VJ_NS_PER_US;
      return TRUE;
    }
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "the %s file of process %d's domain has no CPU time",
               vj_scope_kind_name (usage->kind), usage->pid);
  return FALSE;
}

gboolean
vj_usage_read_process (const VjUsage *usage, guint64 *ret_cpu_ns, GError **error)
{
  struct timespec time;

  if (usage->no_clock)
    {
      vj_error_set_errno (error, usage->no_clock, "process %d has no CPU clock", usage->pid);
      return FALSE;
    }
  if (clock_gettime (usage->clock, &time) < 0)
    {
      /* EINVAL is what the kernel says of a clock whose process has gone. */
      vj_error_set_errno (error, errno == EINVAL ? ESRCH : errno, "cannot read the CPU clock of process %d",
                          usage->pid);
      return FALSE;
    }
  *ret_cpu_ns = (guint64)time.tv_sec * VJ_NS_PER_S + (guint64)time.tv_nsec;
  return TRUE;
}

gboolean
vj_usage_read (VjUsage *usage, guint64 *ret_cpu_ns, GError **error)
{
  guint64 cpu_ns = 0;
  const gboolean done =
      usage->fd >= 0 ? read_cgroup (usage, &cpu_ns, error) : vj_usage_read_process (usage, &cpu_ns, error);

  if (!done)
    return FALSE;
  usage->last_ns = MAX (usage->last_ns, cpu_ns);
  *ret_cpu_ns = usage->last_ns;
  return TRUE;
}

/* FALSE where there is no such file, or none that can be read now. */
static gboolean
try_cgroup (VjUsage *usage, VjScopeKind kind, const char *scope, const char *file)
{
  guint64 cpu_ns = 0;

  usage->kind = kind;
  usage->fd = scope ? vj_file_open (scope, file, NULL) : -1;
  if (usage->fd < 0)
    return FALSE;
  if (vj_usage_read (usage, &cpu_ns, NULL))
    return TRUE;
  close (usage->fd);
  usage->fd = -1;
  return FALSE;
}

static gboolean
open_cgroup (VjUsage *usage, const VjRoots *roots)
{
  g_autofree char *v2 = vj_scope_v2 (roots, usage->pid);
  g_autofree char *v1 = vj_scope_v1 (roots, usage->pid, "cpuacct");

  return try_cgroup (usage, VJ_SCOPE_V2, v2, "cpu.stat")
         || try_cgroup (usage, VJ_SCOPE_V1, v1, "cpuacct.usage");
}

/* Whatever is wrong with the cgroup, the process's own clock is right for the process; whether that is there is the
 * clock's answer. */
VjUsage *
vj_usage_open (const VjRoots *roots, int pid, GError **error)
{
  g_autoptr (VjUsage) usage = g_new0 (VjUsage, 1);

  usage->pid = pid;
  usage->fd = -1;
  usage->no_clock = clock_getcpuclockid (pid, &usage->clock);
  if (open_cgroup (usage, roots))
    return g_steal_pointer (&usage);

  usage->kind = VJ_SCOPE_PROCESS;
  return vj_usage_read_process (usage, &usage->last_ns, error) ? g_steal_pointer (&usage) : NULL;
}

void
vj_usage_free (VjUsage *usage)
{
  if (!usage)
    return;
  if (usage->fd >= 0)
    close (usage->fd);
  g_free (usage);
}
