/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/attribution.h"
#include "common/zone.h"

/* The account book of one machine: per zone what was measured and where it went, per consumer what it was given.
 * Pure state (no I/O, no clock). In every snapshot and for every zone, to the microjoule:
 *   measured_uj == attributed_uj + remainder_uj + static_uj      gap_uj <= remainder_uj
 * All figures are cumulative and never decrease. */
typedef struct VjLedger VjLedger;

/* One consumer (a domain; in a guest a process, a container). Owned by the ledger until vj_ledger_close (). */
typedef struct VjAccount VjAccount;

typedef struct
{
  guint64 measured_uj;
  guint64 attributed_uj; /* to consumers, closed ones included */
  guint64 remainder_uj;  /* the machine's own: host_uj in the API */
  guint64 static_uj;
  guint64 gap_uj;        /* part of remainder_uj that could not be attributed for want of usage */
} VjZoneTotals;

VjLedger *vj_ledger_new (void);
void vj_ledger_free (VjLedger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLedger, vj_ledger_free)

/* Zones are added once, parents first, before any account. Returns the zone's index. */
guint vj_ledger_add_zone (VjLedger *ledger, const VjZone *zone, guint64 static_uw);
guint vj_ledger_n_zones (const VjLedger *ledger);
const VjZone *vj_ledger_zone (const VjLedger *ledger, guint zone);
const VjZoneTotals *vj_ledger_totals (const VjLedger *ledger, guint zone);

/* A new consumer with energy and usage zero. key is for vj_ledger_encode () and must hold no white space. */
VjAccount *vj_ledger_open (VjLedger *ledger, const char *key);
/* The consumer is gone. Usage already added is still billed; then the account is freed. The pointer is dead. */
void vj_ledger_close (VjLedger *ledger, VjAccount *account);
VjAccount *vj_ledger_find (const VjLedger *ledger, const char *key);
const char *vj_account_key (const VjAccount *account);
guint64 vj_account_energy_uj (const VjAccount *account, guint zone);
guint64 vj_account_usage_ns (const VjAccount *account); /* cumulative */

/* One tick: first everybody's usage since the last tick, then each zone's energy, then settle. */
void vj_account_add_usage (VjAccount *account, guint64 usage_ns);
void vj_ledger_add_busy (VjLedger *ledger, guint64 busy_ns);
/* The usage of some consumer over the current interval is unknown (agent was down, ...): whatever energy is settled for
 * this interval is the machine's own, and gap. */
void vj_ledger_mark_gap (VjLedger *ledger);
/* Energy of one zone since its last reading. A zone without a reading in a tick is simply not measured: its usage waits,
 * and its next reading covers the longer interval. gap_uj: part of measured_uj that cannot be matched with usage. */
void vj_ledger_measure (VjLedger *ledger, guint zone, guint64 measured_uj, guint64 elapsed_us, gboolean gap);
/* Attributes every zone that has a reading (a sub-zone only together with its package). debt_limit_ns: the rounding
 * of busy time (CPUs x 2 x 10 ms of /proc/stat). */
void vj_ledger_settle (VjLedger *ledger, guint64 debt_limit_ns);

/* Text form, one line per zone and account, and back; for the store. decode replaces totals of zones whose id exists in
 * the ledger, and opens one account per stored account. INVALID if malformed: the ledger is then unchanged. */
void vj_ledger_encode (const VjLedger *ledger, GString *out);
gboolean vj_ledger_decode (VjLedger *ledger, const char *text, gsize length, GError **error);
