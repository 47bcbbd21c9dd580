/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/qemu_watch.h"

#include "common/clock.h"
#include "common/units.h"
#include "host/qemu/pidfile_watch.h"
#include "host/qemu/proxmox_names.h"
#include "host/qemu/qemu_scan.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/epoll.h>

/* From one look to the next: whoever can make it look cannot make it do nothing else. */
#define SCAN_GAP_US    (200 * VJ_US_PER_MS)
#define POKED_PIDS_MAX 1024

typedef struct
{
  VjQemuWatch *watch;
  char id[VJ_DOMAIN_ID_SIZE];
  VjQemuProcess *qemu;
  VjPollWatch *exit_watch;
  VjProxmoxConf conf; /* as far as it has been read */
} Machine;

struct VjQemuWatch
{
  VjQemuRules rules; /* owned, and not changed while a worker may look at it */
  char *pve_dir;
  VjPoll *poll;
  const VjDomainListener *listener;
  gpointer user_data;

  GHashTable *by_pid;        /* pid -> Machine, owned */
  GHashTable *by_id;         /* char* (in Machine) -> Machine */
  VjPidfileWatch *pid_files; /* NULL: not Proxmox's */

  VjQemuScan *next; /* what the next look is asked; NULL: nothing */
  VjQemuScan *scan; /* the look that is under way, a worker's; NULL: none */
  GHashTable *held; /* looks that were given up and still last, workers' -> pid, which is why */
  gboolean reading_confs;
  gboolean listed;
  gboolean told_unknown; /* complaints */
  gboolean told_held;
  gboolean told_held_max;
  guint64 scanned_us; /* when the last look began */
  guint deadline_s;
  guint deadline_source;
  guint scan_source;
  guint rescan_source;
  guint references; /* one of its owner's, one of each worker's */
};

static void schedule (VjQemuWatch *watch);
static void look_at_all (VjQemuWatch *watch);

/* --- what it knows --- */

static void
machine_free (gpointer data)
{
  Machine *machine = data;

  vj_poll_remove (machine->exit_watch);
  vj_qemu_process_free (machine->qemu);
  vj_proxmox_conf_clear (&machine->conf);
  g_free (machine);
}

static char *
machine_name (const Machine *machine)
{
  const char *name = machine->conf.name != NULL ? machine->conf.name : machine->qemu->argv.name;

  return g_strdup (name != NULL ? name : machine->id);
}

/* Whether its vCPUs are stopped only its monitor knows, which is its manager's alone. */
static void
tell (const Machine *machine)
{
  const VjQemuArgv *argv = &machine->qemu->argv;
  const gboolean proxmox = machine->qemu->proxmox;
  VjDomainInfo info = { .vmid = proxmox ? argv->vmid : 0,
                        .manager = proxmox ? "proxmox" : "qemu",
                        .state = VJ_DOMAIN_RUNNING,
                        .vcpus = argv->vcpus,
                        .pid = machine->qemu->process->pid,
                        .channel_connects = machine->qemu->connects };

  g_strlcpy (info.id, machine->id, sizeof info.id);
  g_strlcpy (info.uuid, argv->uuid[0] != '\0' ? argv->uuid : machine->conf.uuid, sizeof info.uuid);
  info.name = machine_name (machine);
  info.channel_path = argv->channel_listens ? g_strdup (argv->channel_path) : NULL;
  machine->watch->listener->present (&info, machine->watch->user_data);
  vj_domain_info_clear (&info);
}

static void
drop (Machine *machine)
{
  VjQemuWatch *watch = machine->watch;
  char id[VJ_DOMAIN_ID_SIZE];

  g_strlcpy (id, machine->id, sizeof id);
  g_hash_table_remove (watch->by_id, machine->id);
  g_hash_table_remove (watch->by_pid, GINT_TO_POINTER (machine->qemu->process->pid));
  watch->listener->absent (id, watch->user_data);
}

static void
on_exit_of_process (int fd, guint32 events, gpointer user_data)
{
  drop (user_data);
}

/* A virtual machine of Proxmox's is the one that its pid file names; a UUID is the first's that has it. */
static void
choose_id (VjQemuWatch *watch, const VjQemuProcess *qemu, char id[VJ_DOMAIN_ID_SIZE])
{
  const Machine *other;

  if (qemu->proxmox)
    {
      g_snprintf (id, VJ_DOMAIN_ID_SIZE, "proxmox-%u", qemu->argv.vmid);
      return;
    }
  g_snprintf (id, VJ_DOMAIN_ID_SIZE, "qemu-%s", qemu->argv.uuid);
  other = g_hash_table_lookup (watch->by_id, id);
  if (qemu->argv.uuid[0] == '\0' || (other != NULL && vj_process_is_alive (other->qemu->process)))
    g_snprintf (id, VJ_DOMAIN_ID_SIZE, "qemu-%d-%" G_GUINT64_FORMAT, qemu->process->pid,
                qemu->process->start_us);
}

