/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/cgroup_read.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cgroup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/memory_text.h"
#include "common/units.h"
#include "guest/attributor/process_text.h"

#define STAT_MAX 16384
#define IO_MAX   65536
#define PIDS_MAX ((gsize)32 * 1024 * 1024)
#define FDS_LEFT 64 /* for everything else */

struct VjCgroupReader
{
  const VjCgroupTree *tree;
  gboolean unified;
  char *cpu; /* the controllers' directories; NULL: there is none */
  char *memory;
  char *io;
  const VjDisks *disks; /* NULL: io is not read */
  const char *cpu_file;
  int fd_limit; /* files beyond it do not stay open */
};

static char *
first_directory (const VjCgroupTree *tree, const char *const *controllers)
{
  char *found = NULL;
  for (; *controllers != NULL && found == NULL; controllers++)
    found = vj_cgroup_tree_directory (tree, *controllers);
  return found;
}

/* The lowest free number is given to each descriptor, so that it tells how many there are. */
static int
limit_of_fds (void)
{
  struct rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return 0;
  return (int)MIN (limit.rlim_cur - MIN (limit.rlim_cur, FDS_LEFT), G_MAXINT);
}

VjCgroupReader *
vj_cgroup_reader_new (const VjCgroupTree *tree)
{
  static const char *const cpu[] = { "cpuacct", "cpu,cpuacct", "unified", NULL };
  static const char *const memory[] = { "memory", NULL };
  VjCgroupReader *reader = g_new0 (VjCgroupReader, 1);
  reader->tree = tree;
  reader->unified = strcmp (vj_cgroup_tree_version (tree), "v2") == 0;
  reader->cpu = first_directory (tree, cpu);
  reader->memory = first_directory (tree, memory);
  gboolean v2_file = reader->unified || (reader->cpu != NULL && g_str_has_suffix (reader->cpu, "/unified"));
  reader->cpu_file = v2_file ? "cpu.stat" : "cpuacct.usage";
  reader->fd_limit = limit_of_fds ();
  return reader;
}

void
vj_cgroup_reader_free (VjCgroupReader *reader)
{
  if (reader == NULL)
    return;
  g_free (reader->cpu);
  g_free (reader->memory);
  g_free (reader->io);
  g_free (reader);
}

/* Opens <directory>/<group>/<file>. */
static int
open_file (const char *directory, const VjCgroup *group, const char *file, GError **error)
{
  if (directory == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, "there is no controller with a %s", file);
      return -1;
    }
  g_autofree char *relative = g_build_filename (group->path, file, NULL);
  return vj_file_open (directory, relative, error);
}

static gboolean
parse_cpu (const VjCgroupReader *reader, const char *text, gsize length, guint64 *ret_cpu_ns)
{
  guint64 usage_us = 0;
  if (strcmp (reader->cpu_file, "cpuacct.usage") == 0)
    return vj_cgroup_parse_u64 (text, length, ret_cpu_ns);
  if (!vj_cgroup_parse_cpu_stat (text, length, &usage_us))
    return FALSE;
  *ret_cpu_ns = usage_us * VJ_NS_PER_US;
  return TRUE;
}

static gboolean
refuse (const VjCgroup *group, const char *file, GError **error)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s/%s is not of the kernel's form", group->path, file);
  return FALSE;
}

gboolean
vj_cgroup_read_cpu (const VjCgroupReader *reader, VjCgroup *group, guint64 *ret_cpu_ns, GError **error)
{
  char text[STAT_MAX];
  gsize length = 0;
  if (group->cpu_fd < 0)
    group->cpu_fd = open_file (reader->cpu, group, reader->cpu_file, error);
  if (group->cpu_fd < 0)
    return FALSE;
  gboolean done = vj_file_pread (group->cpu_fd, text, sizeof text, &length, error);
  if (group->cpu_fd >= reader->fd_limit)
    {
      close (group->cpu_fd);
      group->cpu_fd = -1;
    }
  if (!done)
    return FALSE;
  return parse_cpu (reader, text, length, ret_cpu_ns) || refuse (group, reader->cpu_file, error);
}

