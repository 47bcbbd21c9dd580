/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/units.h"
#include "attributor_machine.h"
#include "tempdir.h"

static void
shares_an_interval_by_what_groups_used (void **state)
{
  Machine *machine = *state;
  make_group (machine, CTR);
  use (machine, POD, 5000000, 1000); /* the past */
  use (machine, CTR, 4000000, 1000);
  use (machine, "/a.service", 0, 0);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  use (machine, CTR, 300, 3000);
  use (machine, POD, 400, 4000);
  use (machine, "/kubepods/burstable", 400, 4000);
  use (machine, "/kubepods", 400, 4000);
  use (machine, "/a.service", 200, 1000);
  update (machine, 6000000, 1000000);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  const VjGroupSnapshot *container = group_of (snapshot, CTR);
  const VjGroupSnapshot *pod = group_of (snapshot, POD);
  const VjGroupSnapshot *service = group_of (snapshot, "/a.service");
  assert_int_equal (container->class.kind, VJ_CGROUP_CONTAINER);
  assert_int_equal (container->cpu_ns, 300000);
  assert_int_equal (pod->cpu_ns, 400000);
  assert_true (container->energy_uj[0] > 0);
  /* 3 : 1 : 2, rounded */
  assert_in_range (container->own_uj[0] + 3 - pod->own_uj[0] * 3, 0, 6);
  assert_in_range (service->own_uj[0] * 3 + 5 - container->own_uj[0] * 2, 0, 10);
  assert_string_equal (snapshot->quality, "measured");
}

/* The sharing is exact where the machine does nothing else: kernel time is what busy time leaves. */
static void
what_ended_stays_and_is_folded_later (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.keep_us = 0;
  make_group (machine, CTR);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  use (machine, CTR, 1000, 0);
  use (machine, POD, 1000, 0);
  update (machine, 5000000, 0);
  g_autoptr (VjAttributorSnapshot) before = checked_snapshot (machine);
  guint64 given_uj = group_of (before, CTR)->energy_uj[0];
  assert_true (given_uj > 0);
  remove_group (machine, CTR);
  update (machine, 1000000, 0);
  update (machine, 1000000, 0);
  g_autoptr (VjAttributorSnapshot) after = checked_snapshot (machine);
  assert_null (find (after, CTR));
  assert_int_equal (group_of (after, POD)->folded_uj[0], given_uj);
  assert_int_equal (group_of (after, POD)->energy_uj[0], given_uj);
}

static void
what_ended_is_shown_for_a_while (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.max_ended = 1;
  make_group (machine, POD "/" ID);
  make_group (machine, "/docker/" ID);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  use (machine, CTR, 1000, 0);
  update (machine, 5000000, 0);
  remove_group (machine, CTR);
  update (machine, 1000000, 0);
  g_autoptr (VjAttributorSnapshot) shown = checked_snapshot (machine);
  assert_true (group_of (shown, CTR)->terminated);
  assert_true (group_of (shown, CTR)->energy_uj[0] > 0);
  remove_group (machine, "/docker/" ID); /* one too many: the older one goes */
  update (machine, 1000000, 0);
  g_autoptr (VjAttributorSnapshot) folded = checked_snapshot (machine);
  assert_null (find (folded, CTR));
  assert_true (group_of (folded, "/docker/" ID)->terminated);
}

