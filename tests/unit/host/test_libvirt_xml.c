/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PORT       "org.virtjoule.energy.0"
#define BOUND      "<source mode='bind' path='/run/a.sock'/>"
#define CONNECTING "<source mode='connect' path='/run/a.sock'/>"
#define NAMED      "<target type='virtio' name='" PORT "' state='disconnected'/>"

typedef struct
{
  const char *title;
  const char *xml;
  const char *path; /* or CONNECTS */
} Case;

#define CONNECTS "connects"

static const Case cases[] = {
  { "bound", "<domain><devices><channel type='unix'>" BOUND NAMED "</channel></devices></domain>",
    "/run/a.sock" },
  { "target before source",
    "<domain><devices><channel type='unix'>" NAMED BOUND "</channel></devices></domain>", "/run/a.sock" },
  { "second of two",
    "<domain><devices><channel type='unix'><source mode='bind' path='/run/agent.sock'/>"
    "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    "<channel type='unix'>" BOUND NAMED "</channel></devices></domain>",
    "/run/a.sock" },
  { "with other namespaces, comments and entities",
    "<?xml version='1.0'?><!-- x --><domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<name>a &amp; b</name><qemu:commandline><qemu:arg value='-x'/></qemu:commandline><devices><channel "
    "type='unix'>"
    "<source mode='bind' path='/run/a &lt;b&gt;'/>" NAMED "<alias name='channel0'/>"
    "<address type='virtio-serial' controller='0' bus='0' port='1'/></channel></devices></domain>",
    "/run/a <b>" },
  { "in metadata only",
    "<domain><metadata><domain><devices><channel type='unix'>" BOUND NAMED
    "</channel></devices></domain></metadata><devices/></domain>",
    NULL },
  { "QEMU connects",
    "<domain><devices><channel type='unix'>" CONNECTING NAMED "</channel></devices></domain>", CONNECTS },
  { "QEMU connects, by a source that says more",
    "<domain><devices><channel type='unix'><source mode='connect' path='/run/a.sock'>"
    "<seclabel model='dac' relabel='no'/><reconnect enabled='yes' timeout='2'/></source>" NAMED
    "</channel></devices></domain>",
    CONNECTS },
  { "QEMU connects another port",
    "<domain><devices><channel type='unix'>" CONNECTING "<target type='virtio' name='x'/></channel>"
    "<channel type='unix'>" BOUND NAMED "</channel></devices></domain>",
    "/run/a.sock" },
  { "QEMU connects, in metadata only",
    "<domain><metadata><domain><devices><channel type='unix'>" CONNECTING NAMED
    "</channel></devices></domain></metadata><devices/></domain>",
    NULL },
  { "QEMU connects, cut off",
    "<domain><devices><channel type='unix'>" CONNECTING NAMED "</channel></devices>", NULL },
  { "neither way",
    "<domain><devices><channel type='unix'><source path='/run/a.sock'/>" NAMED
    "</channel></devices></domain>",
    NULL },
  { "another type", "<domain><devices><channel type='pty'>" BOUND NAMED "</channel></devices></domain>",
    NULL },
  { "another port",
    "<domain><devices><channel type='unix'>" BOUND
    "<target type='virtio' name='x'/></channel></devices></domain>",
    NULL },
  { "another target",
    "<domain><devices><channel type='unix'>" BOUND "<target type='guestfwd' name='" PORT
    "'/></channel></devices></domain>",
    NULL },
  { "no path yet",
    "<domain><devices><channel type='unix'><source mode='bind'/>" NAMED "</channel></devices></domain>",
    NULL },
  { "relative path",
    "<domain><devices><channel type='unix'><source mode='bind' path='a.sock'/>" NAMED
    "</channel></devices></domain>",
    NULL },
  { "path of a neighbour",
    "<domain><devices><channel type='unix'>" BOUND "</channel><channel type='unix'>" NAMED
    "</channel></devices></domain>",
    NULL },
  { "source deeper down",
    "<domain><devices><channel type='unix'><x>" BOUND "</x>" NAMED "</channel></devices></domain>", NULL },
  { "cut off", "<domain><devices><channel type='unix'>" BOUND NAMED "</channel></devices>", NULL },
  { "not XML", "domain", NULL },
  { "empty", "", NULL },
};

static void
finds_the_channel (void **state)
{
  const Case *c = *state;
  g_autofree char *path = vj_libvirt_xml_channel_path (c->xml, PORT);

  const gboolean connects = vj_libvirt_xml_channel_connects (c->xml, PORT);

  if (connects)
    assert_null (path);
  assert_string_equal (connects ? CONNECTS : path ? path : "none", c->path ? c->path : "none");
}

static void
counts_vcpus (void **state)
{
  static const struct
  {
    const char *xml;
    guint vcpus;
  } vcpu_cases[] = {
    { "<domain><vcpu>4</vcpu></domain>", 4 },
    { "<domain><vcpu placement='static' cpuset='0-3'>\n 16 \n</vcpu></domain>", 16 },
    { "<domain><vcpu placement='static' current='2'>4</vcpu></domain>", 2 },
    { "<domain><vcpu>4</vcpu><vcpus><vcpu id='0' enabled='yes'/></vcpus></domain>", 4 },
    { "<domain><vcpu>4</vcpu><metadata><vcpu>9</vcpu><domain><vcpu>8</vcpu></domain></metadata></domain>",
      4 },
    { "<domain><metadata><x current='7'/></metadata></domain>", 0 },
    { "<domain><vcpu>0</vcpu></domain>", 0 },
    { "<domain><vcpu>-1</vcpu></domain>", 0 },
    { "<domain><vcpu>99999999999</vcpu></domain>", 0 },
    { "<domain><vcpu>4</vcpu>", 0 },
    { "", 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (vcpu_cases); i++)
    assert_int_equal (vj_libvirt_xml_vcpus (vcpu_cases[i].xml), vcpu_cases[i].vcpus);
}

int
main (void)
{
  struct CMUnitTest tests[G_N_ELEMENTS (cases) + 1] = { 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    tests[i] = (struct CMUnitTest){ cases[i].title, finds_the_channel, NULL, NULL, (void *)&cases[i] };
  tests[G_N_ELEMENTS (cases)] = (struct CMUnitTest)cmocka_unit_test (counts_vcpus);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
