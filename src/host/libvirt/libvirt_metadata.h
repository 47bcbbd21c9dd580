/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/domains/domain_settings.h"

/* The longest ret_problem, in bytes: its text quotes what others wrote. */
#define VJ_LIBVIRT_METADATA_PROBLEM_MAX 240

/* What libvirt's XML of a domain says of its settings: the first element of VJ_SETTINGS_NAMESPACE that stands in
 * domain/metadata, whatever its prefix (https://www.w3.org/TR/xml-names/), and its attributes. What cannot be understood is
 * not said; *ret_problem then names it in one line (the caller's, g_free), else it is NULL. Pure. */
void vj_libvirt_metadata_read (const char *xml, VjDomainSettings *ret_settings, char **ret_problem);
