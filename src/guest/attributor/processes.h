/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <time.h>

#include "common/exit_records.h"
#include "common/ledger.h"
#include "guest/attributor/process_text.h"

/* The processes of control groups, each a thread group with an account of its own. CPU time is the process's clock
 * (clock_getcpuclockid (3)): exact, with the threads that have ended. Identity is pid + start time; a process that changes its
 * group is another one from then on. */
typedef struct VjProcesses VjProcesses;

typedef struct
{
  int pid;
  guint64 start_us;                 /* CLOCK_BOOTTIME */
  char command[VJ_COMMAND_MAX + 1]; /* comm: any bytes */
  guint64 cpu_ns;       /* used in this group while it was followed; from birth, if it was born meanwhile */
  guint64 memory_bytes; /* anonymous and shared memory of its own (/proc/PID/statm) as of late */
  guint64 io_bytes;     /* read from disks and written to them since the last tick (/proc/PID/io) */
  guint64 *base_uj;     /* owner's use: energy under earlier ledgers; NULL: none */
  VjAccount *account;
  gpointer owner;
  clockid_t clock;
  guint64 clock_ns;   /* at the last reading */
  guint64 io_total;   /* the same */
  gboolean io_read;   /* at least once */
  guint64 seen;       /* the tick of that */
  gboolean looked_up; /* its exit record has been */
  guint64 ended_us;   /* CLOCK_MONOTONIC, when an exit record told of its end; 0: none has */
  guint64 ended_nth;  /* of these */
} VjThreadGroup;

VjProcesses *vj_processes_new (const char *procfs);
/* Every thread group must have been ended. */
void vj_processes_free (VjProcesses *processes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjProcesses, vj_processes_free)
guint vj_processes_count (const VjProcesses *processes);
/* From now on what the kernel tells of processes when they exit is used. Takes exits over. */
void vj_processes_use_exit_records (VjProcesses *processes, VjExitRecords *exits);

/* Begins a tick. born_after_us: CLOCK_BOOTTIME of the last one; a process that started later is counted from birth, an older
 * one from now on. memory: their memory is read too, of some of them at each tick. storage: so is what they read and write,
 * of all. */
void vj_processes_begin (VjProcesses *processes, guint64 born_after_us, gboolean memory, gboolean storage);
/* Reads the processes pids (int) of one group, owner, into their accounts. members holds those of the last time; it is made to
 * hold those of now, and the ones that have ended or gone elsewhere are appended to ended, with their accounts. Returns the
 * CPU time that was added, ns. A process that cannot be read (hidepid, already gone) is not a member: its group has its usage. */
guint64 vj_processes_read (VjProcesses *processes, VjLedger *ledger, const GArray *pids, gpointer owner,
                           GPtrArray *members, GPtrArray *ended);
/* The group has ended, and so have its processes here. */
void vj_processes_end (VjProcesses *processes, GPtrArray *members, GPtrArray *ended);
/* Gives those that are new in ended what they used between their last reading and their exit, where an exit record tells, but
 * at_most_ns in all: what their group used that is nobody's yet. A record names no group: of one that went to another group
 * and exited within one interval this may be the other group's, and no more than that. Returns the CPU time that was added. */
guint64 vj_processes_complete (VjProcesses *processes, GPtrArray *ended, guint64 at_most_ns);
/* How many have been completed so far. */
guint64 vj_processes_completed (const VjProcesses *processes);
/* Ends a tick: exits of all that are members now will be told of. */
void vj_processes_finish (VjProcesses *processes);
/* Of one that is in no list any more; its account must have been closed. */
void vj_thread_group_free (VjThreadGroup *process);
