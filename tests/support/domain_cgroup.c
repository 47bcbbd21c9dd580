/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUPFS "/sys/fs/cgroup"

static gboolean
has_word (const char *path, const char *word)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  g_auto (GStrv) words = g_strsplit (g_strchomp (text), " ", -1);
  return g_strv_contains ((const char *const *)words, word);
}

static char *
find_parent (const char *controller)
{
  const char *v2 = strcmp (controller, "blkio") == 0 ? "io" : controller;
  g_autofree char *v1 = g_build_filename (CGROUPFS, controller, "cgroup.procs", NULL);

  if (has_word (CGROUPFS "/cgroup.subtree_control", v2))
    return g_strdup (CGROUPFS);
  return access (v1, F_OK) == 0 ? g_path_get_dirname (v1) : NULL;
}

char *
domain_cgroup_make (const char *controller, const char **ret_reason)
{
  static guint n;
  g_autofree char *name = g_strdup_printf ("qemu-%u-test%d.libvirt-qemu", ++n, getpid ());
  g_autofree char *parent = find_parent (controller);
  g_autofree char *path = parent ? g_build_filename (parent, name, NULL) : NULL;

  if (path && mkdir (path, 0755) == 0)
    return g_steal_pointer (&path);
  *ret_reason = path ? "no cgroup can be made here (root only)" : "no such cgroup controller here";
  return NULL;
}

gboolean
domain_cgroup_enter (const char *path, int pid)
{
  g_autofree char *procs = g_build_filename (path, "cgroup.procs", NULL);
  const int fd = open (procs, O_WRONLY | O_CLOEXEC);
  const gboolean done = fd >= 0 && dprintf (fd, "%d", pid) > 0;

  if (fd >= 0)
    close (fd);
  return done;
}

/* A grandchild may yet have to be reaped. */
void
domain_cgroup_remove (char *path)
{
  const gint64 deadline = g_get_monotonic_time () + 10 * (gint64)G_USEC_PER_SEC;

  while (rmdir (path) < 0 && errno == EBUSY && g_get_monotonic_time () < deadline)
    g_usleep (1000);
  g_free (path);
}
