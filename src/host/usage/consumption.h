/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "common/roots.h"
#include "common/machine.h"
#include "host/usage/usage.h"

/* What one domain uses of every resource that some zone is shared by. */
typedef struct VjConsumption VjConsumption;

/* Opens the readers that the machine's zones need for the process pid and what belongs to its domain; without
 * roots->cgroupfs, for the process alone. roots and machine are borrowed. Fails where CPU time cannot be read; memory and
 * I/O that cannot be read count as none. */
VjConsumption *vj_consumption_open (const VjRoots *roots, const VjMachine *machine, int pid, GError **error);
void vj_consumption_free (VjConsumption *consumption);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjConsumption, vj_consumption_free)

/* The raw CPU time that the next sample counts from: at first what it was at opening. Set to 0: from birth, and I/O too. */
guint64 vj_consumption_cpu_ns (const VjConsumption *consumption);
void vj_consumption_set_cpu_ns (VjConsumption *consumption, guint64 cpu_ns);
VjScopeKind vj_consumption_kind (const VjConsumption *consumption);
guint64 vj_consumption_scope (const VjConsumption *consumption); /* vj_usage_scope () */
/* "exact" or "modelled": how the last sample's CPU time was spread over the packages; NULL on a machine of one. */
const char *vj_consumption_split (const VjConsumption *consumption);

/* Adds what was used since the last sample to account. elapsed_us: since the last tick. FALSE: CPU time cannot be read
 * (the process or its cgroup has vanished), and nothing was added. */
gboolean vj_consumption_sample (VjConsumption *consumption, VjAccount *account, guint64 elapsed_us);
/* The process has exited and can no longer be read, and alone_ns is what it used in all its life by another source: adds
 * what was not yet added of it. FALSE: that is nothing. */
gboolean vj_consumption_complete (VjConsumption *consumption, VjAccount *account, guint64 alone_ns);
