/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes_owners.h"

#define DOCUMENT_MAX (2 << 20)
#define DEADLINE_S   30
#define AGAIN_S      10
/* Only the metadata, from servers that can (1.15). */
#define ACCEPT "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"

typedef struct
{
  char *namespace_;
  VjKubernetesOwner owner;
  char *kind; /* of the workload, or of itself while it is refused; NULL: not known yet */
  char *name;
  gboolean settled;
  GPtrArray *pod_uids; /* that wait for it to be settled */
} Entry;

struct VjKubernetesOwners
{
  VjKubernetesHttp *http;
  VjNames *names;
  void (*refused_func) (const char *what, guint status, gpointer user_data);
  gpointer user_data;
  GHashTable *entries; /* uid of the owner -> Entry */
  GQueue wanted;       /* Entry; the head is being asked for */
  GQueue refused;      /* Entry: may not be read */
  gboolean asking;
  gboolean told;
  guint again;
};

static const struct
{
  const char *api;
  const char *kind;
  const char *resource;
} known[] = {
  { "apps/v1", "ReplicaSet", "replicasets" },
  { "batch/v1", "Job", "jobs" },
};

static const char *
resource_of (const VjKubernetesOwner *owner)
{
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_strcmp0 (owner->api, known[i].api) == 0 && g_strcmp0 (owner->kind, known[i].kind) == 0)
      return known[i].resource;
  return NULL;
}

gboolean
vj_kubernetes_owners_knows (const VjKubernetesOwner *owner)
{
  return resource_of (owner) != NULL;
}

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  vj_kubernetes_owner_clear (&entry->owner);
  g_free (entry->namespace_);
  g_free (entry->kind);
  g_free (entry->name);
  g_ptr_array_unref (entry->pod_uids);
  g_free (entry);
}

static void
name_pod (VjKubernetesOwners *owners, const char *pod_uid, const Entry *entry)
{
  vj_names_put_pod (owners->names, VJ_NAMES_API, pod_uid,
                    &(VjPodName){ .workload_kind = entry->kind, .workload = entry->name });
}

static void
set_workload (VjKubernetesOwners *owners, Entry *entry, const VjKubernetesOwner *workload)
{
  g_free (entry->kind);
  g_free (entry->name);
  entry->kind = g_strdup (workload->kind);
  entry->name = g_strdup (workload->name);
  for (guint i = 0; i < entry->pod_uids->len; i++)
    name_pod (owners, g_ptr_array_index (entry->pod_uids, i), entry);
}

static void ask_for_next (VjKubernetesOwners *owners);

static gboolean
ask_again (gpointer user_data)
{
  VjKubernetesOwners *owners = user_data;
  owners->again = 0;
  ask_for_next (owners);
  return G_SOURCE_REMOVE;
}

/* Its owner is not known, but what it is itself is. Whoever gives the right to read it need not start anything anew. */
static void
take_refusal (VjKubernetesOwners *owners, Entry *entry, guint status)
{
  g_queue_push_tail (&owners->refused, entry);
  if (entry->kind == NULL)
    set_workload (owners, entry, &entry->owner);
  if (!owners->told)
    owners->refused_func (resource_of (&entry->owner), status, owners->user_data);
  owners->told = TRUE;
}

/* If it was refused before, others may be read by now, too. */
static void
settle (VjKubernetesOwners *owners, Entry *entry, const VjKubernetesOwner *workload)
{
  gboolean was_refused = entry->kind != NULL;
  set_workload (owners, entry, workload);
  entry->settled = TRUE;
  g_ptr_array_set_size (entry->pod_uids, 0);
  while (was_refused && !g_queue_is_empty (&owners->refused))
    g_queue_push_tail (&owners->wanted, g_queue_pop_head (&owners->refused));
}

/* 4xx but for what passes: the token is being rotated, too many requests. */
static gboolean
is_final (guint status)
{
  return status >= 400 && status < 500 && status != 401 && status != 408 && status != 429;
}

