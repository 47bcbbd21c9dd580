/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/frame.h"

#include "common/error.h"
#include "common/scan.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* json-glib recurses without bound, takes comments, hexadecimal and octal numbers and several values in a row, and lets an
 * integer overflow. So the tokens of a line are checked before it sees them; the grammar is left to it. */

/* What follows a backslash. A NUL would cut the string short for whoever reads it. */
static gboolean
skip_escape (VjScan *scan)
{
  if (scan->at == scan->end || strchr ("\"\\/bfnrtu", *scan->at) == NULL)
    return FALSE;
  if (*scan->at++ != 'u')
    return TRUE;
  if (vj_scan_left (scan) < 4 || memcmp (scan->at, "0000", 4) == 0)
    return FALSE;
  for (gsize i = 0; i < 4; i++)
    {
      if (!g_ascii_isxdigit (*scan->at++))
        return FALSE;
    }
  return TRUE;
}

/* From behind the opening quote to behind the closing one. */
static gboolean
skip_string (VjScan *scan)
{
  while (scan->at < scan->end)
    {
      char c = *scan->at++;

      if (c == '"')
        return TRUE;
      if ((guchar)c < ' ' || (c == '\\' && !skip_escape (scan)))
        return FALSE;
    }
  return FALSE;
}

static gboolean
skip_digits (VjScan *scan)
{
  const char *start = scan->at;

  while (scan->at < scan->end && g_ascii_isdigit (*scan->at))
    scan->at++;
  return scan->at > start;
}

static gboolean
skip_number (VjScan *scan)
{
  const char *digits;

  vj_scan_literal (scan, "-");
  digits = scan->at;
  if (!skip_digits (scan) || (*digits == '0' && scan->at - digits > 1))
    return FALSE;
  if (vj_scan_literal (scan, ".") && !skip_digits (scan))
    return FALSE;
  if (!vj_scan_literal (scan, "e") && !vj_scan_literal (scan, "E"))
    return TRUE;
  if (!vj_scan_literal (scan, "-"))
    vj_scan_literal (scan, "+");
  return skip_digits (scan);
}

/* An integer beyond 63 bits. */
static gboolean
is_too_large (VjScan token)
{
  VjScan digits;
  guint64 value;

  vj_scan_literal (&token, "-");
  digits = token;
  if (!skip_digits (&token) || token.at != token.end)
    return FALSE;
  return !vj_scan_u64 (&digits, &value) || value > G_MAXINT64;
}

static gboolean
skip_token (VjScan *scan)
{
  if (vj_scan_literal (scan, "\""))
    return skip_string (scan);
  if (g_ascii_isdigit (*scan->at) || *scan->at == '-')
    return skip_number (scan);
  if (strchr ("{}[]:, \t\r", *scan->at) != NULL)
    {
      scan->at++;
      return TRUE;
    }
  return vj_scan_literal (scan, "true") || vj_scan_literal (scan, "false") || vj_scan_literal (scan, "null");
}

static gboolean invalid (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
invalid (GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list arguments;

  va_start (arguments, format);
  what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "frame %s", what);
  return FALSE;
}

static gboolean
check_tokens (const char *line, gsize length, GError **error)
{
  VjScan scan = vj_scan_init (line, length);
  gboolean ended = FALSE;
  gsize depth = 0;

  while (scan.at < scan.end)
    {
      const char *start = scan.at;
      gboolean opens = *start == '{' || *start == '[';
      gboolean closes = *start == '}' || *start == ']';

      if (!skip_token (&scan) || (ended && !g_ascii_isspace (*start)))
        return invalid (error, "is not one JSON object: unexpected text at byte %" G_GSIZE_FORMAT,
                        (gsize)(start - line) + 1);
      if (is_too_large ((VjScan){ .at = start, .end = scan.at }))
        return invalid (error, "has an integer beyond 2^63 - 1 at byte %" G_GSIZE_FORMAT,
                        (gsize)(start - line) + 1);
      if (opens && ++depth > VJ_FRAME_DEPTH_MAX)
        return invalid (error, "is nested more than %d deep", VJ_FRAME_DEPTH_MAX);
      if (closes && depth > 0)
        ended = --depth == 0;
    }
  return TRUE;
}

/* json-glib keeps the last of two members of one name, so they are counted as they come. */
typedef struct
{
  GHashTable *members; /* JsonObject -> members seen in it */
  char *twice;         /* the first name that came twice; owned */
} Duplicates;

static void
on_member (JsonParser *parser, JsonObject *object, const char *name, gpointer user_data)
{
  Duplicates *duplicates = user_data;
  guint seen = GPOINTER_TO_UINT (g_hash_table_lookup (duplicates->members, object)) + 1;

  g_hash_table_insert (duplicates->members, object, GUINT_TO_POINTER (seen));
  if (seen > json_object_get_size (object) && duplicates->twice == NULL)
    duplicates->twice = g_strescape (name, NULL);
}

static gboolean
load (JsonParser *parser, const char *line, gsize length, GError **error)
{
  g_autoptr (GHashTable) members = g_hash_table_new (NULL, NULL);
  g_autoptr (GError) json_error = NULL;
  Duplicates duplicates = { .members = members };
  g_autofree char *twice = NULL;
  gboolean loaded;

  g_signal_connect (parser, "object-member", G_CALLBACK (on_member), &duplicates);
  loaded = json_parser_load_from_data (parser, line, (gssize)length, &json_error);
  twice = duplicates.twice;
  if (!loaded)
    {
      /* It quotes the line, which may be anything. */
      g_autofree char *reason = g_strescape (json_error->message, "\"");

      return invalid (error, "is not JSON: %s", reason);
    }
  if (twice != NULL)
    return invalid (error, "has member \"%s\" twice", twice);
  return TRUE;
}

