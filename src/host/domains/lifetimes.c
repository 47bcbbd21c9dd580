/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/lifetimes.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/zone.h"

#define NAME       "lifetimes"
#define HEADER     "virtjoule-lifetimes 1"
#define SIZE_LIMIT ((gsize)64 * 1024 * 1024)
#define ZONES_MAX  1024
/* As in the ledger: sums of two still fit. */
#define NUMBER_MAX (G_GUINT64_CONSTANT (1) << 62)

/* Domains in the order in which they were noted, so that the longest unused is the first.
 *   virtjoule-lifetimes 1
 *   zones {ID}
 *   domain UUID EPOCH CPU_NS {ENERGY STATIC}   for each zone
 *   end */

typedef struct
{
  char *uuid;
  VjLifetime total;
} Entry;

struct VjLifetimes
{
  char *dir;
  char *path;
  GPtrArray *zones; /* ids: those that are there now, then others of the file */
  guint n_now;
  GQueue order;        /* of Entry */
  GHashTable *by_uuid; /* of GList, in order */
  gboolean changed;
  GThread *syncing; /* NULL: none runs */
  gint synced;      /* atomic: it is about to end */
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  g_free (entry->total.energy_uj);
  g_free (entry->total.static_uj);
  g_free (entry->uuid);
  g_free (entry);
}

static Entry *
entry_add (VjLifetimes *lifetimes, const char *uuid)
{
  Entry *entry = g_new0 (Entry, 1);
  entry->uuid = g_strdup (uuid);
  entry->total.energy_uj = g_new0 (guint64, lifetimes->zones->len);
  entry->total.static_uj = g_new0 (guint64, lifetimes->zones->len);
  g_queue_push_tail (&lifetimes->order, entry);
  g_hash_table_insert (lifetimes->by_uuid, entry->uuid, lifetimes->order.tail);
  return entry;
}

static void
entry_remove (VjLifetimes *lifetimes, GList *link)
{
  Entry *entry = link->data;
  g_hash_table_remove (lifetimes->by_uuid, entry->uuid);
  g_queue_delete_link (&lifetimes->order, link);
  entry_free (entry);
}

static void
forget_all (VjLifetimes *lifetimes)
{
  g_hash_table_remove_all (lifetimes->by_uuid);
  g_queue_clear_full (&lifetimes->order, entry_free);
  g_ptr_array_set_size (lifetimes->zones, (gint)lifetimes->n_now);
}

static Entry *
find (const VjLifetimes *lifetimes, const char *uuid)
{
  const GList *link = g_hash_table_lookup (lifetimes->by_uuid, uuid);
  return link != NULL ? link->data : NULL;
}

const VjLifetime *
vj_lifetimes_get (const VjLifetimes *lifetimes, const char *uuid)
{
  const Entry *entry = find (lifetimes, uuid);
  return entry != NULL ? &entry->total : NULL;
}

/* Of zones that are there now; what others have used stays. */
static void
entry_set (const VjLifetimes *lifetimes, Entry *entry, const VjLifetime *total)
{
  g_strlcpy (entry->total.epoch, total->epoch, sizeof entry->total.epoch);
  entry->total.cpu_ns = total->cpu_ns;
  for (guint i = 0; i < lifetimes->n_now; i++)
    {
      entry->total.energy_uj[i] = total->energy_uj[i];
      entry->total.static_uj[i] = total->static_uj[i];
    }
}

void
vj_lifetimes_note (VjLifetimes *lifetimes, const char *uuid, const VjLifetime *total)
{
  GList *link = g_hash_table_lookup (lifetimes->by_uuid, uuid);
  if (link == NULL)
    {
      entry_add (lifetimes, uuid);
      link = lifetimes->order.tail;
    }
  entry_set (lifetimes, link->data, total);
  g_queue_unlink (&lifetimes->order, link);
  g_queue_push_tail_link (&lifetimes->order, link);
  lifetimes->changed = TRUE;
}

void
vj_lifetimes_forget (VjLifetimes *lifetimes, const char *uuid)
{
  GList *link = g_hash_table_lookup (lifetimes->by_uuid, uuid);
  if (link == NULL)
    return;
  entry_remove (lifetimes, link);
  lifetimes->changed = TRUE;
}

/* --- the file --- */

/* A zone that is not there now and of which nothing was used is of no use. */
static gboolean
zone_is_needed (const VjLifetimes *lifetimes, guint zone)
{
  if (zone < lifetimes->n_now)
    return TRUE;
  for (const GList *at = lifetimes->order.head; at != NULL; at = at->next)
    if (((const Entry *)at->data)->total.energy_uj[zone] > 0)
      return TRUE;
  return FALSE;
}

