/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A kernel file that is opened once and read again and again, whose text may grow with the machine (file.h is for those
 * that do not). */
typedef struct VjKeptFile VjKeptFile;

/* Errors as vj_file_open (). */
VjKeptFile *vj_kept_file_open (const char *root, const char *relative, GError **error);
void vj_kept_file_free (VjKeptFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjKeptFile, vj_kept_file_free)
/* NUL-terminated text, the file's until the next reading. One pread (2) once the buffer is large enough. NULL on error,
 * which names the file. */
const char *vj_kept_file_read (VjKeptFile *file, gsize *ret_length, GError **error);
