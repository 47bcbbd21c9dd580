/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/poll.h"

/* CPU time of processes that have just exited, from the kernel's exit records (Documentation/accounting/taskstats.rst:
 * generic netlink family TASKSTATS, needs CAP_NET_ADMIN). The last resort for a domain whose scope was removed before it
 * could be read. Only processes that are followed are kept, so memory is O(domains); a storm of exits of others is read
 * within a budget per tick, beyond which records are lost, and counted. */
typedef struct VjExitRecords VjExitRecords;

/* UNAVAILABLE or DENIED where the kernel or the privileges do not give them. */
VjExitRecords *vj_exit_records_open (VjPoll *poll, GError **error);
void vj_exit_records_free (VjExitRecords *records);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjExitRecords, vj_exit_records_free)
void vj_exit_records_follow (VjExitRecords *records, int pid);
void vj_exit_records_unfollow (VjExitRecords *records, int pid);
/* CPU time (user + system, ns) of all of pid's threads over its life. Reads what is waiting at the kernel first. FALSE: the
 * records of it have not come, or were lost. */
gboolean vj_exit_records_get (VjExitRecords *records, int pid, guint64 *ret_cpu_ns);
void vj_exit_records_tick (VjExitRecords *records);
guint64 vj_exit_records_lost (const VjExitRecords *records);
