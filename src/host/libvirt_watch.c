/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt_watch.h"

#include "host/libvirt_connection.h"

#define RESCAN_S          60
#define RETRY_MIN_S       1
#define RETRY_MAX_S       30
#define CLOSE_MS          300 /* of the 2 s that SIGTERM may take */
#define DOMAINS_PER_FETCH 32  /* bounds what one answer adds to one iteration of the main loop */

struct VjLibvirtWatch
{
  char *uri;
  VjRoots roots;
  const VjDomainListener *listener;
  gpointer user_data;
  VjLibvirtConnection *connection; /* NULL while waiting for the next attempt */
  GHashTable *known;               /* UUID -> ID of the run: told to be present, and not yet absent */
  GHashTable *dirty;               /* UUIDs of which something happened since they were last asked for */
  GHashTable *undefined;           /* UUIDs to forget once they do not run */
  gboolean connected;              /* the first list has come */
  gboolean list_due;
  gboolean listed_due;
  char *complaint; /* each is made once */
  guint retry_s;
  guint retry_source;
  guint rescan_source;
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
  GPtrArray *uuids = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer uuid;

  g_hash_table_iter_init (&iter, watch->dirty);
  while (uuids->len < DOMAINS_PER_FETCH && g_hash_table_iter_next (&iter, &uuid, NULL))
    {
      g_ptr_array_add (uuids, uuid);
      g_hash_table_iter_steal (&iter);
    }
  vj_libvirt_connection_fetch (watch->connection, uuids);
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
      g_hash_table_replace (watch->known, g_strdup (info->uuid), id_pointer (findings[i].id));
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

static gboolean
on_rescan (gpointer watch)
{
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
  watch->retry_s = RETRY_MIN_S;
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
  if (watch->connection)
    vj_libvirt_connection_close_and_wait (watch->connection, CLOSE_MS);
  g_hash_table_unref (watch->known);
  g_hash_table_unref (watch->dirty);
  g_hash_table_unref (watch->undefined);
  g_free (watch->complaint);
  g_free (watch->uri);
  vj_roots_clear (&watch->roots);
  g_free (watch);
}

void
vj_libvirt_watch_poke (VjLibvirtWatch *watch)
{
  look_again (watch);
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
