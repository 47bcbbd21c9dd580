/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"

#include <glib.h>

/* Memory in use on the whole machine (docs: equation 4.11, corrected; vj_meminfo_in_use ()) from <procfs>/meminfo and,
 * because that tells of the default size of hugepages alone, <sysfs>/kernel/mm/hugepages. That it is not below the
 * sum over the domains is for the caller to see to. */
typedef struct VjMemoryTotal VjMemoryTotal;
VjMemoryTotal *vj_memory_total_open (const VjRoots *roots, GError **error);
void vj_memory_total_free (VjMemoryTotal *total);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjMemoryTotal, vj_memory_total_free)
gboolean vj_memory_total_read (VjMemoryTotal *total, guint64 *ret_in_use_bytes, GError **error);
