/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/cgroup_read.h"
#include "guest/attributor/workload_group.h"

/* What control groups and their processes read from disks and wrote to them (docs: equation 4.13). For workloads.c. A group's
 * is its own counter's; where it has none, that of the groups and the processes in it. Its processes are billed what they say
 * themselves, but no more than the group used without those below it: what the kernel writes back later is the group's. */

/* Of all groups, after their processes have been read. */
void vj_group_use_io (VjGroup *group, const VjCgroupReader *reader);
/* Reads the counter of one group alone. */
gboolean vj_group_read_io (VjGroup *group, const VjCgroupReader *reader);
/* One that has ended is billed what it had moved at its last reading, and that is no more its parent's. */
void vj_group_end_io (VjGroup *group);
/* It goes on. */
void vj_group_resume_io (VjGroup *group);
