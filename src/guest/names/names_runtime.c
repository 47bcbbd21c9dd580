/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/names_runtime.h"

#include <string.h>

#include "common/file.h"
#include "guest/names/runtime_state.h"

#define DOCUMENT_MAX   (1 << 20) /* bytes; of one container */
#define STORAGE_MAX    (8 << 20) /* of all of Podman's containers */
#define NAMESPACES_MAX 32
#define AGAIN_S        2
#define ID_LENGTH      64

typedef struct
{
  char id[ID_LENGTH + 1];
  char pod_uid[37]; /* of the control group */
  guint tries;
} Wanted;

struct VjNamesRuntime
{
  char *root;
  VjNames *names;
  GQueue wanted; /* of Wanted: to look for now */
  GQueue missed; /* to look for again */
  guint idle;
  guint again;
};

/* --- looking --- */

static gboolean
read_oci (const char *root, const char *path, VjRuntimeState *ret_state)
{
  gsize length = 0;
  g_autofree char *text = vj_file_read (root, path, DOCUMENT_MAX, &length, NULL);
  return text != NULL && vj_runtime_state_parse_oci (text, length, ret_state);
}

static gboolean
look_docker (const VjNamesRuntime *runtime, const Wanted *wanted, VjRuntimeState *ret_state)
{
  g_autofree char *path = g_strdup_printf ("var/lib/docker/containers/%s/config.v2.json", wanted->id);
  gsize length = 0;
  g_autofree char *text = vj_file_read (runtime->root, path, DOCUMENT_MAX, &length, NULL);
  return text != NULL && vj_runtime_state_parse_docker (text, length, wanted->pod_uid, ret_state);
}

/* Its namespaces are directories: k8s.io, default, and whatever else there is. */
static gboolean
look_containerd_in (const VjNamesRuntime *runtime, const char *state, const char *id,
                    VjRuntimeState *ret_state)
{
  g_autofree char *tasks = g_strconcat (state, "/io.containerd.runtime.v2.task", NULL);
  g_autofree char *directory = g_build_filename (runtime->root, tasks, NULL);
  g_autoptr (GDir) namespaces = g_dir_open (directory, 0, NULL);
  const char *name;
  for (guint i = 0; namespaces != NULL && i < NAMESPACES_MAX && (name = g_dir_read_name (namespaces)) != NULL;
       i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/%s/%s/config.json", tasks, name, id);
      if (read_oci (runtime->root, path, ret_state))
        return TRUE;
    }
  return FALSE;
}

static gboolean
look_containerd (const VjNamesRuntime *runtime, const char *id, VjRuntimeState *ret_state)
{
  static const char *const states[] = {
    "run/containerd",
    "run/k3s/containerd", /* RKE2's too */
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
  };
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    if (look_containerd_in (runtime, states[i], id, ret_state))
      return TRUE;
  return FALSE;
}

static gboolean
look_storage (const VjNamesRuntime *runtime, const char *id, VjRuntimeState *ret_state)
{
  static const char *const lists[] = {
    "var/lib/containers/storage/overlay-containers/containers.json",
    "run/containers/storage/overlay-containers/volatile-containers.json", /* podman run --rm */
    "var/lib/containers/storage/overlay-containers/volatile-containers.json",
  };
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    {
      gsize length = 0;
      g_autofree char *text = vj_file_read (runtime->root, lists[i], STORAGE_MAX, &length, NULL);
      if (text != NULL && vj_runtime_state_parse_storage (text, length, id, ret_state))
        return TRUE;
    }
  return FALSE;
}

/* CRI-O's bundle says all; Podman's says little, and its list has the name. */
static gboolean
look_containers (const VjNamesRuntime *runtime, const char *id, VjRuntimeState *ret_state)
{
  g_autofree char *path =
      g_strdup_printf ("run/containers/storage/overlay-containers/%s/userdata/config.json", id);
  g_auto (VjRuntimeState) bundle = { 0 };
  if (read_oci (runtime->root, path, &bundle) && bundle.name != NULL)
    {
      *ret_state = bundle;
      bundle = (VjRuntimeState){ 0 };
      return TRUE;
    }
  return look_storage (runtime, id, ret_state);
}

