/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domain.h"

const char *
vj_domain_state_name (VjDomainState state)
{
  switch (state)
    {
    case VJ_DOMAIN_RUNNING:
      return "running";
    case VJ_DOMAIN_PAUSED:
      return "paused";
    case VJ_DOMAIN_STOPPED:
    default:
      return "stopped";
    }
}

void
vj_domain_info_clear (VjDomainInfo *info)
{
  g_clear_pointer (&info->name, g_free);
  g_clear_pointer (&info->channel_path, g_free);
  g_clear_pointer (&info->settings_problem, g_free);
}
