/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/proxmox_args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/error.h"

#define PATH       "/run/virtjoule/guest.sock"
#define CONTROLLER "-device virtio-serial,id=virtjoule,bus=pci.2,addr=0x1f"
#define CHARDEV(t) "-chardev socket,id=virtjoule,path=" PATH "," t
#define PORT       "-device virtserialport,bus=virtjoule.0,chardev=virtjoule,name=org.virtjoule.energy.0"
#define SECONDS    CONTROLLER " " CHARDEV ("reconnect=2") " " PORT
#define MILLIS     CONTROLLER " " CHARDEV ("reconnect-ms=2000") " " PORT

static const VjQemuVersion old = { 9, 0 };
static const VjQemuVersion both = { 9, 2 }; /* takes either spelling */
static const VjQemuVersion recent = { 10, 2 };

/* args of an operator: with ours appended, and without it again, they are what they were. */
static void
test_foreign_stays (void **state)
{
  static const char *const foreign[] = {
    "-cpu host,kvm=off",
    "-cpu 'host,+kvm_pv_unhalt,hv_vendor_id=NV43FIX'",
    "-device   ich9-intel-hda,bus=pcie.0,addr=0x1b\t-audiodev spice,id=a",
    "-smbios 'type=1,serial=it\\'s,manufacturer=A  \"B\"'",
    "-fw_cfg name=opt/x,string=\"a b\\\" c\"",
    "-append \"root=/dev/sda1 ro\" -kernel '/a b/vmlinuz'",
    "-device virtio-serial,id=virtjoule2 -chardev socket,id=virtjoule-x,path=/virtjoule",
    "-chardev socket,path=/a,,id=virtjoule,id=other",
    "-name virtjoule,id=virtjoule",
    "-no-shutdown -device -chardev",
    "-device 'virtio-serial,id=virt\\joule'",
    "--device vfio-pci,host=01:00.0",
    "-object rng-random,id=virtjoule,filename=/dev/urandom",
    "-set device.net0.\\ x=y",
    "-smbios type=1,product=\xc3\xa9t\xc3\xa9 -smbios type=2,product=\xff\xfe",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (foreign); i++)
    {
      g_autofree char *expected = g_strconcat (foreign[i], " " MILLIS, NULL);
      g_autofree char *with = vj_proxmox_args_with (foreign[i], PATH, both, NULL);
      g_autofree char *without = vj_proxmox_args_without (with, NULL);
      assert_string_equal (with, expected);
      assert_string_equal (without, foreign[i]);
    }
}

static void
test_spelling_of_the_version (void **state)
{
  g_autofree char *seconds = vj_proxmox_args_with (NULL, PATH, old, NULL);
  g_autofree char *millis = vj_proxmox_args_with ("", PATH, (VjQemuVersion){ 9, 2 }, NULL);
  assert_string_equal (seconds, SECONDS);
  assert_string_equal (millis, MILLIS);
}

