/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/tree.h"

#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <glib-unix.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/error.h"

#define ROOT_ZONE "intel-rapl"

/* Inode numbers are computed, so that no table of nodes is needed: 1 the root, 2 intel-rapl, 3 intel-rapl/enabled, and
 * from ZONE_BASE on eight for each zone number. */
enum
{
  NODE_ROOT = FUSE_ROOT_ID,
  NODE_CONTROL,
  NODE_CONTROL_ENABLED,
  ZONE_BASE = 16,
};
enum
{
  KIND_DIR,
  KIND_NAME,
  KIND_ENERGY,
  KIND_RANGE,
  KIND_ENABLED,
  KIND_LINK,
  KINDS = 8,
  SUBS = 1024, /* more than VJ_FRAME_ZONES_MAX */
};

#define ENTRY_TIMEOUT_S 60.0 /* inodes never change their meaning */
#define ATTR_TIMEOUT_S  1.0

typedef struct
{
  char *dir;
  guint mode;
  GArray *zones; /* of VjTreeZone */
  gint64 updated_us;
  struct fuse_session *session; /* NULL: not mounted */
  struct fuse_buf buffer;
  guint source; /* GSource id of the session's fd */
} Fuse;

/* What one open file reads: generated anew at offset 0, so that a slow reader's value is of one piece. */
typedef struct
{
  gsize length;
  char text[VJ_ZONE_ID_MAX + 2];
} Snapshot;

typedef struct
{
  char name[32];
  fuse_ino_t node;
} Child;

static fuse_ino_t
zone_node (const VjTreeZone *zone, int kind)
{
  const int number = ZONE_BASE + (zone->package * SUBS + zone->sub + 1) * KINDS + kind;

  return (fuse_ino_t)number;
}

/* NULL: not a zone's node, or not known yet. */
static const VjTreeZone *
node_zone (const Fuse *fuse, fuse_ino_t node, int *ret_kind)
{
  if (node < ZONE_BASE)
    return NULL;
  *ret_kind = (int)((node - ZONE_BASE) % KINDS);
  for (guint i = 0; i < fuse->zones->len; i++)
    {
      const VjTreeZone *zone = &g_array_index (fuse->zones, VjTreeZone, i);
      if (zone_node (zone, *ret_kind) == node)
        return zone;
    }
  return NULL;
}

static void
add_child (GArray *children, const char *name, fuse_ino_t node)
{
  Child child = { .node = node };

  g_strlcpy (child.name, name, sizeof child.name);
  g_array_append_val (children, child);
}

static void
add_zones (const Fuse *fuse, GArray *children, int package, gboolean subs, gboolean packages, int kind)
{
  for (guint i = 0; i < fuse->zones->len; i++)
    {
      const VjTreeZone *zone = &g_array_index (fuse->zones, VjTreeZone, i);
      if ((package >= 0 && zone->package != package) || !(zone->sub < 0 ? packages : subs))
        continue;
      g_autofree char *link = vj_tree_zone_link (zone);
      add_child (children, link, zone_node (zone, kind));
    }
}

/* The entries of a directory, "." and ".." aside; NULL if node is none. New zones come last, so offsets stay valid. */
static GArray *
list_children (const Fuse *fuse, fuse_ino_t node)
{
  GArray *children = g_array_new (FALSE, FALSE, sizeof (Child));
  int kind;
  const VjTreeZone *zone = node_zone (fuse, node, &kind);

  if (node == NODE_ROOT)
    {
      add_child (children, ROOT_ZONE, NODE_CONTROL);
      add_zones (fuse, children, -1, TRUE, TRUE, KIND_LINK);
    }
  else if (node == NODE_CONTROL)
    {
      add_child (children, "enabled", NODE_CONTROL_ENABLED);
      add_zones (fuse, children, -1, FALSE, TRUE, KIND_DIR);
    }
  else if (zone != NULL && kind == KIND_DIR)
    {
      add_child (children, "name", zone_node (zone, KIND_NAME));
      add_child (children, "energy_uj", zone_node (zone, KIND_ENERGY));
      add_child (children, "max_energy_range_uj", zone_node (zone, KIND_RANGE));
      add_child (children, "enabled", zone_node (zone, KIND_ENABLED));
      if (zone->sub < 0)
        add_zones (fuse, children, zone->package, TRUE, FALSE, KIND_DIR);
    }
  else
    g_clear_pointer (&children, g_array_unref);
  return children;
}

static gboolean
fill_attr (const Fuse *fuse, fuse_ino_t node, struct stat *ret_attr)
{
  int kind = KIND_DIR;
  const VjTreeZone *zone = node_zone (fuse, node, &kind);

  if (zone == NULL && (node > NODE_CONTROL_ENABLED || node < NODE_ROOT))
    return FALSE;
  *ret_attr = (struct stat){ .st_ino = node,
                             .st_nlink = 1,
                             .st_uid = geteuid (),
                             .st_gid = getegid (),
                             .st_size = 4096, /* as in sysfs: what a read may give */
                             .st_mtim.tv_sec = fuse->updated_us / G_USEC_PER_SEC };
  if (node != NODE_CONTROL_ENABLED && kind == KIND_DIR)
    ret_attr->st_mode = S_IFDIR | 0755;
  else if (kind == KIND_LINK)
    ret_attr->st_mode = S_IFLNK | 0777;
  else
    ret_attr->st_mode = S_IFREG | (mode_t)fuse->mode;
  return TRUE;
}