/* A service that is restarted: one series for its path, which goes on. */
static void
what_comes_again_goes_on (void **state)
{
  Machine *machine = *state;
  make_group (machine, "/a.slice/a.service/part");
  make_group (machine, "/a.slice/a.service");
  make_group (machine, "/a.slice");
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  use (machine, "/a.slice/a.service/part", 1000, 100);
  use (machine, "/a.slice/a.service", 2000, 200);
  use (machine, "/a.slice", 2000, 200);
  update (machine, 5000000, 0);
  g_autoptr (VjAttributorSnapshot) before = checked_snapshot (machine);
  guint64 given_uj = group_of (before, "/a.slice/a.service")->energy_uj[0];
  remove_group (machine, "/a.slice/a.service/part");
  remove_group (machine, "/a.slice/a.service");
  update (machine, 0, 0);
  make_group (machine, "/a.slice/a.service");
  use (machine, "/a.slice/a.service", 500, 100);
  use (machine, "/a.slice", 800, 100);
  update (machine, 1000000, 0);
  g_autoptr (VjAttributorSnapshot) after = checked_snapshot (machine);
  const VjGroupSnapshot *service = group_of (after, "/a.slice/a.service");
  assert_false (service->terminated);
  assert_int_equal (service->cpu_ns, 2500000);
  assert_true (service->energy_uj[0] > given_uj);
  assert_true (group_of (after, "/a.slice")->own_uj[0]
               > 0); /* what the service used before is not taken off twice */
  assert_true (group_of (after, "/a.slice/a.service/part")->terminated);
  assert_int_equal (after->groups->len, 3);
  update (machine, 1000000, 0); /* nobody used anything */
  g_autoptr (VjAttributorSnapshot) later = checked_snapshot (machine);
  assert_int_equal (group_of (later, "/a.slice")->energy_uj[0], group_of (after, "/a.slice")->energy_uj[0]);
}

static void
names_come_late (void **state)
{
  Machine *machine = *state;
  make_group (machine, CTR);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 1, 0);
  g_autoptr (VjAttributorSnapshot) unknown = checked_snapshot (machine);
  assert_null (group_of (unknown, CTR)->name);
  assert_null (group_of (unknown, CTR)->pod);
  vj_names_put_container (machine->names, VJ_NAMES_LOGS, ID, &(VjContainerName){ .name = "app" });
  vj_names_put_pod (machine->names, VJ_NAMES_LOGS, "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f",
                    &(VjPodName){ .namespace_ = "shop", .name = "web-0" });
  g_autoptr (VjAttributorSnapshot) named = checked_snapshot (machine);
  assert_string_equal (group_of (named, CTR)->name, "app");
  assert_string_equal (group_of (named, CTR)->pod, "web-0");
  assert_string_equal (group_of (named, POD)->namespace_, "shop");
}

/* What had this name goes on under its path, but whose it is now is not known. */
static void
what_comes_again_for_somebody_else_has_no_name (void **state)
{
  Machine *machine = *state;
  g_autofree char *above = g_build_filename (machine->root, "cgroup/docker", NULL);
  make_group (machine, "/docker/" ID);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  vj_names_put_container (machine->names, VJ_NAMES_RUNTIME, ID, &(VjContainerName){ .name = "db" });
  update (machine, 1, 0);
  g_autoptr (VjAttributorSnapshot) before = checked_snapshot (machine);
  assert_string_equal (group_of (before, "/docker/" ID)->name, "db");
  remove_group (machine, "/docker/" ID);
  update (machine, 1, 0);
  assert_int_equal (chmod (above, 0777), 0);
  make_group (machine, "/docker/" ID);
  update (machine, 1, 0);
  g_autoptr (VjAttributorSnapshot) after = checked_snapshot (machine);
  assert_false (group_of (after, "/docker/" ID)->terminated);
  assert_true (group_of (after, "/docker/" ID)->class.delegated);
  assert_null (group_of (after, "/docker/" ID)->name);
}

/* Whoever may make groups may give them a pod's UID: neither while they are shown nor afterwards is what they used its owner's. */
static void
who_borrows_a_pods_uid_adds_nothing_to_its_owner (void **state)
{
  static const char borrowed[] = "/user.slice" POD;
  Machine *machine = *state;
  machine->options.workloads.keep_us = 0;
  make_group (machine, POD);
  make_group (machine, borrowed);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  vj_names_put_pod (machine->names, VJ_NAMES_API, "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f",
                    &(VjPodName){ .namespace_ = "shop", .workload_kind = "Deployment", .workload = "web" });
  update (machine, 0, 0);
  use (machine, POD, 1000, 0);
  use (machine, borrowed, 1000, 0);
  update (machine, 5000000, 0);
  remove_group (machine, borrowed);
  update (machine, 0, 0);
  update (machine, 0, 0);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  assert_null (find (snapshot, borrowed));
  assert_true (group_of (snapshot, "/user.slice/kubepods/burstable")->folded_uj[0] > 0);
  assert_int_equal (snapshot->owners->len, 1);
  assert_int_equal (((VjOwnerSnapshot *)g_ptr_array_index (snapshot->owners, 0))->energy_uj[0],
                    group_of (snapshot, POD)->energy_uj[0]);
}

