/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/topology.h"

#include <glib.h>

/* How one domain's CPU time is spread over the packages. How much there is comes from elsewhere (VjUsage); this splits
 * it, by what each thread of the process ran since the last time and the package that it is in now: where its affinity
 * has it, if that is within one package, else where it ran last. Processes beside QEMU in the domain's cgroup, and
 * threads that began and ended in between, are taken to be spread as the others are.
 * A sleeping thread costs one system call, a running one two if it is pinned and three if not, and opening and closing
 * where max_fds is too small. Not needed on a machine of one package. */
typedef struct VjPackageUsage VjPackageUsage;

/* topology is borrowed. max_fds: how many file descriptors it may keep open; what is beyond is opened for each reading.
 * Threads that are not known yet count from their start, so a first split of nothing sets the mark for a domain that ran
 * before. GONE if the process is not there. */
VjPackageUsage *vj_package_usage_open (const char *procfs, const VjTopology *topology, int pid, guint max_fds,
                                       GError **error);
void vj_package_usage_free (VjPackageUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjPackageUsage, vj_package_usage_free)

/* Splits total_ns, which is what the domain used since the last call, into ret_ns, one entry per package: their sum is
 * total_ns. Where the threads tell of next to nothing of it (the process has gone), as the last time.
 * TRUE: it is exact, because every thread that ran was pinned to one package and they account for nearly all of
 * total_ns. FALSE: modelled, from where the threads were seen. */
gboolean vj_package_usage_split (VjPackageUsage *usage, guint64 total_ns, guint64 *ret_ns);
