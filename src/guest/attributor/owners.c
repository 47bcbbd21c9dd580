/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/owners.h"

#include <string.h>

typedef struct
{
  guint n_zones;
  guint64 *energy_uj;
  guint64 told_us;   /* when a pod of it was last shown no more */
  gboolean is_there; /* in the last snapshot there was a pod of it */
} Ended;

struct VjOwners
{
  GHashTable *ended; /* key, "NAMESPACE\nKIND\nNAME" -> Ended */
  GHashTable *pods;  /* path of a pod's group in the last snapshot -> key */
  guint64 keep_us;
};

static void
ended_free (gpointer data)
{
  Ended *ended = data;
  g_free (ended->energy_uj);
  g_free (ended);
}

VjOwners *
vj_owners_new (guint64 keep_us)
{
  VjOwners *owners = g_new0 (VjOwners, 1);
  owners->keep_us = keep_us;
  owners->ended = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, ended_free);
  owners->pods = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return owners;
}

void
vj_owners_free (VjOwners *owners)
{
  if (owners == NULL)
    return;
  g_hash_table_unref (owners->ended);
  g_hash_table_unref (owners->pods);
  g_free (owners);
}

/* Names are printable (names.h), so none holds a newline. */
static char *
key_of (const char *namespace_, const char *kind, const char *name)
{
  return g_strjoin ("\n", namespace_ != NULL ? namespace_ : "", kind, name, NULL);
}

/* The one that no pod of has ended for longest, and rather one that no pod of is there: a Job of long ago, whose series goes
 * with it. */
static void
drop_oldest (VjOwners *owners)
{
  GHashTableIter iter;
  gpointer key;
  gpointer value;
  gpointer oldest_key = NULL;
  const Ended *oldest = NULL;
  g_hash_table_iter_init (&iter, owners->ended);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      const Ended *ended = value;
      if (oldest == NULL || ended->is_there < oldest->is_there
          || (ended->is_there == oldest->is_there && ended->told_us < oldest->told_us))
        {
          oldest = ended;
          oldest_key = key;
        }
    }
  g_hash_table_remove (owners->ended, oldest_key);
}

static void
add_to (VjOwners *owners, const char *key, const guint64 *energy_uj, guint n_zones, guint64 now_us)
{
  Ended *ended = g_hash_table_lookup (owners->ended, key);
  if (ended == NULL)
    {
      if (g_hash_table_size (owners->ended) >= VJ_OWNERS_MAX)
        drop_oldest (owners);
      ended = g_new0 (Ended, 1);
      g_hash_table_insert (owners->ended, g_strdup (key), ended);
    }
  ended->told_us = now_us;
  if (ended->n_zones < n_zones)
    {
      ended->energy_uj = g_renew (guint64, ended->energy_uj, n_zones);
      memset (ended->energy_uj + ended->n_zones, 0, (n_zones - ended->n_zones) * sizeof *ended->energy_uj);
      ended->n_zones = n_zones;
    }
  for (guint i = 0; i < n_zones; i++)
    ended->energy_uj[i] += energy_uj[i];
}

void
vj_owners_pod_folded (VjOwners *owners, const char *namespace_, const char *kind, const char *name,
                      const guint64 *energy_uj, guint n_zones, guint64 now_us)
{
  g_autofree char *key = key_of (namespace_, kind, name);
  add_to (owners, key, energy_uj, n_zones, now_us);
}

/* By key; made from what has ended the first time that it is asked for. */
static VjOwnerSnapshot *
owner_of (GHashTable *by_key, VjAttributorSnapshot *snapshot, const char *key)
{
  VjOwnerSnapshot *owner = g_hash_table_lookup (by_key, key);
  if (owner != NULL)
    return owner;
  g_auto (GStrv) parts = g_strsplit (key, "\n", 3);
  owner = g_new0 (VjOwnerSnapshot, 1);
  owner->namespace_ = g_strdup (parts[0]);
  owner->kind = g_strdup (parts[1]);
  owner->name = g_strdup (parts[2]);
  owner->energy_uj = g_new0 (guint64, MAX (snapshot->zones->len, 1));
  g_hash_table_insert (by_key, g_strdup (key), owner);
  g_ptr_array_add (snapshot->owners, owner);
  return owner;
}

static int
compare_owners (gconstpointer a, gconstpointer b)
{
  const VjOwnerSnapshot *first = *(VjOwnerSnapshot *const *)a;
  const VjOwnerSnapshot *second = *(VjOwnerSnapshot *const *)b;
  int order = strcmp (first->namespace_, second->namespace_);
  order = order != 0 ? order : strcmp (first->kind, second->kind);
  return order != 0 ? order : strcmp (first->name, second->name);
}

static gboolean
is_other_kind (const char *key, const char *other)
{
  g_auto (GStrv) parts = g_strsplit (key, "\n", 3);
  g_auto (GStrv) other_parts = g_strsplit (other, "\n", 3);
  return strcmp (parts[1], other_parts[1]) != 0;
}

/* A pod was its ReplicaSet's, or its Job's, as long as nobody told who owns that. What other pods of it were given that ended
 * goes to the Deployment, or the CronJob, as well. */
static void
follow_late_answer (VjOwners *owners, const char *path, const char *key)
{
  const char *before = g_hash_table_lookup (owners->pods, path);
  gpointer stolen_key = NULL;
  gpointer value = NULL;
  if (before == NULL || strcmp (before, key) == 0 || !is_other_kind (before, key)
      || !g_hash_table_steal_extended (owners->ended, before, &stolen_key, &value))
    return;
  const Ended *ended = value;
  add_to (owners, key, ended->energy_uj, ended->n_zones, ended->told_us);
  g_free (stolen_key);
  ended_free (value);
}

static void
add_pods (VjOwners *owners, GHashTable *by_key, VjAttributorSnapshot *snapshot)
{
  GHashTable *pods = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, i);
      if (group->class.kind != VJ_CGROUP_POD || group->workload == NULL || group->workload_kind == NULL)
        continue;
      g_autofree char *key = key_of (group->namespace_, group->workload_kind, group->workload);
      VjOwnerSnapshot *owner = owner_of (by_key, snapshot, key);
      for (guint zone = 0; zone < snapshot->zones->len; zone++)
        owner->energy_uj[zone] += group->energy_uj[zone];
      follow_late_answer (owners, group->path, key);
      g_hash_table_insert (pods, g_strdup (group->path), g_steal_pointer (&key));
    }
  g_hash_table_unref (owners->pods);
  owners->pods = pods;
}

/* What its pods were given that are shown no more. */
static void
add_ended (GHashTable *by_key, VjAttributorSnapshot *snapshot, const char *key, const Ended *ended)
{
  VjOwnerSnapshot *owner = owner_of (by_key, snapshot, key);
  for (guint zone = 0; zone < MIN (ended->n_zones, snapshot->zones->len); zone++)
    owner->energy_uj[zone] += ended->energy_uj[zone];
}

void
vj_owners_snapshot (VjOwners *owners, VjAttributorSnapshot *snapshot, guint64 now_us)
{
  g_autoptr (GHashTable) by_key = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer key;
  gpointer value;
  add_pods (owners, by_key, snapshot);
  g_hash_table_iter_init (&iter, owners->ended);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      Ended *ended = value;
      ended->is_there = g_hash_table_contains (by_key, key);
      if (!ended->is_there && now_us > ended->told_us + owners->keep_us)
        g_hash_table_iter_remove (&iter);
      else
        add_ended (by_key, snapshot, key, ended);
    }
  g_ptr_array_sort (snapshot->owners, compare_owners);
}
