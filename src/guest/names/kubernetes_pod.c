/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes_pod.h"

#include <string.h>

#include "guest/names/json_text.h"

#define ID_LENGTH         64
#define STATIC_UID_LENGTH 32
#define NAME_MAX_LENGTH   253
#define CONTAINERS_MAX    1000
#define OWNERS_MAX        100

static void
container_free (gpointer data)
{
  VjKubernetesContainer *container = data;
  g_free (container->id);
  g_free (container->name);
  g_free (container->image);
  g_free (container);
}

void
vj_kubernetes_owner_clear (VjKubernetesOwner *owner)
{
  g_free (owner->api);
  g_free (owner->kind);
  g_free (owner->name);
  g_free (owner->uid);
  *owner = (VjKubernetesOwner){ 0 };
}

void
vj_kubernetes_pod_free (VjKubernetesPod *pod)
{
  if (pod == NULL)
    return;
  g_free (pod->uid);
  g_free (pod->static_uid);
  g_free (pod->namespace_);
  g_free (pod->name);
  vj_kubernetes_owner_clear (&pod->owner);
  g_strfreev (pod->labels);
  g_ptr_array_unref (pod->containers);
  g_free (pod);
}

void
vj_kubernetes_event_clear (VjKubernetesEvent *event)
{
  vj_kubernetes_pod_free (event->pod);
  g_free (event->version);
  g_free (event->message);
  *event = (VjKubernetesEvent){ 0 };
}

/* --- metadata --- */

/* Names become parts of paths and labels: RFC 1123's characters, and capitals, which kinds have. */
static gboolean
is_name (const char *text)
{
  gsize length = text != NULL ? strlen (text) : 0;
  if (length == 0 || length > NAME_MAX_LENGTH || !g_ascii_isalnum (text[0]))
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (text[i]) && text[i] != '-' && text[i] != '.')
      return FALSE;
  return TRUE;
}

static gboolean
are_hex (const char *text, gsize length)
{
  return strlen (text) == length && strspn (text, "0123456789abcdef") == length;
}

static char *
take_name (JsonObject *object, const char *member)
{
  const char *text = vj_json_text (object, member);
  return is_name (text) ? g_strdup (text) : NULL;
}

static gboolean
take_controller (JsonObject *metadata, VjKubernetesOwner *ret_owner)
{
  JsonArray *owners = vj_json_array (metadata, "ownerReferences");
  for (guint i = 0; owners != NULL && i < MIN (json_array_get_length (owners), OWNERS_MAX); i++)
    {
      JsonObject *owner = vj_json_element (owners, i);
      if (!vj_json_true (owner, "controller"))
        continue;
      *ret_owner = (VjKubernetesOwner){ .api = g_strdup (vj_json_text (owner, "apiVersion")),
                                        .kind = take_name (owner, "kind"),
                                        .name = take_name (owner, "name"),
                                        .uid = take_name (owner, "uid") };
      if (ret_owner->kind != NULL && ret_owner->name != NULL && ret_owner->uid != NULL)
        return TRUE;
      vj_kubernetes_owner_clear (ret_owner);
    }
  return FALSE;
}

/* Of the API's mirror pod, and of the pod as kubelet itself has it, whose uid is the hash already. */
static char *
take_static_uid (JsonObject *metadata)
{
  JsonObject *annotations = vj_json_object (metadata, "annotations");
  const char *hash = vj_json_text (annotations, "kubernetes.io/config.hash");
  const char *mirror = vj_json_text (annotations, "kubernetes.io/config.mirror");
  if (hash == NULL || g_strcmp0 (hash, mirror) != 0 || !are_hex (hash, STATIC_UID_LENGTH))
    return NULL;
  return g_strdup (hash);
}

static char **
take_labels (JsonObject *metadata, const VjLabelRules *rules)
{
  JsonObject *labels = vj_json_object (metadata, "labels");
  GPtrArray *shown = g_ptr_array_new ();
  for (guint i = 0; rules->keys != NULL && rules->keys[i] != NULL; i++)
    {
      const char *value = vj_json_text (labels, rules->keys[i]);
      if (value == NULL || strlen (value) > NAME_MAX_LENGTH)
        continue;
      g_ptr_array_add (shown, g_strdup (rules->names[i]));
      g_ptr_array_add (shown, g_strdup (value));
    }
  g_ptr_array_add (shown, NULL);
  return (char **)g_ptr_array_free (shown, FALSE);
}

/* --- status --- */

/* "containerd://ID" */
static void
add_container (GPtrArray *containers, JsonObject *status, const char *full_id)
{
  const char *id = full_id != NULL ? strstr (full_id, "://") : NULL;
  if (id == NULL || !are_hex (id + 3, ID_LENGTH) || !is_name (vj_json_text (status, "name")))
    return;
  VjKubernetesContainer *container = g_new0 (VjKubernetesContainer, 1);
  container->id = g_strdup (id + 3);
  container->name = g_strdup (vj_json_text (status, "name"));
  container->image = g_strdup (vj_json_text (status, "image"));
  g_ptr_array_add (containers, container);
}

static void
add_containers (GPtrArray *containers, JsonArray *statuses)
{
  for (guint i = 0; statuses != NULL && i < MIN (json_array_get_length (statuses), CONTAINERS_MAX); i++)
    {
      JsonObject *status = vj_json_element (statuses, i);
      JsonObject *last = vj_json_object (vj_json_object (status, "lastState"), "terminated");
      add_container (containers, status, vj_json_text (status, "containerID"));
      add_container (containers, status, vj_json_text (last, "containerID"));
    }
}

