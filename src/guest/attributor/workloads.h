/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/exit_records.h"
#include "common/ledger.h"
#include "common/machine.h"
#include "common/roots.h"
#include "guest/attributor/attributor_snapshot.h"
#include "guest/names/names.h"

/* Everything that runs on this machine, as control groups and, if asked for, their processes: follows them, reads what they
 * used into the ledger, and keeps what each was given. The only place that opens and closes accounts. Every group has an account
 * for its own usage, which is what it used without the groups below it; what a group used after its last reading is its
 * parent's. Whatever is outside of every group, kernel and interrupts, is the ledger's remainder. */
typedef struct VjWorkloads VjWorkloads;

typedef struct
{
  gboolean processes;
  guint max_groups;
  guint64 keep_us; /* how long a group is shown after its end, and a process that an exit record told of */
  guint max_ended; /* how many of these at most, of each kind; the oldest go first */
} VjWorkloadsOptions;

typedef struct
{
  /* A group is there: now, or since before. */
  void (*appeared) (const VjCgroupClass *class, gpointer user_data);
  /* A group that ended is folded into its parent, and shown no more; energy_uj: what it and all below it were given. */
  void (*folding) (const VjCgroupClass *class, const guint64 *energy_uj, guint n_shown, gpointer user_data);
} VjWorkloadsFuncs;

/* Of roots, procfs and cgroupfs are used; borrowed. */
VjWorkloads *vj_workloads_open (const VjRoots *roots, const VjWorkloadsOptions *options,
                                const VjWorkloadsFuncs *told, gpointer user_data, GError **error);
void vj_workloads_free (VjWorkloads *workloads);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjWorkloads, vj_workloads_free)

/* Where processes are followed: what the kernel tells of them when they exit. Takes exits over. */
void vj_workloads_use_exit_records (VjWorkloads *workloads, VjExitRecords *exits);
/* The ledger that accounts are kept in from now on, and the machine that it is of; both borrowed until the next ones, and the ledger
 * before is used a last time here. What was given so far is kept. shown_zone: for each zone of the ledger its index among the
 * n_shown zones of snapshots; these may become more with each call, and never change their place. */
void vj_workloads_set_ledger (VjWorkloads *workloads, VjLedger *ledger, const VjMachine *machine,
                              const guint *shown_zone, guint n_shown);
/* Reads everybody's usage since the last time into the ledger. elapsed_us: since then. */
void vj_workloads_read (VjWorkloads *workloads, guint64 now_us, guint64 elapsed_us);
/* After settling. complete: every zone was measured in this interval, so nobody has usage that is yet to be billed; then
 * what ended long enough ago is folded into its parent. */
void vj_workloads_settled (VjWorkloads *workloads, guint64 now_us, gboolean complete);
/* Fills groups, processes, cgroup_version, groups_refused, and folded_uj of zones, of which all shown ones are there. */
void vj_workloads_snapshot (const VjWorkloads *workloads, VjNames *names, VjAttributorSnapshot *ret_snapshot);
