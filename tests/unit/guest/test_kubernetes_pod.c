/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes_pod.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "guest/names/kubeconfig.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LAST  "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID   "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"
#define NAMED "\"uid\":\"" UID "\",\"namespace\":\"shop\",\"name\":\"web-0\""

/* NAMESPACE/NAME [KIND/OWNER] [LABEL=VALUE]... [CONTAINER=first digit of its id:IMAGE]... */
static void
describe (const VjKubernetesPod *pod, gpointer user_data)
{
  GString *line = user_data;
  g_string_append_printf (line, "%s/%s", pod->namespace_, pod->name);
  if (pod->owner.kind != NULL)
    g_string_append_printf (line, " %s/%s", pod->owner.kind, pod->owner.name);
  for (char **label = pod->labels; *label != NULL; label += 2)
    g_string_append_printf (line, " %s=%s", label[0], label[1]);
  for (guint i = 0; i < pod->containers->len; i++)
    {
      const VjKubernetesContainer *container = g_ptr_array_index (pod->containers, i);
      g_string_append_printf (line, " %s=%c:%s", container->name, *container->id,
                              container->image != NULL ? container->image : "-");
    }
  g_string_append_c (line, ';');
}

static void
reads_what_a_pod_is_called (void **state)
{
  static const struct
  {
    const char *pod;
    const char *expected;
  } cases[] = {
    { "{\"metadata\":{" NAMED "}}", "shop/web-0;" },
    { "{\"metadata\":{" NAMED ",\"labels\":{\"app\":\"web\",\"other\":\"x\",\"tier\":7}},\"status\":{}}",
      "shop/web-0 app=web;" },
    { "{\"metadata\":{" NAMED ",\"ownerReferences\":[{\"kind\":\"X\",\"name\":\"x\",\"uid\":\"u\"},"
      "{\"apiVersion\":\"apps/"
      "v1\",\"kind\":\"StatefulSet\",\"name\":\"web\",\"uid\":\"u\",\"controller\":true}]}}",
      "shop/web-0 StatefulSet/web;" },
    { "{\"metadata\":{" NAMED ",\"ownerReferences\":[{\"kind\":\"Node\",\"name\":\"n\",\"uid\":\"u\","
      "\"controller\":true}]}}",
      "shop/web-0;" },
    { "{\"metadata\":{" NAMED "},\"status\":{\"containerStatuses\":["
      "{\"name\":\"app\",\"containerID\":\"containerd://" ID "\",\"image\":\"i:1\","
      "\"lastState\":{\"terminated\":{\"containerID\":\"containerd://" LAST "\"}}},"
      "{\"name\":\"waiting\",\"containerID\":\"\"},{\"name\":\"short\",\"containerID\":\"docker://abc\"},"
      "{\"name\":\"../x\",\"containerID\":\"docker://" ID "\"}],"
      "\"initContainerStatuses\":[{\"name\":\"init\",\"containerID\":\"cri-o://" ID "\"}],"
      "\"ephemeralContainerStatuses\":[{\"name\":\"debug\",\"containerID\":\"docker://" ID "\"}]}}",
      "shop/web-0 init=0:- app=0:i:1 app=1:i:1 debug=0:-;" },
    { "{\"metadata\":{" NAMED "},\"status\":{\"containerStatuses\":{}}}", "shop/web-0;" },
    { "{\"metadata\":{\"uid\":\"" UID "\",\"namespace\":\"shop\",\"name\":\"a/b\"}}", "" },
    { "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"b\"}}", "" },
    { "{\"metadata\":[]}", "" },
    { "7", "" },
  };
  g_auto (VjLabelRules) rules = { 0 };
  assert_true (vj_label_rules_parse ("app,tier", &rules, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GString) line = g_string_new (NULL);
      g_autofree char *version = NULL;
      g_autofree char *list = g_strdup_printf (
          "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[%s]}", cases[i].pod);
      assert_true (vj_kubernetes_list_parse (list, strlen (list), &rules, describe, line, &version));
      assert_string_equal (line->str, cases[i].expected);
      assert_string_equal (version, "7");
    }
}

