/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/names/kubernetes.h"

/* The part of virtjoule-attributor's command line that is about Kubernetes: the raw text of each option. */
typedef struct
{
  char *mode;
  char *url;
  char *ca;
  char *token;
  char *client_cert;
  char *client_key;
  char *config;
  char *node;
  char *labels;
} VjKubernetesTexts;

void vj_kubernetes_texts_clear (VjKubernetesTexts *texts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjKubernetesTexts, vj_kubernetes_texts_clear)
void vj_kubernetes_texts_add_to (VjKubernetesTexts *texts, GOptionContext *context);

/* What is not said is taken from a pod's environment: KUBERNETES_SERVICE_HOST and _PORT, NODE_NAME, and the files of its service
 * account. FALSE, with what to do, for anything wrong or missing. */
gboolean vj_kubernetes_options_interpret (VjKubernetesOptions *options, const VjKubernetesTexts *texts,
                                          GError **error);
