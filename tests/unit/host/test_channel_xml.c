/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/channel_xml.h"

#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define PORT       "org.virtjoule.energy.0"
#define TARGET     "<target type='virtio' name='" PORT "'></target>"
#define DEVICES(x) "<domain type='qemu'><name>a</name><devices>" x "</devices></domain>"
#define BIND       "<channel type='unix'><source mode='bind' path='/run/a &amp; b'></source>" TARGET "</channel>"
#define AT(port)   "<address type='virtio-serial' controller='0' bus='0' port='" port "'/>"
#define AGENT(port)                                                                                          \
  "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/>" AT (port) "</channel>"

typedef struct
{
  const char *title;
  const char *xml;
  VjChannelWay way;
  const char *element; /* NULL: none */
  gboolean port_free;
} Case;

static const Case cases[] = {
  { "nothing", DEVICES (""), VJ_CHANNEL_WAY_NONE, NULL, FALSE },
  { "a controller", DEVICES ("<controller type='virtio-serial' index='0'/>"), VJ_CHANNEL_WAY_NONE, NULL,
    TRUE },
  { "another controller", DEVICES ("<controller type='usb' index='0'/>"), VJ_CHANNEL_WAY_NONE, NULL, FALSE },
  { "bind, element as it is", DEVICES ("<controller type='virtio-serial'/>" AGENT ("1") BIND),
    VJ_CHANNEL_WAY_BIND, BIND, TRUE },
  { "bind without a source", DEVICES ("<channel type='unix'>" TARGET "</channel>"), VJ_CHANNEL_WAY_BIND,
    "<channel type='unix'>" TARGET "</channel>", FALSE },
  { "connect",
    DEVICES ("<channel type='unix'><source mode='connect' path='/x'></source>" TARGET "</channel>"),
    VJ_CHANNEL_WAY_CONNECT,
    "<channel type='unix'><source mode='connect' path='/x'></source>" TARGET "</channel>", FALSE },
  { "another kind", DEVICES ("<channel type='pty'>" TARGET "</channel>"), VJ_CHANNEL_WAY_OTHER,
    "<channel type='pty'>" TARGET "</channel>", FALSE },
  { "another name", DEVICES (AGENT ("1")), VJ_CHANNEL_WAY_NONE, NULL, FALSE },
  { "not a virtio port", DEVICES ("<channel type='unix'><target type='guestfwd' name='" PORT "'/></channel>"),
    VJ_CHANNEL_WAY_NONE, NULL, FALSE },
  { "in metadata only", "<domain><metadata><domain><devices>" BIND "</devices></domain></metadata></domain>",
    VJ_CHANNEL_WAY_NONE, NULL, FALSE },
  { "console at port 0 leaves the other",
    DEVICES ("<controller type='virtio-serial' ports='2'/><console type='pty'>" AT ("0") "</console>"),
    VJ_CHANNEL_WAY_NONE, NULL, TRUE },
  { "all ports taken", DEVICES ("<controller type='virtio-serial' ports='2'/>" AGENT ("1")),
    VJ_CHANNEL_WAY_NONE, NULL, FALSE },
  { "a second controller",
    DEVICES ("<controller type='virtio-serial' ports='2'/><controller type='virtio-serial' index='1' "
             "ports='2'/>" AGENT ("1")),
    VJ_CHANNEL_WAY_NONE, NULL, TRUE },
};

static void
test_reads (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjChannelXml) channel = { 0 };
      print_message ("%s\n", cases[i].title);
      assert_true (vj_channel_xml_read (cases[i].xml, &channel, NULL));
      assert_string_equal (vj_channel_way_name (channel.way), vj_channel_way_name (cases[i].way));
      assert_int_equal (channel.port_free, cases[i].port_free);
      assert_int_equal (channel.element == NULL, cases[i].element == NULL);
      if (cases[i].element != NULL)
        assert_string_equal (channel.element, cases[i].element);
    }
}

static void
test_refuses (void **state)
{
  static const char *const bad[] = { "", "<network/>", "<domain>", "<domain><devices><channel>", "x" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      VjChannelXml channel = { .way = VJ_CHANNEL_WAY_OTHER };
      g_autoptr (GError) error = NULL;
      assert_false (vj_channel_xml_read (bad[i], &channel, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      assert_int_equal (channel.way, VJ_CHANNEL_WAY_OTHER);
    }
}

static void
assert_is_file (const char *guest_socket, const char *path)
{
  g_autofree char *file = NULL;
  g_autofree char *channel = vj_channel_xml_new (guest_socket);
  assert_true (g_file_get_contents (path, &file, NULL, NULL));
  assert_true (g_str_has_prefix (file, "<!-- "));
  const char *end = g_strstr_len (file, -1, "-->");
  assert_non_null (end);
  assert_null (g_strstr_len (file + 4, end - file - 4, "--")); /* XML has no such comment */
  assert_string_equal (end + strlen ("-->\n"), channel);
}

/* What virsh attach-device is given by hand is what the command line gives. */
static void
test_new_is_the_file (void **state)
{
  assert_is_file (NULL, VJ_SOURCE_DIR "/data/channel.xml");
  assert_is_file ("/run/virtjoule/guest.sock", VJ_SOURCE_DIR "/data/channel-connect.xml");
}

static void
test_new_reads_back (void **state)
{
  static const char *const sockets[] = { NULL, "/run/virtjoule/guest.sock", "/run/a 'b' <c> & d/guest.sock" };
  for (gsize i = 0; i < G_N_ELEMENTS (sockets); i++)
    {
      g_auto (VjChannelXml) channel = { 0 };
      g_autofree char *made = vj_channel_xml_new (sockets[i]);
      g_autofree char *xml = g_strconcat ("<domain><devices>", made, "</devices></domain>", NULL);
      assert_true (vj_channel_xml_read (xml, &channel, NULL));
      assert_int_equal (channel.way, sockets[i] != NULL ? VJ_CHANNEL_WAY_CONNECT : VJ_CHANNEL_WAY_BIND);
      assert_non_null (channel.element);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_reads),
    cmocka_unit_test (test_refuses),
    cmocka_unit_test (test_new_is_the_file),
    cmocka_unit_test (test_new_reads_back),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
