/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/disks.h"
#include "common/ledger.h"
#include "common/roots.h"
#include "common/topology.h"

/* What the whole machine uses of each resource that some zone is shared by: CPU time always, memory where a dram zone
 * is, bytes moved where a storage zone is, CPU time by package where that is asked for and there are several packages.
 * Resources that nobody needs are not read. */
typedef struct VjMachine VjMachine;

/* Says in the ledger, which has all its zones, what each zone is shared by. by_package: consumers can tell on which package
 * they used CPU time; else a package is shared by all of it. roots and ledger are borrowed. */
VjMachine *vj_machine_open (const VjRoots *roots, VjLedger *ledger, gboolean by_package, GError **error);
void vj_machine_free (VjMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjMachine, vj_machine_free)

/* Adds what was used since the last call to the ledger. What cannot be read, or is read for the first time, makes a gap
 * for the zones that it shares. now_us: CLOCK_MONOTONIC. FALSE: not even CPU time is known. */
gboolean vj_machine_read (VjMachine *machine, guint64 now_us);

guint64 vj_machine_busy_ns (const VjMachine *machine);  /* CPU time of the last interval */
guint64 vj_machine_total_ns (const VjMachine *machine); /* since opening */
guint vj_machine_cpus (const VjMachine *machine);       /* online */
gboolean vj_machine_shares_memory (const VjMachine *machine);
/* As last read. NULL where no zone is shared by what they move, and where that is not known. */
const VjDisks *vj_machine_disks (const VjMachine *machine);
/* NULL where there is one package only. */
const VjTopology *vj_machine_topology (const VjMachine *machine);

/* CPU time goes on from an earlier agent's reading in the same boot; the other resources begin with a gap. */
void vj_machine_get_mark (const VjMachine *machine, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us);
void vj_machine_set_mark (VjMachine *machine, guint64 idle_ticks, guint64 monotonic_us, guint cpus);
