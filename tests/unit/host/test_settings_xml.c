/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/settings_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct
{
  const char *before;
  const char *name, *value;
  const char *after;
} Case;

static const Case cases[] = {
  { NULL, "interval", "5s", "<settings interval='5s'/>" },
  { NULL, "interval", NULL, NULL },
  { "<settings/>", "interval", NULL, NULL },
  { "<settings interval='1s'/>", "interval", "5s", "<settings interval='5s'/>" },
  { "<settings interval='1s'/>", "interval", NULL, NULL },
  { "<settings measure='no' later='a &lt; &quot;b&quot;' interval='1s'/>", "measure", NULL,
    "<settings later='a &lt; &quot;b&quot;' interval='1s'/>" },
  { "<virtjoule:settings xmlns:virtjoule='urn:virtjoule:domain:1' measure='no'/>", "interval", "2s",
    "<settings measure='no' interval='2s'/>" },
  { "<settings xmlns='urn:virtjoule:domain:1' measure='no'/>", "measure", "yes",
    "<settings measure='yes'/>" },
  { "<settings measure='no'><settings interval='1s'/></settings>", "measure", "yes",
    "<settings measure='yes'/>" },
};

static void
test_changes (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VjSettingsXml) settings = vj_settings_xml_parse (cases[i].before, NULL);
      assert_non_null (settings);
      vj_settings_xml_set (settings, cases[i].name, cases[i].value);
      g_autofree char *after = vj_settings_xml_text (settings);
      assert_int_equal (after == NULL, cases[i].after == NULL);
      if (after != NULL)
        assert_string_equal (after, cases[i].after);
    }
}

static void
test_reads (void **state)
{
  g_autoptr (VjSettingsXml) settings = vj_settings_xml_parse ("<settings b='1' a='2'/>", NULL);
  assert_int_equal (vj_settings_xml_count (settings), 2);
  assert_string_equal (vj_settings_xml_name (settings, 0), "b");
  assert_string_equal (vj_settings_xml_value (settings, "a"), "2");
  assert_null (vj_settings_xml_value (settings, "c"));
}

static void
test_refuses (void **state)
{
  static const char *const bad[] = { "<other/>", "<virtjoule:other xmlns:virtjoule='x'/>", "<settings", "" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_null (vj_settings_xml_parse (bad[i], NULL));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_changes),
    cmocka_unit_test (test_reads),
    cmocka_unit_test (test_refuses),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
