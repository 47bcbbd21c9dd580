/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rounding is carried, so that nobody drifts, however many intervals there are: test_drift [INTERVALS] */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/units.h"

#define N_STEADY  5
#define STATIC_UW 1000003
#define TICK_US   VJ_US_PER_S

static guint intervals = 100000;

/* A package whose consumers' due is also summed up in fractions of a microjoule. */
typedef struct
{
  GRand *rand;
  VjLedger *ledger;
  VjCurve curve;
  VjAccount *accounts[N_STEADY];
  guint64 usage[N_STEADY + 1]; /* of the interval; the last is the remainder's */
  VjU128 due[N_STEADY];        /* 2^-32 µJ */
  VjU128 static_due[N_STEADY];
} Bench;

static void
bench_init (Bench *bench, VjStaticPolicy policy, VjCurveKind kind)
{
  VjZone zone;
  *bench = (Bench){ .rand = g_rand_new_with_seed (77), .ledger = vj_ledger_new () };
  bench->curve = (VjCurve){ kind, 400, VJ_STACKING_LONGEST_LIVED };
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  vj_ledger_add_zone (bench->ledger, &zone, policy == VJ_STATIC_SEPARATE ? 0 : STATIC_UW);
  vj_ledger_set_static_policy (bench->ledger, policy);
  vj_ledger_set_curve (bench->ledger, &bench->curve);
  for (guint i = 0; i < N_STEADY; i++)
    {
      g_autofree char *key = g_strdup_printf ("k%u", i);
      bench->accounts[i] = vj_ledger_open (bench->ledger, key);
    }
}

static void
use (Bench *bench)
{
  guint64 busy = 0;
  for (guint i = 0; i <= N_STEADY; i++)
    {
      bench->usage[i] = g_rand_int (bench->rand) % 4 == 0 ? 0 : g_rand_int (bench->rand) % 1000000;
      busy += bench->usage[i];
      if (i < N_STEADY)
        vj_account_add_usage (bench->accounts[i], VJ_RESOURCE_CPU, bench->usage[i]);
    }
  vj_ledger_add_busy (bench->ledger, VJ_RESOURCE_CPU, busy);
}

static void
note_due (Bench *bench, guint64 dynamic_uj, guint64 static_uj)
{
  static const guint64 age[N_STEADY + 1] = { 1, 2, 3, 4, 5, 0 };
  guint64 weights[N_STEADY + 1], sum = 0;
  for (guint i = 0; i <= N_STEADY; i++)
    weights[i] = bench->usage[i];
  vj_curve_bend (&bench->curve, age, N_STEADY + 1, weights);
  for (guint i = 0; i <= N_STEADY; i++)
    sum += weights[i];
  for (guint i = 0; i < N_STEADY; i++)
    {
      bench->due[i] += sum == 0 ? 0 : (((VjU128)dynamic_uj * weights[i]) << 32) / sum;
      bench->static_due[i] += ((VjU128)static_uj << 32) / N_STEADY;
    }
}

/* Less than two units off, and what was cut from the due. */
static void
check_near (guint64 given_uj, VjU128 due)
{
  const VjI128 off = (VjI128)((VjU128)given_uj << 32) - (VjI128)due;
  const VjI128 limit = 2 * (VjI128)VJ_CARRY_UNIT + intervals;
  assert_true (off < limit && off > -limit);
}

static void
check_all (const Bench *bench)
{
  for (guint i = 0; i < N_STEADY; i++)
    {
      const guint64 static_uj = vj_account_static_uj (bench->accounts[i], 0);
      check_near (static_uj, bench->static_due[i]);
      check_near (vj_account_energy_uj (bench->accounts[i], 0) - static_uj, bench->due[i]);
    }
}

static void
run (VjStaticPolicy policy, VjCurveKind kind)
{
  Bench bench;
  bench_init (&bench, policy, kind);
  for (guint i = 0; i < intervals; i++)
    {
      const guint64 static_uj = policy == VJ_STATIC_SEPARATE ? 0 : STATIC_UW;
      const guint64 dynamic_uj = g_rand_int (bench.rand) % 5000;
      use (&bench);
      vj_ledger_measure (bench.ledger, 0, static_uj + dynamic_uj, TICK_US, FALSE);
      vj_ledger_settle (bench.ledger);
      note_due (&bench, dynamic_uj, static_uj);
      if (i % 1000 == 0)
        check_all (&bench);
    }
  check_all (&bench);
  const VjZoneTotals *totals = vj_ledger_totals (bench.ledger, 0);
  assert_int_equal (totals->measured_uj, totals->attributed_uj + totals->remainder_uj + totals->static_uj);
  vj_ledger_free (bench.ledger);
  g_rand_free (bench.rand);
}

static void
test_linear (void **state)
{
  run (VJ_STATIC_SEPARATE, VJ_CURVE_LINEAR);
}

static void
test_static_energy (void **state)
{
  run (VJ_STATIC_EVEN, VJ_CURVE_LINEAR);
}

static void
test_bent (void **state)
{
  run (VJ_STATIC_SEPARATE, VJ_CURVE_GAMMA);
}

int
main (int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_linear),
    cmocka_unit_test (test_static_energy),
    cmocka_unit_test (test_bent),
  };
  if (argc > 1)
    intervals = (guint)strtoul (argv[1], NULL, 10);
  return cmocka_run_group_tests_name ("drift", tests, NULL, NULL);
}
