/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

/* Reading of the agent's documents. An agent of another version may lack a member: that is a default, not an error. */

/* Parses a document whose root has the given type. The node is the caller's (json_node_unref ()). */
JsonNode *vj_cli_json_parse (const char *text, JsonNodeType type, GError **error);
/* An object within; empty if absent. Borrowed by the caller's document or NULL-safe below. */
JsonObject *vj_cli_json_object (JsonObject *object, const char *key);
const char *vj_cli_json_text (JsonObject *object, const char *key); /* "" if absent */
guint64 vj_cli_json_u64 (JsonObject *object, const char *key);      /* 0 if absent */
gboolean vj_cli_json_true (JsonObject *object, const char *key);

/* Cells of a table; the caller's. */
char *vj_cli_joules (guint64 energy_uj);                       /* "12.345" */
char *vj_cli_seconds (JsonObject *object, const char *key_us); /* "0.412 s", or "-" if absent or null */
char *vj_cli_watts (JsonObject *object, const char *key);      /* "12.340", or "-" */
/* "measured by powercap; readings are at most 0.412 s old" of an object with quality, source, age_us. */
char *vj_cli_quality (JsonObject *object, const char *source_key);
