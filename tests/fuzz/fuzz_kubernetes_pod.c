/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "guest/names/kubeconfig.h"
#include "guest/names/kubernetes_pod.h"

#include <string.h>

/* What may stand in a path without being escaped. */
static void
check_name (const char *name)
{
  FUZZ_CHECK (name != NULL && *name != '\0' && strlen (name) <= 253);
  FUZZ_CHECK (g_ascii_isalnum (*name) && strpbrk (name, "/?#&%\" \n") == NULL);
}

static void
check_owner (const VjKubernetesOwner *owner)
{
  if (owner->kind == NULL)
    {
      FUZZ_CHECK (owner->api == NULL && owner->name == NULL && owner->uid == NULL);
      return;
    }
  check_name (owner->kind);
  check_name (owner->name);
  check_name (owner->uid);
}

static void
check_pod (const VjKubernetesPod *pod, gpointer user_data)
{
  check_name (pod->uid);
  check_name (pod->namespace_);
  check_name (pod->name);
  check_owner (&pod->owner);
  for (char **label = pod->labels; *label != NULL; label += 2)
    FUZZ_CHECK (strcmp (label[0], "app") == 0 && label[1] != NULL);
  for (guint i = 0; i < pod->containers->len; i++)
    {
      const VjKubernetesContainer *container = g_ptr_array_index (pod->containers, i);
      check_name (container->name);
      FUZZ_CHECK (strspn (container->id, "0123456789abcdef") == 64 && container->id[64] == '\0');
    }
}

static void
check_event (const char *text, gsize size, const VjLabelRules *rules)
{
  g_auto (VjKubernetesEvent) event = { 0 };

  if (!vj_kubernetes_event_parse (text, size, rules, &event))
    {
      FUZZ_CHECK (event.pod == NULL && event.version == NULL && event.message == NULL);
      return;
    }
  FUZZ_CHECK (event.type == VJ_KUBERNETES_POD || event.pod == NULL);
  if (event.version != NULL)
    check_name (event.version);
  if (event.pod != NULL)
    check_pod (event.pod, NULL);
}

static void
check_rules (const char *text)
{
  g_auto (VjLabelRules) rules = { 0 };

  if (!vj_label_rules_parse (text, &rules, NULL))
    {
      FUZZ_CHECK (rules.keys == NULL && rules.names == NULL);
      return;
    }
  FUZZ_CHECK (g_strv_length (rules.keys) == g_strv_length (rules.names));
  for (char **name = rules.names; *name != NULL; name++)
    for (const char *at = *name; *at != '\0'; at++)
      FUZZ_CHECK (g_ascii_isalnum (*at) || *at == '_');
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;
  g_autofree char *terminated = g_strndup (text, size);
  g_auto (VjLabelRules) rules = { 0 };
  g_auto (VjKubernetesOwner) owner = { 0 };
  g_auto (VjKubeconfig) config = { 0 };
  char *version = NULL;

  FUZZ_CHECK (vj_label_rules_parse ("app", &rules, NULL));
  if (vj_kubernetes_list_parse (text, size, &rules, check_pod, NULL, &version) && version != NULL)
    check_name (version);
  g_free (version);
  check_event (text, size, &rules);
  if (vj_kubernetes_owner_parse (text, size, "u", &owner))
    check_owner (&owner);
  FUZZ_CHECK (!vj_kubeconfig_parse (text, size, &config, NULL) || config.server != NULL || size > 0);
  check_rules (terminated);
  return 0;
}
