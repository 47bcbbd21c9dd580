/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes_pod.h"

#include <string.h>

#include "guest/names/json_text.h"

#define ID_LENGTH       64
#define NAME_MAX_LENGTH 253
#define CONTAINERS_MAX  1000
#define OWNERS_MAX      100
/* Documents are walked in their text, and no more than such a piece becomes a tree: one of small members takes a hundred times
 * its length, and whoever may make pods decides what is in them. */
#define PIECE_MAX ((gsize)64 * 1024)

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

/* NULL for what is longer, too. */
static JsonNode *
parse_piece (const VjScan *text)
{
  return vj_scan_left (text) <= PIECE_MAX ? vj_json_parse (text->at, vj_scan_left (text)) : NULL;
}

static JsonNode *
parse_object (const VjScan *text)
{
  g_autoptr (JsonNode) node = parse_piece (text);
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? g_steal_pointer (&node) : NULL;
}

/* What is within a member's braces or brackets; nothing if there is no such member. */
static VjScan
inside_of (VjScan object, const char *member, char open)
{
  VjScan value;
  VjScan inside;
  if (vj_json_find (object, member, &value) && vj_json_inside (&value, open, &inside))
    return inside;
  return vj_scan_init ("", 0);
}

static char *
take_text (VjScan object, const char *member)
{
  VjScan value;
  g_autoptr (JsonNode) node = vj_json_find (object, member, &value) ? parse_piece (&value) : NULL;
  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_dup_string (node)
                                                                          : NULL;
}

static char *
take_name (VjScan object, const char *member)
{
  g_autofree char *text = take_text (object, member);
  return is_name (text) ? g_steal_pointer (&text) : NULL;
}

static char *
copy_name (JsonObject *object, const char *member)
{
  const char *text = vj_json_text (object, member);
  return is_name (text) ? g_strdup (text) : NULL;
}

static gboolean
take_owner (JsonObject *owner, VjKubernetesOwner *ret_owner)
{
  *ret_owner = (VjKubernetesOwner){ .api = g_strdup (vj_json_text (owner, "apiVersion")),
                                    .kind = copy_name (owner, "kind"),
                                    .name = copy_name (owner, "name"),
                                    .uid = copy_name (owner, "uid") };
  if (ret_owner->kind != NULL && ret_owner->name != NULL && ret_owner->uid != NULL)
    return TRUE;
  vj_kubernetes_owner_clear (ret_owner);
  return FALSE;
}

static gboolean
take_controller (VjScan metadata, VjKubernetesOwner *ret_owner)
{
  VjScan owners = inside_of (metadata, "ownerReferences", '[');
  VjScan element;
  for (guint i = 0; i < OWNERS_MAX && vj_json_next_element (&owners, &element); i++)
    {
      g_autoptr (JsonNode) node = parse_object (&element);
      JsonObject *owner = node != NULL ? json_node_get_object (node) : NULL;
      if (vj_json_true (owner, "controller") && take_owner (owner, ret_owner))
        return TRUE;
    }
  return FALSE;
}

