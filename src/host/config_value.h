/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Values of settings: each parses text into the field that it is given a pointer to. On failure the field is
 * untouched, and INVALID's message quotes the value and says what is allowed. */
typedef gboolean (*VjValueSet) (gpointer field, const char *value, GError **error);

/* A char *: a path, not empty; a URI with a scheme, or "none"; ADDRESS:PORT, NULL for "none". */
gboolean vj_value_path (gpointer field, const char *value, GError **error);
gboolean vj_value_uri (gpointer field, const char *value, GError **error);
gboolean vj_value_listen (gpointer field, const char *value, GError **error);
/* A char **: words between commas, one at least. */
gboolean vj_value_words (gpointer field, const char *value, GError **error);
/* A GArray * of guint: names or numbers of users between commas; "any": empty. */
gboolean vj_value_users (gpointer field, const char *value, GError **error);
/* A guint of VjManager flags: names between commas; "auto": 0. */
gboolean vj_value_managers (gpointer field, const char *value, GError **error);
/* A gboolean: "yes" or "no"; "forever" or "run". */
gboolean vj_value_yes_no (gpointer field, const char *value, GError **error);
gboolean vj_value_lifetime (gpointer field, const char *value, GError **error);
/* VjSourceChoice, VjStaticPolicy, VjCurveKind, VjStacking */
gboolean vj_value_source (gpointer field, const char *value, GError **error);
gboolean vj_value_static_policy (gpointer field, const char *value, GError **error);
gboolean vj_value_curve (gpointer field, const char *value, GError **error);
gboolean vj_value_stacking (gpointer field, const char *value, GError **error);
/* A guint, in thousandths. */
gboolean vj_value_gamma (gpointer field, const char *value, GError **error);
/* A guint64: µs; µW, exact, by digits; the same, at least 1 W; µJ. */
gboolean vj_value_interval (gpointer field, const char *value, GError **error);
gboolean vj_value_watts (gpointer field, const char *value, GError **error);
gboolean vj_value_max_watts (gpointer field, const char *value, GError **error);
gboolean vj_value_resolution (gpointer field, const char *value, GError **error);

/* Sets INVALID for value and returns FALSE. */
gboolean vj_value_refuse (GError **error, const char *value, const char *allowed);
