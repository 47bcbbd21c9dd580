/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "guest/attributor/attributor_top.h"

#define ID      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PODS    "/kubepods.slice"
#define POD     PODS "/kubepods-pod6f2c3c1e_5b1a_4e0f_9c55_0a1b2c3d4e5f.slice"
#define ENDED   PODS "/kubepods-pod7f2c3c1e_5b1a_4e0f_9c55_0a1b2c3d4e5f.slice"
#define CTR     POD "/cri-containerd-" ID ".scope"
#define PAUSE   POD "/cri-containerd-f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"
#define USER    "/user.slice/user-1000.slice/user@1000.service"
#define ALL     (VJ_LEVEL_WORKLOAD | VJ_LEVEL_POD | VJ_LEVEL_CONTAINER | VJ_LEVEL_UNIT | VJ_LEVEL_PROCESS)
#define N_ZONES 3
#define HARMFUL "\x1b]0;owned\x07\n\"\\\xe2\x80\xae"

/* A node after so many intervals, each of which gave every group the same. */
typedef struct
{
  VjAttributorSnapshot *snapshot;
  guint64 intervals;
} Node;

static void
add_zone (const Node *node, const char *id, guint64 uj)
{
  VjZoneView view = { .measured_uj = uj * node->intervals,
                      .kernel_uj = uj / 10 * node->intervals,
                      .gap_uj = 5,
                      .folded_uj = 7,
                      .power_uw = uj };
  assert_true (
      vj_zone_init_from_id (&view.zone, id, (const VjZone *)(const void *)node->snapshot->zones->data, 0)
      || strchr (id, '/') != NULL);
  g_strlcpy (view.zone.id, id, sizeof view.zone.id);
  if (strcmp (id, "package-0/core") == 0)
    view.zone.kind = VJ_ZONE_CORE;
  if (strcmp (id, "package-0/dram") == 0)
    view.zone.kind = VJ_ZONE_DRAM;
  g_array_append_val (node->snapshot->zones, view);
}

static VjGroupSnapshot *
add_group (const Node *node, int parent, const char *path, guint64 uj, guint64 cpu_ns)
{
  VjGroupSnapshot *group = vj_group_snapshot_new (N_ZONES);
  const VjGroupSnapshot *enclosing = parent >= 0 ? g_ptr_array_index (node->snapshot->groups, parent) : NULL;
  VjCgroupClass root;
  vj_cgroup_classify (NULL, NULL, &root);
  vj_cgroup_classify (enclosing != NULL ? &enclosing->class : &root, strrchr (path, '/') + 1, &group->class);
  group->parent = parent;
  group->path = vj_cgroup_path_text (path);
  if (group->class.kind == VJ_CGROUP_UNIT || group->class.kind == VJ_CGROUP_SLICE)
    group->name = vj_cgroup_display_name (strrchr (path, '/') + 1);
  group->cpu_ns = cpu_ns * node->intervals;
  for (guint i = 0; i < N_ZONES; i++)
    group->energy_uj[i] = group->own_uj[i] = uj / (i + 1) * node->intervals;
  g_ptr_array_add (node->snapshot->groups, group);
  return group;
}

static void
name_as_kubernetes (VjGroupSnapshot *group)
{
  static const char *const labels[] = {
    "app.kubernetes.io/name", "web", "app-kubernetes-io/name", "lost", "a\"b", HARMFUL, NULL
  };
  group->namespace_ = g_strdup ("shop");
  group->pod = g_strdup ("web-7d4b9c-x2x4z");
  group->workload_kind = g_strdup ("Deployment");
  group->workload = g_strdup ("web");
  group->labels = g_strdupv ((char **)labels);
}

static VjProcessSnapshot *
add_process (VjGroupSnapshot *group, int pid, const char *command, guint64 uj)
{
  VjProcessSnapshot *process = g_new0 (VjProcessSnapshot, 1);
  process->pid = pid;
  process->start_us = 12345678;
  process->command = g_utf8_make_valid (command, -1);
  process->cpu_ns = uj * 10;
  process->energy_uj = g_new0 (guint64, N_ZONES);
  process->energy_uj[0] = uj;
  if (group->processes == NULL)
    group->processes = vj_process_snapshots_new ();
  g_ptr_array_add (group->processes, process);
  return process;
}

