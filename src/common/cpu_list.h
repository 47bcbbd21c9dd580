/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The most CPUs that a kernel can be built for (CONFIG_NR_CPUS) with a margin. */
#define VJ_CPUS_MAX 16384

/* A list of CPUs as sysfs and procfs print it, "0-3,8\n" (cpuset(7), list format), perhaps empty. Pure. Fills the array
 * of guint anew; FALSE and the array empty where the text is not of that form or a number is VJ_CPUS_MAX or more. */
gboolean vj_cpu_list_parse (const char *text, gsize length, GArray *ret_cpus);
