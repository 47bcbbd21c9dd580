/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/cgroup.h"

#include "common/scan.h"

#include <string.h>

static gboolean
has_component (const char *path, const char *component)
{
  gsize length = strlen (component);

  for (const char *at = path; (at = strstr (at, component)) != NULL; at += length)
    {
      if (at > path && at[-1] == '/' && (at[length] == '/' || at[length] == '\0'))
        return TRUE;
    }
  return FALSE;
}

/* controllers is "cpu,cpuacct", "name=systemd" or, for v2, empty. */
static gboolean
list_has (VjScan controllers, const char *controller)
{
  while (vj_scan_left (&controllers) > 0)
    {
      const char *comma = memchr (controllers.at, ',', vj_scan_left (&controllers));
      const char *end = comma != NULL ? comma : controllers.end;

      if ((gsize)(end - controllers.at) == strlen (controller) && vj_scan_literal (&controllers, controller))
        return TRUE;
      controllers.at = comma != NULL ? comma + 1 : end;
    }
  return FALSE;
}

/* "ID:CONTROLLERS:PATH" of the wanted hierarchy: leaves line at PATH. */
static gboolean
match_line (VjScan *line, const char *controller)
{
  guint64 hierarchy;
  const char *colon;
  VjScan controllers;

  if (!vj_scan_u64 (line, &hierarchy) || !vj_scan_literal (line, ":"))
    return FALSE;
  colon = memchr (line->at, ':', vj_scan_left (line));
  if (colon == NULL)
    return FALSE;
  controllers = (VjScan){ .at = line->at, .end = colon };
  line->at = colon + 1;
  if (controller == NULL)
    return hierarchy == 0 && vj_scan_left (&controllers) == 0;
  return list_has (controllers, controller);
}

static char *
take_path (const VjScan *line)
{
  gsize length = vj_scan_left (line);
  g_autofree char *path = NULL;

  if (length == 0 || *line->at != '/' || memchr (line->at, '\0', length) != NULL)
    return NULL;
  path = g_strndup (line->at, length);
  if (has_component (path, "..") || g_str_has_suffix (path, " (deleted)"))
    return NULL;
  return g_steal_pointer (&path);
}

char *
vj_cgroup_parse_path (const char *text, gsize length, const char *controller)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;

  while (vj_scan_line (&scan, &line))
    {
      if (match_line (&line, controller))
        return take_path (&line);
    }
  return NULL;
}

/* Digits and nothing else. */
static gboolean
is_number (VjScan scan)
{
  guint64 value;

  return vj_scan_u64 (&scan, &value) && scan.at == scan.end;
}

static gboolean
is_libvirt_subgroup (VjScan name)
{
  if (vj_scan_literal (&name, "vcpu") || vj_scan_literal (&name, "iothread"))
    return is_number (name);
  return (vj_scan_literal (&name, "emulator") || vj_scan_literal (&name, "libvirt")) && name.at == name.end;
}

/* Takes suffix off the end of name. */
static gboolean
strip_suffix (VjScan *name, const char *suffix)
{
  gsize length = strlen (suffix);

  if (vj_scan_left (name) < length || memcmp (name->end - length, suffix, length) != 0)
    return FALSE;
  name->end -= length;
  return TRUE;
}

/* "machine-qemu\x2dN\x2dNAME.scope"; libvirt leaves "\x2dNAME" out where no character of NAME is fit for a host name. */
static gboolean
is_systemd_scope (VjScan name)
{
  guint64 id;

  if (!strip_suffix (&name, ".scope") || !vj_scan_literal (&name, "machine-qemu\\x2d")
      || !vj_scan_u64 (&name, &id))
    return FALSE;
  return name.at == name.end || (vj_scan_literal (&name, "\\x2d") && name.at < name.end);
}

/* "qemu-N-NAME.libvirt-qemu" or, before libvirt 1.2.14, "NAME.libvirt-qemu": NAME may be anything. */
static gboolean
is_plain_scope (VjScan name)
{
  return strip_suffix (&name, ".libvirt-qemu") && name.at < name.end;
}

/* "VMID.scope" in "qemu.slice", which Proxmox makes for each virtual machine and its helpers. */
static gboolean
is_proxmox_scope (const char *path, VjScan name)
{
  static const char slice[] = "/qemu.slice/";
  const gsize length = strlen (slice);

  return (gsize)(name.at - path) >= length && memcmp (name.at - length, slice, length) == 0
         && strip_suffix (&name, ".scope") && is_number (name);
}

static VjScan
last_component (const char *path, gsize length)
{
  const char *slash = memrchr (path, '/', length);

  return (VjScan){ .at = slash != NULL ? slash + 1 : path, .end = path + length };
}

char *
vj_cgroup_domain_scope (const char *path)
{
  gsize length = strlen (path);
  VjScan name = last_component (path, length);

  /* ".." leads out of our cgroup namespace; in user.slice anybody can give a cgroup any name. */
  if (*path != '/' || has_component (path, "..") || has_component (path, "user.slice"))
    return NULL;
  while (is_libvirt_subgroup (name))
    {
      length = (gsize)(name.at - path) - 1;
      name = last_component (path, length);
    }
  if (!is_systemd_scope (name) && !is_plain_scope (name) && !is_proxmox_scope (path, name))
    return NULL;
  return g_strndup (path, length);
}

gboolean
vj_cgroup_parse_cpu_stat (const char *text, gsize length, guint64 *ret_usage_us)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;

  while (vj_scan_line (&scan, &line))
    {
      if (vj_scan_literal (&line, "usage_usec "))
        return vj_cgroup_parse_u64 (line.at, vj_scan_left (&line), ret_usage_us);
    }
  return FALSE;
}

gboolean
vj_cgroup_parse_u64 (const char *text, gsize length, guint64 *ret_value)
{
  VjScan scan = vj_scan_init (text, length);
  guint64 value;

  if (!vj_scan_u64 (&scan, &value))
    return FALSE;
  vj_scan_literal (&scan, "\n");
  if (scan.at != scan.end)
    return FALSE;
  *ret_value = value;
  return TRUE;
}
