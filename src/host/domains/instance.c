/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"

struct VjInstance
{
  int lock_fd;
  char host_id[37];
  char boot_id[37];
};

static gboolean
make_directory (const char *path, GError **error)
{
  if (g_mkdir_with_parents (path, 0755) == 0)
    return TRUE;
  vj_error_set_errno (error, errno,
                      "cannot make directory %s (run as root, or set --runtime-dir and --state-dir)", path);
  return FALSE;
}

static void
set_busy (const char *runtime_dir, int fd, GError **error)
{
  char pid[24] = "";
  gsize length = 0;
  vj_file_pread (fd, pid, sizeof pid, &length, NULL);
  g_strchomp (pid);
  g_set_error (error, VJ_ERROR, VJ_ERROR_BUSY,
               "another virtjouled (pid %s) uses %s: stop it, or give this one a --runtime-dir of its own",
               pid[0] != '\0' ? pid : "unknown", runtime_dir);
}

static int
take_lock (const char *runtime_dir, GError **error)
{
  g_autofree char *path = g_build_filename (runtime_dir, "lock", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0)
    {
      vj_error_set_errno (error, errno, "cannot write in the runtime directory %s", runtime_dir);
      return -1;
    }
  if (flock (fd, LOCK_EX | LOCK_NB) != 0)
    {
      set_busy (runtime_dir, fd, error);
      close (fd);
      return -1;
    }
  g_autofree char *pid = g_strdup_printf ("%d\n", (int)getpid ());
  if (ftruncate (fd, 0) != 0 || pwrite (fd, pid, strlen (pid), 0) < 0)
    errno = 0; /* the lock holds all the same; only the message of a second agent would lack the pid */
  return fd;
}

static gboolean
find_host_id (VjInstance *instance, const char *state_dir, GError **error)
{
  gsize length = 0;
  g_autofree char *text = vj_file_read (state_dir, "host-id", 64, &length, NULL);
  if (text != NULL && g_uuid_string_is_valid (g_strchomp (text)))
    {
      g_strlcpy (instance->host_id, text, sizeof instance->host_id);
      return TRUE;
    }
  g_autofree char *fresh = g_uuid_string_random ();
  g_autofree char *line = g_strconcat (fresh, "\n", NULL);
  g_strlcpy (instance->host_id, fresh, sizeof instance->host_id);
  return vj_file_replace (state_dir, "host-id", line, strlen (line), 0644, error);
}

static gboolean
find_boot_id (VjInstance *instance, GError **error)
{
  sd_id128_t id;
  int result = sd_id128_get_boot (&id);
  if (result < 0)
    {
      vj_error_set_errno (error, -result, "cannot read the kernel's boot id");
      return FALSE;
    }
  sd_id128_to_uuid_string (id, instance->boot_id);
  return TRUE;
}

VjInstance *
vj_instance_open (const char *runtime_dir, const char *state_dir, GError **error)
{
  if (!make_directory (runtime_dir, error) || !make_directory (state_dir, error))
    return NULL;
  g_autoptr (VjInstance) instance = g_new0 (VjInstance, 1);
  instance->lock_fd = take_lock (runtime_dir, error);
  if (instance->lock_fd < 0)
    return NULL;
  if (!find_host_id (instance, state_dir, error) || !find_boot_id (instance, error))
    return NULL;
  return g_steal_pointer (&instance);
}

void
vj_instance_free (VjInstance *instance)
{
  if (instance == NULL)
    return;
  if (instance->lock_fd >= 0)
    close (instance->lock_fd);
  g_free (instance);
}
const char *
vj_instance_host_id (const VjInstance *instance)
{
  return instance->host_id;
}

const char *
vj_instance_boot_id (const VjInstance *instance)
{
  return instance->boot_id;
}
