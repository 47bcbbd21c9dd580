/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/cli_table.h"

struct VjCliTable
{
  GPtrArray *cells; /* the headers, then row after row */
  GArray *right;    /* of gboolean, one per column */
};

VjCliTable *
vj_cli_table_new (void)
{
  VjCliTable *table = g_new0 (VjCliTable, 1);
  table->cells = g_ptr_array_new_with_free_func (g_free);
  table->right = g_array_new (FALSE, FALSE, sizeof (gboolean));
  return table;
}

void
vj_cli_table_free (VjCliTable *table)
{
  g_ptr_array_unref (table->cells);
  g_array_unref (table->right);
  g_free (table);
}

static gboolean
is_printable (gunichar c)
{
  GUnicodeType type = g_unichar_type (c);
  return g_unichar_isprint (c) && type != G_UNICODE_LINE_SEPARATOR && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *
vj_cli_printable (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *printable = g_string_new (NULL);
  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    g_string_append_unichar (printable, is_printable (g_utf8_get_char (p)) ? g_utf8_get_char (p) : '?');
  return g_string_free (printable, FALSE);
}

void
vj_cli_table_cell (VjCliTable *table, const char *text)
{
  g_ptr_array_add (table->cells, vj_cli_printable (text));
}

void
vj_cli_table_take (VjCliTable *table, char *text)
{
  vj_cli_table_cell (table, text);
  g_free (text);
}

void
vj_cli_table_column (VjCliTable *table, const char *header, gboolean right)
{
  g_array_append_val (table->right, right);
  vj_cli_table_cell (table, header);
}

static guint
columns_of (gunichar c)
{
  if (g_unichar_iszerowidth (c))
    return 0;
  return g_unichar_iswide (c) ? 2 : 1;
}

/* Columns of the terminal that text takes. */
static guint
width_of (const char *text)
{
  guint width = 0;
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    width += columns_of (g_utf8_get_char (p));
  return width;
}

gsize
vj_cli_clip (const char *text, guint columns)
{
  const char *p = text;
  for (guint width = 0; *p != '\0'; p = g_utf8_next_char (p))
    {
      width += columns_of (g_utf8_get_char (p));
      if (width > columns)
        break;
    }
  return (gsize)(p - text);
}

static guint *
column_widths (const VjCliTable *table)
{
  guint n_columns = table->right->len;
  guint *widths = g_new0 (guint, n_columns);
  for (guint i = 0; i < table->cells->len; i++)
    widths[i % n_columns] = MAX (widths[i % n_columns], width_of (g_ptr_array_index (table->cells, i)));
  return widths;
}

static void
put_spaces (GString *out, guint n)
{
  g_string_append_printf (out, "%*s", (int)n, "");
}

static void
put_cell (const VjCliTable *table, guint cell, guint width, GString *out)
{
  guint n_columns = table->right->len;
  const char *text = g_ptr_array_index (table->cells, cell);
  guint padding = width - width_of (text);
  gboolean right = g_array_index (table->right, gboolean, cell % n_columns);
  gboolean last = cell % n_columns == n_columns - 1;
  put_spaces (out, cell % n_columns == 0 ? 1 : 3);
  put_spaces (out, right ? padding : 0);
  g_string_append (out, text);
  put_spaces (out, right || last ? 0 : padding);
  if (last)
    g_string_append_c (out, '\n');
}

static void
put_rule (const guint *widths, guint n_columns, GString *out)
{
  guint length = 3 * n_columns - 1;
  for (guint i = 0; i < n_columns; i++)
    length += widths[i];
  for (guint i = 0; i < length; i++)
    g_string_append_c (out, '-');
  g_string_append_c (out, '\n');
}

void
vj_cli_table_render (const VjCliTable *table, GString *out)
{
  guint n_columns = table->right->len;
  g_return_if_fail (n_columns > 0);
  g_autofree guint *widths = column_widths (table);
  for (guint i = 0; i < table->cells->len; i++)
    {
      if (i == n_columns)
        put_rule (widths, n_columns, out);
      put_cell (table, i, widths[i % n_columns], out);
    }
  if (table->cells->len == n_columns)
    put_rule (widths, n_columns, out);
}
