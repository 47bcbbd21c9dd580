/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubeconfig.h"

#include "common/error.h"
#include "guest/names/json_text.h"

void
vj_kubeconfig_clear (VjKubeconfig *config)
{
  g_free (config->server);
  g_free (config->ca_file);
  g_free (config->ca_data);
  g_free (config->token);
  g_free (config->token_file);
  g_free (config->cert_file);
  g_free (config->cert_data);
  g_free (config->key_file);
  g_free (config->key_data);
  *config = (VjKubeconfig){ 0 };
}

/* {"clusters": [{"name": NAME, "cluster": {...}}]} */
static JsonObject *
find_named (JsonObject *document, const char *list, const char *name, const char *member)
{
  JsonArray *array = vj_json_array (document, list);
  for (guint i = 0; array != NULL && name != NULL && i < json_array_get_length (array); i++)
    {
      JsonObject *element = vj_json_element (array, i);
      if (g_strcmp0 (vj_json_text (element, "name"), name) == 0)
        return vj_json_object (element, member);
    }
  return NULL;
}

static char *
take (JsonObject *object, const char *member)
{
  const char *text = vj_json_text (object, member);
  return text != NULL && *text != '\0' ? g_strdup (text) : NULL;
}

static gboolean
refuse (GError **error, const char *why)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s", why);
  return FALSE;
}

static gboolean
check (JsonObject *cluster, JsonObject *user, GError **error)
{
  if (cluster == NULL || vj_json_text (cluster, "server") == NULL)
    return refuse (error, "its current-context leads to no cluster with a server");
  if (vj_json_true (cluster, "insecure-skip-tls-verify"))
    return refuse (error, "insecure-skip-tls-verify: certificates are always verified here; give its "
                          "certificate-authority");
  if (vj_json_text (cluster, "tls-server-name") != NULL || vj_json_text (cluster, "proxy-url") != NULL)
    return refuse (error, "tls-server-name and proxy-url are not supported");
  if (vj_json_object (user, "exec") != NULL || vj_json_object (user, "auth-provider") != NULL)
    return refuse (error, "its user logs in with another program, which is not supported; use a service "
                          "account's token");
  return TRUE;
}

gboolean
vj_kubeconfig_parse (const char *text, gsize length, VjKubeconfig *ret_config, GError **error)
{
  g_autoptr (JsonNode) root = vj_json_parse (text, length);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return refuse (error, "not JSON; make it so: kubectl config view --raw --minify --flatten -o json");
  JsonObject *document = json_node_get_object (root);
  JsonObject *context =
      find_named (document, "contexts", vj_json_text (document, "current-context"), "context");
  JsonObject *cluster = find_named (document, "clusters", vj_json_text (context, "cluster"), "cluster");
  JsonObject *user = find_named (document, "users", vj_json_text (context, "user"), "user");
  if (!check (cluster, user, error))
    return FALSE;
  *ret_config = (VjKubeconfig){ .server = take (cluster, "server"),
                                .ca_file = take (cluster, "certificate-authority"),
                                .ca_data = take (cluster, "certificate-authority-data"),
                                .token = take (user, "token"),
                                .token_file = take (user, "tokenFile"),
                                .cert_file = take (user, "client-certificate"),
                                .cert_data = take (user, "client-certificate-data"),
                                .key_file = take (user, "client-key"),
                                .key_data = take (user, "client-key-data") };
  return TRUE;
}