static void
waits_for_the_tree_and_survives_its_absence (void **state)
{
  Machine *machine = *state;
  make_group (machine, CTR);
  start (machine);
  assert_non_null (strstr (machine->said->str, "no energy counters"));
  g_autoptr (VjAttributorSnapshot) nothing = checked_snapshot (machine);
  assert_int_equal (nothing->zones->len, 0);
  assert_int_equal (nothing->mode, VJ_TREE_ABSENT);
  update (machine, 0, 0);
  use (machine, CTR, 1000, 0);
  update (machine, 3000000, 0);
  tempdir_remove (machine->root, "sys");
  use (machine, CTR, 1000, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  update (machine, 4000000, 0);
  update (machine, 1000000, 0);
  g_autoptr (VjAttributorSnapshot) back = checked_snapshot (machine);
  assert_int_equal (g_array_index (back->zones, VjZoneView, 0).measured_uj, 8000000);
}

/* A machine that was migrated to a host with one more zone. */
static void
a_new_zone_joins (void **state)
{
  Machine *machine = *state;
  make_group (machine, CTR);
  write_tree (machine);
  write_generation (machine);
  start (machine);
  for (guint i = 0; i < 40; i++)
    {
      if (i == 20)
        write_zone (machine, "intel-rapl:1", "package-1\n", 0);
      if (i > 20)
        write_zone (machine, "intel-rapl:1", "package-1\n", i * 1000);
      use (machine, CTR, 1000, 0);
      update (machine, 1000, 100);
    }
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  assert_int_equal (snapshot->zones->len, 3);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, 0).measured_uj, 40000);
  assert_string_equal (g_array_index (snapshot->zones, VjZoneView, 2).zone.id, "package-1");
  assert_true (group_of (snapshot, CTR)->energy_uj[2] > 0);
}

/* What such a zone will show when it is read again was used while the ledger was another one. */
static void
a_new_zone_joins_while_others_cannot_be_read (void **state)
{
  Machine *machine = *state;
  guint64 core_uj = 0;
  make_group (machine, CTR);
  write_tree (machine);
  write_zone (machine, "intel-rapl:0:1", "core\n", core_uj);
  write_generation (machine);
  start (machine);
  for (guint i = 0; i < 40; i++)
    {
      const gboolean odd = i > 10 && i < 20;
      guint before = machine->updates;
      machine->dram_is_odd = odd;
      machine->package_uj += 1000;
      machine->dram_uj += 100;
      core_uj += 10;
      if (i == 15)
        write_zone (machine, "intel-rapl:1", "package-1\n", 0);
      use (machine, CTR, 1000, 1000000);
      write_tree (machine);
      write_zone (machine, "intel-rapl:0:1", "core\n", core_uj);
      if (odd)
        tempdir_write (machine->root, "sys/class/powercap/intel-rapl:0/energy_uj", "odd\n");
      write_generation (machine);
      while (machine->updates == before)
        g_main_context_iteration (NULL, TRUE);
    }
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  const VjZoneView *zones = (const VjZoneView *)(const void *)snapshot->zones->data;
  assert_int_equal (snapshot->zones->len, 4);
  assert_int_equal (zones[0].measured_uj, 40000);
  assert_int_equal (zones[0].gap_uj, 10000);
  assert_int_equal (zones[1].measured_uj, 4000);
  assert_int_equal (zones[1].gap_uj, 1000);
  assert_string_equal (zones[2].zone.id, "package-0/core");
  assert_int_equal (zones[2].measured_uj, 400);
}

/* No path twice, and none that was there before with less. */
static void
assert_series_grow (GHashTable **last, const VjAttributorSnapshot *snapshot)
{
  GHashTable *now = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, i);
      gpointer before = g_hash_table_lookup (*last, group->path);
      assert_true (group->energy_uj[0] >= GPOINTER_TO_SIZE (before));
      assert_true (g_hash_table_insert (now, g_strdup (group->path), GSIZE_TO_POINTER (group->energy_uj[0])));
    }
  g_hash_table_unref (*last);
  *last = now;
}

