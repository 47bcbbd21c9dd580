/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* CPU time of processes that have just exited, from the kernel's exit records (Documentation/accounting/taskstats.rst:
 * generic netlink family TASKSTATS; needs CAP_NET_ADMIN and the machine's own network, user and pid namespaces). For
 * processes that end before they can be read once more. The kernel is told which processes are followed and drops the
 * records of all others at their source, so that neither memory nor time here depends on what else the machine runs. */
typedef struct VjExitRecords VjExitRecords;

/* UNAVAILABLE or DENIED where the kernel (older than 5.19, or without CONFIG_TASKSTATS) or the privileges do not give
 * them. */
VjExitRecords *vj_exit_records_open (GError **error);
void vj_exit_records_free (VjExitRecords *records);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjExitRecords, vj_exit_records_free)
/* pid: a process that lives. Its end counts from now on (from the next tick on, where very many are followed); following it
 * again changes nothing. */
void vj_exit_records_follow (VjExitRecords *records, int pid);
void vj_exit_records_unfollow (VjExitRecords *records, int pid);
/* CPU time (user + system, ns) of all of pid's threads over its life, as the process's CPU clock counts it, but for what each
 * thread did after the kernel wrote its record (tens of microseconds; the last one also takes down the memory). So it may
 * be a little less than an earlier reading of the clock. Reads what is waiting at the kernel first. FALSE: the record of
 * pid's last thread has not come, or was lost. It has come once pid's pidfd is readable. */
gboolean vj_exit_records_get (VjExitRecords *records, int pid, guint64 *ret_cpu_ns);
/* Once a tick: takes what is waiting, VJ_EXIT_RECORDS_BUDGET at most. */
#define VJ_EXIT_RECORDS_BUDGET 1024
void vj_exit_records_tick (VjExitRecords *records);
/* Records that the kernel could not deliver since open. */
guint64 vj_exit_records_lost (const VjExitRecords *records);