static void
add_pods (const Node *node)
{
  int pods = (int)node->snapshot->groups->len;
  add_group (node, -1, PODS, 3000000, 300000000)->folded_uj[0] = 1000;
  VjGroupSnapshot *pod = add_group (node, pods, POD, 2500000, 250000000);
  name_as_kubernetes (pod);
  VjGroupSnapshot *container = add_group (node, pods + 1, CTR, 2400000, 240000000);
  name_as_kubernetes (container);
  container->name = g_strdup ("app");
  container->exited_uj[0] = 99;
  add_process (container, 4711, HARMFUL, 1000000 * node->intervals);
  add_process (container, 12, "sh", 10)->terminated = TRUE;
  add_group (node, pods + 1, PAUSE, 0, 0)->sandbox = TRUE;
  /* one digit too many: a part */
  assert_int_equal (add_group (node, pods + 1, POD "/cri-containerd-f" ID ".scope", 0, 0)->class.kind,
                    VJ_CGROUP_OTHER);
  VjGroupSnapshot *ended = add_group (node, pods, ENDED, 1000, 1000);
  ended->terminated = TRUE;
}

static void
add_owner (const Node *node)
{
  VjOwnerSnapshot *owner = g_new0 (VjOwnerSnapshot, 1);
  owner->namespace_ = g_strdup ("shop");
  owner->kind = g_strdup ("Deployment");
  owner->name = g_strdup ("web");
  owner->energy_uj = g_new0 (guint64, N_ZONES);
  owner->energy_uj[0] = 2500000 * node->intervals;
  g_ptr_array_add (node->snapshot->owners, owner);
}

/* Somebody runs a container of the same id in his session, and one whose path is no text. */
static void
add_session (const Node *node)
{
  int user = (int)node->snapshot->groups->len;
  add_group (node, -1, "/user.slice", 400000, 40000000);
  add_group (node, user, "/user.slice/user-1000.slice", 400000, 40000000);
  add_group (node, user + 1, USER, 400000, 40000000);
  add_group (node, user + 2, USER "/cri-containerd-" ID ".scope", 100000, 10000000);
  add_group (node, user + 2, USER "/\xff/" ID, 100000, 10000000);
  add_group (node, user + 2, USER "/\xfe/" ID, 100000, 10000000);
}

static VjAttributorSnapshot *
node_after (guint64 intervals)
{
  Node node = { .snapshot = vj_attributor_snapshot_new (), .intervals = intervals };
  VjAttributorSnapshot *snapshot = node.snapshot;
  snapshot->mode = VJ_TREE_FOLLOWED;
  g_strlcpy (snapshot->quality, "measured", sizeof snapshot->quality);
  g_strlcpy (snapshot->source, "powercap", sizeof snapshot->source);
  snapshot->age_us = 250000;
  snapshot->intervals = intervals;
  snapshot->interval_us = 1000000;
  snapshot->cgroup_version = "v2";
  snapshot->groups_refused = 3;
  snapshot->processes = 2;
  add_zone (&node, "package-0", 5000000);
  add_zone (&node, "package-0/core", 4000000);
  add_zone (&node, "package-0/dram", 1000000);
  add_pods (&node);
  add_owner (&node);
  add_session (&node);
  add_group (&node, -1, "/system.slice", 900000, 90000000);
  add_group (&node, (int)snapshot->groups->len - 1, "/system.slice/dev-disk\\x2d1.mount", 800000, 9000000);
  return snapshot;
}

/* --- tests --- */

static void
metrics_are_as_documented (void **state)
{
  g_autoptr (VjAttributorSnapshot) snapshot = node_after (2);
  g_autofree char *text = vj_attributor_metrics (snapshot, ALL);
  golden_assert ("attributor/metrics.prom", text);
}

static void
document_is_as_documented (void **state)
{
  g_autoptr (VjAttributorSnapshot) snapshot = node_after (2);
  g_autofree char *text = vj_attributor_json (snapshot, ALL);
  golden_assert ("attributor/energy.json", text);
}

/* A series is its name and labels; two of them in one text, and nobody can scrape it. */
static void
every_series_is_there_once (void **state)
{
  g_autoptr (VjAttributorSnapshot) snapshot = node_after (2);
  g_autofree char *text = vj_attributor_metrics (snapshot, ALL);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  guint n_series = 0;
  for (guint i = 0; lines[i] != NULL; i++)
    {
      char *value = strrchr (lines[i], ' ');
      if (lines[i][0] == '#' || value == NULL)
        continue;
      *value = '\0';
      if (!g_hash_table_add (seen, lines[i]))
        fail_msg ("twice: %s", lines[i]);
      n_series++;
    }
  assert_true (n_series > 50);
}

