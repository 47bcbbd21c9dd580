/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_watch.h"

#include "common/clock.h"
#include "common/units.h"
#include "host/libvirt/libvirt_connection.h"
#include "host/qemu/pidfile_watch.h"

#define RESCAN_S          60
#define RETRY_MIN_S       1
#define RETRY_MAX_S       30
#define CLOSE_MS          300 /* of the 2 s that SIGTERM may take */
#define DOMAINS_PER_FETCH 32  /* bounds what one answer adds to one iteration of the main loop */
#define POKE_GAP_US       (200 * VJ_US_PER_MS)
/* A start whose pid file has come and that libvirt cannot tell of yet is asked for so often, unless too many start at once:
 * an event will tell of it later. */
#define START_LOOKS   5
#define START_LOOK_MS 200
#define STARTS_MAX    1024

struct VjLibvirtWatch
{
  char *uri;
  VjRoots roots;
  const VjDomainListener *listener;
  gpointer user_data;
  VjLibvirtConnection *connection; /* NULL while waiting for the next attempt */
  GHashTable *known;  /* UUID -> ID of the run, -1 without its process: told, and not yet absent */
  GHashTable *dirty;  /* UUIDs, and :NAMEs, of which something happened since they were last asked for */
  GHashTable *starts; /* :NAME -> looks left: its pid file came, and it has not been told with its process */
  GHashTable *undefined; /* UUIDs to forget once they do not run */
  gboolean connected;    /* the first list has come */
  gboolean list_due;
  gboolean listed_due;
  char *complaint; /* each is made once */
  guint retry_s;
  guint retry_source;
  guint rescan_source;
  guint poke_source;
  guint start_source;
  guint64 poked_us; /* when the last poke was a look */
  VjPoll *poll;
  VjPidfileWatch *pid_files; /* NULL: events alone tell of a start */
};

static void open_connection (VjLibvirtWatch *watch);

/* Domain-0 of Xen has ID 0, which must differ from "not in the table". */
static gpointer
id_pointer (int id)
{
  return GINT_TO_POINTER (id + 1);
}

static void
ask_for_some (VjLibvirtWatch *watch)
{
  GPtrArray *keys = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, watch->dirty);
  while (keys->len < DOMAINS_PER_FETCH && g_hash_table_iter_next (&iter, &key, NULL))
    {
      g_ptr_array_add (keys, key);
      g_hash_table_iter_steal (&iter);
    }
  vj_libvirt_connection_fetch (watch->connection, keys);
}

/* Asks the next question, if there is one and no other is pending. Events that come meanwhile add up to one. */
static void
proceed (VjLibvirtWatch *watch)
{
  if (vj_libvirt_connection_is_busy (watch->connection))
    return;
  if (watch->list_due)
    {
      watch->list_due = FALSE;
      vj_libvirt_connection_list (watch->connection);
      return;
    }
  if (g_hash_table_size (watch->dirty) > 0)
    {
      ask_for_some (watch);
      return;
    }
  if (watch->listed_due)
    {
      watch->listed_due = FALSE;
      watch->listener->listed (watch->user_data);
    }
}

static gboolean
on_retry (gpointer data)
{
  VjLibvirtWatch *watch = data;

  watch->retry_source = 0;
  open_connection (watch);
  return G_SOURCE_REMOVE;
}

/* No domain is told to be absent: they go on without libvirtd, and so must their counters. Takes the complaint. */
static void
give_up (VjLibvirtWatch *watch, char *complaint)
{
  g_autofree char *last = g_steal_pointer (&watch->complaint);

  g_clear_pointer (&watch->connection, vj_libvirt_connection_close);
  g_hash_table_remove_all (watch->dirty);
  watch->connected = FALSE;
  watch->list_due = FALSE;
  watch->listed_due = FALSE;
  watch->retry_source = g_timeout_add_seconds (watch->retry_s, on_retry, watch);
  watch->retry_s = MIN (watch->retry_s * 2, RETRY_MAX_S);
  watch->complaint = complaint;
  if (g_strcmp0 (last, complaint) != 0)
    watch->listener->connection (FALSE, complaint, watch->user_data);
}

