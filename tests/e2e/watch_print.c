/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_watch.h"
#include "host/usage/usage.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

/* watch_print URI RUNDIR: prints a line for everything that a watch tells, until SIGTERM or SIGINT. */

static const VjRoots *roots;

static void
print_settings (const VjDomainInfo *info)
{
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    {
      g_autofree char *value = vj_domain_settings_text (&info->settings, (VjSetting)i);

      if (info->settings.said[i])
        printf (" %s=%s", vj_setting_name ((VjSetting)i), value);
    }
  if (info->settings_problem)
    printf (" (%s)", info->settings_problem);
}

static const char *
channel_of (const VjDomainInfo *info)
{
  if (info->channel_connects)
    return "connects";
  return info->channel_path ? info->channel_path : "none";
}

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  g_autoptr (VjUsage) usage = info->pid > 0 ? vj_usage_open (roots, info->pid, NULL) : NULL;

  printf ("present %s %s %s pid=%d channel=%s usage=%s", info->uuid, info->name,
          vj_domain_state_name (info->state), info->pid, channel_of (info),
          usage ? vj_scope_kind_name (vj_usage_kind (usage)) : "none");
  print_settings (info);
  printf ("\n");
}

static void
on_absent (const char *uuid, gpointer user_data)
{
  printf ("absent %s\n", uuid);
}

static void
on_ending (const char *uuid, gpointer user_data)
{
  printf ("ending %s\n", uuid);
}

static void
on_forgotten (const char *uuid, gpointer user_data)
{
  printf ("forgotten %s\n", uuid);
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
  static const VjDomainListener listener = { on_present,   on_absent, on_ending,
                                             on_forgotten, on_listed, on_connection };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  VjRoots standard = { .procfs = (char *)"/proc", .cgroupfs = (char *)"/sys/fs/cgroup" };

  if (argc != 3)
    return 2;
  standard.libvirt_rundir = argv[2];
  roots = &standard;
  /* As GIO's sockets have it in the agent: libvirtd may be gone when it is asked. */
  signal (SIGPIPE, SIG_IGN);
  setvbuf (stdout, NULL, _IOLBF, 0);
  g_unix_signal_add (SIGTERM, on_signal, loop);
  g_unix_signal_add (SIGINT, on_signal, loop);
  vj_libvirt_watch_init ();
  VjLibvirtWatch *watch = vj_libvirt_watch_new (argv[1], roots, &listener, NULL);
  g_main_loop_run (loop);
  vj_libvirt_watch_free (watch);
  return 0;
}
