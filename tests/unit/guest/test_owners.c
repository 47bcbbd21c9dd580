/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/owners.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static VjAttributorSnapshot *
snapshot_new (void)
{
  VjAttributorSnapshot *snapshot = vj_attributor_snapshot_new ();
  g_array_set_size (snapshot->zones, 1);
  return snapshot;
}

static void
add_pod_of (VjAttributorSnapshot *snapshot, const char *kind, const char *workload, guint64 uj)
{
  VjGroupSnapshot *pod = vj_group_snapshot_new (1);
  pod->class = (VjCgroupClass){ .kind = VJ_CGROUP_POD };
  pod->namespace_ = g_strdup ("shop");
  pod->path = g_strdup_printf ("/kubepods/pod%u", snapshot->groups->len);
  pod->workload_kind = g_strdup (kind);
  pod->workload = g_strdup (workload);
  pod->energy_uj[0] = uj;
  g_ptr_array_add (snapshot->groups, pod);
}

static void
add_pod (VjAttributorSnapshot *snapshot, const char *workload, guint64 uj)
{
  add_pod_of (snapshot, "Deployment", workload, uj);
}

#define KEEP_US 1000000

/* CLOCK_MONOTONIC. */
static guint64 now_us;

static void
fold (VjOwners *owners, const char *kind, const char *workload, guint64 uj)
{
  vj_owners_pod_folded (owners, "shop", kind, workload, &uj, 1, ++now_us);
}

#define NOT_THERE G_MAXUINT64

static guint64
energy_of (const VjAttributorSnapshot *snapshot, const char *workload)
{
  for (guint i = 0; i < snapshot->owners->len; i++)
    {
      const VjOwnerSnapshot *owner = g_ptr_array_index (snapshot->owners, i);
      if (g_str_equal (owner->name, workload))
        return owner->energy_uj[0];
    }
  return NOT_THERE;
}

static void
ended_pods_are_their_workloads (void **state)
{
  g_autoptr (VjOwners) owners = vj_owners_new (KEEP_US);
  g_autoptr (VjAttributorSnapshot) snapshot = snapshot_new ();
  fold (owners, "Deployment", "web", 5);
  fold (owners, "Deployment", "web", 6);
  fold (owners, "Deployment", "gone", 3);
  add_pod (snapshot, "web", 100);
  add_pod (snapshot, "web", 1000);
  add_pod (snapshot, "new", 2);
  add_pod (snapshot, NULL, 9);
  vj_owners_snapshot (owners, snapshot, now_us);
  assert_int_equal (snapshot->owners->len, 3);
  assert_int_equal (energy_of (snapshot, "web"), 1111);
  assert_int_equal (energy_of (snapshot, "gone"), 3);
  assert_int_equal (energy_of (snapshot, "new"), 2);
}

/* Jobs that nothing owns come and go for ever; a Deployment's counter must not fall for that. */
static void
beyond_the_limit_the_oldest_go (void **state)
{
  g_autoptr (VjOwners) owners = vj_owners_new (KEEP_US);
  g_autoptr (VjAttributorSnapshot) snapshot = snapshot_new ();
  for (guint i = 0; i < VJ_OWNERS_MAX; i++)
    {
      g_autofree char *job = g_strdup_printf ("job-%u", i);
      fold (owners, "Job", job, 1);
    }
  fold (owners, "Job", "job-0", 1);
  fold (owners, "Deployment", "web", 7);
  add_pod (snapshot, "web", 10);
  vj_owners_snapshot (owners, snapshot, now_us);
  assert_int_equal (snapshot->owners->len, VJ_OWNERS_MAX);
  assert_int_equal (energy_of (snapshot, "web"), 17);
  assert_int_equal (energy_of (snapshot, "job-0"), 2);
  assert_true (energy_of (snapshot, "job-1") == NOT_THERE);
  assert_true (energy_of (snapshot, "job-2") != NOT_THERE);
}

