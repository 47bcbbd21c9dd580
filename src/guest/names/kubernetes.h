/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/cgroup_class.h"
#include "guest/names/kubernetes_http.h"
#include "guest/names/label_rules.h"
#include "guest/names/names.h"

/* Names, owners and labels of this node's pods from the Kubernetes API: its server is listed once and then watched; a kubelet,
 * which has no watch, is asked now and then and soon after something unknown appears. A kubelet does not know of Deployments and
 * CronJobs: there a pod's workload is its ReplicaSet or Job. Goes on through restarts, and through refusals. */
typedef struct VjKubernetes VjKubernetes;

typedef enum
{
  VJ_KUBERNETES_NONE,
  VJ_KUBERNETES_API,     /* needs list and watch of pods, get of replicasets (apps) and jobs (batch) */
  VJ_KUBERNETES_KUBELET, /* needs get of nodes/proxy, or of nodes/pods where kubelet tells them apart */
} VjKubernetesMode;

typedef struct
{
  VjKubernetesMode mode;
  VjKubernetesServer server;
  char *node; /* name of this node; NULL: a kubelet's need not be known */
  VjLabelRules labels;
} VjKubernetesOptions;

/* Frees what it holds, not the struct itself. */
void vj_kubernetes_options_clear (VjKubernetesOptions *options);

/* options and names are borrowed; report is told what an administrator wants to read, once per change. */
VjKubernetes *vj_kubernetes_new (const VjKubernetesOptions *options, VjNames *names,
                                 void (*report) (const char *line, gpointer user_data), gpointer user_data);
/* Runs the main loop until what is under way has been broken off. */
void vj_kubernetes_free (VjKubernetes *kubernetes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjKubernetes, vj_kubernetes_free)
/* A group has appeared; one of a pod is a reason to ask a kubelet, and its containers tell what pod a static one is. */
void vj_kubernetes_appeared (VjKubernetes *kubernetes, const VjCgroupClass *class);
