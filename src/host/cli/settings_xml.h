/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The element of domain_settings.h as text to be changed: its attributes, those that are not understood included, in their
 * order. Pure. */
typedef struct VjSettingsXml VjSettingsXml;

/* xml as virDomainGetMetadata () returns it; NULL: no element, no attributes. INVALID: it is another element. */
VjSettingsXml *vj_settings_xml_parse (const char *xml, GError **error);
void vj_settings_xml_free (VjSettingsXml *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjSettingsXml, vj_settings_xml_free)
/* The attributes: names, in their order (borrowed), and a value by name, NULL if there is none. */
guint vj_settings_xml_count (const VjSettingsXml *settings);
const char *vj_settings_xml_name (const VjSettingsXml *settings, guint index);
const char *vj_settings_xml_value (const VjSettingsXml *settings, const char *name);
/* value NULL: removes it. */
void vj_settings_xml_set (VjSettingsXml *settings, const char *name, const char *value);
/* The element for virDomainSetMetadata (), which adds the namespace; NULL if no attribute is left. The caller's. */
char *vj_settings_xml_text (const VjSettingsXml *settings);
