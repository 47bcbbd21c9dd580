/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/frame.h"

/* What a domain used in all its runs, for counter-lifetime = forever: <state-dir>/lifetimes, replaced as a whole. Keyed
 * by UUID, so it outlives stop, start, agent and host. Energies are kept by zone id: a zone that is not there now keeps
 * its part. */
typedef struct VjLifetimes VjLifetimes;

typedef struct
{
  char epoch[VJ_SESSION_LENGTH + 1]; /* under which the guest was told */
  guint64 cpu_ns;
  guint64 *energy_uj; /* one per zone of vj_lifetimes_open () */
  guint64 *static_uj; /* part of it */
} VjLifetime;

/* zone_ids: copied. A file that cannot be read is moved aside to lifetimes.bad, told in *ret_problem (the caller's, NULL if
 * all is well), and the book begins anew. Fails only where the directory cannot be written. */
VjLifetimes *vj_lifetimes_open (const char *state_dir, const char *const *zone_ids, char **ret_problem,
                                GError **error);
void vj_lifetimes_free (VjLifetimes *lifetimes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLifetimes, vj_lifetimes_free)
/* What a run that begins now adds to: all runs before it, summed; of one that was never told to be over, because the host
 * died, what was noted last. NULL: nothing is known. Valid until the next call that changes the book. */
const VjLifetime *vj_lifetimes_get (const VjLifetimes *lifetimes, const char *uuid);
/* total: of all runs up to now, the present one included; replaces the last note. */
void vj_lifetimes_note (VjLifetimes *lifetimes, const char *uuid, const VjLifetime *total);
void vj_lifetimes_forget (VjLifetimes *lifetimes, const char *uuid);
/* Writes what has changed, if anything has: atomically, whole or not at all. At most VJ_LIFETIMES_MAX domains are kept, the
 * longest unused (that is, not noted) go first. Does not wait for the disk: a thread does. */
#define VJ_LIFETIMES_MAX 10000
gboolean vj_lifetimes_save (VjLifetimes *lifetimes, GError **error);
