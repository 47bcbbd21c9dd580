/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "host/qemu/qemu_argv.h"

#include <string.h>

static void
check_name (const char *name)
{
  FUZZ_CHECK (name[0] != '\0' && g_utf8_validate (name, -1, NULL));
  FUZZ_CHECK (g_utf8_strlen (name, -1) <= VJ_QEMU_NAME_MAX);
  for (const char *at = name; *at != '\0'; at++)
    FUZZ_CHECK ((guchar)*at >= 0x20 && *at != 0x7f);
}

static void
check_argv (const VjQemuArgv *argv)
{
  FUZZ_CHECK (argv->vmid <= 999999999 && argv->vcpus <= 65535);
  FUZZ_CHECK (argv->uuid[0] == '\0' || g_uuid_string_is_valid (argv->uuid));
  FUZZ_CHECK (argv->channel_path == NULL || (argv->has_channel && argv->channel_path[0] == '/'));
  FUZZ_CHECK (!argv->channel_listens || argv->has_channel);
  if (argv->name != NULL)
    check_name (argv->name);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_memdup2 (data, MAX (size, 1));
  char uuid[37];
  VjQemuArgv argv;

  vj_qemu_argv_parse (text, size, &argv);
  check_argv (&argv);
  vj_qemu_argv_clear (&argv);

  g_autofree char *name = vj_qemu_name (text, size);
  g_autofree char *terminated = g_strndup (text, size);
  if (name != NULL)
    check_name (name);
  FUZZ_CHECK (vj_qemu_vmid (text, size) <= 999999999);
  FUZZ_CHECK (vj_qemu_uuid (terminated, uuid) == (uuid[0] != '\0'));
  return 0;
}
