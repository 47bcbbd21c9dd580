/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The two definitions of a libvirt domain, as flags: of the running domain, and the one for its next start. Pure. */
typedef enum
{
  VJ_DEFINITION_NONE = 0,
  VJ_DEFINITION_LIVE = 1,
  VJ_DEFINITION_CONFIG = 2,
  VJ_DEFINITION_BOTH = VJ_DEFINITION_LIVE | VJ_DEFINITION_CONFIG
} VjDefinition;

/* virsh(1)'s options. */
typedef struct
{
  gboolean live;
  gboolean config;
  gboolean current;
  gboolean persistent;
} VjDefinitionFlags;

/* INVALID: flags that exclude each other. */
gboolean vj_definition_check (const VjDefinitionFlags *flags, GError **error);
/* Which they mean for a domain that runs (active) or not, and that has a persistent definition or not, as in virsh
 * attach-device: current, like no flag, is the running domain, or else its definition; persistent is the definition, and
 * the running domain if it runs. UNAVAILABLE: not this domain, and why. */
gboolean vj_definition_choose (const VjDefinitionFlags *flags, gboolean active, gboolean persistent,
                               VjDefinition *ret_definitions, GError **error);
/* "the running domain", "the persistent definition", or both */
const char *vj_definition_text (VjDefinition definitions);
