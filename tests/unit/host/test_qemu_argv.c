/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/qemu_argv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define UUID  "3f2a9e9c-71d4-4a0e-9c1b-0d8c5b1e7a11"
#define OTHER "11111111-2222-4333-8444-555555555555"
#define PORT  "org.virtjoule.energy.0"

/* Arguments as the kernel has them: '|' stands for NUL. */
static VjQemuArgv
parse (const char *arguments)
{
  const gsize length = strlen (arguments);
  g_autofree char *text = g_memdup2 (arguments, MAX (length, 1)); /* no NUL behind it */
  VjQemuArgv argv;

  for (gsize i = 0; i < length; i++)
    text[i] = text[i] == '|' ? '\0' : text[i];
  vj_qemu_argv_parse (text, length, &argv);
  return argv;
}

static void
assert_text (const char *actual, const char *expected)
{
  if (expected == NULL)
    assert_null (actual);
  else
    {
      assert_non_null (actual);
      assert_string_equal (actual, expected);
    }
}

/* As Proxmox VE 8 starts one, with the connect way of the channel. */
static void
test_proxmox (void **state)
{
  VjQemuArgv argv = parse (
      "/usr/bin/kvm|-id|100|-name|web-1,debug-threads=on|-no-shutdown|-chardev|"
      "socket,id=qmp,path=/var/run/qemu-server/"
      "100.qmp,server=on,wait=off|-mon|chardev=qmp,mode=control|-chardev|"
      "socket,id=qmp-event,path=/var/run/"
      "qmeventd.sock,reconnect=5|-mon|chardev=qmp-event,mode=control|-pidfile|"
      "/var/run/qemu-server/100.pid|-daemonize|-smbios|type=1,uuid=" UUID
      "|-smp|4,sockets=2,cores=2,maxcpus=8|-nodefaults|-boot|menu=on,strict=on,reboot-timeout=1000|-vnc|"
      "unix:/var/run/qemu-server/100.vnc,password=on|-cpu|host,+kvm_pv_eoi|-m|4096|-device|"
      "kvm64-x86_64-cpu,id=cpu5,socket-id=0,core-id=4,thread-id=0|-device|"
      "virtio-serial,id=qga0,bus=pci.0,addr=0x8|-chardev|socket,path=/var/run/qemu-server/100.qga,server=on,"
      "wait=off,id=qga0|-device|virtserialport,chardev=qga0,name=org.qemu.guest_agent.0|-device|"
      "virtio-serial,id=virtjoule|-chardev|socket,id=virtjoule,path=/run/virtjoule/guest.sock,reconnect=2|"
      "-device|virtserialport,bus=virtjoule.0,chardev=virtjoule,name=" PORT "|");

  assert_int_equal (argv.vmid, 100);
  assert_text (argv.name, "web-1");
  assert_string_equal (argv.uuid, UUID);
  assert_int_equal (argv.vcpus, 5);
  assert_true (argv.has_channel);
  assert_false (argv.channel_listens);
  assert_text (argv.channel_path, "/run/virtjoule/guest.sock");
  vj_qemu_argv_clear (&argv);
}

/* As libvirt starts one; KubeVirt's are libvirt's. The socket comes as a file descriptor. */
static void
test_libvirt (void **state)
{
  VjQemuArgv argv = parse (
      "/usr/libexec/qemu-kvm|-name|guest=default_vm,,1,debug-threads=on|-S|-object|"
      "{\"qom-type\":\"secret\",\"id\":\"masterKey0\"}|-smp|1,maxcpus=4,sockets=4,dies=1,cores=1,threads=1|"
      "-uuid|" UUID "|-smbios|type=1,manufacturer=KubeVirt,product=None,uuid=" UUID ",family=KubeVirt|"
      "-chardev|socket,id=charchannel0,fd=31,server=on,wait=off|-device|"
      "{\"driver\":\"virtserialport\",\"bus\":\"virtio-serial0.0\",\"nr\":1,\"chardev\":\"charchannel0\","
      "\"id\":\"channel0\",\"name\":\"" PORT "\"}|-device|{\"driver\":\"usb-ehci\",\"nested\":{\"a\":[1]}}|");

  assert_int_equal (argv.vmid, 0);
  assert_text (argv.name, "default_vm,1");
  assert_string_equal (argv.uuid, UUID);
  assert_int_equal (argv.vcpus, 1);
  assert_true (argv.has_channel);
  assert_true (argv.channel_listens);
  assert_null (argv.channel_path);
  vj_qemu_argv_clear (&argv);
}

