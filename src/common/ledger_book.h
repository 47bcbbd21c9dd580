/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"

/* The ledger's inside: its zones and accounts. For ledger.c and ledger_text.c only. */

/* One resource that some zone is shared by. Sums are cumulative modulo 2^64: only differences count. */
typedef struct
{
  VjResource id;
  guint64 debt_limit;
  guint64 busy;
  guint64 *used; /* per account */
} VjLedgerResource;

/* One zone with a column per account. Usage waits per zone: what a zone has not yet been settled for is the difference
 * between what an account used and billed, so that a zone unreadable for a while meets its own interval's usage. */
typedef struct
{
  VjZone zone;
  VjLedgerResource *resource;
  VjZoneTotals totals;
  guint64 static_uw;
  VjAttributionState state;
  guint64 billed_busy;
  guint64 measured_uj; /* waiting to be settled */
  guint64 elapsed_us;
  guint64 package_uj; /* sub-zone: dynamic energy of its package since the sub-zone was last settled */
  guint64 waited;     /* settles since then */
  gboolean gap;
  gboolean fresh;     /* measured in this tick */
  gboolean settled;   /* in this vj_ledger_settle () */
  guint64 *energy_uj; /* per account, as are the next ones */
  guint64 *static_uj; /* part of energy_uj */
  guint64 *billed;
  VjCarry *carry;
  VjCarry *static_carry;
  VjCarry policy_carry[VJ_N_STATIC_POLICIES]; /* of splitting static energy among policies */
} VjLedgerZone;

struct VjLedger
{
  GPtrArray *zones;     /* of VjLedgerZone */
  GPtrArray *resources; /* of VjLedgerResource; the first is CPU */
  GPtrArray *accounts;  /* of VjAccount; the index is the column */
  GHashTable *by_key;   /* open accounts */
  guint64 births;       /* accounts opened so far */
  gsize capacity;       /* columns allocated */
  guint64 *born;        /* per account: the order in which they were opened */
  VjStaticPolicy static_policy;
  VjCurve curve;
  guint64 *pending; /* scratch columns of settling */
  guint64 *limit_uj;
  guint64 *part_uj;
};

struct VjAccount
{
  VjLedger *ledger;
  gsize index;
  gboolean closed;
  guint64 allocation; /* not 0 */
  gboolean has_static_policy;
  VjStaticPolicy static_policy; /* its own */
  char *key;
};

VjLedgerZone *vj_ledger_get_zone (const VjLedger *ledger, guint zone);
VjAccount *vj_ledger_get_account (const VjLedger *ledger, gsize index);
/* NULL: no zone is shared by it. */
VjLedgerResource *vj_ledger_get_resource (const VjLedger *ledger, VjResource id);
/* An empty ledger of the same zones and settings. */
VjLedger *vj_ledger_new_like (const VjLedger *ledger);
/* Gives accounts their parts of what is static in the zone's interval, by their policies. part_uj has, and has
 * afterwards no longer, the dynamic energy of each account in it. Returns the sum. */
guint64 vj_ledger_hand_out_static (VjLedger *ledger, VjLedgerZone *zone, guint64 static_uj);
/* Frees closed accounts that every zone has settled. */
void vj_ledger_free_settled (VjLedger *ledger);
