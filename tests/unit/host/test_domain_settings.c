/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domain_settings.h"

#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
values_are_read_and_written (void **state)
{
  static const struct
  {
    VjSetting setting;
    const char *value;
    const char *text;
  } cases[] = {
    { VJ_SETTING_MEASURE, "yes", "yes" },
    { VJ_SETTING_MEASURE, "no", "no" },
    { VJ_SETTING_INTERVAL, "100ms", "100ms" },
    { VJ_SETTING_INTERVAL, "1500ms", "1500ms" },
    { VJ_SETTING_INTERVAL, "2000ms", "2s" },
    { VJ_SETTING_INTERVAL, "60s", "60s" },
    { VJ_SETTING_STATIC_POLICY, "separate", "separate" },
    { VJ_SETTING_STATIC_POLICY, "even", "even" },
    { VJ_SETTING_STATIC_POLICY, "proportional", "proportional" },
    { VJ_SETTING_STATIC_POLICY, "allocation", "allocation" },
    { VJ_SETTING_RESOLUTION, "1uJ", "1uJ" },
    { VJ_SETTING_RESOLUTION, "10mJ", "10mJ" },
    { VJ_SETTING_RESOLUTION, "1000mJ", "1J" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjDomainSettings settings = { 0 };
      VjSetting setting = VJ_N_SETTINGS;
      g_autofree char *text = NULL;
      const char *name = vj_setting_name (cases[i].setting);

      assert_true (vj_setting_parse (name, &setting));
      assert_int_equal (setting, cases[i].setting);
      assert_true (vj_domain_settings_set (&settings, name, cases[i].value, NULL));
      for (guint other = 0; other < VJ_N_SETTINGS; other++)
        assert_int_equal (settings.said[other], other == setting);
      text = vj_domain_settings_text (&settings, setting);
      assert_string_equal (text, cases[i].text);
    }
}

static void
what_is_not_allowed_changes_nothing (void **state)
{
  static const struct
  {
    const char *name;
    const char *value;
    const char *message; /* a part of it */
  } cases[] = {
    { "measure", "", "measure: \"\" is not allowed; allowed: yes, no" },
    { "measure", "Yes", "measure: \"Yes\" is not allowed" },
    { "interval", "99ms", "interval: \"99ms\" is not allowed; allowed: 100ms to 60s" },
    { "interval", "61s", "allowed: 100ms to 60s" },
    { "interval", "2", "interval: " },
    { "static-policy", "fair", "allowed: separate, even, proportional, allocation" },
    { "resolution", "0mJ", "resolution: " },
    { "resolution", "-1mJ", "resolution: " },
    { "colour", "red", "\"colour\" is not allowed; allowed: measure, interval, static-policy, resolution" },
    { "", "", "allowed: measure" },
    { "Measure", "yes", "allowed: measure" },
    { "static_policy", "even", "allowed: measure" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VjDomainSettings settings = { 0 };
      const VjDomainSettings before = settings;
      g_autoptr (GError) error = NULL;

      assert_false (vj_domain_settings_set (&settings, cases[i].name, cases[i].value, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
      if (!strstr (error->message, cases[i].message))
        fail_msg ("\"%s\" does not say \"%s\"", error->message, cases[i].message);
      assert_memory_equal (&settings, &before, sizeof settings);
    }
}

static void
unknown_name_is_no_setting (void **state)
{
  VjSetting setting = VJ_N_SETTINGS;

  assert_false (vj_setting_parse ("colour", &setting));
  assert_int_equal (setting, VJ_N_SETTINGS);
}

static void
domain_comes_before_config (void **state)
{
  VjDomainSettings config = { .measure = TRUE, .interval_us = 1000000, .resolution_uj = 1000 };
  VjDomainSettings domain = { 0 };
  VjDomainSettings effective;
  VjSettingOrigin origin[VJ_N_SETTINGS];

  config.said[VJ_SETTING_INTERVAL] = TRUE;
  config.said[VJ_SETTING_RESOLUTION] = TRUE;
  assert_true (vj_domain_settings_set (&domain, "resolution", "10mJ", NULL));
  assert_true (vj_domain_settings_set (&domain, "static-policy", "even", NULL));
  vj_domain_settings_resolve (&domain, &config, &effective, origin);

  assert_string_equal (vj_setting_origin_name (origin[VJ_SETTING_MEASURE]), "default");
  assert_string_equal (vj_setting_origin_name (origin[VJ_SETTING_INTERVAL]), "config");
  assert_string_equal (vj_setting_origin_name (origin[VJ_SETTING_STATIC_POLICY]), "domain");
  assert_string_equal (vj_setting_origin_name (origin[VJ_SETTING_RESOLUTION]), "domain");
  assert_true (effective.measure);
  assert_int_equal (effective.interval_us, 1000000);
  assert_int_equal (effective.static_policy, VJ_STATIC_EVEN);
  assert_int_equal (effective.resolution_uj, 10000);
}

static void
every_setting_of_a_domain_holds (void **state)
{
  const VjDomainSettings config = { .measure = TRUE, .interval_us = 1000000, .resolution_uj = 1000 };
  VjDomainSettings domain = { 0 };
  VjDomainSettings effective;
  VjSettingOrigin origin[VJ_N_SETTINGS];

  assert_true (vj_domain_settings_set (&domain, "measure", "no", NULL));
  assert_true (vj_domain_settings_set (&domain, "interval", "5s", NULL));
  vj_domain_settings_resolve (&domain, &config, &effective, origin);
  assert_false (effective.measure);
  assert_int_equal (effective.interval_us, 5000000);
  assert_int_equal (effective.resolution_uj, 1000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (values_are_read_and_written),
    cmocka_unit_test (what_is_not_allowed_changes_nothing),
    cmocka_unit_test (unknown_name_is_no_setting),
    cmocka_unit_test (domain_comes_before_config),
    cmocka_unit_test (every_setting_of_a_domain_holds),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
