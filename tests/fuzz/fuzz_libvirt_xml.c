/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's XML as libvirt gives it: who may define or annotate a domain writes most of it. */
#include "fuzz.h"

#include "common/units.h"
#include "host/libvirt/libvirt_metadata.h"
#include "host/libvirt/libvirt_xml.h"

#include <string.h>

#define PORT_NAME "org.virtjoule.energy.0"

static void
check_problem (const char *problem)
{
  const gsize length = strlen (problem);

  FUZZ_CHECK (length > 0 && length <= VJ_LIBVIRT_METADATA_PROBLEM_MAX);
  FUZZ_CHECK (g_utf8_validate (problem, (gssize)length, NULL));
  for (gsize i = 0; i < length; i++)
    FUZZ_CHECK (!g_ascii_iscntrl (problem[i]));
}

static void
check_settings (const VjDomainSettings *settings)
{
  FUZZ_CHECK (settings->said[VJ_SETTING_MEASURE] || !settings->measure);
  if (settings->said[VJ_SETTING_INTERVAL])
    FUZZ_CHECK (settings->interval_us >= 100 * VJ_US_PER_MS && settings->interval_us <= 60 * VJ_US_PER_S);
  if (settings->said[VJ_SETTING_STATIC_POLICY])
    FUZZ_CHECK (vj_static_policy_name (settings->static_policy) != NULL);
  if (settings->said[VJ_SETTING_RESOLUTION])
    FUZZ_CHECK (settings->resolution_uj > 0);
}

/* What is written for a setting is read as the same. */
static void
check_texts (const VjDomainSettings *settings)
{
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    {
      g_autofree char *text = vj_domain_settings_text (settings, (VjSetting)i);
      VjDomainSettings again = *settings;

      if (!settings->said[i])
        continue;
      FUZZ_CHECK (vj_domain_settings_set (&again, vj_setting_name ((VjSetting)i), text, NULL));
      FUZZ_CHECK (memcmp (&again, settings, sizeof again) == 0);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *xml = g_strndup ((const char *)data, size);
  g_autofree char *path = vj_libvirt_xml_channel_path (xml, PORT_NAME);
  g_autofree char *problem = NULL;
  VjDomainSettings settings;

  FUZZ_CHECK (!path || g_path_is_absolute (path));
  (void)vj_libvirt_xml_channel_connects (xml, PORT_NAME);
  FUZZ_CHECK (vj_libvirt_xml_vcpus (xml) <= G_MAXINT);
  memset (&settings, FUZZ_UNTOUCHED, sizeof settings);
  vj_libvirt_metadata_read (xml, &settings, &problem);
  check_settings (&settings);
  check_texts (&settings);
  if (problem)
    check_problem (problem);
  return 0;
}
