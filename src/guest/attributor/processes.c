/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/processes.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/io_text.h"
#include "common/procfs.h"
#include "common/units.h"

#define STAT_MAX 4096
/* One of so many processes is looked at closely at each tick: start time (is it still the same?), name, memory. */
#define CLOSE_LOOK_TICKS 16

struct VjProcesses
{
  char *procfs;
  GHashTable *by_pid; /* int -> VjThreadGroup, in a member list */
  guint64 tick;
  guint64 serial;
  guint64 born_after_us;
  gboolean memory;
  gboolean storage;
  guint64 ticks_per_s;
  guint64 page_bytes;
  VjExitRecords *exits; /* NULL: none */
  guint64 completed;
};

VjProcesses *
vj_processes_new (const char *procfs)
{
  VjProcesses *processes = g_new0 (VjProcesses, 1);
  processes->procfs = g_strdup (procfs);
  processes->by_pid = g_hash_table_new (NULL, NULL);
  processes->ticks_per_s = (guint64)sysconf (_SC_CLK_TCK);
  processes->page_bytes = (guint64)sysconf (_SC_PAGESIZE);
  return processes;
}

void
vj_processes_free (VjProcesses *processes)
{
  if (processes == NULL)
    return;
  g_clear_pointer (&processes->exits, vj_exit_records_free);
  g_hash_table_unref (processes->by_pid);
  g_free (processes->procfs);
  g_free (processes);
}

guint
vj_processes_count (const VjProcesses *processes)
{
  return g_hash_table_size (processes->by_pid);
}

void
vj_processes_use_exit_records (VjProcesses *processes, VjExitRecords *exits)
{
  g_clear_pointer (&processes->exits, vj_exit_records_free);
  processes->exits = exits;
}

void
vj_thread_group_free (VjThreadGroup *process)
{
  g_free (process->base_uj);
  g_free (process);
}

void
vj_processes_begin (VjProcesses *processes, guint64 born_after_us, gboolean memory, gboolean storage)
{
  processes->tick++;
  processes->born_after_us = born_after_us;
  processes->memory = memory;
  processes->storage = storage;
}

/* --- one process --- */

static char *
read_file (const VjProcesses *processes, int pid, const char *file, gsize *ret_length)
{
  g_autofree char *relative = g_strdup_printf ("%d/%s", pid, file);
  return vj_file_read (processes->procfs, relative, STAT_MAX, ret_length, NULL);
}

static gboolean
read_stat (const VjProcesses *processes, int pid, guint64 *ret_start_us, char command[VJ_COMMAND_MAX + 1])
{
  gsize length = 0;
  VjProcPidStat stat;
  g_autofree char *text = read_file (processes, pid, "stat", &length);
  if (text == NULL || !vj_procfs_parse_pid_stat (text, length, &stat))
    return FALSE;
  *ret_start_us = stat.start_ticks * (VJ_US_PER_S / processes->ticks_per_s);
  return vj_process_text_parse_command (text, length, command);
}

static void
read_memory (const VjProcesses *processes, VjThreadGroup *process)
{
  gsize length = 0;
  guint64 pages = 0;
  g_autofree char *text = read_file (processes, process->pid, "statm", &length);
  if (text != NULL && vj_process_text_parse_statm (text, length, &pages))
    process->memory_bytes = MIN (pages, G_MAXUINT32) * processes->page_bytes;
}

/* Whoever may not see it has none: it is its group's. */
static void
read_io (const VjProcesses *processes, VjThreadGroup *process, gboolean from_birth)
{
  gsize length = 0;
  guint64 total = 0;
  process->io_bytes = 0;
  if (!processes->storage)
    return;
  g_autofree char *text = read_file (processes, process->pid, "io", &length);
  if (text == NULL || !vj_io_text_parse_pid_io (text, length, &total))
    return;
  if (process->io_read || from_birth)
    process->io_bytes = total - MIN (process->io_total, total);
  process->io_total = total;
  process->io_read = TRUE;
}

static gboolean
read_clock (clockid_t clock, guint64 *ret_ns)
{
  struct timespec now;
  if (clock_gettime (clock, &now) < 0)
    return FALSE;
  *ret_ns = (guint64)now.tv_sec * VJ_NS_PER_S + (guint64)now.tv_nsec;
  return TRUE;
}

/* NULL: it has gone, or may not be seen. */
static VjThreadGroup *
open_process (VjProcesses *processes, VjLedger *ledger, int pid, gpointer owner)
{
  VjThreadGroup found = { .pid = pid, .owner = owner };
  if (clock_getcpuclockid (pid, &found.clock) != 0
      || !read_stat (processes, pid, &found.start_us, found.command)
      || !read_clock (found.clock, &found.clock_ns))
    return NULL;
  if (processes->memory)
    read_memory (processes, &found);
  g_autofree char *key = g_strdup_printf ("p%" G_GUINT64_FORMAT, ++processes->serial);
  found.account = vj_ledger_open (ledger, key);
  return g_memdup2 (&found, sizeof found);
}

/* FALSE: the pid means another process now, or none. */
static gboolean
look_closely (const VjProcesses *processes, VjThreadGroup *process)
{
  guint64 start_us = 0;
  if (!read_stat (processes, process->pid, &start_us, process->command) || start_us != process->start_us)
    return FALSE;
  if (processes->memory)
    read_memory (processes, process);
  return TRUE;
}

static guint64
add_usage (VjThreadGroup *process, guint64 since_ns, guint64 now_ns)
{
  guint64 used_ns = now_ns - since_ns;
  process->clock_ns = now_ns;
  process->cpu_ns += used_ns;
  vj_account_add_usage (process->account, VJ_RESOURCE_CPU, used_ns);
  return used_ns;
}