static gboolean
fill_snapshot (const Fuse *fuse, fuse_ino_t node, Snapshot *snapshot)
{
  int kind = KIND_ENABLED;
  const VjTreeZone *zone = node_zone (fuse, node, &kind);
  int length = 0;

  if (zone == NULL && node != NODE_CONTROL_ENABLED)
    return FALSE;
  if (zone == NULL || kind == KIND_ENABLED)
    length = g_snprintf (snapshot->text, sizeof snapshot->text, "1\n");
  else if (kind == KIND_NAME)
    length = g_snprintf (snapshot->text, sizeof snapshot->text, "%s\n", zone->name);
  else if (kind == KIND_ENERGY)
    length = g_snprintf (snapshot->text, sizeof snapshot->text, "%" G_GUINT64_FORMAT "\n", zone->energy_uj);
  else
    length =
        g_snprintf (snapshot->text, sizeof snapshot->text, "%" G_GUINT64_FORMAT "\n", VJ_TREE_MAX_RANGE_UJ);
  snapshot->length = (gsize)length;
  return TRUE;
}

/* --- requests --------------------------------------------------------------------------------------------- */

static void
on_lookup (fuse_req_t request, fuse_ino_t parent, const char *name)
{
  const Fuse *fuse = fuse_req_userdata (request);
  g_autoptr (GArray) children = list_children (fuse, parent);
  struct fuse_entry_param entry = { .entry_timeout = ENTRY_TIMEOUT_S, .attr_timeout = ATTR_TIMEOUT_S };

  for (guint i = 0; children != NULL && i < children->len && entry.ino == 0; i++)
    if (strcmp (g_array_index (children, Child, i).name, name) == 0)
      entry.ino = g_array_index (children, Child, i).node;
  if (entry.ino != 0 && fill_attr (fuse, entry.ino, &entry.attr))
    fuse_reply_entry (request, &entry);
  else
    fuse_reply_err (request, ENOENT); /* not cached: a zone may appear */
}

static void
on_getattr (fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
  struct stat attr;

  if (fill_attr (fuse_req_userdata (request), node, &attr))
    fuse_reply_attr (request, &attr, ATTR_TIMEOUT_S);
  else
    fuse_reply_err (request, ENOENT);
}

static void
on_readlink (fuse_req_t request, fuse_ino_t node)
{
  int kind;
  const VjTreeZone *zone = node_zone (fuse_req_userdata (request), node, &kind);
  g_autofree char *target = zone != NULL && kind == KIND_LINK ? vj_tree_zone_path (zone) : NULL;

  if (target != NULL)
    fuse_reply_readlink (request, target);
  else
    fuse_reply_err (request, EINVAL);
}

static void
on_readdir (fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info)
{
  const Fuse *fuse = fuse_req_userdata (request);
  g_autoptr (GArray) children = list_children (fuse, node);
  g_autofree char *buffer = g_malloc (size);
  gsize used = 0;

  if (children == NULL)
    {
      fuse_reply_err (request, ENOTDIR);
      return;
    }
  for (gsize i = (gsize)offset; i < children->len + 2; i++)
    {
      const Child *child = i < 2 ? NULL : &g_array_index (children, Child, i - 2);
      struct stat attr = { .st_ino = node, .st_mode = S_IFDIR };
      if (child != NULL)
        fill_attr (fuse, child->node, &attr);
      const char *name = child != NULL ? child->name : i == 0 ? "." : "..";
      const gsize needed = fuse_add_direntry (request, buffer + used, size - used, name, &attr, (off_t)i + 1);
      if (needed > size - used)
        break;
      used += needed;
    }
  fuse_reply_buf (request, buffer, used);
}

static void
on_open (fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
  Snapshot *snapshot = g_new0 (Snapshot, 1);

  if ((info->flags & O_ACCMODE) != O_RDONLY || !fill_snapshot (fuse_req_userdata (request), node, snapshot))
    {
      g_free (snapshot);
      fuse_reply_err (request, EACCES);
      return;
    }
  info->direct_io = 1;
  info->fh = (guint64)(guintptr)snapshot;
  if (fuse_reply_open (request, info) < 0) /* interrupted: there will be no release */
    g_free (snapshot);
}

static void
on_read (fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info)
{
  Snapshot *snapshot = (Snapshot *)(guintptr)info->fh;

  if (offset == 0)
    fill_snapshot (fuse_req_userdata (request), node, snapshot);
  const gsize start = MIN ((gsize)offset, snapshot->length);
  fuse_reply_buf (request, snapshot->text + start, MIN (size, snapshot->length - start));
}

