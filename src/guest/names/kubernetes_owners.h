/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/names/kubernetes_http.h"
#include "guest/names/kubernetes_pod.h"
#include "guest/names/names.h"

/* What owns the owners of pods: a ReplicaSet's Deployment, a Job's CronJob. Asked of the API server, one at a time, and kept. */
typedef struct VjKubernetesOwners VjKubernetesOwners;

/* http and names are borrowed. refused is told once what may not be read, with the status of the refusal. */
VjKubernetesOwners *vj_kubernetes_owners_new (VjKubernetesHttp *http, VjNames *names,
                                              void (*refused) (const char *what, guint status,
                                                               gpointer user_data),
                                              gpointer user_data);
/* After http, whose answers come here. */
void vj_kubernetes_owners_free (VjKubernetesOwners *owners);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjKubernetesOwners, vj_kubernetes_owners_free)
/* Whether this owner may have an owner that counts. */
gboolean vj_kubernetes_owners_knows (const VjKubernetesOwner *owner);
/* Names the workload of the pod as soon as it is known. Where the owner is gone, or as long as it may not be read, it is the
 * workload itself. */
void vj_kubernetes_owners_name (VjKubernetesOwners *owners, const char *pod_uid, const char *namespace_,
                                const VjKubernetesOwner *owner);
/* Asks for one that might not be read, and if it may now, for all of them. To be called now and then. */
void vj_kubernetes_owners_ask_again (VjKubernetesOwners *owners);

#define VJ_KUBERNETES_OWNERS_MAX 5000
