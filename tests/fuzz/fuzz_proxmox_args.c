/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <string.h>

#include "host/cli/proxmox_args.h"

#define PATH "/run/virtjoule/guest.sock"

/* Adding and taking away, in any order and however often, come to the same, for every text and every QEMU. */
static void
check (const char *args, VjQemuVersion version)
{
  g_autofree char *without = vj_proxmox_args_without (args, NULL);
  g_autofree char *with = vj_proxmox_args_with (args, PATH, version, NULL);
  VjProxmoxArgsState state = VJ_PROXMOX_ARGS_DISABLED;
  FUZZ_CHECK ((without != NULL) == (with != NULL));
  FUZZ_CHECK (vj_proxmox_args_get_state (args, PATH, version, &state, NULL) == (with != NULL));
  if (with == NULL)
    return;
  g_autofree char *twice = vj_proxmox_args_with (with, PATH, version, NULL);
  g_autofree char *back = vj_proxmox_args_without (with, NULL);
  FUZZ_CHECK (g_str_equal (twice, with));
  FUZZ_CHECK (g_str_equal (back, without));
  FUZZ_CHECK (strlen (without) <= strlen (args));
  FUZZ_CHECK (vj_proxmox_args_get_state (with, PATH, version, &state, NULL));
  FUZZ_CHECK (state == VJ_PROXMOX_ARGS_ENABLED || state == VJ_PROXMOX_ARGS_OWN);
  FUZZ_CHECK (vj_proxmox_args_get_state (without, PATH, version, &state, NULL));
  FUZZ_CHECK (state == VJ_PROXMOX_ARGS_DISABLED || state == VJ_PROXMOX_ARGS_OWN);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *)data, size);
  VjQemuVersion version = { 0, 0 };
  vj_qemu_version_parse (text, &version);
  check (text, (VjQemuVersion){ 9, 0 });
  check (text, (VjQemuVersion){ 10, 0 });
  check (text, version);
  return 0;
}
