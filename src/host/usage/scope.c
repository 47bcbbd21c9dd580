/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/scope.h"

#include "common/cgroup.h"
#include "common/file.h"

#include <unistd.h>

#define CGROUP_TEXT_MAX 65536

const char *
vj_scope_kind_name (VjScopeKind kind)
{
  switch (kind)
    {
    case VJ_SCOPE_V2:
      return "cgroup-v2";
    case VJ_SCOPE_V1:
      return "cgroup-v1";
    case VJ_SCOPE_PROCESS:
    default:
      return "process";
    }
}

/* controller NULL: v2 */
static char *
read_scope (const VjRoots *roots, int pid, const char *controller)
{
  if (roots->cgroupfs == NULL)
    return NULL;
  g_autofree char *relative = g_strdup_printf ("%d/cgroup", pid);
  gsize length = 0;
  g_autofree char *text = vj_file_read (roots->procfs, relative, CGROUP_TEXT_MAX, &length, NULL);
  g_autofree char *path = text ? vj_cgroup_parse_path (text, length, controller) : NULL;

  return path ? vj_cgroup_domain_scope (path) : NULL;
}

char *
vj_scope_v2 (const VjRoots *roots, int pid)
{
  g_autofree char *scope = read_scope (roots, pid, NULL);
  if (!scope)
    return NULL;
  g_autofree char *controllers = g_build_filename (roots->cgroupfs, "cgroup.controllers", NULL);

  if (access (controllers, F_OK) == 0)
    return g_build_filename (roots->cgroupfs, scope, NULL);
  return g_build_filename (roots->cgroupfs, "unified", scope, NULL);
}

char *
vj_scope_v1 (const VjRoots *roots, int pid, const char *controller)
{
  g_autofree char *scope = read_scope (roots, pid, controller);
  if (!scope)
    return NULL;
  g_autofree char *mount = g_build_filename (roots->cgroupfs, controller, NULL);

  if (g_str_equal (controller, "cpuacct") && access (mount, F_OK) < 0)
    return g_build_filename (roots->cgroupfs, "cpu,cpuacct", scope, NULL);
  return g_build_filename (mount, scope, NULL);
}
