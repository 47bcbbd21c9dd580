/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cli/channel_xml.h"
#include "host/cli/definition.h"

/* What adding or removing the channel means for one domain. Pure. */
typedef struct
{
  gboolean active;
  gboolean persistent;
  gboolean saved;      /* its next start goes on from a saved state, which has a definition of its own */
  VjChannelXml live;   /* zeros if it does not run */
  VjChannelXml config; /* zeros if it is transient */
} VjChannelFacts;

void vj_channel_facts_clear (VjChannelFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjChannelFacts, vj_channel_facts_clear)

/* Which of the wanted definitions are to be changed: those that lack it. A running domain without a free port of a
 * virtio-serial controller cannot get one, since a controller cannot be hot-plugged; and in the connect way none can, since
 * libvirt (9.0) hot-plugs it without the reconnecting, so that it would end with the agent's first restart. Then the
 * persistent definition gets the channel in its stead, unless strict. FAILED if nothing can be done, or if what is there is of another way. */
typedef struct
{
  VjDefinition change;
  const char *hindrance; /* why the running domain does not get it although it was wanted; static, or NULL */
} VjChannelPlan;
gboolean vj_channel_change_add (const VjChannelFacts *facts, VjDefinition wanted, gboolean strict,
                                gboolean connect, VjChannelPlan *ret_plan, GError **error);
/* Those that have it. */
VjDefinition vj_channel_change_remove (const VjChannelFacts *facts, VjDefinition wanted);
/* One line for the user, once it is done; the caller's. */
char *vj_channel_change_added (const VjChannelFacts *facts, const VjChannelPlan *plan);
/* still_there: the guest has not let go of the port. */
char *vj_channel_change_removed (const VjChannelFacts *facts, VjDefinition changed, gboolean still_there);
