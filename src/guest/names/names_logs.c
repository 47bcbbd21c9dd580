/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/names_logs.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/error.h"
#include "guest/names/names_text.h"

#define RESCAN_S    60
#define ENTRIES_MAX 20000 /* of one directory */
#define WATCHED     (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

typedef struct
{
  char *path;
  int watch; /* -1: not there */
  void (*take) (VjNamesLogs *logs, const char *name);
} Directory;

struct VjNamesLogs
{
  VjNames *names;
  Directory pods;
  Directory containers;
  int inotify_fd;
  guint source;
  guint rescan_source;
};

static void
take_pod (VjNamesLogs *logs, const char *name)
{
  g_auto (GStrv) parts = vj_names_parse_pod_directory (name);
  if (parts != NULL)
    vj_names_put_pod (logs->names, VJ_NAMES_LOGS, parts[2],
                      &(VjPodName){ .namespace_ = parts[0], .name = parts[1] });
}

/* The link leads to .../pods/NAMESPACE_POD_UID/CONTAINER/N.log: whose container it is. What it says must agree with its name. */
static char *
pod_uid_of (const VjNamesLogs *logs, const char *link, char *const *parts)
{
  g_autofree char *path = g_build_filename (logs->containers.path, link, NULL);
  g_autofree char *target = g_file_read_link (path, NULL);
  g_auto (GStrv) steps = target != NULL ? g_strsplit (target, "/", -1) : NULL;
  for (guint i = 0; steps != NULL && steps[i] != NULL; i++)
    {
      g_auto (GStrv) pod = vj_names_parse_pod_directory (steps[i]);
      if (pod != NULL && strcmp (pod[0], parts[1]) == 0 && strcmp (pod[1], parts[0]) == 0)
        return g_strdup (pod[2]);
    }
  return NULL;
}

static void
take_container (VjNamesLogs *logs, const char *name)
{
  g_auto (GStrv) parts = vj_names_parse_log_link (name);
  if (parts == NULL)
    return;
  g_autofree char *uid = pod_uid_of (logs, name, parts);
  vj_names_put_container (logs->names, VJ_NAMES_LOGS, parts[3],
                          &(VjContainerName){ .name = parts[2], .pod_uid = uid });
  if (uid != NULL)
    vj_names_put_pod (logs->names, VJ_NAMES_LOGS, uid,
                      &(VjPodName){ .namespace_ = parts[1], .name = parts[0] });
}

static void
scan (VjNamesLogs *logs, const Directory *directory)
{
  g_autoptr (GDir) entries = g_dir_open (directory->path, 0, NULL);
  const char *name;
  for (guint i = 0; entries != NULL && i < ENTRIES_MAX && (name = g_dir_read_name (entries)) != NULL; i++)
    directory->take (logs, name);
}

/* Watched first, so that nothing comes unseen in between. */
static void
look (VjNamesLogs *logs, Directory *directory)
{
  directory->watch = inotify_add_watch (logs->inotify_fd, directory->path, WATCHED);
  scan (logs, directory);
}

static gboolean
on_rescan (gpointer user_data)
{
  VjNamesLogs *logs = user_data;
  look (logs, &logs->pods);
  look (logs, &logs->containers);
  return G_SOURCE_CONTINUE;
}

static void
take_event (VjNamesLogs *logs, const struct inotify_event *event)
{
  if ((event->mask & IN_Q_OVERFLOW) != 0)
    on_rescan (logs);
  else if (event->len > 0 && event->wd == logs->pods.watch)
    take_pod (logs, event->name);
  else if (event->len > 0 && event->wd == logs->containers.watch)
    take_container (logs, event->name);
}

static gboolean
on_inotify (int fd, GIOCondition condition, gpointer user_data)
{
  _Alignas(struct inotify_event) char buffer[8192];
  ssize_t n = read (fd, buffer, sizeof buffer);
  for (const char *p = buffer; n > 0 && p < buffer + n;)
    {
      const struct inotify_event *event = (const struct inotify_event *)(const void *)p;
      take_event (user_data, event);
      p += sizeof *event + event->len;
    }
  return G_SOURCE_CONTINUE;
}

VjNamesLogs *
vj_names_logs_new (const char *log_dir, VjNames *names, GError **error)
{
  int fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0)
    {
      vj_error_set_errno (error, errno,
                          "cannot watch %s (raise fs.inotify.max_user_instances if it is used up)", log_dir);
      return NULL;
    }
  VjNamesLogs *logs = g_new0 (VjNamesLogs, 1);
  logs->names = names;
  logs->inotify_fd = fd;
  logs->pods = (Directory){ .path = g_build_filename (log_dir, "pods", NULL), .take = take_pod };
  logs->containers =
      (Directory){ .path = g_build_filename (log_dir, "containers", NULL), .take = take_container };
  on_rescan (logs);
  logs->source = g_unix_fd_add (fd, G_IO_IN, on_inotify, logs);
  logs->rescan_source = g_timeout_add_seconds (RESCAN_S, on_rescan, logs);
  return logs;
}

void
vj_names_logs_free (VjNamesLogs *logs)
{
  if (logs == NULL)
    return;
  g_source_remove (logs->source);
  g_source_remove (logs->rescan_source);
  close (logs->inotify_fd);
  g_free (logs->pods.path);
  g_free (logs->containers.path);
  g_free (logs);
}
