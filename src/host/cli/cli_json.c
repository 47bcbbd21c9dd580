/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli_json.h"

#include <string.h>

#include "common/error.h"

JsonNode *
vj_cli_json_parse (const char *text, JsonNodeType type, GError **error)
{
  g_autoptr (JsonNode) root = json_from_string (text, NULL);
  if (root != NULL && json_node_get_node_type (root) == type)
    return g_steal_pointer (&root);
  g_set_error_literal (
      error, VJ_ERROR, VJ_ERROR_INVALID,
      "the agent's answer is not of the documented form: are virtjoule and virtjouled of one version?");
  return NULL;
}

/* The member of that type, or NULL. */
static JsonNode *
member (JsonObject *object, const char *key, GType type)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, key) : NULL;
  return node != NULL && json_node_get_value_type (node) == type ? node : NULL;
}

JsonObject *
vj_cli_json_object (JsonObject *object, const char *key)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, key) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

const char *
vj_cli_json_text (JsonObject *object, const char *key)
{
  JsonNode *node = member (object, key, G_TYPE_STRING);
  return node != NULL ? json_node_get_string (node) : "";
}

guint64
vj_cli_json_u64 (JsonObject *object, const char *key)
{
  JsonNode *node = member (object, key, G_TYPE_INT64);
  gint64 value = node != NULL ? json_node_get_int (node) : 0;
  return value > 0 ? (guint64)value : 0;
}

gboolean
vj_cli_json_true (JsonObject *object, const char *key)
{
  JsonNode *node = member (object, key, G_TYPE_BOOLEAN);
  return node != NULL && json_node_get_boolean (node);
}

static char *
thousandths (guint64 millionths)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT ".%03u", millionths / 1000000,
                          (guint)(millionths % 1000000 / 1000));
}

char *
vj_cli_joules (guint64 energy_uj)
{
  return thousandths (energy_uj);
}

char *
vj_cli_seconds (JsonObject *object, const char *key_us)
{
  if (member (object, key_us, G_TYPE_INT64) == NULL)
    return g_strdup ("-");
  g_autofree char *seconds = thousandths (vj_cli_json_u64 (object, key_us));
  return g_strconcat (seconds, " s", NULL);
}

char *
vj_cli_watts (JsonObject *object, const char *key)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];
  JsonNode *node = member (object, key, G_TYPE_DOUBLE);
  if (node == NULL)
    return g_strdup ("-");
  return g_strdup (g_ascii_formatd (buffer, sizeof buffer, "%.3f", json_node_get_double (node)));
}

char *
vj_cli_quality (JsonObject *object, const char *source_key)
{
  g_autofree char *age = vj_cli_seconds (object, "age_us");
  const char *quality = vj_cli_json_text (object, "quality");
  return g_strdup_printf ("%s by %s%s; the oldest reading is %s old", quality,
                          vj_cli_json_text (object, source_key),
                          strcmp (quality, "estimated") == 0 ? ", not measured" : "", age);
}
