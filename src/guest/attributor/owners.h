/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/attributor_snapshot.h"

/* What the owners of pods (Deployments, DaemonSets, ...) were given, so that it does not fall when a pod is shown no more. One
 * of which no pod is shown is forgotten keep_us after its last one was, and beyond VJ_OWNERS_MAX the one that is next. */
typedef struct VjOwners VjOwners;

#define VJ_OWNERS_MAX 5000

VjOwners *vj_owners_new (guint64 keep_us);
void vj_owners_free (VjOwners *owners);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjOwners, vj_owners_free)
/* A pod of the workload kind/name is shown no more; energy_uj: what it was given, per zone. now_us: CLOCK_MONOTONIC. */
void vj_owners_pod_folded (VjOwners *owners, const char *namespace_, const char *kind, const char *name,
                           const guint64 *energy_uj, guint n_zones, guint64 now_us);
/* Fills snapshot->owners from these and from the pods in snapshot->groups. */
void vj_owners_snapshot (VjOwners *owners, VjAttributorSnapshot *snapshot, guint64 now_us);
