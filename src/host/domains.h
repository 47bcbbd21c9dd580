/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "common/poll.h"
#include "common/roots.h"
#include "host/domain.h"
#include "common/machine.h"
#include "host/snapshot.h"
#include "host/store.h"

/* The running domains: their processes, their usage, their accounts in the ledger and their channels. Keyed
 * by id; the only place that opens and closes accounts. */
typedef struct VjDomains VjDomains;

/* What every frame of a tick has in common; owned by the agent, who renews it at each tick. */
typedef struct
{
  VjFrame frame;                         /* session, epoch, sequence and energies are filled per domain */
  guint ledger_zone[VJ_FRAME_ZONES_MAX]; /* of each frame zone */
  guint64 quantum_uj;                    /* energies are rounded down to a multiple of this; >= 1 */
} VjFrameTemplate;

/* roots, ledger, machine, poll and template are borrowed for the table's life. */
VjDomains *vj_domains_new (const VjRoots *roots, VjLedger *ledger, const VjMachine *machine, VjPoll *poll,
                           const VjFrameTemplate *template);
void vj_domains_free (VjDomains *domains);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjDomains, vj_domains_free)

/* A watcher's word. interval_start_us: CLOCK_BOOTTIME of the last tick: a process that started later is
 * billed from zero, an older one from now on. */
void vj_domains_present (VjDomains *domains, const VjDomainInfo *info, guint64 interval_start_us);
void vj_domains_absent (VjDomains *domains, const char *id);

/* Takes up a domain that an earlier agent of this boot knew, with its account. FALSE: its process is no
 * longer there, its account is closed, and what it used since is unknown. same_epoch: its counters go on; else
 * they start at zero under a new epoch. Until the watcher tells of it too, it is forgotten when its process exits. */
gboolean vj_domains_restore (VjDomains *domains, const VjStoredDomain *stored, gboolean same_epoch);
/* Adds nothing to, but fills, stored->domains; the entries are borrowed until the next call on the table. */
void vj_domains_store (VjDomains *domains, VjStored *stored);

/* Reads everybody's usage into the ledger. A domain whose process is not known yet is looked up once more. */
void vj_domains_read_usage (VjDomains *domains, guint64 interval_start_us, guint64 elapsed_us);
/* After settling: powers over the interval, then every channel's turn. */
void vj_domains_publish (VjDomains *domains, guint64 elapsed_us, guint64 now_us);

guint vj_domains_count (const VjDomains *domains);
/* Appends one VjDomainSnapshot per domain, sorted by name and UUID. */
void vj_domains_snapshot (const VjDomains *domains, guint64 newest_us, GPtrArray *ret_snapshots);
