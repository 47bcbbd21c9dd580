/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/proxmox_qm.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

static char *
text_of (GBytes *bytes)
{
  gsize length = 0;
  const char *data = g_bytes_get_data (bytes, &length);
  return g_strchomp (g_utf8_make_valid (data != NULL ? data : "", (gssize)length));
}

/* Runs argv to its end. What it said on standard output; or NULL with what it complained of. */
static char *
run (const char *const *argv, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autofree char *program = g_find_program_in_path (argv[0]);
  g_autoptr (GBytes) output = NULL;
  g_autoptr (GBytes) complaint = NULL;
  if (program == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                   "there is no %s on this machine: run this on the Proxmox VE node that has the VM",
                   argv[0]);
      return NULL;
    }
  g_autoptr (GSubprocess) process =
      g_subprocess_newv (argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &local);
  if (process == NULL || !g_subprocess_communicate (process, NULL, NULL, &output, &complaint, &local))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_FAILED, "%s cannot be run: %s", argv[0], local->message);
      return NULL;
    }
  if (g_subprocess_get_successful (process))
    return text_of (output);
  g_autofree char *text = text_of (complaint);
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_FAILED, text);
  return NULL;
}

gboolean
vj_proxmox_qemu_version (VjQemuVersion *ret_version, GError **error)
{
  static const char *const argv[] = { "kvm", "--version", NULL };
  g_autofree char *text = run (argv, error);
  if (text == NULL)
    return FALSE;
  if (vj_qemu_version_parse (text, ret_version))
    return TRUE;
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE,
                       "kvm --version does not say which QEMU it is; apt install --reinstall pve-qemu-kvm");
  return FALSE;
}

/* What qm complained of, as one of our errors. The texts are those of PVE::QemuServer and PVE::Tools; any other passes as it
 * is, its last line, which names the cause. */
static void
set_error (const GError *cause, GError **error)
{
  g_return_if_fail (cause != NULL);
  const char *text = cause->message;
  const char *last = strrchr (text, '\n');
  if (cause->code == VJ_ERROR_UNAVAILABLE)
    g_set_error_literal (error, VJ_ERROR, cause->code, text);
  else if (strstr (text, "checksum mismatch") != NULL)
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_BUSY,
                         "was changed by somebody else at the same moment; run this again");
  else if (strstr (text, "can't lock file") != NULL || strstr (text, "is locked") != NULL)
    g_set_error_literal (error, VJ_ERROR, VJ_ERROR_BUSY,
                         "is locked: something is being done with it; run this again after that");
  else
    g_set_error (error, VJ_ERROR, VJ_ERROR_FAILED, "qm set failed: %s", last != NULL ? last + 1 : text);
}

gboolean
vj_proxmox_set_args (const VjProxmoxVm *vm, const char *args, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autofree char *vmid = g_strdup_printf ("%u", vm->vmid);
  const char *const set[] = { "qm", "set", vmid, "--digest", vm->digest, "--args", args, NULL };
  const char *const delete[] = { "qm", "set", vmid, "--digest", vm->digest, "--delete", "args", NULL };
  if (geteuid () != 0)
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_DENIED,
                           "args may be set by root@pam only: run this as root");
      return FALSE;
    }
  if (args != NULL && !g_str_is_ascii (args))
    {
      g_set_error_literal (
          error, VJ_ERROR, VJ_ERROR_INVALID,
          "args has characters beyond ASCII, which qm set would not keep as they are; do without "
          "them, or write the whole line in the VM's file by hand");
      return FALSE;
    }
  g_autofree char *output = run (args != NULL ? set : delete, &local);
  if (output == NULL)
    set_error (local, error);
  return output != NULL;
}