static void
encode_entry (const Entry *entry, const gboolean *needed, guint n_zones, GString *out)
{
  const char *epoch = entry->total.epoch[0] != '\0' ? entry->total.epoch : "-";
  g_string_append_printf (out, "domain %s %s %" G_GUINT64_FORMAT, entry->uuid, epoch, entry->total.cpu_ns);
  for (guint i = 0; i < n_zones; i++)
    if (needed[i])
      g_string_append_printf (out, " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, entry->total.energy_uj[i],
                              entry->total.static_uj[i]);
  g_string_append_c (out, '\n');
}

static GString *
encode (const VjLifetimes *lifetimes)
{
  const guint n_zones = lifetimes->zones->len;
  g_autofree gboolean *needed = g_new0 (gboolean, n_zones + 1);
  GString *out = g_string_new (HEADER "\nzones");
  for (guint i = 0; i < n_zones; i++)
    {
      needed[i] = zone_is_needed (lifetimes, i);
      if (needed[i])
        g_string_append_printf (out, " %s", (const char *)g_ptr_array_index (lifetimes->zones, i));
    }
  g_string_append_c (out, '\n');
  for (const GList *at = lifetimes->order.head; at != NULL; at = at->next)
    encode_entry (at->data, needed, n_zones, out);
  g_string_append (out, "end\n");
  return out;
}

/* Some file systems (XFS) have an empty file after a power failure where a name was replaced and nobody asked for
 * the bytes to be written. */
static gpointer
sync_file (gpointer data)
{
  VjLifetimes *lifetimes = data;
  const int fd = open (lifetimes->path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0)
    {
      fdatasync (fd);
      close (fd);
    }
  g_atomic_int_set (&lifetimes->synced, 1);
  return NULL;
}

/* One at a time: what a hung disk is asked to write is not asked for again. */
static void
start_sync (VjLifetimes *lifetimes)
{
  if (lifetimes->syncing != NULL && !g_atomic_int_get (&lifetimes->synced))
    return;
  if (lifetimes->syncing != NULL)
    g_thread_join (lifetimes->syncing);
  g_atomic_int_set (&lifetimes->synced, 0);
  lifetimes->syncing = g_thread_try_new ("lifetimes", sync_file, lifetimes, NULL);
}

gboolean
vj_lifetimes_save (VjLifetimes *lifetimes, GError **error)
{
  if (!lifetimes->changed)
    return TRUE;
  while (lifetimes->order.length > VJ_LIFETIMES_MAX)
    entry_remove (lifetimes, lifetimes->order.head);
  g_autoptr (GString) text = encode (lifetimes);
  if (!vj_file_replace (lifetimes->dir, NAME, text->str, text->len, 0600, error))
    return FALSE;
  lifetimes->changed = FALSE;
  start_sync (lifetimes);
  return TRUE;
}

/* The words of one line. */
typedef struct
{
  char **next;
  gboolean ok;
} Words;

static const char *
take_word (Words *words)
{
  words->ok = words->ok && *words->next != NULL;
  return words->ok ? *words->next++ : "";
}

static guint64
take_u64 (Words *words, guint64 limit)
{
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned (take_word (words), 10, 0, limit, &value, NULL))
    words->ok = FALSE;
  return value;
}

static guint
add_zone (VjLifetimes *lifetimes, const char *id)
{
  guint index = 0;
  if (g_ptr_array_find_with_equal_func (lifetimes->zones, id, g_str_equal, &index))
    return index;
  g_ptr_array_add (lifetimes->zones, g_strdup (id));
  return lifetimes->zones->len - 1;
}

/* Which of the book's zones each of the file's is. */
static GArray *
decode_zones (VjLifetimes *lifetimes, const char *line)
{
  g_auto (GStrv) split = g_strsplit (line, " ", ZONES_MAX + 1);
  g_autoptr (GArray) columns = g_array_new (FALSE, FALSE, sizeof (guint));
  if (strcmp (split[0], "zones") != 0)
    return NULL;
  for (guint i = 1; split[i] != NULL; i++)
    {
      const gsize length = strlen (split[i]);
      if (length == 0 || length > VJ_ZONE_ID_MAX || strchr (split[i], ' ') != NULL)
        return NULL;
      const guint column = add_zone (lifetimes, split[i]);
      g_array_append_val (columns, column);
    }
  return g_steal_pointer (&columns);
}

