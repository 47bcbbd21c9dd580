/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What container runtimes write down of their containers. Pure; the documents may hold anything. Members are NULL where the
 * document does not say. */
typedef struct
{
  char *name;
  char *image;
  char *pod;
  char *pod_uid;
  char *namespace_;
  gboolean sandbox; /* the pod's pause container, whose name is then "POD", as kubelet calls it */
} VjRuntimeState;

void vj_runtime_state_clear (VjRuntimeState *state);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjRuntimeState, vj_runtime_state_clear)

/* FALSE, with nothing in *ret_state, if the document is not of that kind or says nothing of this.
 * docker: config.v2.json (container/container.go of moby). Any image may set labels, so those of a pod are believed only if it is
 * the pod whose control group the container is in; pod_uid: "" if in none. */
gboolean vj_runtime_state_parse_docker (const char *text, gsize length, const char *pod_uid,
                                        VjRuntimeState *ret_state);
/* config.json of the OCI runtime specification: annotations of containerd's CRI plugin (pkg/cri/annotations), of CRI-O
 * (pkg/annotations) and of nerdctl. */
gboolean vj_runtime_state_parse_oci (const char *text, gsize length, VjRuntimeState *ret_state);
/* containers.json of containers/storage (store.go: Container): the list of Podman's and CRI-O's containers. */
gboolean vj_runtime_state_parse_storage (const char *text, gsize length, const char *id,
                                         VjRuntimeState *ret_state);