static VjKubernetesPod *
take_pod (JsonObject *document, const VjLabelRules *labels)
{
  JsonObject *metadata = vj_json_object (document, "metadata");
  JsonObject *status = vj_json_object (document, "status");
  g_autoptr (VjKubernetesPod) pod = g_new0 (VjKubernetesPod, 1);
  pod->containers = g_ptr_array_new_with_free_func (container_free);
  pod->uid = take_name (metadata, "uid");
  pod->namespace_ = take_name (metadata, "namespace");
  pod->name = take_name (metadata, "name");
  if (pod->uid == NULL || pod->namespace_ == NULL || pod->name == NULL)
    return NULL;
  pod->static_uid = take_static_uid (metadata);
  if (take_controller (metadata, &pod->owner) && strcmp (pod->owner.kind, "Node") == 0)
    vj_kubernetes_owner_clear (&pod->owner);
  pod->labels = take_labels (metadata, labels);
  add_containers (pod->containers, vj_json_array (status, "initContainerStatuses"));
  add_containers (pod->containers, vj_json_array (status, "containerStatuses"));
  add_containers (pod->containers, vj_json_array (status, "ephemeralContainerStatuses"));
  return g_steal_pointer (&pod);
}

/* --- documents --- */

static JsonNode *
parse_object (const VjScan *text)
{
  g_autoptr (JsonNode) root = vj_json_parse (text->at, vj_scan_left (text));
  return root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? g_steal_pointer (&root) : NULL;
}

static char *
take_version (JsonObject *document)
{
  const char *version = vj_json_text (vj_json_object (document, "metadata"), "resourceVersion");
  return is_name (version) ? g_strdup (version) : NULL;
}

static void
take_items (VjScan items, const VjLabelRules *labels, VjKubernetesTakePod take, gpointer user_data)
{
  VjScan item;
  while (vj_json_next_element (&items, &item))
    {
      g_autoptr (JsonNode) root = parse_object (&item);
      g_autoptr (VjKubernetesPod) pod = root != NULL ? take_pod (json_node_get_object (root), labels) : NULL;
      if (pod != NULL)
        take (pod, user_data);
    }
}

gboolean
vj_kubernetes_list_parse (const char *text, gsize length, const VjLabelRules *labels,
                          VjKubernetesTakePod take, gpointer user_data, char **ret_version)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan document;
  VjScan value;
  VjScan items = { 0 };
  if (!vj_json_inside (&scan, '{', &document) || !vj_json_find (document, "items", &value))
    return FALSE;
  if (!vj_json_inside (&value, '[', &items) && g_strstr_len (value.at, 4, "null") != value.at)
    return FALSE;
  take_items (items, labels, take, user_data);
  *ret_version = NULL;
  if (!vj_json_find (document, "metadata", &value))
    return TRUE;
  g_autoptr (JsonNode) metadata = parse_object (&value);
  const char *version =
      metadata != NULL ? vj_json_text (json_node_get_object (metadata), "resourceVersion") : NULL;
  *ret_version = is_name (version) ? g_strdup (version) : NULL;
  return TRUE;
}

static gboolean
take_event (const char *type, JsonObject *object, const VjLabelRules *labels, VjKubernetesEvent *ret_event)
{
  static const struct
  {
    const char *name;
    VjKubernetesEventType type;
  } known[] = {
    { "ADDED", VJ_KUBERNETES_POD },   { "MODIFIED", VJ_KUBERNETES_POD },
    { "DELETED", VJ_KUBERNETES_POD }, { "BOOKMARK", VJ_KUBERNETES_BOOKMARK },
    { "ERROR", VJ_KUBERNETES_ERROR },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    {
      if (g_strcmp0 (type, known[i].name) != 0)
        continue;
      ret_event->type = known[i].type;
      if (known[i].type == VJ_KUBERNETES_POD)
        ret_event->pod = take_pod (object, labels);
      if (known[i].type != VJ_KUBERNETES_ERROR)
        ret_event->version = take_version (object);
      else
        {
          ret_event->code = vj_json_count (object, "code");
          ret_event->message = g_strdup (vj_json_text (object, "message"));
        }
      return TRUE;
    }
  return FALSE;
}

gboolean
vj_kubernetes_event_parse (const char *line, gsize length, const VjLabelRules *labels,
                           VjKubernetesEvent *ret_event)
{
  VjScan scan = vj_scan_init (line, length);
  g_autoptr (JsonNode) root = parse_object (&scan);
  JsonObject *event = root != NULL ? json_node_get_object (root) : NULL;
  JsonObject *object = vj_json_object (event, "object");
  *ret_event = (VjKubernetesEvent){ 0 };
  return object != NULL && take_event (vj_json_text (event, "type"), object, labels, ret_event);
}

gboolean
vj_kubernetes_owner_parse (const char *text, gsize length, const char *uid, VjKubernetesOwner *ret_owner)
{
  VjScan scan = vj_scan_init (text, length);
  g_autoptr (JsonNode) root = parse_object (&scan);
  JsonObject *metadata = root != NULL ? vj_json_object (json_node_get_object (root), "metadata") : NULL;
  *ret_owner = (VjKubernetesOwner){ 0 };
  if (g_strcmp0 (vj_json_text (metadata, "uid"), uid) != 0)
    return FALSE;
  take_controller (metadata, ret_owner);
  return TRUE;
}
