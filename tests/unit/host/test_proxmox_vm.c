/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/proxmox_vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
assert_text (const char *found, const char *expected)
{
  assert_int_equal (found == NULL, expected == NULL);
  if (expected != NULL)
    assert_string_equal (found, expected);
}

/* args of now and of the next start. */
static void
test_args (void **state)
{
  static const struct
  {
    const char *text;
    const char *args;
    const char *next_args;
  } cases[] = {
    { "", NULL, NULL },
    { "args: -cpu host\n", "-cpu host", "-cpu host" },
    { "args:   -cpu  host \t\r\n", "-cpu  host", "-cpu  host" },
    { "args:-m 5", "-m 5", "-m 5" },
    { "args: \n", NULL, NULL },
    { "args: -m 5\nargs: -m 6\n", "-m 6", "-m 6" },
    { "#args%3A -m 5\n#args: -m 6\nname: a\n", NULL, NULL },
    { " args: -m 5\nxargs: -m 5\nargs2: -m 5\n", NULL, NULL },
    { "description: args: -m 5\n", NULL, NULL },
    { "args: -a\n\n[PENDING]\nargs: -b\n", "-a", "-b" },
    { "args: -a\n\n[pending]  \nargs: -b\n", "-a", "-b" },
    { "[PENDING]\nargs: -b\n", NULL, "-b" },
    { "args: -a\n[PENDING]\ndelete: args\n", "-a", NULL },
    { "args: -a\n[PENDING]\ndelete: net1,!args;cpu\n", "-a", NULL },
    { "args: -a\n[PENDING]\ndelete: argsx,net1\n", "-a", "-a" },
    { "args: -a\ndelete: args\n", "-a", "-a" },
    { "args: -a\n[PENDING]\nmemory: 5\n[snap1]\nargs: -s\ndelete: args\n", "-a", "-a" },
    { "args: -a\n[snap1]\nargs: -s\n[special:cloudinit]\nargs: -c\n", "-a", "-a" },
    { "name: a\n[pending1]\nargs: -s\n", NULL, NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VjProxmoxVm) vm = vj_proxmox_vm_parse (100, cases[i].text, strlen (cases[i].text));
      assert_text (vm->args, cases[i].args);
      assert_text (vm->next_args, cases[i].next_args);
      assert_int_equal (vj_proxmox_vm_is_pending (vm), g_strcmp0 (cases[i].args, cases[i].next_args) != 0);
    }
}

static void
test_other_keys (void **state)
{
  static const char text[] =
      "#a\nhookscript: local:snippets/virtjoule\nlock: backup\nname: web.\xc3\xa9\ntemplate: 1\n"
      "[PENDING]\nname: other\n[s]\nlock: x\ntemplate: 0\n";
  static const char plain[] = "template: 0\nlocked: no\n";
  g_autoptr (VjProxmoxVm) vm = vj_proxmox_vm_parse (101, text, strlen (text));
  g_autoptr (VjProxmoxVm) bare = vj_proxmox_vm_parse (102, plain, strlen (plain));
  assert_int_equal (vm->vmid, 101);
  assert_text (vm->name, "web.\xc3\xa9");
  assert_text (vm->lock, "backup");
  assert_text (vm->hookscript, "local:snippets/virtjoule");
  assert_true (vm->is_template);
  assert_text (bare->lock, NULL);
  assert_text (bare->name, NULL);
  assert_false (bare->is_template);
}

/* sha1sum of the file, bytes that are no text included. */
static void
test_digest (void **state)
{
  g_autoptr (VjProxmoxVm) vm = vj_proxmox_vm_parse (100, "abc", 3);
  g_autoptr (VjProxmoxVm) odd = vj_proxmox_vm_parse (100, "a: b\n\0args: x\n", 14);
  assert_string_equal (vm->digest, "a9993e364706816aba3e25717850c26c9cd0d89d");
  assert_int_equal (strlen (odd->digest), 40);
  assert_text (odd->args, NULL);
}

static void
test_vmid (void **state)
{
  static const char *const wrong[] = { "",     "0",    "99",   "1000000000", "-100", "+100",
                                       "100 ", " 100", "100x", "../100",     "1e3" };
  guint vmid = 7;
  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++)
    assert_false (vj_proxmox_vmid_parse (wrong[i], &vmid));
  assert_int_equal (vmid, 7);
  assert_true (vj_proxmox_vmid_parse ("100", &vmid));
  assert_int_equal (vmid, 100);
  assert_true (vj_proxmox_vmid_parse ("999999999", &vmid));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_args),
    cmocka_unit_test (test_other_keys),
    cmocka_unit_test (test_digest),
    cmocka_unit_test (test_vmid),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