static void
on_opened (const char *error, gpointer user_data)
{
  VjLibvirtWatch *watch = user_data;

  if (error)
    {
      give_up (watch, g_strdup_printf ("cannot connect to %s: %s; start libvirtd or correct --libvirt-uri "
                                       "(none: measure the host without domains); trying again",
                                       watch->uri, error));
      return;
    }
  watch->list_due = TRUE;
  proceed (watch);
}

static void
on_lost (const char *reason, gpointer user_data)
{
  VjLibvirtWatch *watch = user_data;

  give_up (watch, g_strdup_printf ("lost the connection to %s: %s; domains known so far stay, reconnecting",
                                   watch->uri, reason));
}

static void
report_absent (VjLibvirtWatch *watch, const char *uuid)
{
  if (g_hash_table_remove (watch->known, uuid))
    watch->listener->absent (uuid, watch->user_data);
}

/* libvirt says that it does not run. */
static void
report_rest (VjLibvirtWatch *watch, const char *uuid)
{
  report_absent (watch, uuid);
  if (g_hash_table_remove (watch->undefined, uuid) && watch->listener->forgotten)
    watch->listener->forgotten (uuid, watch->user_data);
}

/* Whatever happened, the domain is asked for again; an answer that is still under way is void from here on. */
static void
on_happened (const char *uuid, VjLibvirtEvent event, gpointer user_data)
{
  VjLibvirtWatch *watch = user_data;

  g_hash_table_add (watch->dirty, g_strdup (uuid));
  if (event == VJ_LIBVIRT_UNDEFINED)
    g_hash_table_add (watch->undefined, g_strdup (uuid));
  if (event == VJ_LIBVIRT_DEFINED)
    g_hash_table_remove (watch->undefined, uuid);
  if (event == VJ_LIBVIRT_ENDING && g_hash_table_contains (watch->known, uuid) && watch->listener->ending)
    watch->listener->ending (uuid, watch->user_data);
  if (event == VJ_LIBVIRT_STOPPED)
    report_absent (watch, uuid);
  proceed (watch);
}

static void
report_connected (VjLibvirtWatch *watch)
{
  g_autofree char *message = g_strdup_printf ("connected to %s", watch->uri);

  watch->connected = TRUE;
  watch->listed_due = TRUE;
  watch->retry_s = RETRY_MIN_S;
  g_clear_pointer (&watch->complaint, g_free);
  watch->listener->connection (TRUE, message, watch->user_data);
}

static void
report_missing (VjLibvirtWatch *watch, GHashTable *active)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, watch->known);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      g_autofree char *uuid = NULL;

      if (g_hash_table_contains (active, key))
        continue;
      uuid = g_strdup (key);
      g_hash_table_iter_remove (&iter);
      watch->listener->absent (uuid, watch->user_data);
    }
}

/* Of domains that were undefined, and ended while nobody told. */
static void
ask_for_undefined (VjLibvirtWatch *watch, GHashTable *active)
{
  GHashTableIter iter;
  gpointer uuid;

  g_hash_table_iter_init (&iter, watch->undefined);
  while (g_hash_table_iter_next (&iter, &uuid, NULL))
    if (!g_hash_table_contains (active, uuid))
      g_hash_table_add (watch->dirty, g_strdup (uuid));
}

/* The first list of a connection asks for every domain; a rescan only for those of which no event has told. */
static void
on_listed (const VjLibvirtFinding *findings, guint n_findings, const char *error, gpointer user_data)
{
  VjLibvirtWatch *watch = user_data;
  g_autoptr (GHashTable) active = g_hash_table_new (g_str_hash, g_str_equal);

  if (error)
    {
      give_up (watch, g_strdup_printf ("cannot list the domains of %s: %s; trying again", watch->uri, error));
      return;
    }

  for (guint i = 0; i < n_findings; i++)
    {
      const char *uuid = findings[i].info.uuid;

      g_hash_table_add (active, (gpointer)uuid);
      if (!watch->connected || g_hash_table_lookup (watch->known, uuid) != id_pointer (findings[i].id))
        g_hash_table_add (watch->dirty, g_strdup (uuid));
    }
  if (!watch->connected)
    report_connected (watch);
  report_missing (watch, active);
  ask_for_undefined (watch, active);
  proceed (watch);
}