/* Ours goes wherever it is, whatever it looks like, however often. */
static void
test_without (void **state)
{
  static const struct
  {
    const char *args;
    const char *rest;
  } cases[] = {
    { NULL, "" },
    { "", "" },
    { MILLIS, "" },
    { SECONDS " -cpu host", "-cpu host" },
    { "-cpu host " MILLIS "  -m 5", "-cpu host  -m 5" },
    { "-cpu host " MILLIS " " SECONDS, "-cpu host" },
    { CONTROLLER " -cpu host " PORT " -m 5 " CHARDEV ("reconnect=2"), "-cpu host -m 5" },
    { "\"-device\"   'virtio-serial-pci,id=virtjoule' -cpu host", "-cpu host" },
    { "--chardev socket,id=virtjoule,path=/elsewhere,server=on", "" },
    { "-device -device virtio-serial,id=virtjoule", "-device -device virtio-serial,id=virtjoule" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *rest = vj_proxmox_args_without (cases[i].args, NULL);
      assert_string_equal (rest, cases[i].rest);
    }
}

static void
test_state (void **state)
{
  static const struct
  {
    const char *args;
    const VjQemuVersion *version;
    VjProxmoxArgsState state;
  } cases[] = {
    { NULL, &both, VJ_PROXMOX_ARGS_DISABLED },
    { "-cpu host", &both, VJ_PROXMOX_ARGS_DISABLED },
    { MILLIS, &both, VJ_PROXMOX_ARGS_ENABLED },
    { "-cpu host  " MILLIS " -m 5", &both, VJ_PROXMOX_ARGS_ENABLED },
    { SECONDS, &both, VJ_PROXMOX_ARGS_OUTDATED }, /* before 10.2 refuses it */
    { SECONDS, &old, VJ_PROXMOX_ARGS_ENABLED },
    { MILLIS, &old, VJ_PROXMOX_ARGS_OUTDATED },
    { SECONDS, &recent, VJ_PROXMOX_ARGS_OUTDATED },
    { MILLIS, &recent, VJ_PROXMOX_ARGS_ENABLED },
    { MILLIS " " MILLIS, &both, VJ_PROXMOX_ARGS_OUTDATED },
    { CONTROLLER " " PORT, &both, VJ_PROXMOX_ARGS_OUTDATED },
    { CONTROLLER " " CHARDEV ("server=on") " " PORT, &both, VJ_PROXMOX_ARGS_OUTDATED },
    { "-chardev socket,id=v,path=/v -device virtserialport,chardev=v,name=org.virtjoule.energy.0", &both,
      VJ_PROXMOX_ARGS_OWN },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjProxmoxArgsState found = VJ_PROXMOX_ARGS_DISABLED;
      assert_true (vj_proxmox_args_get_state (cases[i].args, PATH, *cases[i].version, &found, NULL));
      assert_int_equal (found, cases[i].state);
    }
}

/* What Proxmox cannot split is not touched. */
static void
test_invalid (void **state)
{
  static const char *const broken[] = {
    "'", "\"", "-cpu 'host", "-cpu \"host\\\"", "-cpu host\\", MILLIS " '"
  };
  for (gsize i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autoptr (GError) error = NULL;
      VjProxmoxArgsState found = VJ_PROXMOX_ARGS_OWN;
      assert_null (vj_proxmox_args_without (broken[i], NULL));
      assert_null (vj_proxmox_args_with (broken[i], PATH, both, NULL));
      assert_false (vj_proxmox_args_get_state (broken[i], PATH, both, &found, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      assert_int_equal (found, VJ_PROXMOX_ARGS_OWN);
    }
}

static void
test_version (void **state)
{
  static const struct
  {
    const char *text;
    gboolean valid;
    VjQemuVersion version;
  } cases[] = {
    { "QEMU emulator version 9.2.0 (pve-qemu-kvm_9.2.0-5)\nCopyright", TRUE, { 9, 2 } },
    { "QEMU emulator version 10.0.2", TRUE, { 10, 0 } },
    { "QEMU emulator version 7.2.22 (Debian 1:7.2)", TRUE, { 7, 2 } },
    { "QEMU emulator version 99999999999999999999.1", TRUE, { 1000, 1 } },
    { "QEMU emulator version 9", FALSE, { 0, 0 } },
    { "QEMU emulator version 9.x", FALSE, { 0, 0 } },
    { "QEMU emulator version -9.2", FALSE, { 0, 0 } },
    { "kvm: not found", FALSE, { 0, 0 } },
    { "", FALSE, { 0, 0 } },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjQemuVersion version = { 0, 0 };
      assert_int_equal (vj_qemu_version_parse (cases[i].text, &version), cases[i].valid);
      assert_int_equal (version.major, cases[i].version.major);
      assert_int_equal (version.minor, cases[i].version.minor);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_foreign_stays), cmocka_unit_test (test_spelling_of_the_version),
    cmocka_unit_test (test_without),       cmocka_unit_test (test_state),
    cmocka_unit_test (test_invalid),       cmocka_unit_test (test_version),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
