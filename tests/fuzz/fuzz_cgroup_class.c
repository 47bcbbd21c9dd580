/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "guest/attributor/cgroup_class.h"

#include <string.h>

static gboolean
is_hex (const char *text)
{
  return strspn (text, "0123456789abcdef") == strlen (text);
}

/* Of a container whose name is an id, and not a machine's, the id is 64 digits. */
static void
check_class (const VjCgroupClass *parent, const VjCgroupClass *class)
{
  gboolean machine = strcmp (class->runtime, "lxc") == 0 || strcmp (class->runtime, "nspawn") == 0;
  FUZZ_CHECK (vj_cgroup_kind_name (class->kind) != NULL && class->kind != VJ_CGROUP_ROOT);
  FUZZ_CHECK ((class->kind == VJ_CGROUP_CONTAINER) == (class->id[0] != '\0'));
  FUZZ_CHECK (class->kind != VJ_CGROUP_CONTAINER || machine
              || (strlen (class->id) == 64 && is_hex (class->id)));
  FUZZ_CHECK (g_utf8_validate (class->id, -1, NULL));
  FUZZ_CHECK (class->kind != VJ_CGROUP_POD || (class->pod_uid[0] != '\0' && class->qos[0] != '\0'));
  FUZZ_CHECK (strspn (class->pod_uid, "0123456789abcdef-") == strlen (class->pod_uid));
  /* Whoever owns what is above may have given the name. */
  FUZZ_CHECK (class->delegated || !parent->delegated);
  FUZZ_CHECK (class->delegated || parent->kind == VJ_CGROUP_ROOT || parent->kind == VJ_CGROUP_SLICE
              || parent->kind == VJ_CGROUP_POD);
}

static void
check_texts (const char *name, const char *path)
{
  g_autofree char *shown = vj_cgroup_display_name (name);
  g_autofree char *text = vj_cgroup_path_text (path);
  FUZZ_CHECK (g_utf8_validate (shown, -1, NULL));
  FUZZ_CHECK (g_utf8_validate (text, -1, NULL));
  FUZZ_CHECK (path[0] != '/' || (strcmp (path, text) == 0) == g_utf8_validate (path, -1, NULL));
}

/* A path: each step is a group below the one before. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *path = g_strndup ((const char *)data, size);
  g_auto (GStrv) names = g_strsplit (path, "/", 40);
  VjCgroupClass parent;
  vj_cgroup_classify (NULL, "", &parent);
  FUZZ_CHECK (parent.kind == VJ_CGROUP_ROOT && !parent.delegated);
  for (guint i = 0; names[i] != NULL; i++)
    {
      VjCgroupClass class;
      if (*names[i] == '\0')
        continue;
      memset (&class, FUZZ_UNTOUCHED, sizeof class);
      vj_cgroup_classify (&parent, names[i], &class);
      check_class (&parent, &class);
      check_texts (names[i], path);
      parent = class;
    }
  return 0;
}
