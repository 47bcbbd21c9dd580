/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"

/* What the ledger's tests share: a machine with every kind of zone, and its books, which must balance in every snapshot. */
#define TICK_US G_GUINT64_CONSTANT (1000000)
#define DEBT_NS G_GUINT64_CONSTANT (80000000)

/* A machine of one package with core, uncore and dram, a second package with core, psys, storage, and
 * something unknown. */
enum
{
  PACKAGE,
  CORE,
  UNCORE,
  DRAM,
  PACKAGE_1,
  CORE_1,
  PSYS,
  STORAGE,
  OTHER,
  N_ZONES
};

/* Packages and psys draw static_uw when idle. */
VjLedger *new_machine (guint64 static_uw);
void check_books (const VjLedger *ledger);
/* A zone's totals, and the books. */
void check_zone (const VjLedger *ledger, guint zone, guint64 attributed_uj, guint64 remainder_uj,
                 guint64 static_uj, guint64 gap_uj);
void check_same (const VjLedger *a, const VjLedger *b);
gboolean text_has (const VjLedger *ledger, const char *part);
/* One tick in which the first package is read, with whatever was measured before. */
void settle_package (VjLedger *ledger, guint64 measured_uj);

/* Random machines, driven like a tick drives them: readings missing, gaps, births and deaths, bad busy times.
 */
typedef struct
{
  GRand *rand;
  VjLedger *ledger;
  guint born;
  guint64 measured_uj[N_ZONES]; /* per zone, handed to the ledger */
  gboolean mixed;               /* accounts come to policies of their own, and change them */
  GRand *policies;              /* apart, so that worlds may differ in policies only */
} World;

void world_init (World *world, guint32 seed);
void world_clear (World *world);
void tick (World *world);
void use_time (World *world);
void measure_all (World *world);
