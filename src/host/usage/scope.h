/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"

#include <glib.h>

/* Where what a domain uses is read: in its scope, or of its process alone. */
typedef enum
{
  VJ_SCOPE_V2,
  VJ_SCOPE_V1,
  VJ_SCOPE_PROCESS
} VjScopeKind;

const char *vj_scope_kind_name (VjScopeKind kind); /* "cgroup-v2", "cgroup-v1", "process" */

/* The directory of a QEMU process's own scope (vj_cgroup_domain_scope ()) in one hierarchy. NULL where it has none, and
 * where the process has gone; whether a controller is there is for its files to tell. The caller's (g_free). */

/* cgroup v2: <cgroupfs>/SCOPE, or <cgroupfs>/unified/SCOPE on a hybrid host. */
char *vj_scope_v2 (const VjRoots *roots, int pid);
/* cgroup v1: <cgroupfs>/CONTROLLER/SCOPE; cpuacct is <cgroupfs>/cpu,cpuacct/SCOPE where it has no name of its own. */
char *vj_scope_v1 (const VjRoots *roots, int pid, const char *controller);
