/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/definition.h"

#include "common/error.h"

gboolean
vj_definition_check (const VjDefinitionFlags *flags, GError **error)
{
  if (!flags->current || (!flags->live && !flags->config && !flags->persistent))
    return TRUE;
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID,
                       "--current excludes --live, --config and --persistent");
  return FALSE;
}

gboolean
vj_definition_choose (const VjDefinitionFlags *flags, gboolean active, gboolean persistent,
                      VjDefinition *ret_definitions, GError **error)
{
  const gboolean current = !flags->live && !flags->config && !flags->persistent;
  const gboolean live = flags->live || (active && (current || flags->persistent));
  const gboolean config = flags->config || flags->persistent || (current && !active);
  const char *problem = NULL;
  if (live && !active)
    problem = "it does not run, which --live asks for; --persistent is for either state";
  else if (config && !persistent)
    problem = "it is transient, so it has no persistent definition; --live is for what runs";
  if (problem != NULL)
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, problem);
      return FALSE;
    }
  *ret_definitions =
      (live ? VJ_DEFINITION_LIVE : VJ_DEFINITION_NONE) | (config ? VJ_DEFINITION_CONFIG : VJ_DEFINITION_NONE);
  return TRUE;
}

const char *
vj_definition_text (VjDefinition definitions)
{
  static const char *const texts[] = {
    [VJ_DEFINITION_NONE] = "nothing",
    [VJ_DEFINITION_LIVE] = "the running domain",
    [VJ_DEFINITION_CONFIG] = "the persistent definition",
    [VJ_DEFINITION_BOTH] = "the running domain and the persistent definition",
  };
  return texts[definitions];
}