/* Of a long document only what is read becomes a tree; as one a hundred times its length would be needed. */
static void
needs_no_more_than_its_length_for_a_pod (void **state)
{
  struct rusage before;
  struct rusage after;
  const VjLabelRules none = { 0 };
  g_autoptr (GString) line = g_string_new (NULL);
  g_autoptr (GString) small = g_string_new ("{}");
  g_autofree char *version = NULL;
  while (small->len < 1000000)
    g_string_append (small, ",{\"a\":1}");
  g_autofree char *list = g_strdup_printf (
      "{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":[%s]},\"items\":[{\"metadata\":{" NAMED
      ",\"managedFields\":[%s],\"ownerReferences\":[{\"x\":[%s]}]},\"spec\":[%s],"
      "\"status\":{\"x\":[%s],\"containerStatuses\":[{\"x\":[%s]}]}}]}",
      small->str, small->str, small->str, small->str, small->str, small->str);
  assert_int_equal (getrusage (RUSAGE_SELF, &before), 0);
  assert_true (vj_kubernetes_list_parse (list, strlen (list), &none, describe, line, &version));
  assert_int_equal (getrusage (RUSAGE_SELF, &after), 0);
  assert_string_equal (line->str, "shop/web-0;");
  assert_in_range (after.ru_maxrss - before.ru_maxrss, 0, 4096); /* KiB */
}

/* Whoever makes a pod that cannot be read hides no other's. */
static void
a_pod_that_is_nested_without_end_stands_in_no_other_ones_way (void **state)
{
  const VjLabelRules none = { 0 };
  g_autoptr (GString) line = g_string_new (NULL);
  g_autofree char *version = NULL;
  g_autofree char *open = g_strnfill (100000, '[');
  g_autofree char *close = g_strnfill (100000, ']');
  g_autofree char *list =
      g_strdup_printf ("{\"items\":[{\"metadata\":{" NAMED ",\"managedFields\":%s%s}},{\"metadata\":%s%s},"
                       "{\"metadata\":{" NAMED "}}],\"metadata\":{\"resourceVersion\":\"7\"}}",
                       open, close, open, close);
  assert_true (vj_kubernetes_list_parse (list, strlen (list), &none, describe, line, &version));
  assert_string_equal (line->str, "shop/web-0;shop/web-0;");
  assert_string_equal (version, "7");
}

static void
reads_lists (void **state)
{
  static const struct
  {
    const char *text;
    const char *expected; /* NULL: it is none */
  } cases[] = {
    { "{\"items\":null,\"metadata\":{}}", "" },
    { "{\"items\":[],\"metadata\":{\"resourceVersion\":\"a&b\"}}", "" },
    { "{\"items\":[7,{\"metadata\":{" NAMED "}},{}]}", "shop/web-0;" },
    { "{\"metadata\":{}}", NULL },
    { "{\"items\":{}}", NULL },
    { "{\"items\":[{\"metadata\":{" NAMED "}}", NULL },
    { "[]", NULL },
    { "", NULL },
  };
  const VjLabelRules none = { 0 };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GString) line = g_string_new (NULL);
      g_autofree char *version = NULL;
      gboolean done =
          vj_kubernetes_list_parse (cases[i].text, strlen (cases[i].text), &none, describe, line, &version);
      assert_int_equal (done, cases[i].expected != NULL);
      assert_string_equal (line->str, cases[i].expected != NULL ? cases[i].expected : "");
      assert_null (version);
    }
}

static void
reads_events (void **state)
{
#define OBJECT "\"object\":{\"metadata\":{\"resourceVersion\":\"8\"," NAMED "}}}"
  static const struct
  {
    const char *line;
    const char *expected; /* type, version, code, whether there is a pod */
  } cases[] = {
    { "{\"type\":\"ADDED\"," OBJECT, "0 8 0 pod" },
    { "{\"type\":\"DELETED\"," OBJECT, "0 8 0 pod" },
    { "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}", "0 9 0 -" },
    { "{\"type\":\"BOOKMARK\"," OBJECT, "1 8 0 -" },
    { "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}",
      "2 - 410 -" },
    { "{\"type\":\"ERROR\",\"object\":{\"code\":-1}}", "2 - 0 -" },
    { "{\"type\":\"NEW\"," OBJECT, "none" },
    { "{\"type\":\"ADDED\"}", "none" },
    { "{\"type\":7," OBJECT, "none" },
    { "7", "none" },
  };
  const VjLabelRules none = { 0 };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjKubernetesEvent) event = { 0 };
      gboolean done = vj_kubernetes_event_parse (cases[i].line, strlen (cases[i].line), &none, &event);
      g_autofree char *line =
          g_strdup_printf ("%d %s %u %s", (int)event.type, event.version != NULL ? event.version : "-",
                           event.code, event.pod != NULL ? "pod" : "-");
      assert_string_equal (done ? line : "none", cases[i].expected);
    }
}