static gboolean
get_u64 (JsonObject *object, const char *member, guint64 *ret_value, GError **error)
{
  JsonNode *node = json_object_get_member (object, member);

  if (node == NULL)
    return invalid (error, "has no member \"%s\"", member);
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64
      || json_node_get_int (node) < 0)
    return invalid (error, "member \"%s\" is not an integer of 0 or more", member);
  *ret_value = (guint64)json_node_get_int (node);
  return TRUE;
}

static gboolean
get_text (JsonObject *object, const char *member, char *buffer, gsize size, GError **error)
{
  JsonNode *node = json_object_get_member (object, member);

  if (node == NULL)
    return invalid (error, "has no member \"%s\"", member);
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return invalid (error, "member \"%s\" is not a string", member);
  if (g_strlcpy (buffer, json_node_get_string (node), size) >= size)
    return invalid (error, "member \"%s\" is longer than %" G_GSIZE_FORMAT " characters", member, size - 1);
  return TRUE;
}

static gboolean
get_version (JsonObject *object, GError **error)
{
  guint64 version = 0;

  if (!get_u64 (object, "v", &version, error))
    return FALSE;
  if (version != VJ_FRAME_VERSION)
    return invalid (error,
                    "member \"v\" is %" G_GUINT64_FORMAT ", and this program understands version %d only",
                    version, VJ_FRAME_VERSION);
  return TRUE;
}

static gboolean
get_quality (JsonObject *object, VjQuality *ret_quality, GError **error)
{
  char name[16];

  if (!get_text (object, "quality", name, sizeof name, error))
    return FALSE;
  for (VjQuality quality = VJ_QUALITY_MEASURED; quality <= VJ_QUALITY_ESTIMATED; quality++)
    {
      if (strcmp (name, vj_quality_name (quality)) == 0)
        {
          *ret_quality = quality;
          return TRUE;
        }
    }
  return invalid (error, "member \"quality\" is neither \"measured\" nor \"estimated\"");
}

static gboolean
get_zones (JsonObject *object, VjFrame *frame, GError **error)
{
  JsonNode *node = json_object_get_member (object, "zones");
  JsonObjectIter iter;
  const char *id;

  if (node == NULL)
    return invalid (error, "has no member \"zones\"");
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return invalid (error, "member \"zones\" is not an object");
  if (json_object_get_size (json_node_get_object (node)) > VJ_FRAME_ZONES_MAX)
    return invalid (error, "member \"zones\" has more than %d zones", VJ_FRAME_ZONES_MAX);
  json_object_iter_init_ordered (&iter, json_node_get_object (node));
  while (json_object_iter_next_ordered (&iter, &id, NULL))
    {
      gsize n = frame->n_zones;
      g_autofree char *shown = g_strescape (id, NULL);

      if (!vj_zone_init_from_id (&frame->zones[n], id, frame->zones, n))
        return invalid (error, "member \"zones\": \"%s\" is no zone id, or stands before its package", shown);
      if (!get_u64 (json_node_get_object (node), id, &frame->energy_uj[n], error))
        return FALSE;
      frame->n_zones++;
    }
  return TRUE;
}

static gboolean
get_members (JsonObject *object, VjFrame *frame, GError **error)
{
  return get_version (object, error)
         && get_text (object, "session", frame->session, sizeof frame->session, error)
         && get_text (object, "host", frame->host, sizeof frame->host, error)
         && get_text (object, "epoch", frame->epoch, sizeof frame->epoch, error)
         && get_u64 (object, "seq", &frame->sequence, error)
         && get_u64 (object, "mono_us", &frame->monotonic_us, error)
         && get_u64 (object, "interval_us", &frame->interval_us, error)
         && get_u64 (object, "age_us", &frame->age_us, error) && get_quality (object, &frame->quality, error)
         && get_text (object, "source", frame->source, sizeof frame->source, error)
         && get_text (object, "static", frame->static_policy, sizeof frame->static_policy, error)
         && get_zones (object, frame, error);
}

gboolean
vj_frame_decode (const char *line, gsize length, VjFrame *ret_frame, GError **error)
{
  g_autoptr (JsonParser) parser = NULL;
  VjFrame frame = { 0 };
  const char *problem;
  JsonNode *root;

  if (length > 0 && line[length - 1] == '\n')
    length--;
  if (length >= VJ_FRAME_MAX)
    return invalid (error, "is longer than %d bytes", VJ_FRAME_MAX);
  if (!g_utf8_validate_len (line, length, NULL))
    return invalid (error, "is not UTF-8 text");
  if (!check_tokens (line, length, error))
    return FALSE;
  parser = json_parser_new ();
  if (!load (parser, line, length, error))
    return FALSE;
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return invalid (error, "is not a JSON object");
  if (!get_members (json_node_get_object (root), &frame, error))
    return FALSE;
  problem = vj_frame_bad_member (&frame);
  if (problem != NULL)
    return invalid (error, "member \"%s\" has a value that is not allowed", problem);
  *ret_frame = frame;
  return TRUE;
}
