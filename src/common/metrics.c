/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/metrics.h"

#include <stdarg.h>

struct VjMetrics
{
  GString *text;
  char *family;
};

VjMetrics *
vj_metrics_new (void)
{
  VjMetrics *metrics = g_new0 (VjMetrics, 1);

  metrics->text = g_string_new (NULL);
  return metrics;
}

/* Appends text with backslash and newline escaped, and the double quote too where it would end a label value.
 */
static void
append_escaped (GString *out, const char *text, gboolean quoted)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);

  for (const char *c = valid; *c != '\0'; c++)
    {
      if (*c == '\n')
        g_string_append (out, "\\n");
      else if (*c == '\\' || (quoted && *c == '"'))
        g_string_append_printf (out, "\\%c", *c);
      else
        g_string_append_c (out, *c);
    }
}

void
vj_metrics_family (VjMetrics *metrics, const char *name, const char *type, const char *help)
{
  g_string_append_printf (metrics->text, "# HELP %s ", name);
  append_escaped (metrics->text, help, FALSE);
  g_string_append_printf (metrics->text, "\n# TYPE %s %s\n", name, type);
  g_free (metrics->family);
  metrics->family = g_strdup (name);
}

/* open: '{' before the first label. */
static void
append_label (VjMetrics *metrics, char *open, const char *name, const char *value)
{
  g_string_append_printf (metrics->text, "%c%s=\"", *open, name);
  append_escaped (metrics->text, value, TRUE);
  g_string_append_c (metrics->text, '"');
  *open = ',';
}

static void
append_series (VjMetrics *metrics, va_list *labels)
{
  const char *name = va_arg (*labels, const char *);
  char open = '{';

  g_string_append (metrics->text, metrics->family);
  for (; name != NULL; name = va_arg (*labels, const char *))
    append_label (metrics, &open, name, va_arg (*labels, const char *));
  g_string_append (metrics->text, open == ',' ? "} " : " ");
}

static void
append_micro (VjMetrics *metrics, guint64 micro_value)
{
  g_string_append_printf (metrics->text, "%" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT "\n",
                          micro_value / 1000000, micro_value % 1000000);
}

void
vj_metrics_u64 (VjMetrics *metrics, guint64 value, ...)
{
  va_list labels;

  va_start (labels, value);
  append_series (metrics, &labels);
  va_end (labels);
  g_string_append_printf (metrics->text, "%" G_GUINT64_FORMAT "\n", value);
}

void
vj_metrics_micro (VjMetrics *metrics, guint64 micro_value, ...)
{
  va_list labels;

  va_start (labels, micro_value);
  append_series (metrics, &labels);
  va_end (labels);
  append_micro (metrics, micro_value);
}

void
vj_metrics_micro_of (VjMetrics *metrics, guint64 micro_value, const char *const *labels)
{
  char open = '{';

  g_string_append (metrics->text, metrics->family);
  for (; labels[0] != NULL; labels += 2)
    append_label (metrics, &open, labels[0], labels[1]);
  g_string_append (metrics->text, open == ',' ? "} " : " ");
  append_micro (metrics, micro_value);
}

char *
vj_metrics_finish (VjMetrics *metrics)
{
  char *text = g_string_free (metrics->text, FALSE);

  g_free (metrics->family);
  g_free (metrics);
  return text;
}