/* Anything may come and go at any time; the sums hold all the same, and no counter ever falls. */
static void
sums_hold_whatever_happens (void **state)
{
  Machine *machine = *state;
  g_autoptr (GRand) rand = g_rand_new_with_seed (4711);
  g_autoptr (GHashTable) last = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTable *series = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  machine->options.workloads.max_ended = 3;
  add_storage (machine);
  make_group (machine, "/keep");
  write_tree (machine);
  write_generation (machine);
  start (machine);
  for (guint i = 0; i < 300; i++)
    {
      g_autofree char *slice = g_strdup_printf ("/s%d.slice", g_rand_int_range (rand, 0, 3));
      g_autofree char *unit = g_strdup_printf ("%s/u%d.service", slice, g_rand_int_range (rand, 0, 4));
      guint64 us = (guint64)g_rand_int_range (rand, 0, 2000);
      switch (g_rand_int_range (rand, 0, 6))
        {
        case 0:
          remove_group (machine, unit);
          break;
        case 1:
          remove_group (machine, slice);
          break;
        default:
          make_group (machine, unit);
          use (machine, unit, us, us * 100);
          use (machine, slice, us + (guint64)g_rand_int_range (rand, 0, 100), us * 150);
          move (machine, unit, us << 10);
        }
      move_disk (machine, us << g_rand_int_range (rand, 5, 15));
      machine->storage_uj += us;
      update (machine, (guint64)g_rand_int_range (rand, 0, 3000000),
              (guint64)g_rand_int_range (rand, 0, 500000));
      g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
      assert_int_equal (g_array_index (snapshot->zones, VjZoneView, 0).measured_uj, machine->package_uj);
      guint64 total_uj = g_array_index (snapshot->zones, VjZoneView, 0).kernel_uj;
      assert_true (total_uj >= GPOINTER_TO_SIZE (g_hash_table_lookup (last, "kernel")));
      assert_int_equal (g_array_index (snapshot->zones, VjZoneView, STORAGE).measured_uj,
                        machine->storage_uj);
      g_hash_table_replace (last, g_strdup ("kernel"), GSIZE_TO_POINTER (total_uj));
      assert_series_grow (&series, snapshot);
    }
  g_hash_table_unref (series);
}

/* A container that ended was read at its end, and its pod, which ended with it, was not. */
static void
what_ended_with_its_group_is_not_counted_twice (void **state)
{
  Machine *machine = *state;
  const char *groups[] = { "/kubepods", "/kubepods/burstable", POD, CTR, "/a.service" };
  for (guint i = 0; i < G_N_ELEMENTS (groups); i++)
    make_group (machine, groups[i]);
  tempdir_write (machine->root, "cgroup" CTR "/cgroup.events", "populated 1\n");
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  use (machine, CTR, 300, 0);
  tempdir_write (machine->root, "cgroup" CTR "/cgroup.events", "populated 0\n");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  remove_group (machine, CTR);
  remove_group (machine, POD);
  use (machine, "/kubepods/burstable", 300, 0);
  use (machine, "/kubepods", 300, 0);
  use (machine, "/a.service", 300, 0);
  update (machine, 6000000, 0);
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  guint64 service_uj = group_of (snapshot, "/a.service")->energy_uj[0];
  assert_true (service_uj > 0);
  assert_in_range (group_of (snapshot, "/kubepods")->energy_uj[0], service_uj - 2, service_uj + 2);
}

static void
come_and_go (Machine *machine, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/run-%u.service", i);
      make_group (machine, path);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      remove_group (machine, path);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
}

/* Services come and go while the reader is away. */
static void
what_ended_is_bounded_without_a_tree_too (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.max_ended = 5;
  make_group (machine, "/keep");
  start (machine);
  come_and_go (machine, 50);
  g_autoptr (VjAttributorSnapshot) absent = checked_snapshot (machine);
  assert_in_range (absent->groups->len, 1, 1 + 2 * 5);
  write_tree (machine);
  update (machine, 0, 0);
  come_and_go (machine, 50);
  use (machine, "/keep", 1000, 0);
  update (machine, 1000000, 0);
  update (machine, 1000000, 0);
  g_autoptr (VjAttributorSnapshot) present = checked_snapshot (machine);
  assert_in_range (present->groups->len, 1, 1 + 5);
  assert_int_equal (g_array_index (present->zones, VjZoneView, 0).measured_uj, 2000000);
  /* what those used that were folded before anything was billed is not known */
  assert_int_equal (g_array_index (present->zones, VjZoneView, 0).gap_uj, 1000000);
}

