/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Small kernel files: opened once, re-read from offset 0 with pread (2), as sysfs, procfs and cgroupfs allow.
 * Every path is a root that the caller was given plus a relative path (design law 5). */

/* Opens <root>/<relative> read-only, close-on-exec. Returns the fd, or -1 with *error (GONE, DENIED, FAILED). */
int vj_file_open (const char *root, const char *relative, GError **error);

/* Reads the file at fd from offset 0 into buffer, always NUL-terminated; *ret_length excludes the NUL. One pread (2)
 * where the file fits. A file of size bytes or more is INVALID. Nothing is written to *ret_length on failure. */
gboolean vj_file_pread (int fd, char *buffer, gsize size, gsize *ret_length, GError **error);

/* The same for a file that holds one number (vj_cgroup_parse_u64 ()); INVALID if it does not. */
gboolean vj_file_pread_u64 (int fd, guint64 *ret_value, GError **error);

/* open + pread + close. The text is the caller's (g_free), at most limit bytes, else INVALID. NULL on error. */
char *vj_file_read (const char *root, const char *relative, gsize limit, gsize *ret_length, GError **error);

/* Writes text aside in the same directory (O_TMPFILE is not enough: the name must be replaced) and renames it over
 * <root>/<relative>, so that a reader sees the old or the new text, never a part. mode is exact (umask does not apply). */
gboolean vj_file_replace (const char *root, const char *relative, const char *text, gsize length, guint mode,
                          GError **error);
