/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt_watch.h"
#include "host/usage.h"

#include <glib-unix.h>
#include <stdio.h>

/* watch_print URI RUNDIR: prints a line for everything that a watch tells, until SIGTERM or SIGINT. */

static const VjRoots *roots;

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  g_autoptr (VjUsage) usage = info->pid > 0 ? vj_usage_open (roots, info->pid, NULL) : NULL;

  printf ("present %s %s %s pid=%d channel=%s usage=%s\n", info->uuid, info->name,
          vj_domain_state_name (info->state), info->pid, info->channel_path ? info->channel_path : "none",
          usage ? vj_scope_kind_name (vj_usage_kind (usage)) : "none");
}

static void
on_absent (const char *uuid, gpointer user_data)
{
  printf ("absent %s\n", uuid);
}

static void
on_listed (gpointer user_data)
{
  printf ("listed\n");
}

static void
on_connection (gboolean connected, const char *message, gpointer user_data)
{
  printf ("%s %s\n", connected ? "up" : "down", message);
}

static gboolean
on_signal (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  static const VjDomainListener listener = {
    .present = on_present, .absent = on_absent, .listed = on_listed, .connection = on_connection
  };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  VjRoots standard = { .procfs = (char *)"/proc", .cgroupfs = (char *)"/sys/fs/cgroup" };

  if (argc != 3)
    return 2;
  standard.libvirt_rundir = argv[2];
  roots = &standard;
  setvbuf (stdout, NULL, _IOLBF, 0);
  g_unix_signal_add (SIGTERM, on_signal, loop);
  g_unix_signal_add (SIGINT, on_signal, loop);
  vj_libvirt_watch_init ();
  VjLibvirtWatch *watch = vj_libvirt_watch_new (argv[1], roots, &listener, NULL);
  g_main_loop_run (loop);
  vj_libvirt_watch_free (watch);
  return 0;
}
