/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define URN        "urn:virtjoule:domain:1"
#define NS         " xmlns:v='" URN "' "
#define ABOVE(xml) "<domain type='kvm'><name>a</name>" xml "<devices/></domain>"
#define META(xml)  ABOVE ("<metadata>" xml "</metadata>")
#define NESTED     "<domain><metadata><v:settings" NS "measure='no'/></metadata></domain>"
#define NOTHING    "- - - -"
#define NO_MEASURE "no - - -"

typedef struct
{
  const char *title;
  const char *xml;
  const char *said;    /* measure, interval in µs, policy, resolution in µJ; "-": not said */
  const char *problem; /* how it begins; NULL: none */
} Case;

static const Case cases[] = {
  { "all four",
    META ("<virtjoule:settings xmlns:virtjoule='" URN "' measure='yes' interval='5s' static-policy='even' "
          "resolution='10mJ'/>"),
    "yes 5000000 even 10000", NULL },
  { "another prefix", META ("<v:settings" NS "measure='no'/>"), NO_MEASURE, NULL },
  { "default namespace", META ("<settings xmlns='" URN "' measure='no'/>"), NO_MEASURE, NULL },
  { "declared after the settings", META ("<v:settings measure='no'" NS "/>"), NO_MEASURE, NULL },
  { "declared on metadata", ABOVE ("<metadata" NS "><v:settings measure='no'/></metadata>"), NO_MEASURE,
    NULL },
  { "declared on domain", "<domain" NS "><metadata><v:settings measure='no'/></metadata></domain>",
    NO_MEASURE, NULL },
  { "declared anew on the way",
    "<domain" NS "><metadata xmlns:v='urn:x'><v:settings measure='no'/></metadata></domain>", NOTHING, NULL },
  { "declared back on the way",
    "<domain xmlns:v='urn:x'><metadata" NS "><v:settings measure='no'/></metadata></domain>", NO_MEASURE,
    NULL },
  { "declared on a sibling", META ("<x" NS "/><v:settings measure='no'/>"), NOTHING, NULL },
  { "after others' metadata",
    META ("<os:x xmlns:os='urn:x'><os:y><os:z/></os:y></os:x><v:settings" NS "measure='no'/>"), NO_MEASURE,
    NULL },
  { "with children of its own", META ("<v:settings" NS "measure='no'><v:x interval='2s'/>t</v:settings>"),
    NO_MEASURE, NULL },
  { "an entity in a value", META ("<v:settings" NS "measure='&#110;o'/>"), NO_MEASURE, NULL },
  { "the first counts",
    META ("<v:settings" NS "measure='no'/><v:settings" NS "interval='2s' measure='yes'/>"), NO_MEASURE,
    NULL },
  { "empty", META ("<v:settings" NS "/>"), NOTHING, NULL },
  { "no metadata", ABOVE (""), NOTHING, NULL },
  { "no namespace", META ("<settings measure='no'/>"), NOTHING, NULL },
  { "the prefix alone", META ("<virtjoule:settings measure='no'/>"), NOTHING, NULL },
  { "another namespace", META ("<v:settings xmlns:v='" URN "0' measure='no'/>"), NOTHING, NULL },
  { "an attribute that looks like a declaration",
    META ("<v:settings xmlnsv='" URN "' v='" URN "' measure='no'/>"), NOTHING, NULL },
  { "outside metadata", ABOVE ("<v:settings" NS "measure='no'/>"), NOTHING, NULL },
  { "in devices", ABOVE ("<devices><v:settings" NS "measure='no'/></devices>"), NOTHING, NULL },
  { "deeper in metadata", META ("<x><v:settings" NS "measure='no'/></x>"), NOTHING, NULL },
  { "a domain in metadata", META (NESTED), NOTHING, NULL },
  { "metadata in metadata", META ("<metadata><v:settings" NS "measure='no'/></metadata>"), NOTHING, NULL },
  { "another root", "<domainsnapshot><metadata><v:settings" NS "measure='no'/></metadata></domainsnapshot>",
    NOTHING, NULL },
  { "in CDATA", META ("<x><![CDATA[</x><v:settings" NS "measure='no'/><x>]]></x>"), NOTHING, NULL },
  { "in a comment", META ("<!-- <v:settings" NS "measure='no'/> -->"), NOTHING, NULL },
  { "in a processing instruction", META ("<?x <v:settings" NS "measure='no'/> ?>"), NOTHING, NULL },
  { "escaped", META ("<x>&lt;v:settings" NS "measure='no'/&gt;</x>"), NOTHING, NULL },
  { "a bad value among good ones", META ("<v:settings" NS "measure='maybe' interval='1h' resolution='5mJ'/>"),
    "- - - 5000", "measure: \"maybe\" is not allowed; allowed: yes, no; interval: " },
  { "an unknown attribute", META ("<v:settings" NS "colour='red' measure='no'/>"), NO_MEASURE,
    "\"colour\" is not allowed; allowed: measure, interval, static-policy, resolution" },
  { "an attribute of a namespace", META ("<v:settings" NS "v:measure='no'/>"), NOTHING,
    "\"v:measure\" is not allowed" },
  { "another element of the namespace", META ("<v:setting" NS "measure='no'/>"), NOTHING,
    "element \"setting\" is not known; allowed: settings" },
  { "in one line", META ("<v:settings" NS "measure='a&#10;b'/>"), NOTHING, "measure: \"a b\" is not" },
  { "cut off", "<domain><metadata><v:settings" NS "measure='no'/></metadata>", NOTHING, "libvirt's XML" },
  { "not XML", "domain", NOTHING, "libvirt's XML" },
  { "nothing at all", "", NOTHING, "libvirt's XML" },
};

