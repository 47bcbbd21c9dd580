/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Who this agent is: the one holder of its runtime directory, on a host with a lasting id, in one boot. */
typedef struct VjInstance VjInstance;

/* Makes both directories where missing (0755), locks <runtime_dir>/lock (flock (2), released by the kernel
 * when the process ends), and reads or makes <state_dir>/host-id (random UUID). BUSY: another agent holds the
 * lock; the message names its pid. */
VjInstance *vj_instance_open (const char *runtime_dir, const char *state_dir, GError **error);
void vj_instance_free (VjInstance *instance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjInstance, vj_instance_free)
const char *vj_instance_host_id (const VjInstance *instance);
/* The kernel's id of this boot (random(4)); through libsystemd, because it is the real machine's even where
 * --procfs is not. */
const char *vj_instance_boot_id (const VjInstance *instance);