static void
reads_owners_of_owners (void **state)
{
  static const char owned[] =
      "{\"metadata\":{\"uid\":\"r-1\",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\","
      "\"kind\":\"Deployment\",\"name\":\"web\",\"uid\":\"d-1\",\"controller\":true}]}}";
  static const char alone[] = "{\"metadata\":{\"uid\":\"r-1\",\"ownerReferences\":[{\"kind\":\"Deployment\","
                              "\"name\":\"web\",\"uid\":\"d-1\",\"controller\":false}]}}";
  g_auto (VjKubernetesOwner) owner = { 0 };
  assert_true (vj_kubernetes_owner_parse (alone, strlen (alone), "r-1", &owner));
  assert_null (owner.kind);
  assert_false (vj_kubernetes_owner_parse (owned, strlen (owned), "r-2", &owner));
  assert_null (owner.kind);
  assert_true (vj_kubernetes_owner_parse (owned, strlen (owned), "r-1", &owner));
  assert_string_equal (owner.kind, "Deployment");
  assert_string_equal (owner.name, "web");
}

static void
names_labels_as_kube_state_metrics_does (void **state)
{
  static const struct
  {
    const char *list;
    const char *expected; /* NULL: refused */
  } cases[] = {
    { "app.kubernetes.io/name", "app_kubernetes_io_name" },
    { "camelCase", "camel_case" },
    { "HTTPPort", "httpport" },
    { "a-b,tier,a.b,a_b", "a_b_conflict1,tier,a_b_conflict2,a_b_conflict3" },
    { "a-b,a.b,a_b_conflict1", NULL },
    { "a,a", NULL },
    { "", NULL },
    { "a,", NULL },
    { "a b", NULL },
    { "-a", NULL },
    { "a\"b", NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjLabelRules) rules = { 0 };
      gboolean done = vj_label_rules_parse (cases[i].list, &rules, NULL);
      assert_int_equal (done, cases[i].expected != NULL);
      g_autofree char *names = done ? g_strjoinv (",", rules.names) : NULL;
      if (done)
        assert_string_equal (names, cases[i].expected);
    }
}

static void
reads_the_current_context_of_a_kubeconfig (void **state)
{
#define CONFIG(cluster, user)                                                                                \
  "{\"current-context\":\"b\",\"contexts\":[{\"name\":\"a\",\"context\":{}},{\"name\":\"b\",\"context\":{"   \
  "\"cluster\":\"c\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"c\",\"cluster\":" cluster "}],"             \
  "\"users\":[{\"name\":\"u\",\"user\":" user "}]}"
  static const struct
  {
    const char *text;
    const char *server; /* NULL: refused */
    const char *token;
  } cases[] = {
    { CONFIG ("{\"server\":\"https://h\"}", "{\"token\":\"t\"}"), "https://h", "t" },
    { CONFIG ("{\"server\":\"https://h\",\"insecure-skip-tls-verify\":false}", "{}"), "https://h", NULL },
    { CONFIG ("{\"server\":\"https://h\",\"insecure-skip-tls-verify\":true}", "{}"), NULL, NULL },
    { CONFIG ("{\"server\":\"https://h\"}", "{\"exec\":{\"command\":\"aws\"}}"), NULL, NULL },
    { CONFIG ("{}", "{}"), NULL, NULL },
    { "{\"current-context\":\"x\"}", NULL, NULL },
    { "apiVersion: v1\nkind: Config\n", NULL, NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjKubeconfig) config = { 0 };
      g_autoptr (GError) error = NULL;
      gboolean done = vj_kubeconfig_parse (cases[i].text, strlen (cases[i].text), &config, &error);
      assert_int_equal (done, cases[i].server != NULL);
      assert_int_equal (g_strcmp0 (config.server, cases[i].server), 0);
      assert_int_equal (g_strcmp0 (config.token, cases[i].token), 0);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (reads_what_a_pod_is_called),
    cmocka_unit_test (needs_no_more_than_its_length_for_a_pod),
    cmocka_unit_test (a_pod_that_is_nested_without_end_stands_in_no_other_ones_way),
    cmocka_unit_test (reads_lists),
    cmocka_unit_test (reads_events),
    cmocka_unit_test (reads_owners_of_owners),
    cmocka_unit_test (names_labels_as_kube_state_metrics_does),
    cmocka_unit_test (reads_the_current_context_of_a_kubeconfig),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
