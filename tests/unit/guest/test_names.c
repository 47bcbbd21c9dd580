/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/names/names_logs.h"
#include "guest/names/names_text.h"
#include "tempdir.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"

static void
the_better_source_wins_whatever_the_order (void **state)
{
  g_autoptr (VjNames) names = vj_names_new ();
  assert_null (vj_names_pod (names, UID));
  vj_names_put_pod (names, VJ_NAMES_API, UID,
                    &(VjPodName){ .name = "api", .workload_kind = "Job", .workload = "j" });
  vj_names_put_pod (names, VJ_NAMES_LOGS, UID, &(VjPodName){ .name = "logs", .namespace_ = "ns" });
  const VjPodName *pod = vj_names_pod (names, UID);
  assert_string_equal (pod->name, "api");
  assert_string_equal (pod->namespace_, "ns");
  assert_string_equal (pod->workload, "j");
  vj_names_put_pod (names, VJ_NAMES_RUNTIME, UID, &(VjPodName){ .namespace_ = "other" });
  assert_string_equal (vj_names_pod (names, UID)->namespace_, "other");
}

static void
what_is_no_name_stays_unknown (void **state)
{
  g_autoptr (VjNames) names = vj_names_new ();
  g_autofree char *long_name = g_strnfill (1000, 'a');
  const char *const bad[] = { "", "a\nb", "\xff", long_name };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    vj_names_put_container (names, VJ_NAMES_API, ID, &(VjContainerName){ .name = bad[i] });
  assert_null (vj_names_container (names, ID)->name);
  vj_names_put_container (names, VJ_NAMES_API, "a\nb", &(VjContainerName){ .name = "x" });
  assert_null (vj_names_container (names, "a\nb"));
}

static void
is_bounded (void **state)
{
  g_autoptr (VjNames) names = vj_names_new ();
  for (guint i = 0; i < VJ_NAMES_MAX; i++)
    {
      g_autofree char *id = g_strdup_printf ("c%u", i);
      vj_names_put_container (names, VJ_NAMES_LOGS, id, &(VjContainerName){ .name = id });
    }
  assert_non_null (vj_names_container (names, "c0")); /* which makes c1 the one not looked up for longest */
  vj_names_put_container (names, VJ_NAMES_LOGS, "new", &(VjContainerName){ .name = "new" });
  assert_non_null (vj_names_container (names, "new"));
  assert_non_null (vj_names_container (names, "c0"));
  assert_null (vj_names_container (names, "c1"));
}

static void
parses_what_kubelet_writes (void **state)
{
  static const char *const pods[] = {
    "kube-system_etcd-node1_0123456789abcdef0123456789abcdef",
    "default_web.example-0_" UID,
  };
  static const char *const not_pods[] = {
    "", "_", "__", "a_b_c", "a_b_" UID "_d", "A_b_" UID, "..._b_" UID, "a_../x_" UID, "a_b_" UID "0",
  };
  static const char *const not_links[] = {
    "",
    "web-0_default_app.log",
    "web-0_default_app-" ID,
    "web-0_default_-" ID ".log",
    "_default_app-" ID ".log",
    "web-0_default_app-" ID "0.log",
    "a_b_c_d-" ID ".log",
  };
  for (guint i = 0; i < G_N_ELEMENTS (pods); i++)
    {
      g_auto (GStrv) parts = vj_names_parse_pod_directory (pods[i]);
      g_autofree char *again = parts != NULL ? g_strjoinv ("_", parts) : NULL;
      assert_non_null (again);
      assert_string_equal (again, pods[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (not_pods); i++)
    assert_null (vj_names_parse_pod_directory (not_pods[i]));
  for (guint i = 0; i < G_N_ELEMENTS (not_links); i++)
    assert_null (vj_names_parse_log_link (not_links[i]));
  g_auto (GStrv) link = vj_names_parse_log_link ("web-0_default_my-app-" ID ".log");
  assert_non_null (link);
  assert_string_equal (link[0], "web-0");
  assert_string_equal (link[1], "default");
  assert_string_equal (link[2], "my-app");
  assert_string_equal (link[3], ID);
}

static void
make_link (const char *root, const char *name, const char *target)
{
  g_autofree char *path = g_build_filename (root, "containers", name, NULL);
  assert_int_equal (symlink (target, path), 0);
}

static void
follows_the_logs_of_kubelet (void **state)
{
  const char *root = *state;
  g_autoptr (VjNames) names = vj_names_new ();
  tempdir_mkdir (root, "pods/shop_web-0_" UID "/app");
  tempdir_mkdir (root, "containers");
  g_autoptr (VjNamesLogs) logs = vj_names_logs_new (root, names, NULL);
  assert_non_null (logs);
  assert_string_equal (vj_names_pod (names, UID)->name, "web-0");
  make_link (root, "web-0_shop_app-" ID ".log", "/var/log/pods/shop_web-0_" UID "/app/0.log");
  while (vj_names_container (names, ID) == NULL)
    g_main_context_iteration (NULL, TRUE);
  assert_string_equal (vj_names_container (names, ID)->name, "app");
  assert_string_equal (vj_names_container (names, ID)->pod_uid, UID);
}

/* Where only root may look at pods/, the links are enough. */
static void
names_pods_by_the_links (void **state)
{
  const char *root = *state;
  g_autoptr (VjNames) names = vj_names_new ();
  tempdir_mkdir (root, "containers");
  make_link (root, "web-0_shop_app-" ID ".log", "/var/log/pods/shop_web-0_" UID "/app/0.log");
  g_autoptr (VjNamesLogs) logs = vj_names_logs_new (root, names, NULL);
  assert_non_null (logs);
  assert_string_equal (vj_names_pod (names, UID)->name, "web-0");
  assert_string_equal (vj_names_pod (names, UID)->namespace_, "shop");
}

/* A link that leads to another pod's logs than its name says: whose it is stays unknown. */
static void
does_not_believe_what_contradicts_itself (void **state)
{
  static const char *const others[] = { "bank_web-0_" UID, "shop_web-1_" UID };
  const char *root = *state;
  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (VjNames) names = vj_names_new ();
      g_autofree char *target = g_build_filename ("/var/log/pods", others[i], "app/0.log", NULL);
      tempdir_mkdir (root, "containers");
      make_link (root, "web-0_shop_app-" ID ".log", target);
      g_autoptr (VjNamesLogs) logs = vj_names_logs_new (root, names, NULL);
      assert_non_null (logs);
      assert_null (vj_names_container (names, ID)->pod_uid);
      tempdir_remove (root, "containers");
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (the_better_source_wins_whatever_the_order),
    cmocka_unit_test (what_is_no_name_stays_unknown),
    cmocka_unit_test (is_bounded),
    cmocka_unit_test (parses_what_kubelet_writes),
    tempdir_unit_test (follows_the_logs_of_kubelet),
    tempdir_unit_test (names_pods_by_the_links),
    tempdir_unit_test (does_not_believe_what_contradicts_itself),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