static void
levels_bound_what_is_exported (void **state)
{
  static const struct
  {
    guint level;
    const char *family;
  } cases[] = {
    { VJ_LEVEL_WORKLOAD, "virtjoule_workload_energy" },   { VJ_LEVEL_POD, "virtjoule_pod_energy" },
    { VJ_LEVEL_CONTAINER, "virtjoule_container_energy" }, { VJ_LEVEL_UNIT, "virtjoule_unit_energy" },
    { VJ_LEVEL_UNIT, "virtjoule_slice_energy" },          { VJ_LEVEL_PROCESS, "virtjoule_process_energy" },
    { VJ_LEVEL_PROCESS, "virtjoule_exited_energy" },
  };
  g_autoptr (VjAttributorSnapshot) snapshot = node_after (2);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *with = vj_attributor_metrics (snapshot, cases[i].level);
      g_autofree char *without = vj_attributor_metrics (snapshot, ALL & ~cases[i].level);
      assert_non_null (strstr (with, cases[i].family));
      assert_null (strstr (without, cases[i].family));
    }
}

static void
top_shows_the_last_interval (void **state)
{
  g_autoptr (VjAttributorSnapshot) before = node_after (2);
  g_autoptr (VjAttributorSnapshot) now = node_after (3);
  const VjTopView view = { .levels = ALL };
  g_autofree char *text = vj_attributor_top (before, now, &view);
  golden_assert ("attributor/top.txt", text);
}

static void
top_of_one_level_with_a_message (void **state)
{
  g_autoptr (VjAttributorSnapshot) now = node_after (1);
  const VjTopView view = { .levels = VJ_LEVEL_UNIT,
                           .sort = VJ_TOP_BY_NAME,
                           .max_rows = 1,
                           .silent_us = 12345678,
                           .message = "a line\x1b[2J" };
  g_autofree char *text = vj_attributor_top (NULL, now, &view);
  golden_assert ("attributor/top-units.txt", text);
}

/* Whatever names are: lines of printable characters. */
static void
top_harms_no_terminal (void **state)
{
  g_autoptr (VjAttributorSnapshot) now = node_after (1);
  const VjTopView view = { .levels = ALL, .message = HARMFUL };
  g_autofree char *text = vj_attributor_top (NULL, now, &view);
  assert_true (g_utf8_validate (text, -1, NULL));
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    assert_true (*p == '\n' || g_unichar_isprint (g_utf8_get_char (p)));
}

static void
top_sorts (void **state)
{
  g_autoptr (VjAttributorSnapshot) before = node_after (2);
  g_autoptr (VjAttributorSnapshot) now = node_after (3);
  static const struct
  {
    VjTopSort sort;
    const char *first;
    const char *second;
  } cases[] = {
    { VJ_TOP_BY_POWER, "dev-disk-1", "user@1000" },
    { VJ_TOP_BY_ENERGY, "dev-disk-1", "user@1000" },
    { VJ_TOP_BY_CPU, "user@1000", "dev-disk-1" },
    { VJ_TOP_BY_NAME, "user@1000", "dev-disk-1" }, /* its path, from / on */
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const VjTopView view = { .levels = VJ_LEVEL_UNIT, .sort = cases[i].sort };
      g_autofree char *text = vj_attributor_top (before, now, &view);
      assert_non_null (strstr (text, cases[i].first));
      assert_non_null (strstr (text, cases[i].second));
      assert_true (strstr (text, cases[i].first) < strstr (text, cases[i].second));
    }
}

/* What has never been read is not fresh. */
static void
age_is_unknown_before_the_first_interval (void **state)
{
  static const struct
  {
    guint64 intervals;
    gboolean known;
  } cases[] = { { 0, FALSE }, { 1, TRUE } };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VjAttributorSnapshot) snapshot = node_after (cases[i].intervals);
      g_autofree char *metrics = vj_attributor_metrics (snapshot, ALL);
      g_autofree char *json = vj_attributor_json (snapshot, ALL);
      assert_int_equal (strstr (metrics, "\nvirtjoule_attributor_age_seconds ") != NULL, cases[i].known);
      assert_int_equal (strstr (json, "\"age_us\"") != NULL, cases[i].known);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (metrics_are_as_documented),
    cmocka_unit_test (document_is_as_documented),
    cmocka_unit_test (every_series_is_there_once),
    cmocka_unit_test (levels_bound_what_is_exported),
    cmocka_unit_test (top_shows_the_last_interval),
    cmocka_unit_test (top_of_one_level_with_a_message),
    cmocka_unit_test (top_harms_no_terminal),
    cmocka_unit_test (top_sorts),
    cmocka_unit_test (age_is_unknown_before_the_first_interval),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