static char *
said (const VjDomainSettings *s)
{
  g_autofree char *interval = g_strdup_printf ("%" G_GUINT64_FORMAT, s->interval_us);
  g_autofree char *resolution = g_strdup_printf ("%" G_GUINT64_FORMAT, s->resolution_uj);

  return g_strdup_printf ("%s %s %s %s", s->said[VJ_SETTING_MEASURE] ? (s->measure ? "yes" : "no") : "-",
                          s->said[VJ_SETTING_INTERVAL] ? interval : "-",
                          s->said[VJ_SETTING_STATIC_POLICY] ? vj_static_policy_name (s->static_policy) : "-",
                          s->said[VJ_SETTING_RESOLUTION] ? resolution : "-");
}

static void
assert_reads (const char *xml, const char *expected, const char *problem)
{
  g_autofree char *text = NULL;
  g_autofree char *told = NULL;
  VjDomainSettings settings;

  memset (&settings, 0xaa, sizeof settings);
  vj_libvirt_metadata_read (xml, &settings, &told);
  text = said (&settings);
  assert_string_equal (text, expected);
  if (!problem)
    assert_null (told);
  else if (!told || !g_str_has_prefix (told, problem))
    fail_msg ("\"%s\" does not begin with \"%s\"", told, problem);
}

static void
reads (void **state)
{
  const Case *c = *state;

  assert_reads (c->xml, c->said, c->problem);
}

/* In between: n times unit. */
static char *
repeated (const char *before, const char *unit, guint n, const char *after)
{
  GString *text = g_string_new (before);

  for (guint i = 0; i < n; i++)
    g_string_append (text, unit);
  g_string_append (text, after);
  return g_string_free (text, FALSE);
}

/* However much is there, the problem stays one short line of valid UTF-8. */
static void
problem_is_bounded (void **state)
{
  g_autofree char *attributes = repeated ("<domain><metadata><v:settings" NS, " colour='red'", 900,
                                          " measure='no'/></metadata></domain>");
  g_autofree char *value = repeated ("<domain><metadata><v:settings" NS "measure='", "\xc3\xa4", 100000,
                                     "' interval='2s'/></metadata></domain>");
  const char *const texts[] = { attributes, value };
  const char *const expected[] = { NO_MEASURE, "- 2000000 - -" };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      VjDomainSettings settings;
      g_autofree char *problem = NULL;
      g_autofree char *text = NULL;

      vj_libvirt_metadata_read (texts[i], &settings, &problem);
      text = said (&settings);
      assert_string_equal (text, expected[i]);
      assert_in_range (strlen (problem), VJ_LIBVIRT_METADATA_PROBLEM_MAX - 3,
                       VJ_LIBVIRT_METADATA_PROBLEM_MAX);
      assert_true (g_utf8_validate (problem, -1, NULL));
    }
}

static void
large_metadata_is_read_over (void **state)
{
  g_autofree char *deep = repeated ("<domain><metadata>", "<x>", 20000, "");
  g_autofree char *wide = repeated ("<domain><metadata>", "<x a='1'/>", 100000,
                                    "<v:settings" NS "measure='no'/></metadata></domain>");

  assert_reads (deep, NOTHING, "libvirt's XML");
  assert_reads (wide, NO_MEASURE, NULL);
}

int
main (void)
{
  struct CMUnitTest tests[G_N_ELEMENTS (cases) + 2] = { 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    tests[i] = (struct CMUnitTest){ cases[i].title, reads, NULL, NULL, (void *)&cases[i] };
  tests[G_N_ELEMENTS (cases)] = (struct CMUnitTest)cmocka_unit_test (problem_is_bounded);
  tests[G_N_ELEMENTS (cases) + 1] = (struct CMUnitTest)cmocka_unit_test (large_metadata_is_read_over);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
