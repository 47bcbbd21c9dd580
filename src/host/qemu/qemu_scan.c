/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/qemu_scan.h"

#include "common/procfs.h"
#include "host/qemu/pidfile.h"

#include <string.h>

#define PID_FILE_SUFFIX ".pid"

static GPtrArray *
new_found (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify)vj_qemu_process_free);
}

VjQemuScan *
vj_qemu_scan_new (const VjQemuRules *rules)
{
  VjQemuScan *scan = g_new0 (VjQemuScan, 1);

  scan->rules = rules;
  scan->vmids = g_hash_table_new (NULL, NULL);
  scan->pids = g_hash_table_new (NULL, NULL);
  scan->known = g_hash_table_new (NULL, NULL);
  scan->found = new_found ();
  g_mutex_init (&scan->lock);
  return scan;
}

void
vj_qemu_scan_free (VjQemuScan *scan)
{
  if (scan == NULL)
    return;
  g_hash_table_unref (scan->vmids);
  g_hash_table_unref (scan->pids);
  g_hash_table_unref (scan->known);
  g_ptr_array_unref (scan->found);
  g_mutex_clear (&scan->lock);
  g_free (scan);
}

/* The VMID of a pid file's name, "VMID.pid"; 0: another file's. */
static guint
vmid_of (const char *file_name)
{
  const gsize length = strlen (file_name);

  if (!g_str_has_suffix (file_name, PID_FILE_SUFFIX))
    return 0;
  return vj_qemu_vmid (file_name, length - strlen (PID_FILE_SUFFIX));
}

static void
add_found (VjQemuScan *scan, VjQemuProcess *qemu)
{
  g_mutex_lock (&scan->lock);
  g_ptr_array_add (scan->found, qemu);
  g_mutex_unlock (&scan->lock);
}

static void
look_at_pid (VjQemuScan *scan, int pid)
{
  VjQemuProcess *qemu = NULL;

  if (g_atomic_int_get (&scan->give_up) || !g_hash_table_add (scan->known, GINT_TO_POINTER (pid)))
    return;
  g_atomic_int_set (&scan->at_pid, pid);
  const VjQemuAnswer answer = vj_qemu_process_open (scan->rules, pid, &qemu);
  g_atomic_int_set (&scan->at_pid, 0);
  if (answer == VJ_QEMU_YES)
    add_found (scan, qemu);
  else if (answer == VJ_QEMU_UNKNOWN)
    scan->unknown_pid = pid;
  else if (answer == VJ_QEMU_EARLY && !g_hash_table_contains (scan->pids, GINT_TO_POINTER (pid)))
    scan->early_pid = pid;
}

static void
look_at_vmid (VjQemuScan *scan, guint vmid)
{
  g_autofree char *name = g_strdup_printf ("%u", vmid);
  const int pid = vj_pidfile_read (scan->rules->procfs, scan->rules->rundir, name);

  if (pid != 0)
    look_at_pid (scan, pid);
}

static void
look_at_pid_files (VjQemuScan *scan)
{
  g_autoptr (GDir) directory = g_dir_open (scan->rules->rundir, 0, NULL);
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    {
      const guint vmid = vmid_of (name);

      if (vmid != 0)
        look_at_vmid (scan, vmid);
    }
}

/* Nearly all are passed over by one system call. */
static void
look_at_processes (VjQemuScan *scan)
{
  g_autoptr (GDir) directory = g_dir_open (scan->rules->procfs, 0, NULL);
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    {
      int pid;

      if (vj_procfs_parse_pid (name, strlen (name), &pid)
          && !g_hash_table_contains (scan->known, GINT_TO_POINTER (pid))
          && vj_qemu_executable_is_accepted (scan->rules, pid) == VJ_QEMU_YES)
        look_at_pid (scan, pid);
    }
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const VjProcess *first = (*(VjQemuProcess *const *)a)->process;
  const VjProcess *second = (*(VjQemuProcess *const *)b)->process;

  if (first->start_us != second->start_us)
    return first->start_us < second->start_us ? -1 : 1;
  return first->pid < second->pid ? -1 : 1;
}

void
vj_qemu_scan_run (VjQemuScan *scan)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, scan->pids);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    look_at_pid (scan, GPOINTER_TO_INT (key));
  g_hash_table_iter_init (&iter, scan->vmids);
  while (scan->rules->rundir != NULL && g_hash_table_iter_next (&iter, &key, NULL))
    look_at_vmid (scan, GPOINTER_TO_UINT (key));
  if (scan->all && scan->rules->rundir != NULL)
    look_at_pid_files (scan);
  if (scan->all && scan->rules->plain)
    look_at_processes (scan);
}

gboolean
vj_qemu_scan_hand_over (VjQemuScan *scan, GFunc func, gpointer user_data)
{
  GPtrArray *next = new_found ();

  g_mutex_lock (&scan->lock);
  g_autoptr (GPtrArray) found = g_steal_pointer (&scan->found);
  scan->found = next;
  g_mutex_unlock (&scan->lock);

  const gboolean any = found->len > 0;

  g_ptr_array_sort (found, compare_age);
  while (found->len > 0)
    func (g_ptr_array_steal_index (found, 0), user_data);
  return any;
}
