/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"

/* The ledger's inside: its zones and accounts. For ledger.c and ledger_text.c only. */

/* One zone with a column per account. Usage waits per zone: what a zone has not yet been settled for is the difference
 * between an account's usage and settled_ns, so that a zone unreadable for a while meets its own interval's usage. */
typedef struct
{
  VjZone zone;
  VjZoneTotals totals;
  guint64 static_uw;
  VjAttributionState state;
  guint64 settled_busy_ns;
  guint64 measured_uj; /* waiting to be settled */
  guint64 elapsed_us;
  guint64 package_uj; /* sub-zone: dynamic energy of its package since the sub-zone was last settled */
  guint64 waited;     /* settles since then */
  gboolean gap;
  gboolean fresh;      /* measured in this tick */
  gboolean settled;    /* in this vj_ledger_settle () */
  guint64 *energy_uj;  /* per account, as are the next two */
  guint64 *settled_ns;
  VjCarry *carry;
} VjLedgerZone;

struct VjLedger
{
  GPtrArray *zones;    /* of VjLedgerZone */
  GPtrArray *accounts; /* of VjAccount; the index is the column */
  GHashTable *by_key;  /* open accounts */
  gsize capacity;      /* columns allocated */
  guint64 busy_ns;     /* cumulative */
  guint64 *usage_ns;   /* cumulative, per account */
  guint64 *pending_ns; /* scratch columns of settling */
  guint64 *limit_uj;
  guint64 *part_uj;
};

struct VjAccount
{
  VjLedger *ledger;
  gsize index;
  gboolean closed;
  char *key;
};

VjLedgerZone *vj_ledger_get_zone (const VjLedger *ledger, guint zone);
VjAccount *vj_ledger_get_account (const VjLedger *ledger, gsize index);
/* Frees closed accounts that every zone has settled. */
void vj_ledger_free_settled (VjLedger *ledger);
