/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/notes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

/* Entries of one look; whoever leaves more waits for the next one. */
#define LOOK_ENTRIES 1024
/* A directory that cannot be made anew is tried again after this. */
#define RETRY_US ((gint64)10 * G_USEC_PER_SEC)

/* What inotify says is only that there is something: the directory itself says what. So neither a queue that overflows nor
 * two notes of one name lose anything. */
struct VjNotes
{
  GSource source; /* first: a VjNotes is its GSource, which GLib keeps alive while it is dispatched */
  int inotify_fd;
  int watch; /* of the directory; -1: it has gone */
  char *directory;
  VjNotesFunc func;
  gpointer user_data;
};

static const char *const managers[] = { "libvirt", "proxmox" };

typedef struct
{
  guint notes[G_N_ELEMENTS (managers)];
  guint removed;
  gboolean more;
} Look;

/* What comes after the manager's name is for whoever lists the directory. */
static void
count_note (Look *look, const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (managers); i++)
    {
      const gsize length = strlen (managers[i]);

      if (strncmp (name, managers[i], length) == 0 && name[length] == '.')
        look->notes[i]++;
    }
}

/* Whatever it is, it is removed by its name and never opened. FALSE: it stays (a directory that is not empty). */
static gboolean
remove_entry (int directory_fd, const char *name)
{
  return unlinkat (directory_fd, name, 0) == 0 || unlinkat (directory_fd, name, AT_REMOVEDIR) == 0;
}

static void
look_into (const VjNotes *notes, Look *look)
{
  const int fd = open (notes->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  const struct dirent *entry;
  guint entries = 0;

  if (directory == NULL)
    {
      if (fd >= 0)
        close (fd);
      return;
    }
  while ((entry = readdir (directory)) != NULL && entries < LOOK_ENTRIES)
    {
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      entries++;
      if (!remove_entry (fd, entry->d_name))
        continue;
      look->removed++;
      count_note (look, entry->d_name);
    }
  /* What cannot be removed must not make the loop turn for ever. */
  look->more = entry != NULL && look->removed > 0;
  closedir (directory);
}

static void
tell_everything (VjNotes *notes)
{
  for (gsize i = 0; i < G_N_ELEMENTS (managers) && !g_source_is_destroyed (&notes->source); i++)
    notes->func (managers[i], 0, notes->user_data);
}

static void
tell (VjNotes *notes, const Look *look)
{
  for (gsize i = 0; i < G_N_ELEMENTS (managers) && !g_source_is_destroyed (&notes->source); i++)
    if (look->notes[i] > 0)
      notes->func (managers[i], look->notes[i], notes->user_data);
}

/* Sets watch on the directory, which is made if need be. */
static gboolean
watch_directory (VjNotes *notes, GError **error)
{
  if (mkdir (notes->directory, 0700) != 0 && errno != EEXIST)
    {
      vj_error_set_errno (error, errno, "cannot make the directory for notes of hooks, %s", notes->directory);
      return FALSE;
    }
  notes->watch = inotify_add_watch (notes->inotify_fd, notes->directory,
                                    IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
                                        | IN_DONT_FOLLOW);
  if (notes->watch < 0)
    {
      vj_error_set_errno (error, errno, "cannot watch the directory for notes of hooks, %s",
                          notes->directory);
      return FALSE;
    }
  return TRUE;
}

/* The directory was removed or renamed: a new one takes its place. */
static void
watch_again (VjNotes *notes)
{
  if (notes->watch >= 0)
    inotify_rm_watch (notes->inotify_fd, notes->watch);
  notes->watch = -1;
  if (watch_directory (notes, NULL))
    tell_everything (notes);
  else
    g_source_set_ready_time (&notes->source, g_source_get_time (&notes->source) + RETRY_US);
}

/* Takes one buffer of events; level-triggered, so what is left wakes again. FALSE: the directory has gone. */
static gboolean
take_events (const VjNotes *notes)
{
  _Alignas(struct inotify_event) char buffer[16 * 1024];
  const gssize length = read (notes->inotify_fd, buffer, sizeof buffer);
  gboolean there = TRUE;

  for (gssize at = 0; at < length;)
    {
      const struct inotify_event *event = (const struct inotify_event *)(gpointer)(buffer + at);

      if (event->wd == notes->watch
          && event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
        there = FALSE;
      at += (gssize)(sizeof *event + event->len);
    }
  return there;
}

static gboolean
notes_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  VjNotes *notes = (VjNotes *)source;
  Look look = { .removed = 0 };

  g_source_set_ready_time (source, -1);
  if (!take_events (notes) || notes->watch < 0)
    watch_again (notes);
  if (g_source_is_destroyed (source))
    return G_SOURCE_REMOVE;
  look_into (notes, &look);
  if (look.more)
    g_source_set_ready_time (source, 0);
  tell (notes, &look);
  return G_SOURCE_CONTINUE;
}

static void
notes_finalize (GSource *source)
{
  VjNotes *notes = (VjNotes *)source;

  if (notes->inotify_fd >= 0)
    close (notes->inotify_fd);
  g_free (notes->directory);
}

static void
remove_old (const VjNotes *notes)
{
  Look look;

  do
    {
      look = (Look){ .removed = 0 };
      look_into (notes, &look);
    }
  while (look.more);
}

VjNotes *
vj_notes_open (const char *runtime_dir, VjNotesFunc func, gpointer user_data, GError **error)
{
  /* GLib wants them writable, and never writes. */
  static GSourceFuncs funcs = { .dispatch = notes_dispatch, .finalize = notes_finalize };
  g_autoptr (VjNotes) notes = (VjNotes *)g_source_new (&funcs, sizeof (VjNotes));

  notes->directory = g_build_filename (runtime_dir, VJ_NOTES_DIRECTORY, NULL);
  notes->func = func;
  notes->user_data = user_data;
  notes->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (notes->inotify_fd < 0)
    {
      vj_error_set_errno (error, errno, "cannot make an inotify instance for notes of hooks");
      return NULL;
    }
  if (!watch_directory (notes, error))
    return NULL;
  if (chmod (notes->directory, 0700) != 0)
    {
      vj_error_set_errno (error, errno, "cannot close the directory for notes of hooks, %s",
                          notes->directory);
      return NULL;
    }
  remove_old (notes);
  g_source_set_static_name (&notes->source, "VjNotes");
  g_source_add_unix_fd (&notes->source, notes->inotify_fd, G_IO_IN);
  g_source_attach (&notes->source, NULL);
  return g_steal_pointer (&notes);
}

void
vj_notes_free (VjNotes *notes)
{
  if (notes == NULL)
    return;
  g_source_destroy (&notes->source);
  g_source_unref (&notes->source);
}
