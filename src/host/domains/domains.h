/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/domains/domain.h"
#include "host/domains/domain_run.h"
#include "host/channel/guest_feed.h"
#include "host/domains/lifetimes.h"
#include "host/snapshot.h"
#include "host/store.h"

/* The running domains: what their watchers say of them, which process is whose, their runs (host/domains/domain_run.h) and what
 * their guests are told (host/channel/guest_feed.h). Keyed by id; the only place that opens and closes accounts.
 *
 * A process belongs to one domain: to that of the first of libvirt, Proxmox and plain QEMU that tells of it. It changes
 * hands when a higher one tells of it later, and when the one that has it lets go; both bill without a gap. */
typedef struct VjDomains VjDomains;

/* All borrowed for the table's life. */
typedef struct
{
  VjRunContext run;
  const VjFrameTemplate *template;
  const VjDomainSettings *settings; /* of domains of which nothing else is said */
  VjLifetimes *lifetimes;           /* NULL: counters last for one run */
} VjDomainsOptions;

VjDomains *vj_domains_new (const VjDomainsOptions *options);
void vj_domains_free (VjDomains *domains);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjDomains, vj_domains_free)

/* The watchers' word, as in VjDomainListener. */
void vj_domains_present (VjDomains *domains, const VjDomainInfo *info);
void vj_domains_absent (VjDomains *domains, const char *id);
void vj_domains_ending (VjDomains *domains, const char *id);
void vj_domains_forgotten (VjDomains *domains, const char *id);
/* That manager has told everything, or is not asked: what only an earlier agent knew of it is let go. */
void vj_domains_listed (VjDomains *domains, const char *manager);
/* A process has connected to the guest socket. TRUE: it is the QEMU of a domain that may, and fd is taken over. */
gboolean vj_domains_connect (VjDomains *domains, int fd, int pid);

/* Takes up a domain that an earlier agent of this boot knew, with its account. FALSE: its process is no
 * longer there, its account is closed, and what it used since is unknown. same_epoch: its counters go on; else
 * they start at zero under a new epoch. Until a watcher tells of it too, it is forgotten when its process exits. */
gboolean vj_domains_restore (VjDomains *domains, const VjStoredDomain *stored, gboolean same_epoch);
/* Adds nothing to, but fills, stored->domains; the entries are borrowed until the next call on the table. */
void vj_domains_store (VjDomains *domains, VjStored *stored);

/* boottime_us: CLOCK_BOOTTIME of the last tick: a process that started later is billed from zero, an older one from now on. */
void vj_domains_begin_interval (VjDomains *domains, guint64 boottime_us);
/* Reads everybody's usage into the ledger. A domain whose process is not known yet is looked up once more. */
void vj_domains_read_usage (VjDomains *domains, guint64 elapsed_us);
/* After settling, before the store: the books of runs that have ended are closed. TRUE: some lifetime has changed. */
gboolean vj_domains_settled (VjDomains *domains);
/* After the store: powers over the interval, then every guest's turn. */
void vj_domains_publish (VjDomains *domains, guint64 elapsed_us, guint64 now_us);
/* Notes what is known of the lifetimes of running domains, for the case that the host dies. */
void vj_domains_note_lifetimes (VjDomains *domains);

guint vj_domains_count (const VjDomains *domains);
/* Runs that have ended, by how much was known of their end: VJ_N_ENDINGS numbers. */
const guint64 *vj_domains_endings (const VjDomains *domains);
/* Appends one VjDomainSnapshot per domain, sorted by name and id. */
void vj_domains_snapshot (const VjDomains *domains, guint64 newest_us, GPtrArray *ret_snapshots);
