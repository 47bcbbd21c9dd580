/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gio/gio.h>

static void
test_empty (void **state)
{
  g_autofree char *text = vj_metrics_finish (vj_metrics_new ());

  assert_string_equal (text, "");
}

static void
test_families_and_samples (void **state)
{
  VjMetrics *metrics = vj_metrics_new ();
  g_autofree char *text = NULL;

  vj_metrics_family (metrics, "virtjoule_ticks_total", "counter", "Ticks.");
  vj_metrics_u64 (metrics, 7, NULL);
  vj_metrics_family (metrics, "virtjoule_domain_power_watts", "gauge", "Power of a domain.");
  vj_metrics_micro (metrics, 1500000, "domain", "web", "zone", "package-0/core", NULL);
  vj_metrics_micro (metrics, 250, "domain", "db", NULL);
  text = vj_metrics_finish (metrics);

  assert_string_equal (text, "# HELP virtjoule_ticks_total Ticks.\n"
                             "# TYPE virtjoule_ticks_total counter\n"
                             "virtjoule_ticks_total 7\n"
                             "# HELP virtjoule_domain_power_watts Power of a domain.\n"
                             "# TYPE virtjoule_domain_power_watts gauge\n"
                             "virtjoule_domain_power_watts{domain=\"web\",zone=\"package-0/core\"} 1.500000\n"
                             "virtjoule_domain_power_watts{domain=\"db\"} 0.000250\n");
}

static void
test_micro_values (void **state)
{
  static const struct
  {
    guint64 value;
    const char *sample;
  } cases[] = {
    { 0, "m 0.000000\n" },
    { 1, "m 0.000001\n" },
    { 999999, "m 0.999999\n" },
    { 1000000, "m 1.000000\n" },
    /* past the 53 bits of a double: no digit may be lost */
    { 9007199254740993, "m 9007199254.740993\n" },
    { G_MAXUINT64, "m 18446744073709.551615\n" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjMetrics *metrics = vj_metrics_new ();
      g_autofree char *text = NULL;

      vj_metrics_family (metrics, "m", "counter", "h");
      vj_metrics_micro (metrics, cases[i].value, NULL);
      text = vj_metrics_finish (metrics);
      assert_string_equal (text + strlen ("# HELP m h\n# TYPE m counter\n"), cases[i].sample);
    }
}

static void
test_escaping (void **state)
{
  static const struct
  {
    const char *value;
    const char *sample;
  } cases[] = {
    { "", "m{l=\"\"} 1\n" },
    { "a b", "m{l=\"a b\"} 1\n" },
    { "quo\"te", "m{l=\"quo\\\"te\"} 1\n" },
    { "back\\slash", "m{l=\"back\\\\slash\"} 1\n" },
    { "line\nbreak", "m{l=\"line\\nbreak\"} 1\n" },
    { "gr\xc3\xbc\xc3\x9f", "m{l=\"gr\xc3\xbc\xc3\x9f\"} 1\n" },
    { "bad\xff", "m{l=\"bad\xef\xbf\xbd\"} 1\n" },
    { "\"} 9\nm{l=\"x", "m{l=\"\\\"} 9\\nm{l=\\\"x\"} 1\n" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjMetrics *metrics = vj_metrics_new ();
      g_autofree char *text = NULL;

      vj_metrics_family (metrics, "m", "gauge", "a \"b\" \\ c\nd");
      vj_metrics_u64 (metrics, 1, "l", cases[i].value, NULL);
      text = vj_metrics_finish (metrics);
      assert_true (g_str_has_prefix (text, "# HELP m a \"b\" \\\\ c\\nd\n# TYPE m gauge\n"));
      assert_true (g_str_has_suffix (text, cases[i].sample));
      assert_int_equal (strlen (text),
                        strlen ("# HELP m a \"b\" \\\\ c\\nd\n# TYPE m gauge\n") + strlen (cases[i].sample));
    }
}

/* Prometheus' own checker reads what we write. */
static void
test_promtool (void **state)
{
  g_autoptr (GSubprocess) promtool = g_subprocess_new (
      G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, NULL,
      "promtool", "check", "metrics", NULL);
  VjMetrics *metrics = NULL;
  g_autofree char *text = NULL;
  g_autofree char *complaints = NULL;

  if (promtool == NULL)
    skip ();

  metrics = vj_metrics_new ();
  vj_metrics_family (metrics, "virtjoule_domain_energy_joules_total", "counter",
                     "Energy of a \"domain\" \\ zone.");
  vj_metrics_micro (metrics, G_MAXUINT64, "domain", "a\"b\\c\nd\xff", "zone", "package-0", NULL);
  vj_metrics_micro (metrics, 5, "domain", "gr\xc3\xbc\xc3\x9f", "zone", "package-0", NULL);
  vj_metrics_family (metrics, "virtjoule_domains", "gauge", "Domains.");
  vj_metrics_u64 (metrics, G_MAXUINT64, NULL);
  text = vj_metrics_finish (metrics);

  assert_true (g_subprocess_communicate_utf8 (promtool, text, NULL, &complaints, NULL, NULL));
  assert_string_equal (complaints, "");
  assert_int_equal (g_subprocess_get_exit_status (promtool), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_empty),        cmocka_unit_test (test_families_and_samples),
    cmocka_unit_test (test_micro_values), cmocka_unit_test (test_escaping),
    cmocka_unit_test (test_promtool),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
