/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/libvirt_admin.h"

#include "common/error.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define UUID_A "aaaaaaaa-0000-4000-8000-00000000000a"
#define UUID_B "bbbbbbbb-0000-4000-8000-00000000000b"
#define OURS   "urn:virtjoule:domain:1"
#define DOMAIN(name, uuid)                                                                                   \
  "<domain type='test'><name>" name "</name><uuid>" uuid "</uuid>"                                           \
  "<metadata><x:note xmlns:x='urn:x' a='b'>c</x:note></metadata><memory>1024</memory>"                       \
  "<os><type>hvm</type></os></domain>"

/* libvirt's test driver, in this process: two domains that run, one of which is named like a number. */
static int
setup (void **state)
{
  void *root = NULL;
  if (tempdir_setup (&root) != 0)
    return -1;
  g_autofree char *path = g_build_filename (root, "node.xml", NULL);
  g_autofree char *uri = g_strconcat ("test://", path, NULL);
  const char *node = "<node>" DOMAIN ("web", UUID_A) DOMAIN ("7", UUID_B) "</node>";
  if (!g_file_set_contents (path, node, -1, NULL))
    return -1;
  *state = vj_libvirt_admin_open (uri, FALSE, NULL);
  return *state != NULL && tempdir_teardown (&root) == 0 ? 0 : -1;
}

static int
teardown (void **state)
{
  vj_libvirt_admin_close (*state);
  return 0;
}

static void
test_finds (void **state)
{
  static const char *const names[] = { "web", UUID_A, "1" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (VjLibvirtDomain) domain = vj_libvirt_admin_find (*state, names[i], NULL);
      assert_non_null (domain);
      assert_string_equal (vj_libvirt_domain_name (domain), "web");
      assert_string_equal (vj_libvirt_domain_uuid (domain), UUID_A);
      assert_true (vj_libvirt_domain_is_active (domain));
      assert_true (vj_libvirt_domain_is_persistent (domain));
    }
  g_autoptr (VjLibvirtDomain) number = vj_libvirt_admin_find (*state, "7", NULL);
  assert_non_null (number);
  assert_string_equal (vj_libvirt_domain_uuid (number), UUID_B);
}

static void
test_finds_none (void **state)
{
  static const char *const names[] = { "none", "", "99", "-1", "cccccccc-0000-4000-8000-00000000000c" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) error = NULL;
      assert_null (vj_libvirt_admin_find (*state, names[i], &error));
      assert_true (vj_error_is_gone (error));
      assert_non_null (strstr (error->message, "list --all"));
    }
}

static void
test_lists (void **state)
{
  g_autoptr (GPtrArray) domains = vj_libvirt_admin_list (*state, NULL);
  assert_int_equal (domains->len, 2);
  assert_string_equal (vj_libvirt_domain_name (g_ptr_array_index (domains, 0)), "7");
  assert_string_equal (vj_libvirt_domain_name (g_ptr_array_index (domains, 1)), "web");
}

static char *
metadata (const VjLibvirtDomain *domain, VjDefinition one)
{
  char *xml = NULL;
  assert_true (vj_libvirt_domain_metadata (domain, OURS, one, &xml, NULL));
  return xml;
}

/* Nothing else of the definition changes, and in the end nothing at all has. */
static void
test_metadata (void **state)
{
  g_autoptr (VjLibvirtDomain) domain = vj_libvirt_admin_find (*state, "web", NULL);
  g_autofree char *before = vj_libvirt_domain_xml (domain, VJ_DEFINITION_CONFIG, NULL);
  assert_null (metadata (domain, VJ_DEFINITION_CONFIG));
  assert_true (vj_libvirt_domain_set_metadata (domain, "virtjoule", OURS, "<settings interval='5s'/>",
                                               VJ_DEFINITION_BOTH, NULL));
  g_autofree char *live = metadata (domain, VJ_DEFINITION_LIVE);
  g_autofree char *config = metadata (domain, VJ_DEFINITION_CONFIG);
  assert_string_equal (live, "<settings interval=\"5s\"/>");
  assert_string_equal (config, live);
  g_autofree char *during = vj_libvirt_domain_xml (domain, VJ_DEFINITION_CONFIG, NULL);
  assert_non_null (strstr (during, "<x:note xmlns:x=\"urn:x\" a=\"b\">c</x:note>"));
  assert_true (vj_libvirt_domain_set_metadata (domain, "virtjoule", OURS, NULL, VJ_DEFINITION_LIVE, NULL));
  assert_null (metadata (domain, VJ_DEFINITION_LIVE));
  assert_true (vj_libvirt_domain_set_metadata (domain, "virtjoule", OURS, NULL, VJ_DEFINITION_CONFIG, NULL));
  g_autofree char *after = vj_libvirt_domain_xml (domain, VJ_DEFINITION_CONFIG, NULL);
  assert_string_equal (after, before);
}

/* The test driver attaches nothing, and says so; the definition stays. */
static void
test_driver_that_cannot (void **state)
{
  g_autoptr (VjLibvirtDomain) domain = vj_libvirt_admin_find (*state, "web", NULL);
  g_autofree char *before = vj_libvirt_domain_xml (domain, VJ_DEFINITION_CONFIG, NULL);
  g_autoptr (GError) error = NULL;
  assert_false (vj_libvirt_domain_attach (domain, "<channel/>", VJ_DEFINITION_CONFIG, &error));
  assert_non_null (strstr (error->message, "not supported"));
  assert_false (vj_libvirt_domain_detach (domain, "<channel/>", VJ_DEFINITION_CONFIG, NULL));
  g_autofree char *after = vj_libvirt_domain_xml (domain, VJ_DEFINITION_CONFIG, NULL);
  assert_string_equal (after, before);
}

static void
test_cannot_be_reached (void **state)
{
  g_autoptr (GError) error = NULL;
  assert_null (vj_libvirt_admin_open ("nothing:///", TRUE, &error));
  assert_non_null (strstr (error->message, "nothing:///"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_finds),
    cmocka_unit_test (test_finds_none),
    cmocka_unit_test (test_lists),
    cmocka_unit_test (test_metadata),
    cmocka_unit_test (test_driver_that_cannot),
    cmocka_unit_test (test_cannot_be_reached),
  };
  return cmocka_run_group_tests (tests, setup, teardown);
}
