/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/config.h"
#include "host/snapshot.h"

/* The agent: one owner of sources, domains, ledger and channels, driven by one timer on the default main context. */
typedef struct VjAgent VjAgent;

/* Opens everything the configuration names. config is borrowed for the agent's life. BUSY: another agent has the
 * runtime directory. */
VjAgent *vj_agent_new (const VjConfig *config, GError **error);
void vj_agent_free (VjAgent *agent); /* a last tick is taken and stored first */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjAgent, vj_agent_free)
/* A consistent view of the last tick. The caller's (vj_snapshot_free). */
VjSnapshot *vj_agent_snapshot (VjAgent *agent);
