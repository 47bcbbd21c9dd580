/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Which labels of pods are shown, and by what name. Pure. */
typedef struct
{
  char **keys; /* Kubernetes': "app.kubernetes.io/name" */
  char **
      names; /* "app_kubernetes_io_name", which metrics put "label_" before; in the same order, no two alike */
} VjLabelRules;

#define VJ_LABEL_RULES_MAX 64

/* list: keys with commas between. Names are made as kube-state-metrics makes them (internal/store/utils.go: snake case, "_" for what
 * Prometheus does not take, "_conflictN" behind all of those that would be alike, in the order of their keys), but by the list
 * alone: what a label is called does not depend on which others a pod has. INVALID for what can be no label's key. */
gboolean vj_label_rules_parse (const char *list, VjLabelRules *ret_rules, GError **error);
void vj_label_rules_clear (VjLabelRules *rules);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjLabelRules, vj_label_rules_clear)