/* Nor when so many end while they are still shown. */
static void
what_has_pods_stays (void **state)
{
  g_autoptr (VjOwners) owners = vj_owners_new (KEEP_US);
  g_autoptr (VjAttributorSnapshot) before = snapshot_new ();
  g_autoptr (VjAttributorSnapshot) after = snapshot_new ();
  fold (owners, "Deployment", "web", 7);
  add_pod (before, "web", 10);
  vj_owners_snapshot (owners, before, now_us);
  for (guint i = 0; i < VJ_OWNERS_MAX; i++)
    {
      g_autofree char *job = g_strdup_printf ("job-%u", i);
      fold (owners, "Job", job, 1);
    }
  add_pod (after, "web", 10);
  vj_owners_snapshot (owners, after, now_us);
  assert_int_equal (energy_of (after, "web"), 17);
  assert_true (energy_of (after, "job-0") == NOT_THERE);
}

/* Whoever may read ReplicaSets only later: their series end, rather than fall, and the Deployment has it all. */
static void
a_late_answer_is_followed (void **state)
{
  g_autoptr (VjOwners) owners = vj_owners_new (KEEP_US);
  g_autoptr (VjAttributorSnapshot) before = snapshot_new ();
  g_autoptr (VjAttributorSnapshot) after = snapshot_new ();
  fold (owners, "ReplicaSet", "web-abc", 5);
  fold (owners, "Deployment", "web", 6);
  add_pod_of (before, "ReplicaSet", "web-abc", 10);
  add_pod_of (before, "ReplicaSet", "web-abc", 20);
  vj_owners_snapshot (owners, before, now_us);
  assert_int_equal (energy_of (before, "web-abc"), 35);
  add_pod (after, "web", 11);
  add_pod (after, "web", 21);
  vj_owners_snapshot (owners, after, now_us);
  assert_true (energy_of (after, "web-abc") == NOT_THERE);
  assert_int_equal (energy_of (after, "web"), 43);
}

/* Pods that go from one owner to another of its kind leave there what others were given. */
static void
an_owner_keeps_what_it_had (void **state)
{
  g_autoptr (VjOwners) owners = vj_owners_new (KEEP_US);
  g_autoptr (VjAttributorSnapshot) before = snapshot_new ();
  g_autoptr (VjAttributorSnapshot) after = snapshot_new ();
  fold (owners, "Deployment", "old", 5);
  add_pod (before, "old", 10);
  vj_owners_snapshot (owners, before, now_us);
  add_pod (after, "new", 10);
  vj_owners_snapshot (owners, after, now_us);
  assert_int_equal (energy_of (after, "old"), 5);
  assert_int_equal (energy_of (after, "new"), 10);
}

/* A workload that has nothing left here: its energy is in its pods' slices. */
static void
what_has_no_pods_is_forgotten_after_a_while (void **state)
{
  g_autoptr (VjOwners) owners = vj_owners_new (KEEP_US);
  g_autoptr (VjAttributorSnapshot) soon = snapshot_new ();
  g_autoptr (VjAttributorSnapshot) later = snapshot_new ();
  fold (owners, "Job", "done", 5);
  fold (owners, "Deployment", "web", 6);
  now_us += KEEP_US - 1;
  vj_owners_snapshot (owners, soon, now_us);
  assert_int_equal (energy_of (soon, "done"), 5);
  add_pod (later, "web", 10);
  now_us += 2;
  vj_owners_snapshot (owners, later, now_us);
  assert_true (energy_of (later, "done") == NOT_THERE);
  assert_int_equal (energy_of (later, "web"), 16);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (ended_pods_are_their_workloads),
    cmocka_unit_test (beyond_the_limit_the_oldest_go),
    cmocka_unit_test (what_has_pods_stays),
    cmocka_unit_test (a_late_answer_is_followed),
    cmocka_unit_test (an_owner_keeps_what_it_had),
    cmocka_unit_test (what_has_no_pods_is_forgotten_after_a_while),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
