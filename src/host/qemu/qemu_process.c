/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/qemu_process.h"

#include "common/file.h"
#include "common/procfs.h"
#include "host/qemu/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_MAX 16384
#define DELETED    " (deleted)" /* QEMU was upgraded while it ran */

static char *
entry (const VjQemuRules *rules, int pid, const char *name)
{
  return g_strdup_printf ("%s/%d/%s", rules->procfs, pid, name);
}

static gboolean
matches (const VjQemuRules *rules, const char *executable)
{
  for (const char *const *pattern = rules->executables; *pattern != NULL; pattern++)
    if (g_pattern_match_simple (*pattern, executable))
      return TRUE;
  return FALSE;
}

static gboolean
is_trusted_user (guint uid)
{
  return uid == 0 || uid == geteuid ();
}

/* Without asking the file system, which may be one that the owner of the process answers for. */
static gboolean
is_trusted_file (const char *path)
{
  struct statx status;

  return statx (AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_UID, &status) == 0
         && (status.stx_mask & STATX_UID) != 0 && is_trusted_user (status.stx_uid);
}

VjQemuAnswer
vj_qemu_executable_is_accepted (const VjQemuRules *rules, int pid)
{
  g_autofree char *link = entry (rules, pid, "exe");
  char executable[PATH_MAX];
  const gssize length = readlink (link, executable, sizeof executable - 1);

  if (length < 0)
    return errno == EACCES || errno == EPERM ? VJ_QEMU_UNKNOWN : VJ_QEMU_NO;
  executable[length] = '\0';
  /* patterns are matched by characters */
  if (!g_utf8_validate (executable, length, NULL))
    return VJ_QEMU_NO;
  if (g_str_has_suffix (executable, DELETED))
    executable[(gsize)length - strlen (DELETED)] = '\0';
  return matches (rules, executable) && is_trusted_file (link) ? VJ_QEMU_YES : VJ_QEMU_NO;
}

static gboolean
has_uid (const VjQemuRules *rules, guint uid)
{
  if (rules->uids == NULL)
    return TRUE;
  for (guint i = 0; i < rules->n_uids; i++)
    if (rules->uids[i] == uid)
      return TRUE;
  return FALSE;
}

/* *ret_trusted: somebody has named the owner, or nobody needs to. */
static gboolean
owner_is_accepted (const VjQemuRules *rules, int pid, gboolean *ret_trusted)
{
  g_autofree char *relative = g_strdup_printf ("%d/status", pid);
  gsize length = 0;
  g_autofree char *text = vj_file_read (rules->procfs, relative, STATUS_MAX, &length, NULL);
  guint real = 0;
  guint effective = 0;

  if (text == NULL || !vj_procfs_parse_uids (text, length, &real, &effective))
    return FALSE;
  *ret_trusted = rules->uids != NULL || (is_trusted_user (real) && is_trusted_user (effective));
  return has_uid (rules, real) && has_uid (rules, effective);
}

/* The kernel hands arguments out a page at a time. */
static gsize
read_up_to (int fd, char *buffer, gsize size)
{
  gsize length = 0;

  while (length < size)
    {
      const gssize got = read (fd, buffer + length, size - length);

      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        break;
      length += (gsize)got;
    }
  return length;
}

/* There is at least one, the program's name, once execve (2) is over. */
static VjQemuAnswer
read_argv (const VjQemuRules *rules, int pid, VjQemuArgv *ret_argv)
{
  g_autofree char *relative = g_strdup_printf ("%d/cmdline", pid);
  const int fd = vj_file_open (rules->procfs, relative, NULL);

  if (fd < 0)
    return VJ_QEMU_NO;
  g_autofree char *text = g_malloc (VJ_QEMU_ARGV_MAX);
  const gsize length = read_up_to (fd, text, VJ_QEMU_ARGV_MAX);

  close (fd);
  vj_qemu_argv_parse (text, length, ret_argv);
  return length > 0 ? VJ_QEMU_YES : VJ_QEMU_EARLY;
}

/* A QEMU with -id whose pid file does not name it, or not yet, is nobody's where Proxmox's are followed. */
static gboolean
has_manager (const VjQemuRules *rules, VjQemuProcess *qemu)
{
  if (rules->rundir == NULL || qemu->argv.vmid == 0)
    return rules->plain;

  g_autofree char *name = g_strdup_printf ("%u", qemu->argv.vmid);
  qemu->proxmox = vj_pidfile_read (rules->procfs, rules->rundir, name) == qemu->process->pid;
  return qemu->proxmox;
}

/* By name alone: nothing that the path leads to is looked at. */
static gboolean
is_guest_socket (const VjQemuRules *rules, const char *path)
{
  g_autofree char *one = g_canonicalize_filename (path, "/");
  g_autofree char *other = g_canonicalize_filename (rules->guest_socket, "/");

  return g_str_equal (one, other);
}

/* A socket that anybody may name could be another machine's, or stand where the way to it never ends. */
static void
judge_channel (const VjQemuRules *rules, gboolean is_trusted, VjQemuProcess *qemu)
{
  VjQemuArgv *argv = &qemu->argv;

  qemu->connects =
      argv->channel_path != NULL && !argv->channel_listens && is_guest_socket (rules, argv->channel_path);
  if (!is_trusted && !qemu->proxmox)
    g_clear_pointer (&argv->channel_path, g_free);
}

/* The process is held first and found alive last, so that nothing read in between was another's. */
VjQemuAnswer
vj_qemu_process_open (const VjQemuRules *rules, int pid, VjQemuProcess **ret_qemu)
{
  g_autoptr (VjQemuProcess) qemu = g_new0 (VjQemuProcess, 1);
  gboolean is_trusted = FALSE;

  qemu->process = vj_process_open (rules->procfs, pid, NULL);
  if (qemu->process == NULL || !owner_is_accepted (rules, pid, &is_trusted))
    return VJ_QEMU_NO;
  VjQemuAnswer answer = vj_qemu_executable_is_accepted (rules, pid);
  if (answer == VJ_QEMU_YES)
    answer = read_argv (rules, pid, &qemu->argv);
  if (answer != VJ_QEMU_YES)
    return answer;
  if (!has_manager (rules, qemu) || !vj_process_is_alive (qemu->process))
    return VJ_QEMU_NO;
  judge_channel (rules, is_trusted, qemu);
  *ret_qemu = g_steal_pointer (&qemu);
  return VJ_QEMU_YES;
}

void
vj_qemu_process_free (VjQemuProcess *qemu)
{
  if (qemu == NULL)
    return;
  g_clear_pointer (&qemu->process, vj_process_free);
  vj_qemu_argv_clear (&qemu->argv);
  g_free (qemu);
}