static void
end_start (VjLibvirtWatch *watch, const VjDomainInfo *info)
{
  g_autofree char *key = g_strconcat (":", info->name, NULL);

  if (info->pid != 0)
    g_hash_table_remove (watch->starts, key);
}

/* As long as its process is not known, every list asks for it again. */
static void
set_known (VjLibvirtWatch *watch, const VjLibvirtFinding *finding)
{
  const int id = finding->info.pid != 0 ? finding->id : -1;

  g_hash_table_replace (watch->known, g_strdup (finding->info.uuid), id_pointer (id));
}

static void
on_fetched (const VjLibvirtFinding *findings, guint n_findings, gpointer user_data)
{
  VjLibvirtWatch *watch = user_data;

  for (guint i = 0; i < n_findings; i++)
    {
      const VjDomainInfo *info = &findings[i].info;

      if (!findings[i].known || g_hash_table_contains (watch->dirty, info->uuid))
        continue;
      if (findings[i].id < 0)
        {
          report_rest (watch, info->uuid);
          continue;
        }
      set_known (watch, &findings[i]);
      end_start (watch, info);
      watch->listener->present (info, watch->user_data);
    }
  proceed (watch);
}

static void
open_connection (VjLibvirtWatch *watch)
{
  static const VjLibvirtConnectionFuncs funcs = { on_opened, on_listed, on_fetched, on_happened, on_lost };

  watch->connection = vj_libvirt_connection_open (watch->uri, &watch->roots, &funcs, watch);
}

static void
look_again (VjLibvirtWatch *watch)
{
  if (!watch->connected)
    return;
  watch->list_due = TRUE;
  proceed (watch);
}

static void
look_at_start (VjLibvirtWatch *watch, const char *key)
{
  if (!watch->connection)
    return;
  g_hash_table_add (watch->dirty, g_strdup (key));
  proceed (watch);
}

static gboolean
on_start_due (gpointer data)
{
  VjLibvirtWatch *watch = data;
  GHashTableIter iter;
  gpointer key;
  gpointer left;

  g_hash_table_iter_init (&iter, watch->starts);
  while (g_hash_table_iter_next (&iter, &key, &left))
    {
      look_at_start (watch, key);
      if (GPOINTER_TO_UINT (left) > 1)
        g_hash_table_iter_replace (&iter, GUINT_TO_POINTER (GPOINTER_TO_UINT (left) - 1));
      else
        g_hash_table_iter_remove (&iter);
    }
  if (g_hash_table_size (watch->starts) > 0)
    return G_SOURCE_CONTINUE;
  watch->start_source = 0;
  return G_SOURCE_REMOVE;
}

static void
look_at_known (VjLibvirtWatch *watch)
{
  GHashTableIter iter;
  gpointer uuid;

  g_hash_table_iter_init (&iter, watch->known);
  while (watch->connected && g_hash_table_iter_next (&iter, &uuid, NULL))
    g_hash_table_add (watch->dirty, g_strdup (uuid));
}

/* QEMU has been forked, and libvirt tells of it only when its guest is about to run: seconds later, perhaps. */
static void
on_pid_file (const char *name, gpointer user_data)
{
  VjLibvirtWatch *watch = user_data;

  if (!name)
    look_at_known (watch);
  if (!name || g_hash_table_size (watch->starts) >= STARTS_MAX)
    {
      vj_libvirt_watch_poke (watch);
      return;
    }
  g_autofree char *key = g_strconcat (":", name, NULL);
  look_at_start (watch, key);
  g_hash_table_insert (watch->starts, g_steal_pointer (&key), GUINT_TO_POINTER (START_LOOKS));
  if (!watch->start_source)
    watch->start_source = g_timeout_add (START_LOOK_MS, on_start_due, watch);
}

