/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/names.h"

#include <string.h>

#define TEXT_MAX 512 /* bytes; Kubernetes' longest name has 253 */

/* Each member of a name is kept with the source that said it. */
enum
{
  CONTAINER_NAME,
  CONTAINER_POD_UID,
  CONTAINER_IMAGE,
  N_CONTAINER
};

enum
{
  POD_NAMESPACE,
  POD_NAME,
  POD_WORKLOAD_KIND,
  POD_WORKLOAD,
  N_POD
};

typedef struct
{
  char *text;
  VjNamesSource source;
} Said;

typedef struct
{
  VjContainerName shown; /* points into said */
  Said said[N_CONTAINER];
  guint64 used;
} Container;

typedef struct
{
  VjPodName shown;
  Said said[N_POD];
  char **labels;
  guint64 used;
} Pod;

struct VjNames
{
  GHashTable *containers; /* id -> Container */
  GHashTable *pods;       /* UID -> Pod */
  guint64 clock;          /* of look-ups */
};

static void
container_free (gpointer data)
{
  Container *container = data;
  for (guint i = 0; i < N_CONTAINER; i++)
    g_free (container->said[i].text);
  g_free (container);
}

static void
pod_free (gpointer data)
{
  Pod *pod = data;
  for (guint i = 0; i < N_POD; i++)
    g_free (pod->said[i].text);
  g_strfreev (pod->labels);
  g_free (pod);
}

VjNames *
vj_names_new (void)
{
  VjNames *names = g_new0 (VjNames, 1);
  names->containers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, container_free);
  names->pods = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, pod_free);
  return names;
}

void
vj_names_free (VjNames *names)
{
  if (names == NULL)
    return;
  g_hash_table_unref (names->containers);
  g_hash_table_unref (names->pods);
  g_free (names);
}

static gboolean
is_proper (const char *text)
{
  if (text == NULL || *text == '\0' || strlen (text) > TEXT_MAX || !g_utf8_validate (text, -1, NULL))
    return FALSE;
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    if (!g_unichar_isprint (g_utf8_get_char (p)))
      return FALSE;
  return TRUE;
}

static void
say (Said *said, VjNamesSource source, const char *text)
{
  if (!is_proper (text) || (said->text != NULL && source < said->source))
    return;
  said->source = source;
  if (g_strcmp0 (said->text, text) == 0)
    return;
  g_free (said->text);
  said->text = g_strdup (text);
}

/* The entry not looked up for longest. Dear, and only at the limit. */
static void
drop_oldest (GHashTable *table, gsize used_offset)
{
  GHashTableIter iter;
  gpointer key;
  gpointer value;
  gpointer oldest = NULL;
  guint64 oldest_used = G_MAXUINT64;
  g_hash_table_iter_init (&iter, table);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      guint64 used = G_STRUCT_MEMBER (guint64, value, used_offset);
      if (used < oldest_used)
        {
          oldest_used = used;
          oldest = key;
        }
    }
  g_hash_table_remove (table, oldest);
}

static gpointer
entry_of (GHashTable *table, const char *key, gsize size, gsize used_offset)
{
  gpointer entry = g_hash_table_lookup (table, key);
  if (entry != NULL)
    return entry;
  if (g_hash_table_size (table) >= VJ_NAMES_MAX)
    drop_oldest (table, used_offset);
  entry = g_malloc0 (size);
  g_hash_table_insert (table, g_strdup (key), entry);
  return entry;
}

void
vj_names_put_container (VjNames *names, VjNamesSource source, const char *id, const VjContainerName *name)
{
  if (!is_proper (id))
    return;
  Container *container =
      entry_of (names->containers, id, sizeof *container, G_STRUCT_OFFSET (Container, used));
  Said *said = container->said;
  say (&said[CONTAINER_NAME], source, name->name);
  say (&said[CONTAINER_POD_UID], source, name->pod_uid);
  say (&said[CONTAINER_IMAGE], source, name->image);
  if (container->used == 0)
    container->used = ++names->clock;
  container->shown = (VjContainerName){ .name = said[CONTAINER_NAME].text,
                                        .pod_uid = said[CONTAINER_POD_UID].text,
                                        .image = said[CONTAINER_IMAGE].text,
                                        .sandbox = container->shown.sandbox || name->sandbox };
}

static void
say_labels (Pod *pod, const char *const *labels)
{
  if (labels == NULL || (pod->labels != NULL && g_strv_equal ((const char *const *)pod->labels, labels)))
    return;
  g_strfreev (pod->labels);
  pod->labels = g_strdupv ((char **)labels);
}

void
vj_names_put_pod (VjNames *names, VjNamesSource source, const char *uid, const VjPodName *name)
{
  if (!is_proper (uid))
    return;
  Pod *pod = entry_of (names->pods, uid, sizeof *pod, G_STRUCT_OFFSET (Pod, used));
  Said *said = pod->said;
  say (&said[POD_NAMESPACE], source, name->namespace_);
  say (&said[POD_NAME], source, name->name);
  say (&said[POD_WORKLOAD_KIND], source, name->workload_kind);
  say (&said[POD_WORKLOAD], source, name->workload);
  say_labels (pod, name->labels);
  if (pod->used == 0)
    pod->used = ++names->clock;
  pod->shown = (VjPodName){ .namespace_ = said[POD_NAMESPACE].text,
                            .name = said[POD_NAME].text,
                            .workload_kind = said[POD_WORKLOAD_KIND].text,
                            .workload = said[POD_WORKLOAD].text,
                            .labels = (const char *const *)pod->labels };
}

const VjContainerName *
vj_names_container (VjNames *names, const char *id)
{
  Container *container = g_hash_table_lookup (names->containers, id);
  if (container == NULL)
    return NULL;
  container->used = ++names->clock;
  return &container->shown;
}

const VjPodName *
vj_names_pod (VjNames *names, const char *uid)
{
  Pod *pod = g_hash_table_lookup (names->pods, uid);
  if (pod == NULL)
    return NULL;
  pod->used = ++names->clock;
  return &pod->shown;
}

gboolean
vj_pod_name_equal (const VjPodName *a, const VjPodName *b)
{
  return g_strcmp0 (a->namespace_, b->namespace_) == 0 && g_strcmp0 (a->name, b->name) == 0;
}
