/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/static_policy.h"

#include <glib.h>

/* What may be set for one domain. Each has the name of the host-wide setting in virtjouled.conf(5).
 *   measure        yes, no: no account of its own, no counter in the guest; its energy stays with the host
 *   interval       how often its guest is told; at least the agent's own interval
 *   static-policy  how it takes part in static energy (vj_account_set_static_policy ())
 *   resolution     what its guest sees is rounded down to this */
typedef enum
{
  VJ_SETTING_MEASURE,
  VJ_SETTING_INTERVAL,
  VJ_SETTING_STATIC_POLICY,
  VJ_SETTING_RESOLUTION,
  VJ_N_SETTINGS
} VjSetting;

/* The values of one origin. What is not said there is the next origin's. */
typedef struct
{
  gboolean said[VJ_N_SETTINGS];
  gboolean measure;
  guint64 interval_us;
  VjStaticPolicy static_policy;
  guint64 resolution_uj;
} VjDomainSettings;

/* Where they are kept in a libvirt domain: one element of this namespace in <metadata>, with an attribute per setting
 * (https://libvirt.org/formatdomain.html#general-metadata). */
#define VJ_SETTINGS_NAMESPACE "urn:virtjoule:domain:1"
#define VJ_SETTINGS_PREFIX    "virtjoule"
#define VJ_SETTINGS_ELEMENT   "settings"

const char *vj_setting_name (VjSetting setting); /* "measure", "interval", "static-policy", "resolution" */
/* FALSE, and *ret_setting untouched, for any other name. */
gboolean vj_setting_parse (const char *name, VjSetting *ret_setting);
/* As it is written: "yes", "2s", "even", "10mJ". The caller's. */
char *vj_domain_settings_text (const VjDomainSettings *settings, VjSetting setting);
/* INVALID for an unknown name or a value that is not allowed, and what is; settings is then untouched. */
gboolean vj_domain_settings_set (VjDomainSettings *settings, const char *name, const char *value,
                                 GError **error);
/* What holds: domain where it is said, else config, which says everything (its said[] tells what was configured). */
typedef enum
{
  VJ_ORIGIN_DEFAULT,
  VJ_ORIGIN_CONFIG,
  VJ_ORIGIN_DOMAIN
} VjSettingOrigin;
const char *vj_setting_origin_name (VjSettingOrigin origin); /* "default", "config", "domain" */
void vj_domain_settings_resolve (const VjDomainSettings *domain, const VjDomainSettings *config,
                                 VjDomainSettings *ret_effective, VjSettingOrigin ret_origin[VJ_N_SETTINGS]);