static void
on_release (fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
  g_free ((gpointer)(guintptr)info->fh);
  fuse_reply_err (request, 0);
}

/* --- the mount -------------------------------------------------------------------------------------------- */

static void
unmount (Fuse *fuse)
{
  if (fuse->session == NULL)
    return;
  g_clear_handle_id (&fuse->source, g_source_remove);
  fuse_session_unmount (fuse->session);
  g_clear_pointer (&fuse->session, fuse_session_destroy);
}

/* The request's work is done in the main loop: a single thread owns the values. */
static gboolean
session_readable (int fd, GIOCondition condition, gpointer user_data)
{
  Fuse *fuse = user_data;
  const int got = fuse_session_receive_buf (fuse->session, &fuse->buffer);

  if (got > 0)
    fuse_session_process_buf (fuse->session, &fuse->buffer);
  if (!fuse_session_exited (fuse->session) && (got > 0 || got == -EINTR || got == -EAGAIN))
    return G_SOURCE_CONTINUE;
  unmount (fuse); /* somebody unmounted it: the next update mounts it again */
  return G_SOURCE_REMOVE;
}

static gboolean
mount_tree (Fuse *fuse, GError **error)
{
  static const struct fuse_lowlevel_ops operations = {
    .lookup = on_lookup,
    .getattr = on_getattr,
    .readlink = on_readlink,
    .readdir = on_readdir,
    .open = on_open,
    .read = on_read,
    .release = on_release,
  };
  /* Others than root may look, as at a sysfs; only root may allow that without asking /etc/fuse.conf. */
  const char *options = geteuid () == 0
                            ? "ro,nosuid,nodev,noexec,fsname=virtjoule,default_permissions,allow_other"
                            : "ro,nosuid,nodev,noexec,fsname=virtjoule,default_permissions";
  char *argv[] = { (char *)"virtjoule-reader", (char *)"-o", (char *)options, NULL };
  struct fuse_args args = FUSE_ARGS_INIT (3, argv);

  fuse->session = fuse_session_new (&args, &operations, sizeof operations, fuse);
  fuse_opt_free_args (&args);
  if (fuse->session == NULL || fuse_session_mount (fuse->session, fuse->dir) != 0)
    {
      g_clear_pointer (&fuse->session, fuse_session_destroy);
      g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                   "cannot mount the tree at %s: is the fuse module loaded, and may this process mount?",
                   fuse->dir);
      return FALSE;
    }
  g_unix_set_fd_nonblocking (fuse_session_fd (fuse->session), TRUE, NULL);
  fuse->source = g_unix_fd_add (fuse_session_fd (fuse->session), G_IO_IN, session_readable, fuse);
  return TRUE;
}

static gboolean
fuse_update (gpointer backend, const VjTreeZone *zones, gsize n, GError **error)
{
  Fuse *fuse = backend;

  g_array_set_size (fuse->zones, 0);
  g_array_append_vals (fuse->zones, zones, (guint)n);
  fuse->updated_us = g_get_real_time ();
  return fuse->session != NULL || mount_tree (fuse, error);
}

static void
fuse_close (gpointer backend)
{
  Fuse *fuse = backend;

  unmount (fuse);
  free (fuse->buffer.mem);
  g_array_unref (fuse->zones);
  g_free (fuse->dir);
  g_free (fuse);
}

/* A reader that was killed leaves a mount which answers ENOTCONN. */
static void
remove_stale_mount (const char *dir)
{
  struct stat status;
  const char *argv[] = { "fusermount3", "-u", "-z", dir, NULL };

  if (stat (dir, &status) == 0 || errno != ENOTCONN || umount2 (dir, MNT_DETACH) == 0)
    return;
  g_spawn_sync (NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

static gboolean
is_fuse_mount (const char *dir)
{
  g_autofree char *parent = g_path_get_dirname (dir);
  struct stat inner, outer;
  struct statfs filesystem;

  return stat (dir, &inner) == 0 && stat (parent, &outer) == 0 && inner.st_dev != outer.st_dev
         && statfs (dir, &filesystem) == 0 && filesystem.f_type == FUSE_SUPER_MAGIC;
}

static gpointer
fuse_open_tree (const char *dir, guint mode, GError **error)
{
  remove_stale_mount (dir);
  if (g_mkdir_with_parents (dir, 0755) < 0)
    {
      vj_error_set_errno (error, errno, "cannot make %s to mount the tree on (see --tree)", dir);
      return NULL;
    }
  if (is_fuse_mount (dir))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_BUSY,
                   "%s is mounted by another process: end that reader, or give another --tree", dir);
      return NULL;
    }
  Fuse *fuse = g_new0 (Fuse, 1);
  fuse->dir = g_strdup (dir);
  fuse->mode = mode;
  fuse->zones = g_array_new (FALSE, FALSE, sizeof (VjTreeZone));
  return fuse;
}

const VjTreeBackend vj_tree_fuse = {
  .name = "fuse", .open = fuse_open_tree, .update = fuse_update, .close = fuse_close
};
