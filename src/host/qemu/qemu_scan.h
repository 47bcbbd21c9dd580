/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/qemu/qemu_process.h"

/* One look for virtual machines, from what it is asked to what it has found. A worker thread runs it. */
typedef struct
{
  const VjQemuRules *rules;
  gboolean all;      /* at every pid file and, where plain ones count, every process; else only these: */
  GHashTable *vmids; /* set of GUINT_TO_POINTER (): pid files */
  GHashTable *pids;  /* set of GINT_TO_POINTER () */
  GHashTable *known; /* the same: no look at these */

  gint at_pid;  /* atomic: the process it looks at just now; 0: at none */
  gint give_up; /* atomic: another thread wants no more of it */

  GMutex lock;      /* of found */
  GPtrArray *found; /* VjQemuProcess */
  int unknown_pid;  /* one that was asked for by its pid file or by its pid, and cannot be judged; 0: none */
  int early_pid; /* one without arguments yet, which was not asked for by its pid: to be looked at again; 0: none */
} VjQemuScan;

/* rules are borrowed. */
VjQemuScan *vj_qemu_scan_new (const VjQemuRules *rules);
void vj_qemu_scan_free (VjQemuScan *scan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjQemuScan, vj_qemu_scan_free)
void vj_qemu_scan_run (VjQemuScan *scan);
/* Hands what it has found, and has not handed over yet, to func, which takes it: VjQemuProcess, the oldest first. Also while
 * it runs in another thread. FALSE: there is nothing. */
gboolean vj_qemu_scan_hand_over (VjQemuScan *scan, GFunc func, gpointer user_data);
