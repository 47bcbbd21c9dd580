/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A cgroup in this machine's own hierarchy, named as libvirt names a domain's, which has the files of controller
 * ("memory", "blkio"; v2 calls the latter "io"). NULL where none can be made here; *ret_reason says why. */
char *domain_cgroup_make (const char *controller, const char **ret_reason);
/* Moves a process into it. */
gboolean domain_cgroup_enter (const char *path, int pid);
/* Once its processes have been waited for. Frees path. */
void domain_cgroup_remove (char *path);
