/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/cgroup_class.h"
#include "guest/names/names.h"

/* Names from what the container runtimes keep on disk: docker, containerd (with nerdctl, k3s, k0s, MicroK8s), CRI-O, Podman.
 * Looked for when a container appears, and a few times more while there is nothing yet; what only root may read stays unknown,
 * without a word. Never from a tick: from the main loop when it is idle. */
typedef struct VjNamesRuntime VjNamesRuntime;

/* root: below which the runtimes' directories are (var/lib/docker, run/containerd, ...). names is borrowed. */
VjNamesRuntime *vj_names_runtime_new (const char *root, VjNames *names);
void vj_names_runtime_free (VjNamesRuntime *runtime);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjNamesRuntime, vj_names_runtime_free)
/* A group has appeared; one that is no container of this machine's is passed over. */
void vj_names_runtime_appeared (VjNamesRuntime *runtime, const VjCgroupClass *class);

#define VJ_NAMES_RUNTIME_TRIES   5
#define VJ_NAMES_RUNTIME_WAITING 10000 /* containers at most; the rest stays unknown */