/* Its file is there and says nothing. */
static void
a_zone_that_cannot_be_read_holds_nothing_up (void **state)
{
  Machine *machine = *state;
  machine->options.workloads.keep_us = 0;
  make_group (machine, "/a.service");
  make_group (machine, "/b.service");
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  remove_group (machine, "/b.service");
  for (guint i = 0; i < 12; i++)
    {
      machine->dram_is_odd = i < 10;
      use (machine, "/a.service", 1000, 1000);
      update (machine, 1000, 500);
      g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
      assert_true ((find (snapshot, "/b.service") != NULL) == (i < 7));
    }
  g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, 0).measured_uj, 12000);
  assert_int_equal (g_array_index (snapshot->zones, VjZoneView, 1).measured_uj, 6000);
  assert_true (g_array_index (snapshot->zones, VjZoneView, 1).gap_uj >= 5500);
}

/* --- random lives of real processes in groups of files --- */

#define SLOTS 8

typedef struct
{
  int pid; /* 0: none */
  int wire;
  int group; /* index of its group */
} Life;

/* Spins for a moment at each byte. */
static void
live (int wire)
{
  char byte = 0;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  while (read (wire, &byte, 1) == 1)
    {
      for (volatile guint i = 0; i < 100000; i++)
        ;
      if (write (wire, &byte, 1) != 1)
        break;
    }
  _exit (0);
}

static void
begin_life (Life *life, int group)
{
  int wires[2];
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wires), 0);
  life->pid = fork ();
  assert_true (life->pid >= 0);
  if (life->pid == 0)
    live (wires[1]);
  close (wires[1]);
  life->wire = wires[0];
  life->group = group;
}

static void
end_life (Life *life)
{
  if (life->pid == 0)
    return;
  close (life->wire);
  kill (life->pid, SIGKILL);
  assert_int_equal (waitpid (life->pid, NULL, 0), life->pid);
  life->pid = 0;
}

static void
spin (const Life *life)
{
  char byte = 1;
  assert_int_equal (write (life->wire, &byte, 1), 1);
  assert_int_equal (read (life->wire, &byte, 1), 1);
}

static const char *const places[] = {
  "/a.slice",
  "/a.slice/u.service",
  "/a.slice/u.service/part",
  "/b.service",
};

static void
list_lives (const Machine *machine, const Life *lives)
{
  for (guint place = 0; place < G_N_ELEMENTS (places); place++)
    {
      g_autoptr (GString) text = g_string_new (NULL);
      g_autofree char *file = g_strconcat ("cgroup", places[place], "/cgroup.procs", NULL);
      if (!g_hash_table_contains (machine->cpu_us, places[place]))
        continue;
      for (guint i = 0; i < SLOTS; i++)
        if (lives[i].pid != 0 && lives[i].group == (int)place)
          g_string_append_printf (text, "%d\n0\n", lives[i].pid);
      tempdir_write (machine->root, file, text->str);
    }
}

/* One of the things that happen to processes and their groups. */
static void
let_happen (Machine *machine, Life *lives, GRand *rand)
{
  Life *life = &lives[g_rand_int_range (rand, 0, SLOTS)];
  int place = g_rand_int_range (rand, 0, G_N_ELEMENTS (places));
  switch (g_rand_int_range (rand, 0, 8))
    {
    case 0:
      end_life (life);
      break;
    case 1:
      life->group = place; /* it moves */
      break;
    case 2:
      remove_group (machine, places[place]); /* and what is below it, while its processes live on */
      for (guint i = 0; i < G_N_ELEMENTS (places); i++)
        if (g_str_has_prefix (places[i], places[place]))
          g_hash_table_remove (machine->cpu_us, places[i]);
      break;
    case 3:
      machine->dram_is_odd = !machine->dram_is_odd;
      break;
    default:
      if (life->pid == 0)
        begin_life (life, place);
      spin (life);
      for (guint i = 0; i <= (guint)place; i++)
        use (machine, places[i], (guint64)g_rand_int_range (rand, 0, 1000), 1000000);
    }
}

