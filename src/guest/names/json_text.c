/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/json_text.h"

#include <string.h>

static void
skip_space (VjScan *scan)
{
  while (scan->at < scan->end && strchr (" \t\r\n", *scan->at) != NULL && *scan->at != '\0')
    scan->at++;
}

/* From its opening quote to behind its closing one. */
static gboolean
pass_string (VjScan *scan)
{
  for (scan->at++; scan->at < scan->end; scan->at++)
    {
      if (*scan->at == '"')
        {
          scan->at++;
          return TRUE;
        }
      if (*scan->at == '\\')
        scan->at++;
    }
  return FALSE;
}

/* Numbers, true, false, null. No comments above all: in one a quote would not be a quote. */
static gboolean
is_plain (char c)
{
  return g_ascii_isalnum (c) || (c != '\0' && strchr ("+-. \t\r\n:,", c) != NULL);
}

/* The end of an enclosing value, or of this one. */
static gboolean
is_end (char c, guint depth)
{
  return depth == 0 && c != '\0' && strchr (",:}]", c) != NULL;
}

static gboolean
pass_step (VjScan *scan, guint deepest, guint *depth)
{
  char c = *scan->at;
  if (c == '"')
    return pass_string (scan);
  if (c == '{' || c == '[')
    (*depth)++;
  else if (c == '}' || c == ']')
    (*depth)--;
  else if (!is_plain (c))
    return FALSE;
  scan->at++;
  return *depth <= deepest;
}

/* One value, by its brackets and quotes alone; which costs no stack, however deep they are. */
static gboolean
pass_value (VjScan *scan, guint deepest, VjScan *ret_value)
{
  guint depth = 0;
  skip_space (scan);
  const char *start = scan->at;
  while (scan->at < scan->end && !is_end (*scan->at, depth))
    if (!pass_step (scan, deepest, &depth))
      return FALSE;
  *ret_value = vj_scan_init (start, (gsize)(scan->at - start));
  return depth == 0 && scan->at > start;
}

JsonNode *
vj_json_parse (const char *text, gsize length)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan value;
  if (length > G_MAXSSIZE || !pass_value (&scan, VJ_JSON_DEPTH, &value) || scan.at != scan.end)
    return NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!json_parser_load_from_data (parser, text, (gssize)length, NULL))
    return NULL;
  return json_parser_steal_root (parser);
}

const char *
vj_json_text (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;
  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node)
                                                                          : NULL;
}

JsonObject *
vj_json_object (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonArray *
vj_json_array (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;
  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

gboolean
vj_json_true (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;
  return node != NULL && json_node_get_value_type (node) == G_TYPE_BOOLEAN && json_node_get_boolean (node);
}

guint
vj_json_count (JsonObject *object, const char *member)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, member) : NULL;
  gint64 count =
      node != NULL && json_node_get_value_type (node) == G_TYPE_INT64 ? json_node_get_int (node) : 0;
  return count > 0 && count <= G_MAXUINT ? (guint)count : 0;
}

JsonObject *
vj_json_element (JsonArray *array, guint i)
{
  JsonNode *node = json_array_get_element (array, i);
  return JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

gboolean
vj_json_inside (const VjScan *text, char open, VjScan *ret_inside)
{
  VjScan scan = *text;
  VjScan value;
  if (!pass_value (&scan, G_MAXUINT, &value) || scan.at != scan.end || *value.at != open)
    return FALSE;
  while (value.end > value.at && strchr (" \t\r\n", value.end[-1]) != NULL)
    value.end--;
  if (value.end - value.at < 2 || value.end[-1] != (open == '{' ? '}' : ']'))
    return FALSE;
  *ret_inside = (VjScan){ .at = value.at + 1, .end = value.end - 1 };
  return TRUE;
}

gboolean
vj_json_next_element (VjScan *inside, VjScan *ret_value)
{
  VjScan scan = *inside;
  if (!pass_value (&scan, G_MAXUINT, ret_value))
    return FALSE;
  if (scan.at < scan.end && !vj_scan_literal (&scan, ","))
    return FALSE;
  *inside = scan;
  return TRUE;
}

gboolean
vj_json_next_member (VjScan *inside, VjScan *ret_key, VjScan *ret_value)
{
  VjScan scan = *inside;
  if (!pass_value (&scan, G_MAXUINT, ret_key) || *ret_key->at != '"' || !vj_scan_literal (&scan, ":")
      || !vj_json_next_element (&scan, ret_value))
    return FALSE;
  while (ret_key->end > ret_key->at && strchr (" \t\r\n", ret_key->end[-1]) != NULL)
    ret_key->end--;
  *inside = scan;
  return TRUE;
}

gboolean
vj_json_find (VjScan inside, const char *name, VjScan *ret_value)
{
  gboolean found = FALSE;
  gsize length = strlen (name);
  VjScan key;
  VjScan value;
  while (vj_json_next_member (&inside, &key, &value))
    if (vj_scan_left (&key) == length + 2 && strncmp (key.at + 1, name, length) == 0)
      {
        *ret_value = value;
        found = TRUE;
      }
  return found;
}
