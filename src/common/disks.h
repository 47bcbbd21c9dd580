/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/io_text.h"
#include "common/roots.h"

/* Bytes moved by the machine's disks (docs: equation 4.14) from <procfs>/diskstats. Each byte counts once: partitions
 * are left out, and so is what passes its traffic on to other disks or to memory (dm, md, loop, zram, ram, bcache). What
 * counts has, below <sysfs>/block, a device, no slaves, and is not one of several hidden paths to another. A mirror's
 * two writes are two. */
typedef struct VjDisks VjDisks;

/* With a first reading. */
VjDisks *vj_disks_open (const VjRoots *roots, GError **error);
void vj_disks_free (VjDisks *disks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjDisks, vj_disks_free)
/* Fills an array of VjDiskBytes, cumulative since each disk came. One system call, and a few for each disk that has not
 * been seen before. */
gboolean vj_disks_read (VjDisks *disks, GArray *ret_disks, GError **error);
/* Takes out of an array of VjDiskBytes those of what did not count at the last reading. */
void vj_disks_filter (const VjDisks *disks, GArray *bytes);
/* Whether these, of the root of all control groups, have more than nothing for every disk that has moved anything. Many
 * kernels count for a disk and cgroups of version 1 only once a limit has been set there. */
gboolean vj_disks_are_counted (const VjDisks *disks, const GArray *of_root);
