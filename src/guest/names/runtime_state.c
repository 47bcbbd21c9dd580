/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/runtime_state.h"

#include <string.h>

#include "guest/names/json_text.h"

/* Where a runtime writes what it knows of a pod's container. */
typedef struct
{
  const char *type;
  const char *sandbox;
  const char *name;
  const char *pod;
  const char *namespace_;
  const char *pod_uid;
  const char *image;
} Dialect;

static const Dialect containerd = {
  .type = "io.kubernetes.cri.container-type",
  .sandbox = "sandbox",
  .name = "io.kubernetes.cri.container-name",
  .pod = "io.kubernetes.cri.sandbox-name",
  .namespace_ = "io.kubernetes.cri.sandbox-namespace",
  .pod_uid = "io.kubernetes.cri.sandbox-uid",
  .image = "io.kubernetes.cri.image-name",
};
static const Dialect cri_o = {
  .type = "io.kubernetes.cri-o.ContainerType",
  .sandbox = "sandbox",
  .name = "io.kubernetes.container.name",
  .pod = "io.kubernetes.pod.name",
  .namespace_ = "io.kubernetes.pod.namespace",
  .pod_uid = "io.kubernetes.pod.uid",
  .image = "io.kubernetes.cri-o.ImageName",
};
static const Dialect dockershim = {
  .type = "io.kubernetes.docker.type",
  .sandbox = "podsandbox",
  .name = "io.kubernetes.container.name",
  .pod = "io.kubernetes.pod.name",
  .namespace_ = "io.kubernetes.pod.namespace",
  .pod_uid = "io.kubernetes.pod.uid",
};

void
vj_runtime_state_clear (VjRuntimeState *state)
{
  g_free (state->name);
  g_free (state->image);
  g_free (state->pod);
  g_free (state->pod_uid);
  g_free (state->namespace_);
  *state = (VjRuntimeState){ 0 };
}

static void
take (JsonObject *object, const char *member, char **text)
{
  const char *value = member != NULL ? vj_json_text (object, member) : NULL;
  if (*text == NULL && value != NULL && *value != '\0')
    *text = g_strdup (value);
}

/* What is known already stays. */
static void
take_dialect (JsonObject *object, const Dialect *dialect, VjRuntimeState *state)
{
  state->sandbox = state->sandbox || g_strcmp0 (vj_json_text (object, dialect->type), dialect->sandbox) == 0;
  take (object, dialect->name, &state->name);
  take (object, dialect->pod, &state->pod);
  take (object, dialect->namespace_, &state->namespace_);
  take (object, dialect->pod_uid, &state->pod_uid);
  take (object, dialect->image, &state->image);
}

static gboolean
finish (VjRuntimeState *state)
{
  if (state->sandbox)
    {
      g_free (state->name);
      state->name = g_strdup ("POD");
    }
  if (state->name != NULL || state->image != NULL || state->pod_uid != NULL)
    return TRUE;
  vj_runtime_state_clear (state);
  return FALSE;
}

gboolean
vj_runtime_state_parse_docker (const char *text, gsize length, const char *pod_uid, VjRuntimeState *ret_state)
{
  g_autoptr (JsonNode) root = vj_json_parse (text, length);
  *ret_state = (VjRuntimeState){ 0 };
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return FALSE;
  JsonObject *document = json_node_get_object (root);
  JsonObject *config = vj_json_object (document, "Config");
  const char *name = vj_json_text (document, "Name");
  take_dialect (vj_json_object (config, "Labels"), &dockershim, ret_state);
  if (g_strcmp0 (ret_state->pod_uid, pod_uid) != 0)
    {
      vj_runtime_state_clear (ret_state);
      if (name != NULL && *(name + (*name == '/')) != '\0')
        ret_state->name = g_strdup (name + (*name == '/'));
    }
  take (config, "Image", &ret_state->image);
  return finish (ret_state);
}

/* CRI-O repeats kubelet's labels as a text of JSON. These come first: other annotations may be those of the pod's owner. */
static void
take_labels (JsonObject *annotations, VjRuntimeState *state)
{
  const char *text = vj_json_text (annotations, "io.kubernetes.cri-o.Labels");
  g_autoptr (JsonNode) labels = text != NULL ? vj_json_parse (text, strlen (text)) : NULL;
  if (labels != NULL && JSON_NODE_HOLDS_OBJECT (labels))
    take_dialect (json_node_get_object (labels), &cri_o, state);
}

gboolean
vj_runtime_state_parse_oci (const char *text, gsize length, VjRuntimeState *ret_state)
{
  g_autoptr (JsonNode) root = vj_json_parse (text, length);
  *ret_state = (VjRuntimeState){ 0 };
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return FALSE;
  JsonObject *annotations = vj_json_object (json_node_get_object (root), "annotations");
  if (vj_json_text (annotations, containerd.type) != NULL)
    take_dialect (annotations, &containerd, ret_state);
  else if (vj_json_text (annotations, cri_o.type) != NULL)
    {
      take_labels (annotations, ret_state);
      take_dialect (annotations, &cri_o, ret_state);
    }
  else
    take (annotations, "nerdctl/name", &ret_state->name);
  return finish (ret_state);
}

static gboolean
take_stored (JsonObject *container, VjRuntimeState *state)
{
  JsonArray *names = vj_json_array (container, "names");
  JsonNode *first =
      names != NULL && json_array_get_length (names) > 0 ? json_array_get_element (names, 0) : NULL;
  const char *text = vj_json_text (container, "metadata");
  g_autoptr (JsonNode) metadata = text != NULL ? vj_json_parse (text, strlen (text)) : NULL;
  if (first != NULL && json_node_get_value_type (first) == G_TYPE_STRING
      && *json_node_get_string (first) != '\0')
    state->name = g_strdup (json_node_get_string (first));
  if (metadata != NULL && JSON_NODE_HOLDS_OBJECT (metadata))
    take (json_node_get_object (metadata), "image-name", &state->image);
  return finish (state);
}

gboolean
vj_runtime_state_parse_storage (const char *text, gsize length, const char *id, VjRuntimeState *ret_state)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan inside;
  VjScan value;
  *ret_state = (VjRuntimeState){ 0 };
  if (!vj_json_inside (&scan, '[', &inside))
    return FALSE;
  while (vj_json_next_element (&inside, &value))
    {
      if (g_strstr_len (value.at, (gssize)vj_scan_left (&value), id) == NULL)
        continue;
      g_autoptr (JsonNode) node = vj_json_parse (value.at, vj_scan_left (&value));
      JsonObject *container =
          node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
      if (g_strcmp0 (vj_json_text (container, "id"), id) == 0)
        return take_stored (container, ret_state);
    }
  return FALSE;
}
