/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/ledger.h"
#include "guest/attributor/cgroup_tree.h"
#include "guest/attributor/processes.h"

/* One control group's figures; they outlive the group until they are folded into its parent's. For workloads.c. */
typedef struct VjGroup VjGroup;
struct VjGroup
{
  VjGroup *parent;     /* NULL: the root */
  GPtrArray *children; /* of VjGroup; NULL: none yet */
  guint index;         /* among its parent's */
  VjCgroup *cgroup;    /* NULL: it has ended */
  VjCgroupClass class;
  char *path;
  guint64 ended_us; /* CLOCK_MONOTONIC; 0: it has not */

  /* CPU time since it was first read, or since its birth if it was born meanwhile; with all below it */
  guint64 cpu_ns;
  guint64 before_ns; /* part of it: of groups of the same path that it is the successor of */
  guint64 offset_ns; /* what it had used before it was followed */
  gboolean read;     /* at least once */
  gboolean threaded; /* its threads are billed with their processes, which are in a group above it */
  guint64 ended_ns;  /* billed to children that have ended, and to all below them: part of cpu_ns */
  guint64 billed_ns; /* of its own */

  guint64 memory_bytes; /* as of late; with all below it */

  /* Bytes read from disks and written to them, as CPU time; workload_io.h. */
  guint64 io_bytes;
  guint64 io_ended_bytes;
  guint64 io_billed_bytes;
  GArray *io_disks; /* VjDiskBytes at the last reading; NULL: none yet */

  VjAccount *account;
  guint64
      *exited_uj; /* own energy that is in no account: of processes that ended, and under earlier ledgers */
  guint64 *folded_uj; /* of children that ended and are shown no more */

  GPtrArray *members; /* of VjThreadGroup; NULL: none */
  GPtrArray *ended_members;
};

/* Where accounts are kept, and how zones are shown. */
typedef struct
{
  VjLedger *ledger;  /* NULL until the first */
  guint *shown_zone; /* of each zone of the ledger */
  guint n_shown;
  guint64 serial; /* of account keys */
} VjGroupBook;

/* Of processes that have ended and are still shown: those that ended later than that, and after so many others. */
typedef struct
{
  guint64 after_us;
  guint64 after_nth;
} VjShownEnds;

VjGroup *vj_group_new (VjGroup *parent, VjCgroup *cgroup, guint n_zones);
/* Without children, members and account. Takes it out of its parent's list. */
void vj_group_free (VjGroup *group);
/* Own CPU time: what none of its children has used. Never falls, up to what is read a moment later. */
guint64 vj_group_own_ns (const VjGroup *group);
/* Billed to it and to all below it that has ended. */
guint64 vj_group_billed_ns (const VjGroup *group);
guint64 vj_group_own_memory (const VjGroup *group);
gboolean vj_group_has_children (const VjGroup *group);

/* Each adds to energy_uj, which has an entry per shown zone: of processes that are not shown; of the group itself, those of its
 * processes that are shown included; of all below it too; of one process. */
void vj_group_add_exited (const VjGroupBook *book, const VjGroup *group, guint64 *energy_uj);
void vj_group_add_own (const VjGroupBook *book, const VjGroup *group, guint64 *energy_uj);
void vj_group_add_total (const VjGroupBook *book, const VjGroup *group, guint64 *energy_uj);
void vj_group_add_process (const VjGroupBook *book, const VjThreadGroup *process, guint64 *energy_uj);

/* Of VjThreadGroup, borrowed: those that run, and those that have ended but are shown still. */
GPtrArray *vj_group_shown_processes (const VjGroup *group);

/* None for the root, whose own usage is the machine's. */
void vj_group_open_account (VjGroupBook *book, VjGroup *group);
/* Closes what has ended, once everything is billed: the processes that ended in a group and in all below it, into their
 * groups unless they are shown still; a group, which is freed, into its parent. */
void vj_group_fold_all_members (const VjGroupBook *book, VjGroup *group, const VjShownEnds *shown);
void vj_group_fold (const VjGroupBook *book, VjGroup *group);
/* A change of ledgers, of a group and all below it; n_before: zones that were shown before. */
void vj_group_leave_ledger (const VjGroupBook *book, VjGroup *group);
void vj_group_enter_ledger (VjGroupBook *book, VjGroup *group, guint n_before);
