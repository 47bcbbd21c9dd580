/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/channel_change.h"

#include "common/error.h"

#define NEXT_START "there after a full stop and start (a reboot is not enough)"
void
vj_channel_facts_clear (VjChannelFacts *facts)
{
  vj_channel_xml_clear (&facts->live);
  vj_channel_xml_clear (&facts->config);
}

static VjDefinition
having (const VjChannelFacts *facts)
{
  return (facts->live.way != VJ_CHANNEL_WAY_NONE ? VJ_DEFINITION_LIVE : VJ_DEFINITION_NONE)
         | (facts->config.way != VJ_CHANNEL_WAY_NONE ? VJ_DEFINITION_CONFIG : VJ_DEFINITION_NONE);
}

/* What is there already must be what was asked for. Without connect either way will do. */
static gboolean
suits (VjChannelWay way, VjDefinition definition, gboolean connect, GError **error)
{
  if (way == VJ_CHANNEL_WAY_NONE || way == VJ_CHANNEL_WAY_CONNECT || (way == VJ_CHANNEL_WAY_BIND && !connect))
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_FAILED,
               "%s already has the port, %s; remove that first: virtjoule channel remove",
               vj_definition_text (definition),
               way == VJ_CHANNEL_WAY_BIND ? "in the bind way" : "of a kind that the agent cannot use");
  return FALSE;
}

/* Why the running domain cannot get the channel; NULL: it can. */
static const char *
find_hindrance (const VjChannelFacts *facts, gboolean connect)
{
  if (connect)
    return "libvirt hot-plugs no channel that connects again when the agent was away";
  if (!facts->live.port_free)
    return "the running domain has no free port of a virtio-serial controller, which cannot be hot-plugged";
  return NULL;
}

static void
refuse_live (const VjChannelFacts *facts, const char *hindrance, GError **error)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_FAILED, "%s; %s", hindrance,
               facts->persistent ? "--config adds it for the next start"
                                 : "it is transient: put the channel into what it is created from");
}

gboolean
vj_channel_change_add (const VjChannelFacts *facts, VjDefinition wanted, gboolean strict, gboolean connect,
                       VjChannelPlan *ret_plan, GError **error)
{
  VjChannelPlan plan = { 0 };
  if ((wanted & VJ_DEFINITION_LIVE) != 0 && !suits (facts->live.way, VJ_DEFINITION_LIVE, connect, error))
    return FALSE;
  if ((wanted & ~having (facts) & VJ_DEFINITION_LIVE) != 0)
    plan.hindrance = find_hindrance (facts, connect);
  if (plan.hindrance != NULL && (strict || !facts->persistent))
    {
      refuse_live (facts, plan.hindrance, error);
      return FALSE;
    }
  if (plan.hindrance != NULL)
    wanted = VJ_DEFINITION_CONFIG;
  if ((wanted & VJ_DEFINITION_CONFIG) != 0
      && !suits (facts->config.way, VJ_DEFINITION_CONFIG, connect, error))
    return FALSE;
  plan.change = wanted & ~having (facts);
  *ret_plan = plan;
  return TRUE;
}

VjDefinition
vj_channel_change_remove (const VjChannelFacts *facts, VjDefinition wanted)
{
  return wanted & having (facts);
}

char *
vj_channel_change_added (const VjChannelFacts *facts, const VjChannelPlan *plan)
{
  const VjDefinition has = having (facts) | plan->change;
  g_autofree char *done = plan->change == VJ_DEFINITION_NONE
                              ? g_strdup ("already has the channel")
                              : g_strdup_printf ("channel added to %s", vj_definition_text (plan->change));
  if (plan->hindrance != NULL)
    return g_strdup_printf ("%s, " NEXT_START ": %s", done, plan->hindrance);
  if (facts->persistent && (has & VJ_DEFINITION_CONFIG) == 0)
    return g_strdup_printf ("%s, until it stops; --config adds it for later starts too", done);
  if (facts->saved)
    return g_strdup_printf ("%s; its saved state may go on without it until the next full stop", done);
  if (facts->active && (has & VJ_DEFINITION_LIVE) == 0)
    return g_strdup_printf ("%s, " NEXT_START, done);
  return g_steal_pointer (&done);
}

char *
vj_channel_change_removed (const VjChannelFacts *facts, VjDefinition changed, gboolean still_there)
{
  const VjDefinition left = having (facts) & ~changed;
  if (changed == VJ_DEFINITION_NONE && left == VJ_DEFINITION_NONE)
    return g_strdup ("does not have the channel");
  if (changed == VJ_DEFINITION_NONE)
    return g_strdup_printf ("does not have the channel there; %s has it (%s)", vj_definition_text (left),
                            left == VJ_DEFINITION_LIVE ? "--live" : "--config");
  if (still_there)
    return g_strdup_printf ("channel removed from %s; the guest has still to let go of the port, "
                            "virtjoule channel status shows when it has",
                            vj_definition_text (changed));
  if (facts->saved)
    return g_strdup_printf ("channel removed from %s; its saved state may have it still",
                            vj_definition_text (changed));
  if (left == VJ_DEFINITION_NONE)
    return g_strdup_printf ("channel removed from %s; the virtio-serial controller stays",
                            vj_definition_text (changed));
  return g_strdup_printf ("channel removed from %s; %s still has it (%s)", vj_definition_text (changed),
                          vj_definition_text (left), left == VJ_DEFINITION_LIVE ? "--live" : "--config");
}
