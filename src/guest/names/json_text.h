/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "common/scan.h"

/* JSON of strangers, on top of json-glib, whose parser recurses without bound and takes more than JSON. Pure. */
#define VJ_JSON_DEPTH 64

/* NULL for what is not JSON, is not UTF-8, or is nested deeper than that. The caller's (json_node_unref). */
JsonNode *vj_json_parse (const char *text, gsize length);

/* Members, or NULL where they are missing or of another type; object may be NULL. All are the object's. */
const char *vj_json_text (JsonObject *object, const char *member);
JsonObject *vj_json_object (JsonObject *object, const char *member);
JsonArray *vj_json_array (JsonObject *object, const char *member);
gboolean vj_json_true (JsonObject *object, const char *member);
/* 0 for what is no such number. */
guint vj_json_count (JsonObject *object, const char *member);
/* The i-th element, or NULL if it is not an object. */
JsonObject *vj_json_element (JsonArray *array, guint i);

/* A long document piece by piece, without a tree of the whole: what is within its outermost braces or brackets ('{' or '[').
 * FALSE for what is not of balanced form. However deep it is nested: it may be one stranger's in a document of many. */
gboolean vj_json_inside (const VjScan *text, char open, VjScan *ret_inside);
/* Moves on to the next element; FALSE at the end. */
gboolean vj_json_next_element (VjScan *inside, VjScan *ret_value);
/* The next member; its key as it is written, quotes included. */
gboolean vj_json_next_member (VjScan *inside, VjScan *ret_key, VjScan *ret_value);
/* The member of that name, of an object's inside; the last one, as parsers do. */
gboolean vj_json_find (VjScan inside, const char *name, VjScan *ret_value);
