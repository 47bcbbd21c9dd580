/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/channel/channel.h"
#include "host/domains/domain_run.h"

/* What one domain's guest is told: over which channel, how often and how finely. */
typedef struct VjGuestFeed VjGuestFeed;

/* What every frame of a tick has in common; owned by the agent, who renews it at each tick. */
typedef struct
{
  VjFrame frame; /* session, epoch, sequence, energies, interval and policy are filled per domain */
  guint ledger_zone[VJ_FRAME_ZONES_MAX]; /* of each frame zone */
  guint64 interval_us;                   /* the agent's own, from one tick to the next */
} VjFrameTemplate;

/* poll and template are borrowed. */
VjGuestFeed *vj_guest_feed_new (VjPoll *poll, const VjFrameTemplate *template);
void vj_guest_feed_free (VjGuestFeed *feed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjGuestFeed, vj_guest_feed_free)

/* What is told from now on, borrowed; NULL, or a run that is not measured: nothing. What was due of the one before is not
 * told any more. */
void vj_guest_feed_set_run (VjGuestFeed *feed, const VjDomainRun *run);
void vj_guest_feed_set_settings (VjGuestFeed *feed, const VjDomainSettings *settings);
/* path: QEMU listens there; else connects: QEMU connects to us; else the domain has no port, unless its QEMU has
 * connected (vj_guest_feed_adopt ()) and still runs. */
void vj_guest_feed_set_way (VjGuestFeed *feed, const char *path, gboolean connects);
/* Takes over fd, a connection that the domain's QEMU has made. FALSE: it is one that listens. */
gboolean vj_guest_feed_adopt (VjGuestFeed *feed, int fd);
/* Once per tick, after the store is written. */
void vj_guest_feed_tick (VjGuestFeed *feed, guint64 now_us);
const VjChannel *vj_guest_feed_channel (const VjGuestFeed *feed); /* NULL: the domain has no port */
