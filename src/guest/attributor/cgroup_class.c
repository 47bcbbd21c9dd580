/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/cgroup_class.h"

#include <string.h>

#define UUID_LENGTH       36
#define STATIC_UID_LENGTH 32 /* of a static pod: a hash of its manifest */
#define ID_LENGTH         64

const char *
vj_cgroup_kind_name (VjCgroupKind kind)
{
  static const char *const names[] = {
    [VJ_CGROUP_ROOT] = "root", [VJ_CGROUP_SLICE] = "slice",         [VJ_CGROUP_UNIT] = "unit",
    [VJ_CGROUP_POD] = "pod",   [VJ_CGROUP_CONTAINER] = "container", [VJ_CGROUP_OTHER] = "other",
  };
  return names[kind];
}

static gboolean
are_hex (const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isxdigit (text[i]) || g_ascii_isupper (text[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_container_id (const char *text, gsize length)
{
  return length == ID_LENGTH && are_hex (text, length);
}

/* "pod" + UID: with dashes, with underscores in their place (systemd), or 32 digits. */
static gboolean
take_pod_uid (const char *text, gsize length, char ret_uid[37])
{
  char uid[UUID_LENGTH + 1] = "";
  if (length <= 3 || strncmp (text, "pod", 3) != 0)
    return FALSE;
  text += 3;
  length -= 3;
  if (length != UUID_LENGTH && length != STATIC_UID_LENGTH)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    uid[i] = (char)(text[i] == '_' ? '-' : text[i]);
  for (gsize i = 0; i < length; i++)
    {
      gboolean dash = length == UUID_LENGTH && (i == 8 || i == 13 || i == 18 || i == 23);
      if (dash ? uid[i] != '-' : !are_hex (&uid[i], 1))
        return FALSE;
    }
  memcpy (ret_uid, uid, length + 1);
  return TRUE;
}

static const char *
qos_of (const char *name)
{
  if (strstr (name, "burstable") != NULL)
    return "burstable";
  return strstr (name, "besteffort") != NULL ? "besteffort" : "";
}

/* kubepods-burstable-podUID.slice, kubelet-kubepods-podUID.slice; podUID below kubepods, kubepods/burstable. */
static gboolean
classify_pod (const VjCgroupClass *parent, const char *name, VjCgroupClass *ret)
{
  gsize length = strlen (name);
  const char *start = name;
  const char *qos = qos_of (name);
  if (g_str_has_suffix (name, ".slice"))
    {
      const char *dash = strrchr (name, '-');
      if (dash == NULL || strstr (name, "kubepods-") == NULL)
        return FALSE;
      start = dash + 1;
      length = strlen (start) - strlen (".slice");
    }
  else if (*parent->qos != '\0')
    qos = parent->qos;
  else
    return FALSE;
  if (!take_pod_uid (start, length, ret->pod_uid))
    return FALSE;
  ret->kind = VJ_CGROUP_POD;
  ret->qos = *qos != '\0' ? qos : "guaranteed";
  return TRUE;
}

static void
set_container (VjCgroupClass *ret, const char *runtime, const char *id, gsize length)
{
  ret->kind = VJ_CGROUP_CONTAINER;
  ret->runtime = runtime;
  length = MIN (length, (gsize)VJ_CONTAINER_ID_MAX);
  memcpy (ret->id, id, length);
  ret->id[length] = '\0';
}

/* PREFIX-ID.scope of the systemd driver, and PREFIX-ID of the other. */
static gboolean
classify_prefixed (const char *name, VjCgroupClass *ret)
{
  static const struct
  {
    const char *prefix;
    const char *runtime;
  } known[] = {
    { "cri-containerd-", "containerd" },
    { "crio-", "cri-o" },
    { "docker-", "docker" },
    { "libpod-", "podman" },
    { "nerdctl-", "containerd" },
  };
  gsize length = strlen (name) - (g_str_has_suffix (name, ".scope") ? strlen (".scope") : 0);
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    {
      gsize skip = strlen (known[i].prefix);
      if (length > skip && strncmp (name, known[i].prefix, skip) == 0
          && is_container_id (name + skip, length - skip))
        {
          set_container (ret, known[i].runtime, name + skip, length - skip);
          return TRUE;
        }
    }
  return FALSE;
}

/* A name between prefix and suffix, as systemd unescapes it. */
static gboolean
classify_machine (const char *name, const char *prefix, const char *suffix, const char *runtime,
                  VjCgroupClass *ret)
{
  gsize length = strlen (name);
  if (!g_str_has_prefix (name, prefix) || !g_str_has_suffix (name, suffix)
      || length <= strlen (prefix) + strlen (suffix))
    return FALSE;
  g_autofree char *inner = g_strndup (name + strlen (prefix), length - strlen (prefix) - strlen (suffix));
  g_autofree char *shown = vj_cgroup_display_name (inner);
  if (strlen (shown) > VJ_CONTAINER_ID_MAX)
    return FALSE;
  set_container (ret, runtime, shown, strlen (shown));
  return TRUE;
}

/* libvirt's, machine-DRIVER\x2dID\x2dNAME.scope, are in machine.slice as well: its virtual machines remain units. */
static gboolean
classify_system_container (const VjCgroupClass *parent, const char *name, VjCgroupClass *ret)
{
  if (classify_machine (name, "systemd-nspawn@", ".service", "nspawn", ret)
      || classify_machine (name, "lxc.payload.", "", "lxc", ret))
    return TRUE;
  if (strcmp (parent->runtime, "nspawn") == 0 && parent->kind == VJ_CGROUP_SLICE
      && !g_str_has_prefix (name, "machine-qemu\\x2d"))
    return classify_machine (name, "machine-", ".scope",
                             g_str_has_prefix (name, "machine-lxc\\x2d") ? "lxc" : "nspawn", ret);
  return parent->kind == VJ_CGROUP_SLICE && strcmp (parent->runtime, "lxc") == 0
         && classify_machine (name, "", "", "lxc", ret);
}

static gboolean
classify_container (const VjCgroupClass *parent, const char *name, VjCgroupClass *ret)
{
  if (classify_prefixed (name, ret))
    return TRUE;
  if (is_container_id (name, strlen (name)))
    {
      set_container (ret, parent->runtime, name, strlen (name));
      return TRUE;
    }
  return classify_system_container (parent, name, ret);
}

static gboolean
is_systemd_unit (const char *name)
{
  return g_str_has_suffix (name, ".service") || g_str_has_suffix (name, ".scope")
         || g_str_has_suffix (name, ".socket") || g_str_has_suffix (name, ".mount")
         || g_str_has_suffix (name, ".swap");
}

/* Groups that are only there to hold others. */
static void
set_hints (const VjCgroupClass *parent, const char *name, VjCgroupClass *ret)
{
  static const struct
  {
    const char *name;
    const char *runtime;
  } known[] = {
    { "docker", "docker" },        { "k8s.io", "containerd" },  { "lxc", "lxc" },
    { "lxc.payload", "lxc" },      { "default", "containerd" }, { "libpod_parent", "podman" },
    { "machine.slice", "nspawn" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (strcmp (name, known[i].name) == 0)
      ret->runtime = known[i].runtime;
  if (strcmp (name, "kubepods") == 0 || strcmp (name, "kubepods.slice") == 0)
    ret->qos = "guaranteed";
  else if (*parent->qos != '\0' && *qos_of (name) != '\0')
    ret->qos = qos_of (name);
}

/* Below a unit, a pod or a container, everything else is a part of it. */
static VjCgroupKind
plain_kind (const VjCgroupClass *parent, const char *name)
{
  if (parent->kind != VJ_CGROUP_ROOT && parent->kind != VJ_CGROUP_SLICE)
    return VJ_CGROUP_OTHER;
  if (g_str_has_suffix (name, ".slice") || *qos_of (name) != '\0')
    return VJ_CGROUP_SLICE;
  if (is_systemd_unit (name))
    return VJ_CGROUP_UNIT;
  return parent->kind == VJ_CGROUP_ROOT ? VJ_CGROUP_SLICE : VJ_CGROUP_UNIT;
}

static gboolean
is_delegated (const VjCgroupClass *parent, const char *name)
{
  return parent->delegated || (parent->kind == VJ_CGROUP_ROOT && strcmp (name, "user.slice") == 0)
         || (parent->kind != VJ_CGROUP_ROOT && parent->kind != VJ_CGROUP_SLICE
             && parent->kind != VJ_CGROUP_POD);
}

void
vj_cgroup_classify (const VjCgroupClass *parent, const char *name, VjCgroupClass *ret_class)
{
  *ret_class = (VjCgroupClass){ .kind = VJ_CGROUP_ROOT, .runtime = "", .qos = "" };
  if (parent == NULL)
    return;
  memcpy (ret_class->pod_uid, parent->pod_uid, sizeof ret_class->pod_uid);
  ret_class->delegated = is_delegated (parent, name);
  if (classify_pod (parent, name, ret_class) || classify_container (parent, name, ret_class))
    return;
  ret_class->kind = plain_kind (parent, name);
  set_hints (parent, name, ret_class);
}

char *
vj_cgroup_display_name (const char *name)
{
  g_autoptr (GString) plain = g_string_new (NULL);
  for (const char *p = name; *p != '\0'; p++)
    {
      gboolean escaped = p[0] == '\\' && p[1] == 'x' && g_ascii_isxdigit (p[2]) && g_ascii_isxdigit (p[3]);
      int byte = escaped ? g_ascii_xdigit_value (p[2]) * 16 + g_ascii_xdigit_value (p[3]) : 0;
      if (byte != 0)
        p += 3;
      g_string_append_c (plain, byte != 0 ? (char)byte : *p);
    }
  return g_utf8_make_valid (plain->str, (gssize)plain->len);
}

char *
vj_cgroup_path_text (const char *path)
{
  if (g_utf8_validate (path, -1, NULL))
    return g_strdup (path);
  GString *text = g_string_new ("escaped:");
  for (const char *p = path; *p != '\0'; p++)
    if (*p == '\\' || !g_ascii_isprint (*p))
      g_string_append_printf (text, "\\x%02x", (guint)(guchar)*p);
    else
      g_string_append_c (text, *p);
  return g_string_free (text, FALSE);
}