static void
open_pid_files (VjLibvirtWatch *watch)
{
  watch->poll = watch->roots.libvirt_rundir ? vj_poll_new (NULL, NULL) : NULL;
  if (watch->poll)
    watch->pid_files =
        vj_pidfile_watch_new (watch->poll, watch->roots.libvirt_rundir, on_pid_file, watch, NULL);
}

static gboolean
on_rescan (gpointer data)
{
  VjLibvirtWatch *watch = data;

  if (watch->pid_files)
    vj_pidfile_watch_retry (watch->pid_files);
  look_again (watch);
  return G_SOURCE_CONTINUE;
}

void
vj_libvirt_watch_init (void)
{
  vj_libvirt_connection_init ();
}

VjLibvirtWatch *
vj_libvirt_watch_new (const char *uri, const VjRoots *roots, const VjDomainListener *listener,
                      gpointer user_data)
{
  VjLibvirtWatch *watch = g_new0 (VjLibvirtWatch, 1);

  watch->uri = g_strdup (uri);
  watch->roots.procfs = g_strdup (roots->procfs);
  watch->roots.libvirt_rundir = g_strdup (roots->libvirt_rundir);
  watch->listener = listener;
  watch->user_data = user_data;
  watch->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  watch->dirty = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  watch->undefined = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  watch->starts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  watch->retry_s = RETRY_MIN_S;
  open_pid_files (watch);
  watch->rescan_source = g_timeout_add_seconds (RESCAN_S, on_rescan, watch);
  open_connection (watch);
  return watch;
}

void
vj_libvirt_watch_free (VjLibvirtWatch *watch)
{
  if (!watch)
    return;
  g_clear_handle_id (&watch->retry_source, g_source_remove);
  g_source_remove (watch->rescan_source);
  g_clear_handle_id (&watch->poke_source, g_source_remove);
  g_clear_handle_id (&watch->start_source, g_source_remove);
  vj_pidfile_watch_free (watch->pid_files);
  vj_poll_free (watch->poll);
  if (watch->connection)
    vj_libvirt_connection_close_and_wait (watch->connection, CLOSE_MS);
  g_hash_table_unref (watch->known);
  g_hash_table_unref (watch->dirty);
  g_hash_table_unref (watch->undefined);
  g_hash_table_unref (watch->starts);
  g_free (watch->complaint);
  g_free (watch->uri);
  vj_roots_clear (&watch->roots);
  g_free (watch);
}

static gboolean
on_poke_due (gpointer data)
{
  VjLibvirtWatch *watch = data;

  watch->poke_source = 0;
  watch->poked_us = vj_clock_monotonic_us ();
  look_again (watch);
  return G_SOURCE_REMOVE;
}

/* The first is a look at once; those that follow closely are one together. */
static void
schedule_look (VjLibvirtWatch *watch)
{
  const guint64 now_us = vj_clock_monotonic_us ();
  const guint64 due_us = watch->poked_us + POKE_GAP_US;

  if (watch->poke_source)
    return;
  if (watch->poked_us == 0 || due_us <= now_us)
    on_poke_due (watch);
  else
    watch->poke_source = g_timeout_add ((guint)((due_us - now_us) / VJ_US_PER_MS), on_poke_due, watch);
}

void
vj_libvirt_watch_poke (VjLibvirtWatch *watch)
{
  schedule_look (watch);
  if (!watch->retry_source || watch->retry_s == RETRY_MIN_S)
    return;
  g_source_remove (watch->retry_source);
  watch->retry_s = RETRY_MIN_S;
  watch->retry_source = g_timeout_add_seconds (watch->retry_s, on_retry, watch);
}

gboolean
vj_libvirt_watch_is_connected (const VjLibvirtWatch *watch)
{
  return watch->connected;
}
