/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parsers of what the kernel says of processes (proc(5), cgroups(7)). Pure, as common/procfs.h. */

#define VJ_COMMAND_MAX 15 /* TASK_COMM_LEN - 1 */

/* cgroup.procs: one process id a line. Those of other pid namespaces are 0, and left out. Appends to ret_pids (int); on failure
 * it is empty. */
gboolean vj_process_text_parse_pids (const char *text, gsize length, GArray *ret_pids);
/* The name in /proc/PID/stat, which stands between the first and the last parenthesis and may hold any bytes, parentheses too. */
gboolean vj_process_text_parse_command (const char *text, gsize length, char ret_command[VJ_COMMAND_MAX + 1]);
/* /proc/PID/statm: pages that are resident and no file's nor shared. */
gboolean vj_process_text_parse_statm (const char *text, gsize length, guint64 *ret_pages);
