/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SCOPE "/machine.slice/machine-qemu\\x2d3\\x2dweb\\x2d1.scope"
#define PLAIN "/machine/qemu-3-web.libvirt-qemu"

static void
assert_text (const char *actual, const char *expected)
{
  if (expected == NULL)
    assert_null (actual);
  else
    assert_string_equal (actual, expected);
}

static void
test_parse_path (void **state)
{
  static const char hybrid[] = "12:cpuset:/machine/a\n11:cpu,cpuacct:/machine/b\n3:memory:/\n"
                               "2:cpuacct2:/wrong\n1:name=systemd:/init.scope\n0::/machine/v2\n";
  static const struct
  {
    const char *text;
    const char *controller;
    const char *path;
  } cases[] = {
    { hybrid, NULL, "/machine/v2" },
    { hybrid, "cpuacct", "/machine/b" },
    { hybrid, "cpu", "/machine/b" },
    { hybrid, "cpuset", "/machine/a" },
    { hybrid, "memory", "/" },
    { hybrid, "name=systemd", "/init.scope" },
    { hybrid, "pids", NULL },
    { hybrid, "", NULL },
    { "2:cpuacct2,xcpuacct,cpuacct:/b\n", "cpuacct", "/b" },
    { "0::/a:b c\n", NULL, "/a:b c" },
    { "0::/no-newline", NULL, "/no-newline" },
    { "0::/\n", NULL, "/" },
    { "0::/a (deleted)\n", NULL, NULL },
    { "0::/../a\n", NULL, NULL },
    { "0::/a/..\n", NULL, NULL },
    { "0::/a/../b\n", NULL, NULL },
    { "0::/..a/b..\n", NULL, "/..a/b.." },
    { "0::relative\n", NULL, NULL },
    { "0::\n", NULL, NULL },
    { "0:\n0::/a\n", NULL, "/a" },
    { "0:/a\n0::/b\n", NULL, "/b" },
    { "1::/v1\n", NULL, NULL },
    { "x\n:::\n\n", NULL, NULL },
    { "", NULL, NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = g_memdup2 (cases[i].text, MAX (length, 1));
      g_autofree char *path = vj_cgroup_parse_path (text, length, cases[i].controller);

      assert_text (path, cases[i].path);
    }
  assert_null (vj_cgroup_parse_path ("0::/a\0b\n", 8, NULL));
}

static void
test_domain_scope (void **state)
{
  static const struct
  {
    const char *path;
    const char *scope;
  } cases[] = {
    { SCOPE, SCOPE },
    { SCOPE "/libvirt/emulator", SCOPE },
    { SCOPE "/libvirt/vcpu12", SCOPE },
    { SCOPE "/libvirt/iothread1", SCOPE },
    { SCOPE "/emulator", SCOPE },
    { PLAIN, PLAIN },
    { PLAIN "/emulator", PLAIN },
    { PLAIN "/vcpu0", PLAIN },
    { "/a.slice/b.scope" SCOPE "/libvirt", "/a.slice/b.scope" SCOPE },
    { "/machine-qemu\\x2d3.scope", "/machine-qemu\\x2d3.scope" },
    { "/machine/web.libvirt-qemu/emulator", "/machine/web.libvirt-qemu" },
    { "/machine/_cpu.w \xff\xfe.libvirt-qemu", "/machine/_cpu.w \xff\xfe.libvirt-qemu" },
    { "/machine/emulator.libvirt-qemu", "/machine/emulator.libvirt-qemu" },
    { SCOPE "/vcpu", NULL },
    { SCOPE "/vcpu1x", NULL },
    { SCOPE "/emulator2", NULL },
    { SCOPE "/other", NULL },
    { SCOPE "/", NULL },
    { SCOPE " (deleted)", NULL },
    { "/../.." SCOPE, NULL },
    { "/machine/.libvirt-qemu", NULL },
    { "/machine.slice/machine-qemu\\x2d\\x2dweb.scope", NULL },
    { "/machine.slice/machine-qemu\\x2d3\\x2d.scope", NULL },
    { "/machine.slice/machine-qemu\\x2d3web.scope", NULL },
    { "/machine.slice/machine-lxc\\x2d3\\x2dweb.scope", NULL },
    { "/machine.slice", NULL },
    { "/user.slice/user-1000.slice/session-2.scope", NULL },
    { "/user.slice/user-1000.slice/user@1000.service" SCOPE, NULL },
    { "/user.slice/user-1000.slice/user@1000.service/web.libvirt-qemu", NULL },
    { "/user.slice2" SCOPE, "/user.slice2" SCOPE },
    { "/system.slice/libvirtd.service", NULL },
    { "/system.slice/libvirtd.service/emulator", NULL },
    { "/emulator", NULL },
    { "/libvirt/emulator/vcpu0", NULL },
    { "/", NULL },
    { "//", NULL },
    { "", NULL },
    { "emulator", NULL },
    { "web.libvirt-qemu", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *scope = vj_cgroup_domain_scope (cases[i].path);

      assert_text (scope, cases[i].scope);
    }
}

/* What Proxmox makes, and what is no domain's own. */
static void
test_other_scope (void **state)
{
  static const struct
  {
    const char *path;
    const char *scope;
  } cases[] = {
    { "/qemu.slice/100.scope", "/qemu.slice/100.scope" },
    { "/a.slice/qemu.slice/999999999.scope", "/a.slice/qemu.slice/999999999.scope" },
    { "/qemu.slice/100.scope/libvirt/emulator", "/qemu.slice/100.scope" },
    { "/qemu.slice", NULL },
    { "/qemu.slice/.scope", NULL },
    { "/qemu.slice/100", NULL },
    { "/qemu.slice/100x.scope", NULL },
    { "/qemu.slice/-1.scope", NULL },
    { "/qemu.slice/100.scope/other", NULL },
    { "/notqemu.slice/100.scope", NULL },
    { "/qemu.slice/sub/100.scope", NULL },
    { "/100.scope", NULL },
    { "/user.slice/user-1000.slice/user@1000.service/qemu.slice/100.scope", NULL },
    { "/system.slice/run-r5d3.scope", NULL },
    { "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-2.scope", NULL },
    { "/kubepods/burstable/pod1/2", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *scope = vj_cgroup_domain_scope (cases[i].path);

      assert_text (scope, cases[i].scope);
    }
}

static void
test_cpu_stat (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint64 usage_us;
  } cases[] = {
    { "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n", TRUE, 1234 },
    { "user_usec 1\nusage_usec 18446744073709551615\n", TRUE, G_MAXUINT64 },
    { "usage_usec 18446744073709551616\n", FALSE, 0 },
    { "xusage_usec 1\n", FALSE, 0 },
    { "usage_usec\n", FALSE, 0 },
    { "usage_usec -1\n", FALSE, 0 },
    { "usage_usec 1 2\n", FALSE, 0 },
    { "usage_usec 12", TRUE, 12 },
    { "", FALSE, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = g_memdup2 (cases[i].text, MAX (length, 1));
      guint64 usage_us = 77;

      assert_int_equal (vj_cgroup_parse_cpu_stat (text, length, &usage_us), cases[i].ok);
      assert_int_equal (usage_us, cases[i].ok ? cases[i].usage_us : 77);
    }
}

static void
test_u64 (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint64 value;
  } cases[] = {
    { "0\n", TRUE, 0 },
    { "262143328850\n", TRUE, G_GUINT64_CONSTANT (262143328850) },
    { "18446744073709551615", TRUE, G_MAXUINT64 },
    { "18446744073709551616\n", FALSE, 0 },
    { "99999999999999999999999\n", FALSE, 0 },
    { "", FALSE, 0 },
    { "\n", FALSE, 0 },
    { "1\n\n", FALSE, 0 },
    { "1 \n", FALSE, 0 },
    { " 1\n", FALSE, 0 },
    { "-1\n", FALSE, 0 },
    { "+1\n", FALSE, 0 },
    { "0x1\n", FALSE, 0 },
    { "1.0\n", FALSE, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].text);
      g_autofree char *text = g_memdup2 (cases[i].text, MAX (length, 1));
      guint64 value = 77;

      assert_int_equal (vj_cgroup_parse_u64 (text, length, &value), cases[i].ok);
      assert_int_equal (value, cases[i].ok ? cases[i].value : 77);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_parse_path),  cmocka_unit_test (test_domain_scope),
    cmocka_unit_test (test_other_scope), cmocka_unit_test (test_cpu_stat),
    cmocka_unit_test (test_u64),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