/* An id names one container for ever, whoever made it; so it is looked for everywhere. */
static gboolean
look (const VjNamesRuntime *runtime, const Wanted *wanted)
{
  g_auto (VjRuntimeState) state = { 0 };
  if (!look_docker (runtime, wanted, &state) && !look_containerd (runtime, wanted->id, &state)
      && !look_containers (runtime, wanted->id, &state))
    return FALSE;
  /* What a container says of itself may be its owner's; the control group is kubelet's. */
  gboolean in_pod = state.pod_uid != NULL && strcmp (state.pod_uid, wanted->pod_uid) == 0;
  if (state.pod_uid != NULL && !in_pod)
    return TRUE;
  vj_names_put_container (
      runtime->names, VJ_NAMES_RUNTIME, wanted->id,
      &(VjContainerName){
          .name = state.name, .pod_uid = state.pod_uid, .image = state.image, .sandbox = state.sandbox });
  if (in_pod)
    vj_names_put_pod (runtime->names, VJ_NAMES_RUNTIME, wanted->pod_uid,
                      &(VjPodName){ .namespace_ = state.namespace_, .name = state.pod });
  return TRUE;
}

/* --- when --- */

static gboolean look_for_next (gpointer user_data);

static void
look_when_idle (VjNamesRuntime *runtime)
{
  if (runtime->idle == 0 && !g_queue_is_empty (&runtime->wanted))
    runtime->idle = g_idle_add (look_for_next, runtime);
}

static gboolean
look_again (gpointer user_data)
{
  VjNamesRuntime *runtime = user_data;
  runtime->again = 0;
  while (!g_queue_is_empty (&runtime->missed))
    g_queue_push_tail (&runtime->wanted, g_queue_pop_head (&runtime->missed));
  look_when_idle (runtime);
  return G_SOURCE_REMOVE;
}

/* One at a time, so that the tick's turn comes between two. */
static gboolean
look_for_next (gpointer user_data)
{
  VjNamesRuntime *runtime = user_data;
  Wanted *wanted = g_queue_pop_head (&runtime->wanted);
  if (!look (runtime, wanted) && ++wanted->tries < VJ_NAMES_RUNTIME_TRIES)
    g_queue_push_tail (&runtime->missed, g_steal_pointer (&wanted));
  g_free (wanted);
  if (runtime->again == 0 && !g_queue_is_empty (&runtime->missed))
    runtime->again = g_timeout_add_seconds (AGAIN_S, look_again, runtime);
  if (!g_queue_is_empty (&runtime->wanted))
    return G_SOURCE_CONTINUE;
  runtime->idle = 0;
  return G_SOURCE_REMOVE;
}

void
vj_names_runtime_appeared (VjNamesRuntime *runtime, const VjCgroupClass *class)
{
  if (class->kind != VJ_CGROUP_CONTAINER || class->delegated || strlen (class->id) != ID_LENGTH
      || strspn (class->id, "0123456789abcdef") != ID_LENGTH
      || runtime->wanted.length + runtime->missed.length >= VJ_NAMES_RUNTIME_WAITING)
    return;
  Wanted *wanted = g_new0 (Wanted, 1);
  memcpy (wanted->id, class->id, ID_LENGTH);
  memcpy (wanted->pod_uid, class->pod_uid, sizeof wanted->pod_uid);
  g_queue_push_tail (&runtime->wanted, wanted);
  look_when_idle (runtime);
}

VjNamesRuntime *
vj_names_runtime_new (const char *root, VjNames *names)
{
  VjNamesRuntime *runtime = g_new0 (VjNamesRuntime, 1);
  runtime->root = g_strdup (root);
  runtime->names = names;
  g_queue_init (&runtime->wanted);
  g_queue_init (&runtime->missed);
  return runtime;
}

void
vj_names_runtime_free (VjNamesRuntime *runtime)
{
  if (runtime == NULL)
    return;
  g_clear_handle_id (&runtime->idle, g_source_remove);
  g_clear_handle_id (&runtime->again, g_source_remove);
  g_queue_clear_full (&runtime->wanted, g_free);
  g_queue_clear_full (&runtime->missed, g_free);
  g_free (runtime->root);
  g_free (runtime);
}