static void
test_identity (void **state)
{
  static const struct
  {
    const char *arguments;
    guint vmid;
    const char *uuid;
  } cases[] = {
    { "kvm|-id|1|", 1, "" },
    { "kvm|--id|999999999|", 999999999, "" },
    { "kvm|-id|1000000000|", 0, "" },
    { "kvm|-id|0|", 0, "" },
    { "kvm|-id|0100|", 0, "" },
    { "kvm|-id|-1|", 0, "" },
    { "kvm|-id|1 |", 0, "" },
    { "kvm|-id|../../1|", 0, "" },
    { "kvm|-id||", 0, "" },
    { "kvm|-id|", 0, "" },
    { "kvm|-id|1", 0, "" }, /* cut off: 1 of 100 */
    { "kvm|-id|1|-id|2|", 2, "" },
    { "kvm|-append|-id|7|", 0, "" }, /* a word of the guest's */
    { "kvm|-append|-id 7|", 0, "" },
    { "sh|-c|/usr/bin/kvm -id 1|", 0, "" },
    { "kvm|-uuid|3F2A9E9C-71D4-4A0E-9C1B-0D8C5B1E7A11|", 0, UUID },
    { "kvm|-uuid|" OTHER "|-smbios|type=1,uuid=" UUID "|", 0, UUID },
    { "kvm|-smbios|type=1,uuid=" UUID "|-uuid|" OTHER "|", 0, UUID },
    { "kvm|-smbios|uuid=" UUID ",type=1|", 0, UUID },
    { "kvm|-smbios|type=2,uuid=" UUID "|", 0, "" },
    { "kvm|-smbios|type=1,serial=uuid=" UUID "|", 0, "" },
    { "kvm|-smbios|type=1,serial=a,,uuid=" UUID "|", 0, "" },
    { "kvm|-smbios|type=1,uuid=" UUID "|-smbios|type=11,value=x|", 0, UUID },
    { "kvm|-uuid|00000000-0000-0000-0000-000000000000|", 0, "" },
    { "kvm|-uuid|../../../../../../../../../../../etc|", 0, "" },
    { "kvm|-uuid|" UUID "0|", 0, "" },
    { "", 0, "" },
    { "|", 0, "" },
    { "||||", 0, "" },
    { "kvm", 0, "" },
    { "-|--|-|", 0, "" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjQemuArgv argv = parse (cases[i].arguments);

      assert_int_equal (argv.vmid, cases[i].vmid);
      assert_string_equal (argv.uuid, cases[i].uuid);
      vj_qemu_argv_clear (&argv);
    }
}

static void
test_names (void **state)
{
  static const struct
  {
    const char *argument;
    const char *name;
  } cases[] = {
    { "web", "web" },
    { "guest=web", "web" },
    { "web,debug-threads=on", "web" },
    { "debug-threads=on,guest=web", "web" },
    { "process=kvm", NULL },
    { "a,,b,process=c", "a,b" },
    { "a,,,,b", "a,,b" },
    { ",,a", ",a" },
    { "", NULL },
    { ",debug-threads=on", NULL },
    { "a=b", NULL }, /* a key that nobody knows */
    { "guest=a=b", "a=b" },
    { "guest=../../../etc/passwd", "../../../etc/passwd" }, /* shown, and never a path */
    { "a b\tc\nd\x7f", "a b\xef\xbf\xbd"
                       "c\xef\xbf\xbd"
                       "d\xef\xbf\xbd" },
    { "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
    { "\xc2\x9b[31m", "\xef\xbf\xbd[31m" }, /* a terminal's command */
    { "b\xc3\xbcro", "b\xc3\xbcro" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *arguments = g_strdup_printf ("kvm|-name|%s|", cases[i].argument);
      VjQemuArgv argv = parse (arguments);

      assert_text (argv.name, cases[i].name);
      vj_qemu_argv_clear (&argv);
    }
}

static void
test_vcpus (void **state)
{
  static const struct
  {
    const char *arguments;
    guint vcpus;
  } cases[] = {
    { "kvm|", 1 },
    { "kvm|-smp|4|", 4 },
    { "kvm|-smp|cpus=4,maxcpus=8|", 4 },
    { "kvm|-smp|sockets=2,cores=4|", 8 },
    { "kvm|-smp|sockets=2,dies=2,cores=4,threads=2|", 32 },
    { "kvm|-smp|sockets=2,maxcpus=6|", 6 },
    { "kvm|-smp|x|", 1 },
    { "kvm|-smp||", 1 },
    { "kvm|-smp|-4|", 1 },
    { "kvm|-smp|99999999999999999999|", 1 },
    { "kvm|-smp|sockets=60000,cores=60000,threads=60000|", 65535 },
    { "kvm|-smp|1,maxcpus=3|-device|host-x86_64-cpu,id=cpu2|-device|driver=host-x86_64-cpu,id=cpu3|", 3 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjQemuArgv argv = parse (cases[i].arguments);

      assert_int_equal (argv.vcpus, cases[i].vcpus);
      vj_qemu_argv_clear (&argv);
    }
}

#define DEVICE  "-device|virtserialport,chardev=c,name=" PORT "|"
#define CHARDEV "-chardev|socket,id=c,path=/a/b"

static void
test_channel (void **state)
{
  static const struct
  {
    const char *arguments;
    gboolean has;
    gboolean listens;
    const char *path;
  } cases[] = {
    { "kvm|" CHARDEV ",server=on,wait=off|" DEVICE, TRUE, TRUE, "/a/b" },
    { "kvm|" DEVICE CHARDEV ",server=on|", TRUE, TRUE, "/a/b" },
    { "kvm|" CHARDEV ",server,nowait|" DEVICE, TRUE, TRUE, "/a/b" },
    { "kvm|" CHARDEV ",server=off|" DEVICE, TRUE, FALSE, "/a/b" },
    { "kvm|" CHARDEV ",noserver|" DEVICE, TRUE, FALSE, "/a/b" },
    { "kvm|" CHARDEV ",reconnect-ms=2000|" DEVICE, TRUE, FALSE, "/a/b" },
    { "kvm|" CHARDEV ",,c|" DEVICE, TRUE, FALSE, "/a/b,c" },
    { "kvm|" CHARDEV ",abstract=on|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|-chardev|socket,id=c,path=b|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|-chardev|file,id=c,path=/a/b|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|-chardev|socket,id=c,host=::1,port=1|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|-chardev|socket,id=d,path=/a/b|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|-chardev|socket,path=/a/b|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|" DEVICE, TRUE, FALSE, NULL },
    { "kvm|" CHARDEV "|", FALSE, FALSE, NULL },
    { "kvm|" CHARDEV "|-device|virtconsole,chardev=c,name=" PORT "|", FALSE, FALSE, NULL },
    { "kvm|" CHARDEV "|-device|virtserialport,chardev=c,name=" PORT "x|", FALSE, FALSE, NULL },
    { "kvm|" CHARDEV "|-device|{\"driver\":\"virtserialport\",\"chardev\":\"c\",\"name\":\"" PORT "\"}|",
      TRUE, FALSE, "/a/b" },
    { "kvm|" CHARDEV "|-device|{\"driver\":\"virtserialport\",\"chardev\":5,\"name\":\"" PORT "\"}|", TRUE,
      FALSE, NULL },
    { "kvm|" CHARDEV "|-device|{\"driver\":\"virtserialport\",\"chardev\":\"c\",\"name\":\"" PORT "\"|",
      FALSE, FALSE, NULL },
    { "kvm|" CHARDEV "|-device|{\"\xff\":1}|", FALSE, FALSE, NULL },
    { "kvm|" CHARDEV "|-device|{}|", FALSE, FALSE, NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjQemuArgv argv = parse (cases[i].arguments);

      assert_int_equal (argv.has_channel, cases[i].has);
      assert_int_equal (argv.channel_listens, cases[i].listens);
      assert_text (argv.channel_path, cases[i].path);
      vj_qemu_argv_clear (&argv);
    }
}

static void
test_long (void **state)
{
  g_autofree char *filler = g_strnfill (128 * 1024 - 1, 'x');
  g_autofree char *arguments = g_strdup_printf ("kvm|-name|%s|-append|%s|-id|5|", filler, filler);
  VjQemuArgv argv = parse (arguments);

  assert_int_equal (argv.vmid, 5);
  assert_int_equal (strlen (argv.name), VJ_QEMU_NAME_MAX);
  vj_qemu_argv_clear (&argv);

  arguments[VJ_QEMU_ARGV_MAX - 1] = '\0';
  argv = parse (arguments);
  assert_int_equal (argv.vmid, 0);
  assert_int_equal (strlen (argv.name), VJ_QEMU_NAME_MAX);
  vj_qemu_argv_clear (&argv);

  /* Nesting costs nothing. */
  memset (filler, '[', 4000);
  memcpy (filler, "{\"a\":", 5);
  filler[4000] = '\0';
  g_autofree char *deep = g_strdup_printf ("kvm|-device|%s|-id|5|", filler);
  argv = parse (deep);
  assert_int_equal (argv.vmid, 5);
  vj_qemu_argv_clear (&argv);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_proxmox), cmocka_unit_test (test_libvirt), cmocka_unit_test (test_identity),
    cmocka_unit_test (test_names),   cmocka_unit_test (test_vcpus),   cmocka_unit_test (test_channel),
    cmocka_unit_test (test_long),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