static void
drop_if_any (GHashTable *table, gconstpointer key)
{
  Machine *machine = g_hash_table_lookup (table, key);

  if (machine != NULL)
    drop (machine);
}

/* What cannot be followed is left for the next look. Takes qemu. */
static void
add (gpointer data, gpointer user_data)
{
  VjQemuProcess *qemu = data;
  VjQemuWatch *watch = user_data;
  Machine *machine = g_new0 (Machine, 1);
  const gpointer pid = GINT_TO_POINTER (qemu->process->pid);

  machine->watch = watch;
  machine->qemu = qemu;
  machine->exit_watch =
      vj_poll_add (watch->poll, qemu->process->pidfd, EPOLLIN, on_exit_of_process, machine, NULL);
  if (machine->exit_watch == NULL)
    {
      machine_free (machine);
      return;
    }
  choose_id (watch, qemu, machine->id);
  drop_if_any (watch->by_pid, pid);
  drop_if_any (watch->by_id, machine->id);
  g_hash_table_insert (watch->by_pid, pid, machine);
  g_hash_table_insert (watch->by_id, machine->id, machine);
  tell (machine);
}

/* --- workers --- */

static void
unref (VjQemuWatch *watch)
{
  if (--watch->references > 0)
    return;
  g_free ((char *)watch->rules.procfs);
  g_free ((char *)watch->rules.rundir);
  g_free ((char *)watch->rules.guest_socket);
  g_strfreev ((char **)watch->rules.executables);
  g_free ((guint *)watch->rules.uids);
  g_free (watch->pve_dir);
  g_free (watch);
}

static gboolean
is_closed (const VjQemuWatch *watch)
{
  return watch->by_pid == NULL;
}

static void
start_worker (VjQemuWatch *watch, GTaskThreadFunc func, gpointer data, GDestroyNotify data_free,
              GAsyncReadyCallback done)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, done, watch);

  watch->references++;
  g_task_set_task_data (task, data, data_free);
  g_task_run_in_thread (task, func);
}

static void
read_confs (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  vj_proxmox_names_read (task_data);
  g_task_return_boolean (task, TRUE);
}

static void
apply_conf (VjQemuWatch *watch, VjProxmoxNamesEntry *conf)
{
  char id[VJ_DOMAIN_ID_SIZE];
  Machine *machine;

  g_snprintf (id, sizeof id, "proxmox-%u", conf->vmid);
  machine = g_hash_table_lookup (watch->by_id, id);
  if (!conf->is_read || machine == NULL)
    return;
  if (g_strcmp0 (machine->conf.name, conf->conf.name) == 0
      && g_str_equal (machine->conf.uuid, conf->conf.uuid))
    return;
  vj_proxmox_conf_clear (&machine->conf);
  machine->conf = conf->conf;
  conf->conf.name = NULL;
  tell (machine);
}

static void
on_confs_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VjQemuWatch *watch = user_data;
  const VjProxmoxNames *names = g_task_get_task_data (G_TASK (result));

  watch->reading_confs = FALSE;
  for (guint i = 0; i < names->entries->len && !is_closed (watch); i++)
    apply_conf (watch, &g_array_index (names->entries, VjProxmoxNamesEntry, i));
  unref (watch);
}

/* In a worker of their own: Proxmox's cluster file system may hang, and nothing else shall. */
static void
start_reading_confs (VjQemuWatch *watch)
{
  VjProxmoxNames *names;
  GHashTableIter iter;
  gpointer value;

  if (watch->reading_confs || watch->rules.rundir == NULL || watch->pve_dir == NULL)
    return;
  names = vj_proxmox_names_new (watch->pve_dir);
  g_hash_table_iter_init (&iter, watch->by_pid);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const VjQemuProcess *qemu = ((Machine *)value)->qemu;

      if (qemu->proxmox)
        vj_proxmox_names_ask (names, qemu->argv.vmid);
    }
  watch->reading_confs = TRUE;
  start_worker (watch, read_confs, names, (GDestroyNotify)vj_proxmox_names_free, on_confs_read);
}

