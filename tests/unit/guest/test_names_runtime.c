/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/names_runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tempdir.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID   "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"
#define OTHER "00000000-5b1a-4e0f-9c55-0a1b2c3d4e5f"

#define CRI                                                                                                  \
  "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\","                                    \
  "\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.sandbox-name\":\"web-0\","               \
  "\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" UID "\"}}"
#define CRI_PATH "run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json"

static VjCgroupClass
container_in (const char *pod_uid)
{
  VjCgroupClass class = { .kind = VJ_CGROUP_CONTAINER, .runtime = "", .qos = "", .id = ID };
  g_strlcpy (class.pod_uid, pod_uid, sizeof class.pod_uid);
  return class;
}

static void
wait_until_named (VjNames *names)
{
  while (vj_names_container (names, ID) == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static void
settle (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
finds_each_runtimes_state (void **state)
{
  static const struct
  {
    const char *path;
    const char *text;
    const char *name;
  } cases[] = {
    { "var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\":\"/web\"}", "web" },
    { CRI_PATH, CRI, "app" },
    { "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json", CRI, "app" },
    { "run/containerd/io.containerd.runtime.v2.task/default/" ID "/config.json",
      "{\"annotations\":{\"nerdctl/name\":\"db\"}}", "db" },
    { "run/containers/storage/overlay-containers/" ID "/userdata/config.json",
      "{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\","
      "\"io.kubernetes.container.name\":\"o\"}}",
      "o" },
    { "var/lib/containers/storage/overlay-containers/containers.json",
      "[{\"id\":\"" ID "\",\"names\":[\"pod-web\"]}]", "pod-web" },
    { "run/containers/storage/overlay-containers/volatile-containers.json",
      "[{\"id\":\"" ID "\",\"names\":[\"gone-soon\"]}]", "gone-soon" },
  };
  const VjCgroupClass class = container_in (UID);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VjNames) names = vj_names_new ();
      g_autoptr (VjNamesRuntime) runtime = vj_names_runtime_new (*state, names);
      tempdir_write (*state, cases[i].path, cases[i].text);
      vj_names_runtime_appeared (runtime, &class);
      wait_until_named (names);
      assert_string_equal (vj_names_container (names, ID)->name, cases[i].name);
      tempdir_remove (*state, "var");
      tempdir_remove (*state, "run");
    }
}

static void
names_the_pod_that_the_group_is_in (void **state)
{
  g_autoptr (VjNames) names = vj_names_new ();
  g_autoptr (VjNamesRuntime) runtime = vj_names_runtime_new (*state, names);
  const VjCgroupClass class = container_in (UID);
  tempdir_write (*state, CRI_PATH, CRI);
  vj_names_runtime_appeared (runtime, &class);
  wait_until_named (names);
  assert_string_equal (vj_names_pod (names, UID)->name, "web-0");
  assert_string_equal (vj_names_pod (names, UID)->namespace_, "shop");
}

static void
does_not_believe_what_the_group_contradicts (void **state)
{
  static const char *const uids[] = { "", OTHER };
  tempdir_write (*state, CRI_PATH, CRI);
  for (gsize i = 0; i < G_N_ELEMENTS (uids); i++)
    {
      g_autoptr (VjNames) names = vj_names_new ();
      g_autoptr (VjNamesRuntime) runtime = vj_names_runtime_new (*state, names);
      const VjCgroupClass class = container_in (uids[i]);
      vj_names_runtime_appeared (runtime, &class);
      settle ();
      assert_null (vj_names_container (names, ID));
      assert_null (vj_names_pod (names, UID));
      assert_null (vj_names_pod (names, OTHER));
    }
}

/* The group may be there before its runtime has written anything. */
static void
looks_again_for_what_is_not_there_yet (void **state)
{
  g_autoptr (VjNames) names = vj_names_new ();
  g_autoptr (VjNamesRuntime) runtime = vj_names_runtime_new (*state, names);
  const VjCgroupClass class = container_in (UID);
  vj_names_runtime_appeared (runtime, &class);
  settle ();
  assert_null (vj_names_container (names, ID));
  tempdir_write (*state, CRI_PATH, CRI);
  wait_until_named (names);
  assert_string_equal (vj_names_container (names, ID)->name, "app");
}

/* Whoever may start containers may start many: one too many stays unknown. */
static void
no_more_wait_than_allowed (void **state)
{
  VjCgroupClass class = container_in (UID);
  g_autoptr (VjNames) names = vj_names_new ();
  g_autoptr (VjNamesRuntime) runtime = vj_names_runtime_new (*state, names);
  tempdir_write (*state, CRI_PATH, CRI);
  for (guint i = 0; i < VJ_NAMES_RUNTIME_WAITING; i++)
    {
      g_snprintf (class.id, sizeof class.id, "%064x", i);
      vj_names_runtime_appeared (runtime, &class);
    }
  class = container_in (UID);
  vj_names_runtime_appeared (runtime, &class);
  settle ();
  assert_null (vj_names_container (names, ID));
}

static void
looks_for_containers_of_this_machine_only (void **state)
{
  VjCgroupClass classes[] = { container_in (UID), container_in (UID), container_in (UID) };
  g_autoptr (VjNames) names = vj_names_new ();
  g_autoptr (VjNamesRuntime) runtime = vj_names_runtime_new (*state, names);
  classes[0].delegated = TRUE;
  classes[1].kind = VJ_CGROUP_POD;
  g_strlcpy (classes[2].id, "../" ID, sizeof classes[2].id);
  tempdir_write (*state, CRI_PATH, CRI);
  for (gsize i = 0; i < G_N_ELEMENTS (classes); i++)
    vj_names_runtime_appeared (runtime, &classes[i]);
  settle ();
  assert_null (vj_names_container (names, ID));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (finds_each_runtimes_state),
    tempdir_unit_test (names_the_pod_that_the_group_is_in),
    tempdir_unit_test (does_not_believe_what_the_group_contradicts),
    tempdir_unit_test (looks_again_for_what_is_not_there_yet),
    tempdir_unit_test (no_more_wait_than_allowed),
    tempdir_unit_test (looks_for_containers_of_this_machine_only),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
