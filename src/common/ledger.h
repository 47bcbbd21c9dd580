/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/attribution.h"
#include "common/resource.h"
#include "common/static_policy.h"
#include "common/zone.h"

/* The account book of one machine: per zone what was measured and where it went, per consumer what it was given.
 * Pure state (no I/O, no clock). In every snapshot and for every zone, to the microjoule:
 *   measured_uj == attributed_uj + remainder_uj + static_uj   gap_uj <= remainder_uj   attributed_static_uj <= attributed_uj
 * All figures are cumulative and never decrease. */
typedef struct VjLedger VjLedger;

/* One consumer (a domain; in a guest a process, a container). Owned by the ledger until vj_ledger_close (). */
typedef struct VjAccount VjAccount;

typedef struct
{
  guint64 measured_uj;
  guint64 attributed_uj;        /* to consumers, closed ones included */
  guint64 remainder_uj;         /* the machine's own: host_uj in the API */
  guint64 static_uj;            /* kept apart, not handed to anybody */
  guint64 gap_uj;               /* part of remainder_uj that could not be attributed for want of usage */
  guint64 attributed_static_uj; /* part of attributed_uj: static energy that the policy handed to consumers */
} VjZoneTotals;

VjLedger *vj_ledger_new (void);
void vj_ledger_free (VjLedger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLedger, vj_ledger_free)

/* Zones are added once, parents first, before any account; zone->parent is an index of this ledger. Returns the zone's
 * index. Zones and totals are the ledger's, and stay where they are until vj_ledger_decode (). */
guint vj_ledger_add_zone (VjLedger *ledger, const VjZone *zone, guint64 static_uw);
/* Power that the zone is taken to draw whatever the load, from the next vj_ledger_settle () on. */
void vj_ledger_set_static_uw (VjLedger *ledger, guint zone, guint64 static_uw);
guint64 vj_ledger_static_uw (const VjLedger *ledger, guint zone);
/* What the zone is shared by; CPU time if it is not said. Before any account is opened. */
void vj_ledger_set_resource (VjLedger *ledger, guint zone, VjResource resource);
/* How far the machine's usage may be off, for every zone that is shared by it (CPU time: the 10 ms steps of /proc/stat).
 * Within this the remainder's usage is evened out, and usage beyond the machine's is owed by later remainders. 0 if it is
 * not said: the machine's usage is exact, and no less than the consumers' sum, as for memory (eq. 4.11). */
void vj_ledger_set_debt_limit (VjLedger *ledger, VjResource resource, guint64 limit);
/* Who bears static energy from now on, for consumers without a policy of their own; nobody, if it is not said. The static
 * energy of a gap, and of an interval in which nobody can bear it, stays apart under every policy. */
void vj_ledger_set_static_policy (VjLedger *ledger, VjStaticPolicy policy);
/* How dynamic energy follows usage from now on; linear, if it is not said. */
void vj_ledger_set_curve (VjLedger *ledger, const VjCurve *curve);
/* Static energy that intervals have not covered and later ones still owe. */
guint64 vj_ledger_static_owed_uj (const VjLedger *ledger, guint zone);
guint vj_ledger_n_zones (const VjLedger *ledger);
const VjZone *vj_ledger_zone (const VjLedger *ledger, guint zone);
const VjZoneTotals *vj_ledger_totals (const VjLedger *ledger, guint zone);

/* A new consumer with energy and usage zero; an open account of that key is returned as it is. key is for
 * vj_ledger_encode () and must be printable, not empty, and hold no white space. */
VjAccount *vj_ledger_open (VjLedger *ledger, const char *key);
/* The consumer is gone. Usage already added is still billed by every zone that has yet to be read for it; then the account
 * is freed. The pointer is dead, and the key may be opened anew. */
void vj_ledger_close (VjLedger *ledger, VjAccount *account);
/* An open account, or NULL. */
VjAccount *vj_ledger_find (const VjLedger *ledger, const char *key);
/* All open accounts, in no order; the array is the caller's (g_ptr_array_unref), so that accounts may be closed meanwhile. */
GPtrArray *vj_ledger_accounts (const VjLedger *ledger);
const char *vj_account_key (const VjAccount *account);
guint64 vj_account_energy_uj (const VjAccount *account, guint zone);
/* The part of it that is static energy handed to the consumer. */
guint64 vj_account_static_uj (const VjAccount *account, guint zone);
/* What the policy "allocation" weighs the consumer by. 0 counts as 1, and so does what was never said. */
#define VJ_ALLOCATION_MAX G_GUINT64_CONSTANT (1000000)
void vj_account_set_allocation (VjAccount *account, guint64 vcpus);
/* How this consumer takes part in static energy from now on; as the ledger says, until it is called. Where policies differ,
 * an interval's static energy is first split among the policies by the number of consumers under each (those that could
 * bear it: the open ones, and under "proportional" also who was closed in the interval having used energy in it); each
 * policy then shares its part among its own. The part of "separate", and what a policy's consumers cannot bear, stays
 * apart. */
void vj_account_set_static_policy (VjAccount *account, VjStaticPolicy policy);
guint64 vj_account_usage_ns (const VjAccount *account); /* CPU time, cumulative */

/* One tick: first everybody's usage since the last tick, then each zone's energy, then settle. Amounts of a resource that
 * shares no zone are ignored; CPU time is always kept. */
void vj_account_add_usage (VjAccount *account, VjResource resource, guint64 amount);
/* What the whole machine used, its consumers included. */
void vj_ledger_add_busy (VjLedger *ledger, VjResource resource, guint64 amount);
/* The usage of some consumer over the current interval is unknown (agent was down, ...): whatever dynamic energy is
 * settled for this interval is the machine's own, and gap. In a zone that is not measured now, the interval is the longer
 * one up to its next reading. */
void vj_ledger_mark_gap (VjLedger *ledger);
/* The same for the zones that one resource shares. */
void vj_ledger_mark_resource_gap (VjLedger *ledger, VjResource resource);
/* Energy of one zone since its last reading. A zone without a reading in a tick is simply not measured: its usage waits,
 * and its next reading covers the longer interval. After VJ_LEDGER_WAIT_SETTLES ticks the usage is given up, and that
 * reading is a gap. gap: the energy cannot be matched with usage. The static energy of a gap is static as ever, but what
 * the gap does not cover is not owed on: its energy was not measured in full. */
#define VJ_LEDGER_WAIT_SETTLES 600
void vj_ledger_measure (VjLedger *ledger, guint zone, guint64 measured_uj, guint64 elapsed_us, gboolean gap);
/* Attributes every zone that has been measured in this tick. A sub-zone (core, uncore) is settled only together with its
 * package: until then its readings add up. Its dynamic energy is at most its package's, of the interval and in all, and
 * for every account core + uncore <= package always: of dynamic energy, and of the static energy handed to it. Zones of
 * kind OTHER are the machine's own altogether, unless another resource than CPU time was set for them. */
void vj_ledger_settle (VjLedger *ledger);

/* Text form, one line per zone and account, with everything that a tick depends on but the static powers, and back; for the
 * store. decode is for a ledger without accounts: it replaces the state of every zone whose id is stored, and opens one
 * account per stored account. What is stored of a zone that the ledger does not have is dropped; a zone that is not
 * stored (or whose package is not) starts from zero. A stored zone that was shared by another
 * resource goes on with a gap. INVALID if malformed, truncated, of another version, or not conserving energy: the ledger is
 * then unchanged. */
void vj_ledger_encode (const VjLedger *ledger, GString *out);
gboolean vj_ledger_decode (VjLedger *ledger, const char *text, gsize length, GError **error);
