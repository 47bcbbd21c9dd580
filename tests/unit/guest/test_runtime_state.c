/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/runtime_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/names/json_text.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"

/* "-": not known. */
static char *
describe (gboolean parsed, const VjRuntimeState *state)
{
  const char *texts[] = { state->name, state->image, state->namespace_, state->pod, state->pod_uid };
  g_autoptr (GString) line = g_string_new (parsed ? (state->sandbox ? "sandbox" : "container") : "nothing");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    g_string_append_printf (line, " %s", texts[i] != NULL ? texts[i] : "-");
  return g_string_free (g_steal_pointer (&line), FALSE);
}

#define NOTHING "nothing - - - - -"

static void
reads_dockers_documents (void **state)
{
#define LABELS(type)                                                                                         \
  "{\"io.kubernetes.docker.type\":\"" type "\",\"io.kubernetes.container.name\":\"app\","                    \
  "\"io.kubernetes.pod.name\":\"web-0\",\"io.kubernetes.pod.namespace\":\"shop\","                           \
  "\"io.kubernetes.pod.uid\":\"" UID "\"}"
  static const struct
  {
    const char *text;
    const char *pod_uid;
    const char *expected;
  } cases[] = {
    { "{\"ID\":\"" ID "\",\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx:1.25\",\"Labels\":{}}}", "",
      "container web nginx:1.25 - - -" },
    { "{\"Name\":\"web\",\"Config\":{\"Labels\":null}}", "", "container web - - - -" },
    { "{\"Name\":\"/k8s_app\",\"Config\":{\"Image\":\"i\",\"Labels\":" LABELS ("container") "}}", UID,
      "container app i shop web-0 " UID },
    { "{\"Name\":\"/k8s_POD\",\"Config\":{\"Image\":\"p\",\"Labels\":" LABELS ("podsandbox") "}}", UID,
      "sandbox POD p shop web-0 " UID },
    /* an image's labels that make it somebody else's */
    { "{\"Name\":\"/evil\",\"Config\":{\"Image\":\"i\",\"Labels\":" LABELS ("podsandbox") "}}", "",
      "container evil i - - -" },
    { "{\"Name\":\"/evil\",\"Config\":{\"Image\":\"i\",\"Labels\":" LABELS ("container") "}}",
      "00000000-5b1a-4e0f-9c55-0a1b2c3d4e5f", "container evil i - - -" },
    { "{\"Name\":7,\"Config\":[]}", "", NOTHING },
    { "{\"Name\":\"/\"}", "", NOTHING },
    { "[]", "", NOTHING },
    { "{", "", NOTHING },
    { "", "", NOTHING },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjRuntimeState) parsed = { 0 };
      gboolean done =
          vj_runtime_state_parse_docker (cases[i].text, strlen (cases[i].text), cases[i].pod_uid, &parsed);
      g_autofree char *line = describe (done, &parsed);
      assert_string_equal (line, cases[i].expected);
    }
}

static void
reads_bundles (void **state)
{
  static const struct
  {
    const char *annotations;
    const char *expected;
  } cases[] = {
    { "{\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.container-name\":\"app\","
      "\"io.kubernetes.cri.image-name\":\"docker.io/library/nginx:1.25\","
      "\"io.kubernetes.cri.sandbox-id\":\"" ID "\",\"io.kubernetes.cri.sandbox-name\":\"web-0\","
      "\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" UID "\"}",
      "container app docker.io/library/nginx:1.25 shop web-0 " UID },
    { "{\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.sandbox-name\":\"web-0\","
      "\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" UID "\"}",
      "sandbox POD - shop web-0 " UID },
    { "{\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.ImageName\":\"quay.io/"
      "a:1\","
      "\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"web-0\","
      "\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.pod.uid\":\"" UID "\"}",
      "container app quay.io/a:1 shop web-0 " UID },
    /* an annotation of the pod's owner is not what kubelet said */
    { "{\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.pod.name\":\"other\","
      "\"io.kubernetes.cri-o.Labels\":\"{\\\"io.kubernetes.container.name\\\":\\\"app\\\","
      "\\\"io.kubernetes.pod.name\\\":\\\"web-0\\\",\\\"io.kubernetes.pod.namespace\\\":\\\"shop\\\","
      "\\\"io.kubernetes.pod.uid\\\":\\\"" UID "\\\"}\"}",
      "container app - shop web-0 " UID },
    { "{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o.Labels\":\"not JSON\"}",
      "sandbox POD - - - -" },
    { "{\"nerdctl/name\":\"db\",\"nerdctl/namespace\":\"default\"}", "container db - - - -" },
    { "{\"org.opencontainers.image.title\":\"x\"}", NOTHING },
    { "{\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.sandbox-name\":\"web-0\","
      "\"io.kubernetes.cri.sandbox-namespace\":\"shop\"}",
      NOTHING },
    { "[]", NOTHING },
    { "null", NOTHING },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjRuntimeState) parsed = { 0 };
      g_autofree char *text =
          g_strdup_printf ("{\"ociVersion\":\"1.1.0\",\"annotations\":%s}", cases[i].annotations);
      gboolean done = vj_runtime_state_parse_oci (text, strlen (text), &parsed);
      g_autofree char *line = describe (done, &parsed);
      assert_string_equal (line, cases[i].expected);
    }
}

