/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/cgroup_class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID  "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"
#define UID_ "6f2c3c1e_5b1a_4e0f_9c55_0a1b2c3d4e5f"
#define HASH "0123456789abcdef0123456789abcdef"

static VjCgroupClass
classify (const char *path)
{
  VjCgroupClass class;
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  vj_cgroup_classify (NULL, "", &class);
  for (guint i = 1; names[0] != NULL && names[i] != NULL && *names[i] != '\0'; i++)
    {
      VjCgroupClass parent = class;
      vj_cgroup_classify (&parent, names[i], &class);
    }
  return class;
}

typedef struct
{
  const char *path;
  VjCgroupKind kind;
  const char *runtime;
  const char *id;
  const char *pod_uid;
  const char *qos;
  gboolean delegated;
} Case;

static const Case cases[] = {
  { "/", VJ_CGROUP_ROOT, "", "", "", "", FALSE },
  { "/init.scope", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/system.slice", VJ_CGROUP_SLICE, "", "", "", "", FALSE },
  { "/system.slice/ssh.service", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/system.slice/ssh.service/worker", VJ_CGROUP_OTHER, "", "", "", "", TRUE },
  { "/user.slice/user-1000.slice", VJ_CGROUP_SLICE, "", "", "", "", TRUE },
  { "/user.slice/user-1000.slice/session-1.scope", VJ_CGROUP_UNIT, "", "", "", "", TRUE },
  { "/user.slice/user-1000.slice/user@1000.service/app.slice", VJ_CGROUP_OTHER, "", "", "", "", TRUE },
  /* Docker */
  { "/docker", VJ_CGROUP_SLICE, "docker", "", "", "", FALSE },
  { "/docker/" ID, VJ_CGROUP_CONTAINER, "docker", ID, "", "", FALSE },
  { "/system.slice/docker-" ID ".scope", VJ_CGROUP_CONTAINER, "docker", ID, "", "", FALSE },
  { "/system.slice/docker-" ID ".scope/init.scope", VJ_CGROUP_OTHER, "", "", "", "", TRUE },
  { "/system.slice/docker.service", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/system.slice/docker-short.scope", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  /* Kubernetes, systemd driver */
  { "/kubepods.slice", VJ_CGROUP_SLICE, "", "", "", "guaranteed", FALSE },
  { "/kubepods.slice/kubepods-burstable.slice", VJ_CGROUP_SLICE, "", "", "", "burstable", FALSE },
  { "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice", VJ_CGROUP_POD, "", "",
    UID, "burstable", FALSE },
  { "/kubepods.slice/kubepods-pod" UID_ ".slice", VJ_CGROUP_POD, "", "", UID, "guaranteed", FALSE },
  { "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" HASH ".slice", VJ_CGROUP_POD, "", "",
    HASH, "besteffort", FALSE },
  { "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice", VJ_CGROUP_POD, "", "", UID,
    "guaranteed", FALSE },
  { "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope", VJ_CGROUP_CONTAINER,
    "containerd", ID, UID, "", FALSE },
  { "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope", VJ_CGROUP_CONTAINER, "cri-o", ID, UID, "",
    FALSE },
  { "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope/container", VJ_CGROUP_OTHER, "", "", UID,
    "", TRUE },
  { "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" ID ".scope", VJ_CGROUP_OTHER, "", "", UID, "",
    FALSE },
  /* Kubernetes, cgroupfs driver; k3s */
  { "/kubepods/burstable", VJ_CGROUP_SLICE, "", "", "", "burstable", FALSE },
  { "/kubepods/burstable/pod" UID, VJ_CGROUP_POD, "", "", UID, "burstable", FALSE },
  { "/kubepods/pod" UID "/" ID, VJ_CGROUP_CONTAINER, "", ID, UID, "", FALSE },
  { "/kubepods/besteffort/pod" HASH "/" ID, VJ_CGROUP_CONTAINER, "", ID, HASH, "", FALSE },
  /* a Kubernetes node that is a container itself (kind): not this machine's pods */
  { "/docker/" ID "/kubelet/kubepods/burstable/pod" UID "/" ID, VJ_CGROUP_CONTAINER, "", ID, UID, "", TRUE },
  { "/system.slice/docker-" ID ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_
    ".slice",
    VJ_CGROUP_POD, "", "", UID, "guaranteed", TRUE },
  /* Podman */
  { "/machine.slice/libpod-" ID ".scope", VJ_CGROUP_CONTAINER, "podman", ID, "", "", FALSE },
  { "/machine.slice/libpod-" ID ".scope/container", VJ_CGROUP_OTHER, "", "", "", "", TRUE },
  { "/machine.slice/libpod-conmon-" ID ".scope", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/libpod_parent/libpod-" ID, VJ_CGROUP_CONTAINER, "podman", ID, "", "", FALSE },
  { "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", VJ_CGROUP_CONTAINER,
    "podman", ID, "", "", TRUE },
  /* containerd without Kubernetes: nerdctl, ctr */
  { "/system.slice/nerdctl-" ID ".scope", VJ_CGROUP_CONTAINER, "containerd", ID, "", "", FALSE },
  { "/default/" ID, VJ_CGROUP_CONTAINER, "containerd", ID, "", "", FALSE },
  { "/default/mine", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  /* system containers, and virtual machines, which are none */
  { "/lxc/101", VJ_CGROUP_CONTAINER, "lxc", "101", "", "", FALSE },
  { "/lxc/101/ns/system.slice/ssh.service", VJ_CGROUP_OTHER, "", "", "", "", TRUE },
  { "/lxc/101/ns/docker/" ID, VJ_CGROUP_CONTAINER, "docker", ID, "", "", TRUE },
  { "/lxc.payload.web", VJ_CGROUP_CONTAINER, "lxc", "web", "", "", FALSE },
  { "/lxc.monitor.web", VJ_CGROUP_SLICE, "", "", "", "", FALSE },
  { "/machine.slice/systemd-nspawn@deb\\x2d12.service", VJ_CGROUP_CONTAINER, "nspawn", "deb-12", "", "",
    FALSE },
  { "/machine.slice/machine-deb\\x2d12.scope", VJ_CGROUP_CONTAINER, "nspawn", "deb-12", "", "", FALSE },
  { "/machine.slice/machine-qemus.scope", VJ_CGROUP_CONTAINER, "nspawn", "qemus", "", "", FALSE },
  { "/machine.slice/machine-lxc\\x2d7\\x2da.scope", VJ_CGROUP_CONTAINER, "lxc", "lxc-7-a", "", "", FALSE },
  { "/machine.slice/machine-qemu\\x2d1\\x2da.scope", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/qemu.slice/100.scope", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  /* names that only look like it */
  { "/system.slice/kubepods-pod" UID_ "0.slice", VJ_CGROUP_SLICE, "", "", "", "", FALSE },
  { "/pod" UID, VJ_CGROUP_SLICE, "", "", "", "", FALSE },
  { "/kubepods/pod6F2C3C1E-5b1a-4e0f-9c55-0a1b2c3d4e5f", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/docker/" ID "0", VJ_CGROUP_UNIT, "", "", "", "", FALSE },
  { "/\xff\xfe", VJ_CGROUP_SLICE, "", "", "", "", FALSE },
  { "/lxc/\xff", VJ_CGROUP_CONTAINER, "lxc", "\xef\xbf\xbd", "", "", FALSE },
};

static void
classifies (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const Case *expected = &cases[i];
      VjCgroupClass class = classify (expected->path);
      if (class.kind != expected->kind)
        fail_msg ("%s is a %s", expected->path, vj_cgroup_kind_name (class.kind));
      if (class.kind == VJ_CGROUP_CONTAINER || class.kind == VJ_CGROUP_SLICE)
        {
          if (class.kind == VJ_CGROUP_CONTAINER || *expected->runtime != '\0')
            assert_string_equal (class.runtime, expected->runtime);
        }
      assert_string_equal (class.id, expected->id);
      assert_string_equal (class.pod_uid, expected->pod_uid);
      if (class.kind == VJ_CGROUP_POD || class.kind == VJ_CGROUP_SLICE)
        assert_string_equal (class.qos, expected->qos);
      if (class.delegated != expected->delegated)
        fail_msg ("%s: delegated is %d", expected->path, class.delegated);
    }
}

/* A name that is too long for an id is no container of that id, and nothing is cut. */
static void
refuses_long_names (void **state)
{
  g_autofree char *name = g_strnfill (VJ_CONTAINER_ID_MAX + 1, 'a');
  g_autofree char *path = g_strconcat ("/lxc/", name, NULL);
  assert_int_equal (classify (path).kind, VJ_CGROUP_UNIT);
  path[strlen (path) - 1] = '\0';
  assert_int_equal (classify (path).kind, VJ_CGROUP_CONTAINER);
}

static void
unescapes (void **state)
{
  static const char *const names[][2] = {
    { "a", "a" },         { "dev-disk\\x2d1.mount", "dev-disk-1.mount" },
    { "\\x2", "\\x2" },   { "\\x00", "\\x00" },
    { "\\xzz", "\\xzz" }, { "\\xff", "\xef\xbf\xbd" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *shown = vj_cgroup_display_name (names[i][0]);
      assert_string_equal (shown, names[i][1]);
    }
}

/* No two paths share a text, whatever they are called. */
static void
paths_have_texts_of_their_own (void **state)
{
  static const char *const paths[][2] = {
    { "/a.slice", "/a.slice" },
    { "/dev-disk\\x2d1.mount", "/dev-disk\\x2d1.mount" },
    { "/\xff", "escaped:/\\xff" },
    { "/\xfe\n", "escaped:/\\xfe\\x0a" },
    { "/\\xff\xff", "escaped:/\\x5cxff\\xff" },
    { "/\\xff", "/\\xff" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autofree char *text = vj_cgroup_path_text (paths[i][0]);
      assert_string_equal (text, paths[i][1]);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (classifies),
    cmocka_unit_test (refuses_long_names),
    cmocka_unit_test (unescapes),
    cmocka_unit_test (paths_have_texts_of_their_own),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