static void
on_answer (guint status, const char *text, gsize length, const char *failure, gpointer user_data)
{
  VjKubernetesOwners *owners = user_data;
  Entry *entry = g_queue_peek_head (&owners->wanted);
  g_auto (VjKubernetesOwner) workload = { 0 };
  owners->asking = FALSE;
  if (text == NULL && !is_final (status))
    {
      g_queue_push_tail (&owners->wanted, g_queue_pop_head (&owners->wanted)); /* the others first */
      owners->again = g_timeout_add_seconds (AGAIN_S, ask_again, owners);
      return;
    }
  g_queue_pop_head (&owners->wanted);
  gboolean owned = text != NULL && vj_kubernetes_owner_parse (text, length, entry->owner.uid, &workload)
                   && workload.kind != NULL;
  if (text == NULL && status != 404)
    take_refusal (owners, entry, status);
  else
    settle (owners, entry, owned ? &workload : &entry->owner);
  ask_for_next (owners);
}

static void
ask_for_next (VjKubernetesOwners *owners)
{
  const Entry *entry = g_queue_peek_head (&owners->wanted);
  if (entry == NULL || owners->asking || owners->again != 0)
    return;
  const VjKubernetesRequest request = {
    .accept = ACCEPT, .limit = DOCUMENT_MAX, .deadline_s = DEADLINE_S, .done = on_answer, .user_data = owners
  };
  g_autofree char *path = g_strdup_printf ("/apis/%s/namespaces/%s/%s/%s", entry->owner.api,
                                           entry->namespace_, resource_of (&entry->owner), entry->owner.name);
  owners->asking = TRUE;
  vj_kubernetes_http_get (owners->http, path, &request);
}

static Entry *
add_entry (VjKubernetesOwners *owners, const char *namespace_, const VjKubernetesOwner *owner)
{
  if (g_hash_table_size (owners->entries) >= VJ_KUBERNETES_OWNERS_MAX)
    {
      if (!g_queue_is_empty (&owners->wanted))
        return NULL;
      g_queue_clear (&owners->refused);
      g_hash_table_remove_all (owners->entries);
    }
  Entry *entry = g_new0 (Entry, 1);
  entry->namespace_ = g_strdup (namespace_);
  entry->owner = (VjKubernetesOwner){ .api = g_strdup (owner->api),
                                      .kind = g_strdup (owner->kind),
                                      .name = g_strdup (owner->name),
                                      .uid = g_strdup (owner->uid) };
  entry->pod_uids = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_insert (owners->entries, entry->owner.uid, entry);
  g_queue_push_tail (&owners->wanted, entry);
  return entry;
}

void
vj_kubernetes_owners_name (VjKubernetesOwners *owners, const char *pod_uid, const char *namespace_,
                           const VjKubernetesOwner *owner)
{
  Entry *entry = g_hash_table_lookup (owners->entries, owner->uid);
  if (entry == NULL)
    entry = add_entry (owners, namespace_, owner);
  if (entry == NULL)
    return;
  if (entry->kind != NULL)
    name_pod (owners, pod_uid, entry);
  if (!entry->settled && !g_ptr_array_find_with_equal_func (entry->pod_uids, pod_uid, g_str_equal, NULL)
      && entry->pod_uids->len < VJ_KUBERNETES_OWNERS_MAX)
    g_ptr_array_add (entry->pod_uids, g_strdup (pod_uid));
  ask_for_next (owners);
}

void
vj_kubernetes_owners_ask_again (VjKubernetesOwners *owners)
{
  Entry *entry = g_queue_pop_head (&owners->refused);
  if (entry == NULL)
    return;
  g_queue_push_tail (&owners->wanted, entry);
  ask_for_next (owners);
}

VjKubernetesOwners *
vj_kubernetes_owners_new (VjKubernetesHttp *http, VjNames *names,
                          void (*refused) (const char *what, guint status, gpointer user_data),
                          gpointer user_data)
{
  VjKubernetesOwners *owners = g_new0 (VjKubernetesOwners, 1);
  owners->http = http;
  owners->names = names;
  owners->refused_func = refused;
  owners->user_data = user_data;
  owners->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  g_queue_init (&owners->wanted);
  g_queue_init (&owners->refused);
  return owners;
}

void
vj_kubernetes_owners_free (VjKubernetesOwners *owners)
{
  if (owners == NULL)
    return;
  g_clear_handle_id (&owners->again, g_source_remove);
  g_queue_clear (&owners->wanted);
  g_queue_clear (&owners->refused);
  g_hash_table_unref (owners->entries);
  g_free (owners);
}