static void
reads_the_list_of_podman (void **state)
{
  static const struct
  {
    const char *text;
    const char *expected;
  } cases[] = {
    { "[{\"id\":\"other\",\"names\":[\"" ID "\"]},\n"
      " {\"id\":\"" ID "\",\"names\":[\"web\",\"alias\"],"
      "\"metadata\":\"{\\\"image-name\\\":\\\"docker.io/library/nginx:1.25\\\"}\"}]",
      "container web docker.io/library/nginx:1.25 - - -" },
    { "[{\"id\":\"" ID "\",\"names\":[],\"metadata\":7}]", NOTHING },
    { "[{\"id\":\"" ID "\",\"names\":[7]}]", NOTHING },
    { "[{\"id\":\"other\",\"names\":[\"a\"]}]", NOTHING },
    { "[7,\"" ID "\"]", NOTHING },
    { "[]", NOTHING },
    { "{}", NOTHING },
    { "[{\"id\":\"" ID "\",\"names\":[\"cut\"]}", NOTHING },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (VjRuntimeState) parsed = { 0 };
      gboolean done = vj_runtime_state_parse_storage (cases[i].text, strlen (cases[i].text), ID, &parsed);
      g_autofree char *line = describe (done, &parsed);
      assert_string_equal (line, cases[i].expected);
    }
}

/* json-glib's parser would use up the stack. */
static void
refuses_what_is_nested_without_end (void **state)
{
  g_autofree char *deep = g_strnfill (1 << 20, '[');
  static const char hidden[] = "/* \" */ [";
  g_autoptr (JsonNode) none = vj_json_parse (deep, strlen (deep));
  g_autoptr (JsonNode) comment = vj_json_parse (hidden, strlen (hidden));
  assert_null (none);
  assert_null (comment);
  for (guint depth = VJ_JSON_DEPTH; depth <= VJ_JSON_DEPTH + 1; depth++)
    {
      g_autoptr (GString) text = g_string_new (NULL);
      for (guint i = 0; i < depth; i++)
        g_string_append_c (text, '[');
      for (guint i = 0; i < depth; i++)
        g_string_append_c (text, ']');
      g_autoptr (JsonNode) node = vj_json_parse (text->str, text->len);
      assert_int_equal (node != NULL, depth <= VJ_JSON_DEPTH);
    }
}

static void
reads_a_document_piece_by_piece (void **state)
{
  static const char text[] = " { \"kind\" : \"List\", \"items\" : [ {\"a\":\"]},{\\\"\"} , [1,2], 3 ] , "
                             "\"metadata\":{\"x\":1}, \"kind\":\"Last\" } ";
  static const char *const expected[] = { "{\"a\":\"]},{\\\"\"} ", "[1,2]", "3 " };
  VjScan scan = vj_scan_init (text, strlen (text));
  VjScan inside;
  VjScan items;
  VjScan value;
  assert_true (vj_json_inside (&scan, '{', &inside));
  assert_true (vj_json_find (inside, "kind", &value));
  assert_int_equal (strncmp (value.at, "\"Last\"", 6), 0);
  assert_false (vj_json_find (inside, "kin", &value));
  assert_true (vj_json_find (inside, "items", &value));
  assert_true (vj_json_inside (&value, '[', &items));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      assert_true (vj_json_next_element (&items, &value));
      g_autofree char *element = g_strndup (value.at, vj_scan_left (&value));
      assert_string_equal (element, expected[i]);
    }
  assert_false (vj_json_next_element (&items, &value));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (reads_dockers_documents),         cmocka_unit_test (reads_bundles),
    cmocka_unit_test (reads_the_list_of_podman),        cmocka_unit_test (refuses_what_is_nested_without_end),
    cmocka_unit_test (reads_a_document_piece_by_piece),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
