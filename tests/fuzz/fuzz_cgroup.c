/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "common/cgroup.h"

#include <string.h>

static void
check_scope (const char *path)
{
  g_autofree char *scope = vj_cgroup_domain_scope (path);
  g_autofree char *inner = NULL;
  g_autofree char *again = NULL;

  if (scope == NULL)
    return;
  FUZZ_CHECK (scope[0] == '/' && g_str_has_prefix (path, scope));
  FUZZ_CHECK (g_str_has_suffix (scope, ".scope") || g_str_has_suffix (scope, ".libvirt-qemu"));
  FUZZ_CHECK (strstr (scope, "/../") == NULL && strstr (scope, "/user.slice/") == NULL);
  inner = g_strconcat (scope, "/libvirt/vcpu12", NULL);
  again = vj_cgroup_domain_scope (inner);
  FUZZ_CHECK (again != NULL && strcmp (again, scope) == 0);
}

static void
check_path (const char *text, gsize size, const char *controller)
{
  g_autofree char *path = vj_cgroup_parse_path (text, size, controller);

  if (path == NULL)
    return;
  FUZZ_CHECK (path[0] == '/' && strlen (path) < size && strchr (path, '\n') == NULL);
  FUZZ_CHECK (strstr (path, "/../") == NULL && !g_str_has_suffix (path, "/.."));
  FUZZ_CHECK (memmem (text, size, path, strlen (path)) != NULL);
  check_scope (path);
}

/* A number is read in full or not at all. */
static void
check_u64 (const char *text, gsize size)
{
  guint64 value = 77;

  if (!vj_cgroup_parse_u64 (text, size, &value))
    {
      FUZZ_CHECK (value == 77);
      return;
    }
  g_autofree char *copy = g_strndup (text, size);
  g_autofree char *decimal = g_strdup_printf ("%" G_GUINT64_FORMAT, value);
  const char *digits = copy;

  while (digits[0] == '0' && g_ascii_isdigit (digits[1]))
    digits++;
  FUZZ_CHECK (strcmp (g_strchomp (copy), copy) == 0 && strcmp (digits, decimal) == 0);
}

static void
check_cpu_stat (const char *text, gsize size)
{
  guint64 usage_us = 77;

  if (vj_cgroup_parse_cpu_stat (text, size, &usage_us))
    FUZZ_CHECK (memmem (text, size, "usage_usec ", 11) != NULL);
  else
    FUZZ_CHECK (usage_us == 77);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const controllers[] = { NULL, "cpuacct", "cpu", "name=systemd", "" };
  const char *text = (const char *)data;
  g_autofree char *terminated = g_strndup (text, size);

  for (gsize i = 0; i < G_N_ELEMENTS (controllers); i++)
    check_path (text, size, controllers[i]);
  check_scope (terminated);
  check_cpu_stat (text, size);
  check_u64 (text, size);
  return 0;
}
