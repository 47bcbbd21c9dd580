/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "host/config.h"
#include "common/source.h"

/* The static power of every zone (eq. 4.2), kept in the ledger. Where it comes from, best first: a number in the
 * configuration; `virtjoule calibrate`, whose file is followed while the agent runs; what was observed, where the
 * configuration says auto; else 0, or for an estimate its own idle power. docs/static-power.md. */
typedef struct VjStaticPower VjStaticPower;

typedef void (*VjStaticPowerNotice) (gboolean is_warning, const char *message, gpointer user_data);

/* What is shown of one zone. */
typedef struct
{
  guint64 static_uw;
  const char *source; /* "configured", "calibrated", "auto", "model" or "none" */
  const char
      *note; /* how sure it is, or why there is no value yet; NULL: nothing to say. Until the next call */
} VjStaticView;

/* config, source and ledger are borrowed; the ledger has all its zones. Values are set at
 * once. */
VjStaticPower *vj_static_power_new (const VjConfig *config, const VjSource *source, VjLedger *ledger,
                                    VjStaticPowerNotice notice, gpointer user_data);
/* Puts aside what was observed. */
void vj_static_power_free (VjStaticPower *power);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjStaticPower, vj_static_power_free)

/* One tick: first the machine's CPU time since the last tick (cpus 0: not known), then each zone that was read. What was
 * observed becomes the zone's static power bit by bit, over some ten minutes, so that no bill jumps. */
void vj_static_power_add_busy (VjStaticPower *power, guint64 busy_ns, guint cpus);
void vj_static_power_add_reading (VjStaticPower *power, guint zone, const VjSourceReading *reading);

void vj_static_power_view (const VjStaticPower *power, guint zone, VjStaticView *ret_view);
/* vj_hardware_fingerprint () of this machine. */
const char *vj_static_power_fingerprint (const VjStaticPower *power);