static void
take_zone (Words *words, Entry *entry, guint zone)
{
  entry->total.energy_uj[zone] = take_u64 (words, NUMBER_MAX);
  entry->total.static_uj[zone] = take_u64 (words, entry->total.energy_uj[zone]);
}

static gboolean
decode_entry (VjLifetimes *lifetimes, const GArray *columns, const char *line)
{
  g_auto (GStrv) split = g_strsplit (line, " ", (gint)(columns->len * 2 + 5));
  Words words = { .next = split, .ok = TRUE };
  if (strcmp (take_word (&words), "domain") != 0)
    return FALSE;
  const char *uuid = take_word (&words);
  if (!g_uuid_string_is_valid (uuid) || find (lifetimes, uuid) != NULL)
    return FALSE;
  Entry *entry = entry_add (lifetimes, uuid);
  const char *epoch = take_word (&words);
  if (strcmp (epoch, "-") == 0)
    epoch = "";
  words.ok = words.ok && strlen (epoch) <= VJ_SESSION_LENGTH;
  g_strlcpy (entry->total.epoch, epoch, sizeof entry->total.epoch);
  entry->total.cpu_ns = take_u64 (&words, NUMBER_MAX);
  for (guint i = 0; i < columns->len; i++)
    take_zone (&words, entry, g_array_index (columns, guint, i));
  return words.ok && *words.next == NULL;
}

static gboolean
decode (VjLifetimes *lifetimes, const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  const guint n = g_strv_length (lines);
  /* A file that was cut off has no end. */
  if (n < 4 || strcmp (lines[0], HEADER) != 0 || strcmp (lines[n - 2], "end") != 0 || lines[n - 1][0] != '\0')
    return FALSE;
  g_autoptr (GArray) columns = decode_zones (lifetimes, lines[1]);
  gboolean ok = columns != NULL;
  for (guint i = 2; ok && i < n - 2; i++)
    ok = decode_entry (lifetimes, columns, lines[i]);
  return ok;
}

static void
begin_anew (VjLifetimes *lifetimes, const char *reason, char **ret_problem)
{
  g_autofree char *aside = g_strconcat (lifetimes->path, ".bad", NULL);
  forget_all (lifetimes);
  g_rename (lifetimes->path, aside);
  *ret_problem = g_strdup_printf ("%s cannot be continued (%s); it is kept as %s, and domains' counters that "
                                  "last for ever start anew",
                                  lifetimes->path, reason, aside);
}

static void
load (VjLifetimes *lifetimes, char **ret_problem)
{
  g_autoptr (GError) error = NULL;
  gsize length = 0;
  g_autofree char *text = vj_file_read (lifetimes->dir, NAME, SIZE_LIMIT, &length, &error);
  if (text == NULL && vj_error_is_gone (error))
    return;
  if (text == NULL)
    begin_anew (lifetimes, error->message, ret_problem);
  else if (strlen (text) != length || !decode (lifetimes, text))
    begin_anew (lifetimes, "it does not have the form of lifetimes", ret_problem);
}

VjLifetimes *
vj_lifetimes_open (const char *state_dir, const char *const *zone_ids, char **ret_problem, GError **error)
{
  *ret_problem = NULL;
  if (access (state_dir, W_OK | X_OK) < 0)
    {
      vj_error_set_errno (error, errno, "lifetimes of domains cannot be kept in %s", state_dir);
      return NULL;
    }
  VjLifetimes *lifetimes = g_new0 (VjLifetimes, 1);
  lifetimes->dir = g_strdup (state_dir);
  lifetimes->path = g_build_filename (state_dir, NAME, NULL);
  lifetimes->zones = g_ptr_array_new_with_free_func (g_free);
  lifetimes->by_uuid = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; zone_ids[i] != NULL; i++)
    g_ptr_array_add (lifetimes->zones, g_strdup (zone_ids[i]));
  lifetimes->n_now = lifetimes->zones->len;
  load (lifetimes, ret_problem);
  return lifetimes;
}

void
vj_lifetimes_free (VjLifetimes *lifetimes)
{
  if (lifetimes == NULL)
    return;
  if (lifetimes->syncing != NULL)
    g_thread_join (lifetimes->syncing);
  forget_all (lifetimes);
  g_hash_table_unref (lifetimes->by_uuid);
  g_ptr_array_unref (lifetimes->zones);
  g_free (lifetimes->path);
  g_free (lifetimes->dir);
  g_free (lifetimes);
}
