/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/proxmox_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define UUID  "3f2a9e9c-71d4-4a0e-9c1b-0d8c5b1e7a11"
#define OTHER "11111111-2222-4333-8444-555555555555"

static const char real[] = "#web server of the shop\n"
                           "#name%3A not this\n"
                           "#[PENDING]\n"
                           "agent: 1,fstrim_cloned_disks=1\n"
                           "args: -device virtio-serial,id=virtjoule,name=x\n"
                           "boot: order=scsi0;ide2;net0\n"
                           "cores: 4\n"
                           "cpu: x86-64-v2-AES\n"
                           "hookscript: local:snippets/virtjoule\n"
                           "ide2: none,media=cdrom\n"
                           "memory: 4096\n"
                           "meta: creation-qemu=8.1.5,ctime=1711234567\n"
                           "name: shop.example.org\n"
                           "net0: virtio=BC:24:11:5D:7E:01,bridge=vmbr0,firewall=1\n"
                           "parent: before_upgrade\n"
                           "scsi0: local-lvm:vm-100-disk-0,iothread=1,size=32G\n"
                           "smbios1: uuid=" UUID "\n"
                           "vmgenid: " OTHER "\n"
                           "\n"
                           "[PENDING]\n"
                           "name: renamed\n"
                           "\n"
                           "[before_upgrade]\n"
                           "name: old\n"
                           "smbios1: uuid=" OTHER "\n"
                           "snaptime: 1711234999\n";

static void
test_parse (void **state)
{
  static const struct
  {
    const char *text;
    const char *name;
    const char *uuid;
  } cases[] = {
    { real, "shop.example.org", UUID },
    { "", NULL, "" },
    { "name: a", "a", "" },
    { "name:a\n", "a", "" },
    { "name:\n", NULL, "" },
    { "name: a  \r\nsmbios1: uuid=" UUID "\r\n", "a", UUID },
    { "name: a\nname: b\n", "b", "" },
    { "hostname: a\n", NULL, "" },
    { " name: a\n", NULL, "" },
    { "#name: a\n", NULL, "" },
    { "nameserver: 1.1.1.1\nname: a\n", "a", "" },
    { "[PENDING]\nname: a\n", NULL, "" },
    { "name: a\n[special:cloudinit]\nname: b\n", "a", "" },
    { "smbios1: base64=1,manufacturer=UUlE,uuid=" UUID ",serial=dXVpZD0x\n", NULL, UUID },
    { "smbios1: serial=" UUID "\n", NULL, "" },
    { "smbios1: xuuid=" UUID "\n", NULL, "" },
    { "smbios1: uuid=3F2A9E9C-71D4-4A0E-9C1B-0D8C5B1E7A11, serial=1\n", NULL, UUID },
    { "smbios1: uuid=" UUID "0\n", NULL, "" },
    { "smbios1: uuid=3f2a9e9c\n", NULL, "" },
    { "smbios1: uuid=" UUID "\nsmbios1: serial=1\n", NULL, "" },
    { "name: \xff\x1b[2J\n", "\xef\xbf\xbd\xef\xbf\xbd[2J", "" },
    { "name: ../../x\n", "../../x", "" },
    { "\n\n\nname\n:\n", NULL, "" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const gsize length = strlen (cases[i].text);
      g_autofree char *text = g_memdup2 (cases[i].text, MAX (length, 1));
      VjProxmoxConf conf;

      vj_proxmox_conf_parse (text, length, &conf);
      if (cases[i].name == NULL)
        assert_null (conf.name);
      else
        assert_string_equal (conf.name, cases[i].name);
      assert_string_equal (conf.uuid, cases[i].uuid);
      vj_proxmox_conf_clear (&conf);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_parse) };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