/* Takes message. Each kind of complaint is told once. */
static void
complain (VjQemuWatch *watch, gboolean *told, char *message)
{
  if (!*told)
    watch->listener->connection (FALSE, message, watch->user_data);
  *told = TRUE;
  g_free (message);
}

static void
report_listed (VjQemuWatch *watch)
{
  g_autofree char *message = g_strdup_printf (
      "following the QEMU processes %s%s%s", watch->rules.rundir != NULL ? "of Proxmox VE" : "",
      watch->rules.rundir != NULL && watch->rules.plain ? " and " : "",
      watch->rules.plain ? "that no manager runs" : "");

  watch->listed = TRUE;
  if (!watch->told_unknown && !watch->told_held)
    watch->listener->connection (TRUE, message, watch->user_data);
  watch->listener->listed (watch->user_data);
}

static void
run_scan (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  vj_qemu_scan_run (task_data);
  g_task_return_boolean (task, TRUE);
}

static void
apply_scan (VjQemuWatch *watch, VjQemuScan *scan)
{
  watch->scan = NULL;
  g_clear_handle_id (&watch->deadline_source, g_source_remove);
  const gboolean found_any = vj_qemu_scan_hand_over (scan, add, watch);
  if (scan->unknown_pid != 0)
    complain (
        watch, &watch->told_unknown,
        g_strdup_printf ("cannot tell whether process %d is a virtual machine: its executable may not be "
                         "asked for; give virtjouled CAP_SYS_PTRACE, or run it as root",
                         scan->unknown_pid));
  if (!watch->listed)
    report_listed (watch);
  if (found_any || scan->all)
    start_reading_confs (watch);
  if (scan->early_pid != 0)
    vj_qemu_watch_poke (watch, scan->early_pid);
  schedule (watch);
}

static void
on_scanned (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VjQemuWatch *watch = user_data;
  VjQemuScan *scan = g_task_get_task_data (G_TASK (result));

  if (!is_closed (watch) && !g_hash_table_remove (watch->held, scan))
    apply_scan (watch, scan);
  else if (!is_closed (watch))
    look_at_all (watch);
  unref (watch);
}

/* Who reads a process's arguments waits for whatever keeps its memory: that can be for ever. */
static gboolean
on_deadline (gpointer data)
{
  VjQemuWatch *watch = data;
  VjQemuScan *scan = watch->scan;
  const int pid = g_atomic_int_get (&scan->at_pid);

  if (pid == 0)
    return G_SOURCE_CONTINUE;
  g_atomic_int_set (&scan->give_up, TRUE);
  vj_qemu_scan_hand_over (scan, add, watch);
  g_hash_table_insert (watch->held, g_steal_pointer (&watch->scan), GINT_TO_POINTER (pid));
  complain (
      watch, &watch->told_held,
      g_strdup_printf ("the arguments of process %d cannot be read: it is passed over until they can", pid));
  if (g_hash_table_size (watch->held) >= VJ_QEMU_WATCH_HELD_MAX)
    complain (
        watch, &watch->told_held_max,
        g_strdup ("no other QEMU is looked for until the arguments of one such process can be read: end "
                  "them, and name in qemu-users who may run virtual machines"));
  watch->deadline_source = 0;
  look_at_all (watch);
  return G_SOURCE_REMOVE;
}

static gboolean
on_scan_due (gpointer data)
{
  VjQemuWatch *watch = data;
  VjQemuScan *scan = g_steal_pointer (&watch->next);
  GHashTableIter iter;
  gpointer pid;

  watch->scan_source = 0;
  watch->scan = scan;
  watch->scanned_us = vj_clock_monotonic_us ();
  watch->deadline_source = g_timeout_add_seconds (watch->deadline_s, on_deadline, watch);
  g_hash_table_iter_init (&iter, watch->by_pid);
  while (g_hash_table_iter_next (&iter, &pid, NULL))
    g_hash_table_add (scan->known, pid);
  g_hash_table_iter_init (&iter, watch->held);
  while (g_hash_table_iter_next (&iter, NULL, &pid))
    g_hash_table_add (scan->known, pid);
  start_worker (watch, run_scan, scan, (GDestroyNotify)vj_qemu_scan_free, on_scanned);
  return G_SOURCE_REMOVE;
}

