/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domain_settings.h"

#include <string.h>

#include "common/units.h"
#include "host/config_value.h"

static const struct
{
  const char *name;
  VjValueSet set;
  gsize field; /* offset in VjDomainSettings */
} table[VJ_N_SETTINGS] = {
  [VJ_SETTING_MEASURE] = { "measure", vj_value_yes_no, G_STRUCT_OFFSET (VjDomainSettings, measure) },
  [VJ_SETTING_INTERVAL] = { "interval", vj_value_interval, G_STRUCT_OFFSET (VjDomainSettings, interval_us) },
  [VJ_SETTING_STATIC_POLICY] = { "static-policy", vj_value_static_policy,
                                 G_STRUCT_OFFSET (VjDomainSettings, static_policy) },
  [VJ_SETTING_RESOLUTION] = { "resolution", vj_value_resolution,
                              G_STRUCT_OFFSET (VjDomainSettings, resolution_uj) },
};

const char *
vj_setting_name (VjSetting setting)
{
  return table[setting].name;
}

gboolean
vj_setting_parse (const char *name, VjSetting *ret_setting)
{
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    if (strcmp (name, table[i].name) == 0)
      {
        *ret_setting = (VjSetting)i;
        return TRUE;
      }
  return FALSE;
}

/* In the largest of three units that divides it. */
static char *
in_units (guint64 value, guint64 thousand_per_step, const char *const units[3])
{
  guint unit = 0;
  while (unit < 2 && value != 0 && value % thousand_per_step == 0)
    {
      value /= thousand_per_step;
      unit++;
    }
  return g_strdup_printf ("%" G_GUINT64_FORMAT "%s", value, units[unit]);
}

char *
vj_domain_settings_text (const VjDomainSettings *settings, VjSetting setting)
{
  static const char *const times[] = { "us", "ms", "s" };
  static const char *const energies[] = { "uJ", "mJ", "J" };
  switch (setting)
    {
    case VJ_SETTING_INTERVAL:
      return in_units (settings->interval_us, VJ_US_PER_MS, times);
    case VJ_SETTING_RESOLUTION:
      return in_units (settings->resolution_uj, VJ_UJ_PER_MJ, energies);
    case VJ_SETTING_STATIC_POLICY:
      return g_strdup (vj_static_policy_name (settings->static_policy));
    case VJ_SETTING_MEASURE:
    case VJ_N_SETTINGS:
    default:
      return g_strdup (settings->measure ? "yes" : "no");
    }
}

static gboolean
unknown (const char *name, GError **error)
{
  g_autoptr (GString) allowed = g_string_new (NULL);
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    g_string_append_printf (allowed, "%s%s", i > 0 ? ", " : "", table[i].name);
  return vj_value_refuse (error, name, allowed->str);
}

gboolean
vj_domain_settings_set (VjDomainSettings *settings, const char *name, const char *value, GError **error)
{
  VjSetting setting = VJ_N_SETTINGS;
  if (!vj_setting_parse (name, &setting))
    return unknown (name, error);
  if (!table[setting].set (G_STRUCT_MEMBER_P (settings, table[setting].field), value, error))
    {
      g_prefix_error (error, "%s: ", name);
      return FALSE;
    }
  settings->said[setting] = TRUE;
  return TRUE;
}

const char *
vj_setting_origin_name (VjSettingOrigin origin)
{
  static const char *const names[] = {
    [VJ_ORIGIN_DEFAULT] = "default",
    [VJ_ORIGIN_CONFIG] = "config",
    [VJ_ORIGIN_DOMAIN] = "domain",
  };
  return names[origin];
}

void
vj_domain_settings_resolve (const VjDomainSettings *domain, const VjDomainSettings *config,
                            VjDomainSettings *ret_effective, VjSettingOrigin ret_origin[VJ_N_SETTINGS])
{
  const gboolean *said = domain->said;
  *ret_effective = *config;
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    ret_origin[i] = said[i] ? VJ_ORIGIN_DOMAIN : config->said[i] ? VJ_ORIGIN_CONFIG : VJ_ORIGIN_DEFAULT;
  if (said[VJ_SETTING_MEASURE])
    ret_effective->measure = domain->measure;
  if (said[VJ_SETTING_INTERVAL])
    ret_effective->interval_us = domain->interval_us;
  if (said[VJ_SETTING_STATIC_POLICY])
    ret_effective->static_policy = domain->static_policy;
  if (said[VJ_SETTING_RESOLUTION])
    ret_effective->resolution_uj = domain->resolution_uj;
}