static char *
read_once (const char *directory, const VjCgroup *group, const char *file, gsize limit, gsize *ret_length,
           GError **error)
{
  if (directory == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, "there is no controller with a %s", file);
      return NULL;
    }
  g_autofree char *relative = g_build_filename (group->path, file, NULL);
  return vj_file_read (directory, relative, limit, ret_length, error);
}

gboolean
vj_cgroup_read_memory (const VjCgroupReader *reader, const VjCgroup *group, guint64 *ret_bytes,
                       GError **error)
{
  VjMemoryParts parts = { 0 };
  gsize length = 0;
  g_autofree char *text = read_once (reader->memory, group, "memory.stat", STAT_MAX, &length, error);
  if (text == NULL)
    return FALSE;
  if (!(reader->unified ? vj_memory_text_parse_stat_v2 (text, length, &parts)
                        : vj_memory_text_parse_stat_v1 (text, length, &parts)))
    return refuse (group, "memory.stat", error);
  *ret_bytes = parts.anon + parts.shmem + parts.hugetlb;
  return TRUE;
}

static gboolean
read_all_disks (const VjCgroupReader *reader, const VjCgroup *group, GArray *ret_disks, GError **error)
{
  const char *file = reader->unified ? "io.stat" : "blkio.throttle.io_service_bytes_recursive";
  gsize length = 0;
  g_autofree char *text = read_once (reader->io, group, file, IO_MAX, &length, error);
  if (text == NULL)
    return FALSE;
  return (reader->unified ? vj_io_text_parse_io_stat (text, length, ret_disks)
                          : vj_io_text_parse_blkio (text, length, ret_disks))
         || refuse (group, file, error);
}

gboolean
vj_cgroup_read_io (const VjCgroupReader *reader, const VjCgroup *group, GArray *ret_disks, GError **error)
{
  if (!read_all_disks (reader, group, ret_disks, error))
    return FALSE;
  vj_disks_filter (reader->disks, ret_disks);
  return TRUE;
}

void
vj_cgroup_reader_use_disks (VjCgroupReader *reader, const VjDisks *disks)
{
  const VjCgroup root = { .path = (char *)"/" };
  g_autoptr (GArray) of_root = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  g_clear_pointer (&reader->io, g_free);
  reader->disks = disks;
  if (disks == NULL)
    return;
  reader->io = vj_cgroup_tree_directory (reader->tree, "blkio");
  if (!reader->unified
      && !(read_all_disks (reader, &root, of_root, NULL) && vj_disks_are_counted (disks, of_root)))
    g_clear_pointer (&reader->io, g_free);
}

/* A list comes a page at a time, unlike the files with one record. */
static gboolean
read_list (int fd, GString *text, GError **error)
{
  char page[8192];
  ssize_t n;
  while ((n = read (fd, page, sizeof page)) > 0 && text->len < PIDS_MAX)
    g_string_append_len (text, page, n);
  if (n == 0)
    return TRUE;
  if (n < 0 && errno == EOPNOTSUPP)
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, "the group has threads alone");
  else
    vj_error_set_errno (error, n < 0 ? errno : EFBIG, "cannot read cgroup.procs");
  return FALSE;
}

gboolean
vj_cgroup_read_processes (const VjCgroupReader *reader, const VjCgroup *group, GArray *ret_pids,
                          GError **error)
{
  g_array_set_size (ret_pids, 0);
  int fd = open_file (reader->cpu, group, "cgroup.procs", error);
  if (fd < 0)
    return FALSE;
  g_autoptr (GString) text = g_string_new (NULL);
  gboolean done = read_list (fd, text, error);
  close (fd);
  if (!done)
    return FALSE;
  return vj_process_text_parse_pids (text->str, text->len, ret_pids) || refuse (group, "cgroup.procs", error);
}