/* One look at a time; what is asked for meanwhile adds up to one. */
static void
schedule (VjQemuWatch *watch)
{
  const guint64 now_us = vj_clock_monotonic_us ();
  const guint64 due_us = watch->scanned_us != 0 ? watch->scanned_us + SCAN_GAP_US : 0;
  const guint64 wait_us = due_us - MIN (due_us, now_us);

  if (watch->next == NULL || watch->scan != NULL || watch->scan_source != 0
      || g_hash_table_size (watch->held) >= VJ_QEMU_WATCH_HELD_MAX)
    return;
  watch->scan_source = g_timeout_add ((guint)(wait_us / VJ_US_PER_MS), on_scan_due, watch);
}

static VjQemuScan *
next_scan (VjQemuWatch *watch)
{
  if (watch->next == NULL)
    watch->next = vj_qemu_scan_new (&watch->rules);
  return watch->next;
}

static void
look_at_all (VjQemuWatch *watch)
{
  if (watch->pid_files != NULL)
    vj_pidfile_watch_retry (watch->pid_files);
  next_scan (watch)->all = TRUE;
  schedule (watch);
}

/* --- the whole --- */

static void
on_pid_file (const char *name, gpointer user_data)
{
  VjQemuWatch *watch = user_data;
  const guint vmid = name != NULL ? vj_qemu_vmid (name, strlen (name)) : 0;

  if (name == NULL)
    next_scan (watch)->all = TRUE;
  else if (vmid != 0)
    g_hash_table_add (next_scan (watch)->vmids, GUINT_TO_POINTER (vmid));
  schedule (watch);
}

static gboolean
on_rescan (gpointer data)
{
  VjQemuWatch *watch = data;

  look_at_all (watch);
  return G_SOURCE_CONTINUE;
}

static VjQemuWatch *
copy_options (const VjQemuWatchOptions *options, const VjRoots *roots)
{
  VjQemuWatch *watch = g_new0 (VjQemuWatch, 1);
  VjQemuRules *rules = &watch->rules;

  rules->procfs = g_strdup (roots->procfs);
  rules->rundir = options->proxmox ? g_strdup (options->rundir) : NULL;
  rules->plain = options->plain;
  rules->guest_socket = g_strdup (options->guest_socket);
  rules->executables = (const char *const *)g_strdupv ((char **)options->executables);
  rules->uids = g_memdup2 (options->uids, options->n_uids * sizeof *options->uids);
  rules->n_uids = options->n_uids;
  watch->pve_dir = g_strdup (options->pve_dir);
  watch->deadline_s = options->deadline_s;
  return watch;
}

VjQemuWatch *
vj_qemu_watch_new (const VjQemuWatchOptions *options, const VjRoots *roots, VjPoll *poll,
                   const VjDomainListener *listener, gpointer user_data, GError **error)
{
  g_autoptr (VjQemuWatch) watch = copy_options (options, roots);

  watch->poll = poll;
  watch->listener = listener;
  watch->user_data = user_data;
  watch->references = 1;
  watch->by_pid = g_hash_table_new_full (NULL, NULL, NULL, machine_free);
  watch->by_id = g_hash_table_new (g_str_hash, g_str_equal);
  watch->held = g_hash_table_new (NULL, NULL);
  if (watch->rules.rundir != NULL)
    watch->pid_files = vj_pidfile_watch_new (poll, watch->rules.rundir, on_pid_file, watch, error);
  if (watch->rules.rundir != NULL && watch->pid_files == NULL)
    return NULL;
  watch->rescan_source = g_timeout_add_seconds (options->rescan_s, on_rescan, watch);
  look_at_all (watch);
  return g_steal_pointer (&watch);
}

void
vj_qemu_watch_free (VjQemuWatch *watch)
{
  if (watch == NULL)
    return;
  g_clear_handle_id (&watch->deadline_source, g_source_remove);
  g_clear_handle_id (&watch->scan_source, g_source_remove);
  g_clear_handle_id (&watch->rescan_source, g_source_remove);
  g_clear_pointer (&watch->pid_files, vj_pidfile_watch_free);
  g_clear_pointer (&watch->next, vj_qemu_scan_free);
  g_clear_pointer (&watch->by_id, g_hash_table_unref);
  g_clear_pointer (&watch->by_pid, g_hash_table_unref);
  g_clear_pointer (&watch->held, g_hash_table_unref);
  unref (watch);
}

void
vj_qemu_watch_poke (VjQemuWatch *watch, int pid)
{
  VjQemuScan *next = next_scan (watch);

  if (pid <= 0 || g_hash_table_size (next->pids) >= POKED_PIDS_MAX)
    look_at_all (watch);
  else
    g_hash_table_add (next->pids, GINT_TO_POINTER (pid));
  schedule (watch);
}
