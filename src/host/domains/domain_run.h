/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "common/machine.h"
#include "common/poll.h"
#include "common/roots.h"
#include "host/domains/domain_settings.h"
#include "common/exit_records.h"
#include "host/domains/lifetimes.h"
#include "host/usage/scope.h"

/* One run of one QEMU process: the process, held by pidfd; what it consumes; and the account in the ledger that is billed for
 * it, whose counters stand under one epoch. A run that is not measured holds its process and has no account. */
typedef struct VjDomainRun VjDomainRun;

/* What all runs share; borrowed. */
typedef struct
{
  const VjRoots *roots;
  VjLedger *ledger;
  const VjMachine *machine;
  VjPoll *poll;
  VjExitRecords *exits; /* NULL: there are none */
} VjRunContext;

/* How much is known of what a run used between its last tick and its end. */
typedef enum
{
  VJ_ENDING_EXACT,     /* all of it: it could still be read */
  VJ_ENDING_COMPLETED, /* from the kernel's exit records, at least what the process alone used */
  VJ_ENDING_UNKNOWN,   /* nothing: it stays with the host */
  VJ_N_ENDINGS
} VjEnding;

const char *vj_ending_name (VjEnding ending); /* "exact", "completed", "unknown" */

/* Where a run that an agent of this boot left is gone on with. */
typedef struct
{
  char epoch[VJ_SESSION_LENGTH + 1];
  guint64 usage_ns; /* raw reading that was billed last */
  guint usage_kind; /* VjScopeKind */
} VjRunMark;

/* Holds the process. start_us: the one that is expected, 0: any. func is called once it has exited. NULL: it is not there. */
VjDomainRun *vj_domain_run_new (const VjRunContext *context, int pid, guint64 start_us, VjPollFunc func,
                                gpointer user_data);
/* A run that is still measured is closed as it is, without a last sample. */
void vj_domain_run_free (VjDomainRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjDomainRun, vj_domain_run_free)

int vj_domain_run_pid (const VjDomainRun *run);
guint64 vj_domain_run_start_us (const VjDomainRun *run);
gboolean vj_domain_run_is_alive (const VjDomainRun *run);

/* Begins to bill. from: the raw reading from which usage counts, if it is of the kind that is found; NULL: this moment's.
 * base: what earlier runs used, taken over, and told under its epoch (empty: a new one); account: the open one of that
 * epoch, or NULL. base NULL: a new epoch from zero. FALSE: its usage cannot be read; base is still the caller's. */
#define VJ_RUN_ANY_KIND G_MAXUINT
gboolean vj_domain_run_measure (VjDomainRun *run, const VjRunMark *from, VjLifetime *base,
                                VjAccount *account);
/* Goes on with the account that an earlier agent had; base as above. FALSE: there is none, or it cannot be read as it was. */
gboolean vj_domain_run_resume (VjDomainRun *run, const VjRunMark *mark, VjLifetime *base);
/* Counters start at zero under a new epoch, and without a base. */
void vj_domain_run_renew (VjDomainRun *run);
/* Bills no more. Returns the account, which is the caller's to close; *ret_base: what it had as base, or NULL. */
VjAccount *vj_domain_run_stop (VjDomainRun *run, VjLifetime **ret_base);

VjAccount *vj_domain_run_account (const VjDomainRun *run); /* NULL: not measured */
const VjRunMark *vj_domain_run_mark (const VjDomainRun *run);
const VjLifetime *vj_domain_run_base (const VjDomainRun *run);
const char *vj_domain_run_usage (const VjDomainRun *run);         /* as a word; NULL: it is not known */
const char *vj_domain_run_package_split (const VjDomainRun *run); /* vj_consumption_split () */
/* Base and run together. */
guint64 vj_domain_run_energy_uj (const VjDomainRun *run, guint zone);
guint64 vj_domain_run_static_uj (const VjDomainRun *run, guint zone);
guint64 vj_domain_run_cpu_ns (const VjDomainRun *run);
/* The same as a whole, of any account. The caller's. */
VjLifetime *vj_lifetime_sum (const VjLedger *ledger, const VjLifetime *base, const VjAccount *account);
VjLifetime *vj_lifetime_copy (const VjLifetime *lifetime, guint n_zones);
void vj_lifetime_free (VjLifetime *lifetime);

/* Adds what was used since the last sample. A run whose usage cannot be read for once is billed from its next reading on:
 * nobody knows in which interval the time in between was used. */
void vj_domain_run_sample (VjDomainRun *run, guint64 elapsed_us);
/* The last one: what the kernel still tells. */
VjEnding vj_domain_run_sample_last (VjDomainRun *run, guint64 elapsed_us);
/* The scope that the process is in (vj_usage_scope ()), whether or not usage is read there; 0: none. */
guint64 vj_domain_run_scope (const VjDomainRun *run);
/* Somebody else lives in that scope too: from now on the process alone is read. */
void vj_domain_run_leave_scope (VjDomainRun *run, guint64 elapsed_us);