/* A clock that runs backwards is another process's. */
static gboolean
go_on (const VjProcesses *processes, VjThreadGroup *process, guint64 *ret_used_ns)
{
  guint64 now_ns = 0;
  gboolean due = ((guint64)process->pid + processes->tick) % CLOSE_LOOK_TICKS == 0;
  if (!read_clock (process->clock, &now_ns) || now_ns < process->clock_ns
      || (due && !look_closely (processes, process)))
    return FALSE;
  *ret_used_ns += add_usage (process, process->clock_ns, now_ns);
  read_io (processes, process, FALSE);
  return TRUE;
}

/* One that came from another group: what it used until now is that one's. */
static guint64
begin (const VjProcesses *processes, VjThreadGroup *process, gboolean was_elsewhere)
{
  gboolean born = process->start_us > processes->born_after_us && !was_elsewhere;
  read_io (processes, process, born);
  return add_usage (process, born ? 0 : process->clock_ns, process->clock_ns);
}

/* --- a group's --- */

static void
read_one (VjProcesses *processes, VjLedger *ledger, int pid, gpointer owner, GPtrArray *members,
          guint64 *used_ns)
{
  VjThreadGroup *known = g_hash_table_lookup (processes->by_pid, GINT_TO_POINTER (pid));
  gboolean elsewhere = known != NULL && known->owner != owner;
  if (known != NULL && !elsewhere && known->seen != processes->tick && go_on (processes, known, used_ns))
    {
      known->seen = processes->tick;
      return;
    }
  if (known != NULL && known->seen == processes->tick)
    return;
  VjThreadGroup *process = open_process (processes, ledger, pid, owner);
  if (process == NULL)
    return;
  elsewhere = elsewhere && known->start_us == process->start_us;
  *used_ns += begin (processes, process, elsewhere);
  process->seen = processes->tick;
  g_hash_table_replace (processes->by_pid, GINT_TO_POINTER (pid),
                        process); /* the one before has ended here */
  if (processes->exits != NULL)
    vj_exit_records_follow (processes->exits, pid);
  g_ptr_array_add (members, process);
}

/* The pid may mean another by now. */
static void
end (VjProcesses *processes, VjThreadGroup *process)
{
  gpointer key = GINT_TO_POINTER (process->pid);
  if (g_hash_table_lookup (processes->by_pid, key) == process)
    g_hash_table_remove (processes->by_pid, key);
}

guint64
vj_processes_read (VjProcesses *processes, VjLedger *ledger, const GArray *pids, gpointer owner,
                   GPtrArray *members, GPtrArray *ended)
{
  guint64 used_ns = 0;
  for (guint i = 0; i < pids->len; i++)
    read_one (processes, ledger, g_array_index (pids, int, i), owner, members, &used_ns);
  for (guint i = 0; i < members->len;)
    {
      VjThreadGroup *process = g_ptr_array_index (members, i);
      if (process->seen == processes->tick)
        {
          i++;
          continue;
        }
      end (processes, process);
      g_ptr_array_remove_index_fast (members, i);
      g_ptr_array_add (ended, process);
    }
  return used_ns;
}

void
vj_processes_end (VjProcesses *processes, GPtrArray *members, GPtrArray *ended)
{
  for (guint i = 0; i < members->len; i++)
    {
      end (processes, g_ptr_array_index (members, i));
      g_ptr_array_add (ended, g_ptr_array_index (members, i));
    }
  g_ptr_array_set_size (members, 0);
}

/* --- what has ended --- */

/* The record is there: the kernel sends it before the process leaves its control group. */
static gboolean
take_record (VjProcesses *processes, const VjThreadGroup *process, guint64 *ret_cpu_ns)
{
  const VjThreadGroup *successor = g_hash_table_lookup (processes->by_pid, GINT_TO_POINTER (process->pid));
  if (processes->exits == NULL || (successor != NULL && successor->start_us == process->start_us))
    return FALSE; /* the same, in another group */
  gboolean told = vj_exit_records_get (processes->exits, process->pid, ret_cpu_ns);
  vj_exit_records_unfollow (processes->exits, process->pid);
  if (successor != NULL)
    vj_exit_records_follow (processes->exits, process->pid);
  return told;
}

static guint64
complete (VjProcesses *processes, VjThreadGroup *process, guint64 at_most_ns)
{
  guint64 cpu_ns = 0;
  process->looked_up = TRUE;
  if (!take_record (processes, process, &cpu_ns))
    return 0;
  process->ended_us = vj_clock_monotonic_us ();
  process->ended_nth = ++processes->completed;
  guint64 rest_ns = cpu_ns - MIN (process->clock_ns, cpu_ns);
  return add_usage (process, process->clock_ns, process->clock_ns + MIN (rest_ns, at_most_ns));
}

guint64
vj_processes_complete (VjProcesses *processes, GPtrArray *ended, guint64 at_most_ns)
{
  guint64 used_ns = 0;
  for (guint i = ended->len; i > 0; i--)
    {
      VjThreadGroup *process = g_ptr_array_index (ended, i - 1);
      if (process->looked_up)
        break;
      used_ns += complete (processes, process, at_most_ns - used_ns);
    }
  return used_ns;
}

guint64
vj_processes_completed (const VjProcesses *processes)
{
  return processes->completed;
}

void
vj_processes_finish (VjProcesses *processes)
{
  if (processes->exits != NULL)
    vj_exit_records_tick (processes->exits);
}
