/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A table of text for a terminal: header, rule, rows; each column as wide as its widest cell. What a terminal would
 * not print as a character (escapes, line breaks, direction overrides) is replaced. Pure. */
typedef struct VjCliTable VjCliTable;

VjCliTable *vj_cli_table_new (void);
void vj_cli_table_free (VjCliTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjCliTable, vj_cli_table_free)
/* All columns come before the first cell. Numbers stand at the right. */
void vj_cli_table_column (VjCliTable *table, const char *header, gboolean right);
/* Cells fill row after row; text is copied or taken. */
void vj_cli_table_cell (VjCliTable *table, const char *text);
void vj_cli_table_take (VjCliTable *table, char *text);
void vj_cli_table_render (const VjCliTable *table, GString *out);
/* The replacement alone, for text outside tables. The caller's. */
char *vj_cli_printable (const char *text);
/* How many bytes of text, valid UTF-8, fit into that many columns of a terminal. */
gsize vj_cli_clip (const char *text, guint columns);