static char **
take_labels (VjScan metadata, const VjLabelRules *rules)
{
  VjScan labels = inside_of (metadata, "labels", '{');
  GPtrArray *shown = g_ptr_array_new ();
  for (guint i = 0; rules->keys != NULL && rules->keys[i] != NULL; i++)
    {
      g_autofree char *value = take_text (labels, rules->keys[i]);
      if (value == NULL || strlen (value) > NAME_MAX_LENGTH)
        continue;
      g_ptr_array_add (shown, g_strdup (rules->names[i]));
      g_ptr_array_add (shown, g_steal_pointer (&value));
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
add_containers (GPtrArray *containers, VjScan status, const char *member)
{
  VjScan statuses = inside_of (status, member, '[');
  VjScan element;
  for (guint i = 0; i < CONTAINERS_MAX && vj_json_next_element (&statuses, &element); i++)
    {
      g_autoptr (JsonNode) node = parse_object (&element);
      JsonObject *one = node != NULL ? json_node_get_object (node) : NULL;
      JsonObject *last = vj_json_object (vj_json_object (one, "lastState"), "terminated");
      add_container (containers, one, vj_json_text (one, "containerID"));
      add_container (containers, one, vj_json_text (last, "containerID"));
    }
}

/* document: its inside. */
static VjKubernetesPod *
take_pod (VjScan document, const VjLabelRules *labels)
{
  VjScan metadata = inside_of (document, "metadata", '{');
  VjScan status = inside_of (document, "status", '{');
  g_autoptr (VjKubernetesPod) pod = g_new0 (VjKubernetesPod, 1);
  pod->containers = g_ptr_array_new_with_free_func (container_free);
  pod->uid = take_name (metadata, "uid");
  pod->namespace_ = take_name (metadata, "namespace");
  pod->name = take_name (metadata, "name");
  if (pod->uid == NULL || pod->namespace_ == NULL || pod->name == NULL)
    return NULL;
  if (take_controller (metadata, &pod->owner) && strcmp (pod->owner.kind, "Node") == 0)
    vj_kubernetes_owner_clear (&pod->owner);
  pod->labels = take_labels (metadata, labels);
  add_containers (pod->containers, status, "initContainerStatuses");
  add_containers (pod->containers, status, "containerStatuses");
  add_containers (pod->containers, status, "ephemeralContainerStatuses");
  return g_steal_pointer (&pod);
}

/* --- documents --- */

static void
take_items (VjScan items, const VjLabelRules *labels, VjKubernetesTakePod take, gpointer user_data)
{
  VjScan item;
  VjScan inside;
  while (vj_json_next_element (&items, &item))
    {
      g_autoptr (VjKubernetesPod) pod =
          vj_json_inside (&item, '{', &inside) ? take_pod (inside, labels) : NULL;
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
  VjScan items = vj_scan_init ("", 0);
  if (!vj_json_inside (&scan, '{', &document) || !vj_json_find (document, "items", &value))
    return FALSE;
  if (!vj_json_inside (&value, '[', &items) && g_strstr_len (value.at, 4, "null") != value.at)
    return FALSE;
  take_items (items, labels, take, user_data);
  *ret_version = take_name (inside_of (document, "metadata", '{'), "resourceVersion");
  return TRUE;
}

static void
take_error (const VjScan *text, VjKubernetesEvent *ret_event)
{
  g_autoptr (JsonNode) node = parse_object (text);
  JsonObject *status = node != NULL ? json_node_get_object (node) : NULL;
  ret_event->code = vj_json_count (status, "code");
  ret_event->message = g_strdup (vj_json_text (status, "message"));
}

/* object: with its braces; inside: without. */
static gboolean
take_event (const char *type, const VjScan *object, VjScan inside, const VjLabelRules *labels,
            VjKubernetesEvent *ret_event)
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
        ret_event->pod = take_pod (inside, labels);
      if (known[i].type == VJ_KUBERNETES_ERROR)
        take_error (object, ret_event);
      else
        ret_event->version = take_name (inside_of (inside, "metadata", '{'), "resourceVersion");
      return TRUE;
    }
  return FALSE;
}

gboolean
vj_kubernetes_event_parse (const char *line, gsize length, const VjLabelRules *labels,
                           VjKubernetesEvent *ret_event)
{
  VjScan scan = vj_scan_init (line, length);
  VjScan event;
  VjScan object;
  VjScan inside;
  *ret_event = (VjKubernetesEvent){ 0 };
  if (!vj_json_inside (&scan, '{', &event) || !vj_json_find (event, "object", &object)
      || !vj_json_inside (&object, '{', &inside))
    return FALSE;
  g_autofree char *type = take_text (event, "type");
  return take_event (type, &object, inside, labels, ret_event);
}

gboolean
vj_kubernetes_owner_parse (const char *text, gsize length, const char *uid, VjKubernetesOwner *ret_owner)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan document;
  *ret_owner = (VjKubernetesOwner){ 0 };
  if (!vj_json_inside (&scan, '{', &document))
    return FALSE;
  VjScan metadata = inside_of (document, "metadata", '{');
  g_autofree char *of = take_text (metadata, "uid");
  if (g_strcmp0 (of, uid) != 0)
    return FALSE;
  take_controller (metadata, ret_owner);
  return TRUE;
}
