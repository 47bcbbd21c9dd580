/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "host/qemu/proxmox_conf.h"

#include <string.h>

/* What a snapshot's section says changes nothing. */
static void
check_section (const char *text, gsize size, const VjProxmoxConf *conf)
{
  g_autoptr (GString) longer = g_string_new_len (text, (gssize)size);
  VjProxmoxConf again;

  g_string_append (longer,
                   "\n[snapshot]\nname: another\nsmbios1: uuid=3f2a9e9c-71d4-4a0e-9c1b-0d8c5b1e7a11\n");
  vj_proxmox_conf_parse (longer->str, longer->len, &again);
  FUZZ_CHECK (g_strcmp0 (conf->name, again.name) == 0 && strcmp (conf->uuid, again.uuid) == 0);
  vj_proxmox_conf_clear (&again);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;
  VjProxmoxConf conf;

  vj_proxmox_conf_parse (text, size, &conf);
  FUZZ_CHECK (conf.uuid[0] == '\0' || g_uuid_string_is_valid (conf.uuid));
  FUZZ_CHECK (conf.name == NULL || (conf.name[0] != '\0' && g_utf8_validate (conf.name, -1, NULL)));
  check_section (text, size, &conf);
  vj_proxmox_conf_clear (&conf);
  return 0;
}