/* Counters of what is shown by one text; none may fall while it is shown. */
static void
never_falls (GHashTable *before, GHashTable *now, char *key, guint64 value)
{
  gpointer last = g_hash_table_lookup (before, key);
  if (value < GPOINTER_TO_SIZE (last))
    fail_msg ("%s fell", key);
  g_hash_table_insert (now, key, GSIZE_TO_POINTER (value));
}

static GHashTable *
nothing_has_fallen (const VjAttributorSnapshot *snapshot, GHashTable *before)
{
  GHashTable *now = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, i);
      const struct
      {
        const char *what;
        guint64 value;
      } counters[] = { { "energy", group->energy_uj[0] }, { "own", group->own_uj[0] },
                       { "exited", group->exited_uj[0] }, { "folded", group->folded_uj[0] },
                       { "dram", group->energy_uj[1] },   { "cpu", group->cpu_ns } };
      for (guint c = 0; c < G_N_ELEMENTS (counters); c++)
        never_falls (before, now, g_strconcat (group->path, " ", counters[c].what, NULL), counters[c].value);
      for (guint p = 0; group->processes != NULL && p < group->processes->len; p++)
        {
          const VjProcessSnapshot *process = g_ptr_array_index (group->processes, p);
          never_falls (
              before, now,
              g_strdup_printf ("%s %d %" G_GUINT64_FORMAT, group->path, process->pid, process->start_us),
              process->energy_uj[0]);
        }
    }
  for (guint zone = 0; zone < snapshot->zones->len; zone++)
    {
      const VjZoneView *view = &g_array_index (snapshot->zones, VjZoneView, zone);
      never_falls (before, now, g_strdup_printf ("kernel %u", zone), view->kernel_uj);
      never_falls (before, now, g_strdup_printf ("folded %u", zone), view->folded_uj);
    }
  g_hash_table_unref (before);
  return now;
}

static void
sums_hold_whatever_processes_do (void **state)
{
  Machine *machine = *state;
  Life lives[SLOTS] = { 0 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (815);
  GHashTable *last = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint seen = 0;
  machine->options.workloads.processes = TRUE;
  machine->options.workloads.max_ended = 2;
  make_group (machine, "/a.slice");
  write_tree (machine);
  write_generation (machine);
  start (machine);
  update (machine, 0, 0);
  for (guint i = 0; i < 400; i++)
    {
      let_happen (machine, lives, rand);
      list_lives (machine, lives);
      update (machine, (guint64)g_rand_int_range (rand, 0, 3000000),
              (guint64)g_rand_int_range (rand, 0, 500000));
      g_autoptr (VjAttributorSnapshot) snapshot = checked_snapshot (machine);
      assert_int_equal (g_array_index (snapshot->zones, VjZoneView, 0).measured_uj, machine->package_uj);
      last = nothing_has_fallen (snapshot, last);
      seen = MAX (seen, snapshot->processes);
    }
  assert_true (seen > SLOTS / 2);
  for (guint i = 0; i < SLOTS; i++)
    end_life (&lives[i]);
  g_hash_table_unref (last);
}

#define machine_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    machine_test (shares_an_interval_by_what_groups_used),
    machine_test (what_ended_stays_and_is_folded_later),
    machine_test (what_ended_is_shown_for_a_while),
    machine_test (what_comes_again_goes_on),
    machine_test (what_comes_again_for_somebody_else_has_no_name),
    machine_test (names_come_late),
    machine_test (who_borrows_a_pods_uid_adds_nothing_to_its_owner),
    machine_test (waits_for_the_tree_and_survives_its_absence),
    machine_test (a_new_zone_joins),
    machine_test (a_new_zone_joins_while_others_cannot_be_read),
    machine_test (sums_hold_whatever_happens),
    machine_test (sums_hold_whatever_processes_do),
    machine_test (what_ended_with_its_group_is_not_counted_twice),
    machine_test (what_ended_is_bounded_without_a_tree_too),
    machine_test (a_zone_that_cannot_be_read_holds_nothing_up),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
