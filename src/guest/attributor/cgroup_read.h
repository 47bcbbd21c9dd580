/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/disks.h"
#include "guest/attributor/cgroup_tree.h"

/* What a control group has used, from the files of its controllers (Documentation/admin-guide/cgroup-v2.rst,
 * cgroup-v1/{cpuacct,memory,blkio-controller}.rst). */
typedef struct VjCgroupReader VjCgroupReader;

/* tree is borrowed for the reader's life. */
VjCgroupReader *vj_cgroup_reader_new (const VjCgroupTree *tree);
void vj_cgroup_reader_free (VjCgroupReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjCgroupReader, vj_cgroup_reader_free)

/* Cumulative CPU time of the group and all below it, ended processes included. One pread (2) as a rule: the file stays open
 * while there are plenty of descriptors. GONE once the group has been removed. */
gboolean vj_cgroup_read_cpu (const VjCgroupReader *reader, VjCgroup *group, guint64 *ret_cpu_ns,
                             GError **error);
/* Memory now, of the group and all below it: anonymous + shared + hugepages where they are accounted (equation 4.9, corrected).
 * UNAVAILABLE without a memory controller. */
gboolean vj_cgroup_read_memory (const VjCgroupReader *reader, const VjCgroup *group, guint64 *ret_bytes,
                                GError **error);
/* The disks that are read and written, from now on; borrowed. NULL: nobody asks. */
void vj_cgroup_reader_use_disks (VjCgroupReader *reader, const VjDisks *disks);
/* Fills an array of VjDiskBytes with what the group and all below it have moved on these disks so far. UNAVAILABLE without an
 * io controller, and where the kernel does not count for it (vj_disks_are_counted ()). */
gboolean vj_cgroup_read_io (const VjCgroupReader *reader, const VjCgroup *group, GArray *ret_disks,
                            GError **error);
/* Fills an array of int with the processes of the group itself, not those below it; empty on failure. UNAVAILABLE for a threaded
 * group (cgroups(7)): it has threads alone, and their processes are those of the group that its subtree is below. */
gboolean vj_cgroup_read_processes (const VjCgroupReader *reader, const VjCgroup *group, GArray *ret_pids,
                                   GError **error);
