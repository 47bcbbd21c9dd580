/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a control group is, by its path alone: the names that systemd, kubelet and the container runtimes give. Pure; any
 * bytes may come. */
typedef enum
{
  VJ_CGROUP_ROOT,
  VJ_CGROUP_SLICE, /* system.slice, user.slice, user-1000.slice, kubepods.slice, kubepods-burstable.slice, kubepods */
  VJ_CGROUP_UNIT, /* a systemd service, scope, socket, mount: ssh.service, session-1.scope */
  VJ_CGROUP_POD,  /* kubepods-burstable-podUID.slice, kubepods/burstable/podUID; Podman's pods */
  VJ_CGROUP_CONTAINER, /* of docker, containerd, CRI-O, Podman, nerdctl; also a system container of LXC or systemd-nspawn */
  VJ_CGROUP_OTHER, /* a part of one of these: init.scope within a container, a delegated sub-group */
} VjCgroupKind;

const char *
vj_cgroup_kind_name (VjCgroupKind kind); /* "root", "slice", "unit", "pod", "container", "other" */

#define VJ_CONTAINER_ID_MAX 128

typedef struct
{
  VjCgroupKind kind;
  /* Container: "docker", "containerd", "cri-o", "podman", "lxc", "nspawn", or "" if the path does not tell. Of a slice: of the
   * containers that it is for. Static. */
  const char *runtime;
  const char *qos; /* pod, and slice of pods: "guaranteed", "burstable", "besteffort"; "" if none. Static. */
  char id[VJ_CONTAINER_ID_MAX
          + 1];     /* container: the runtime's id (64 hexadecimal digits), or the machine's name */
  char pod_uid[37]; /* pod, and all below it; as kubelet writes it, "" if none */
  /* Below user.slice, a unit, a container, or a group that was given to somebody (which its path does not tell): whoever owns
   * that may give any name, so this machine's names do not apply. */
  gboolean delegated;
} VjCgroupClass;

/* parent: the class of the enclosing group (NULL for the root, which has no name); name: the group's own directory name. A
 * container in a container is one too, as is a pod; whatever else is below a unit, a pod or a container is OTHER. */
void vj_cgroup_classify (const VjCgroupClass *parent, const char *name, VjCgroupClass *ret_class);

/* A directory name as systemd escapes it ("\\x2d" is "-"), undone; invalid UTF-8 replaced. The caller's. */
char *vj_cgroup_display_name (const char *name);

/* A path for labels and keys: itself, or, if it is not valid UTF-8, with "escaped:" before it and every odd byte and backslash
 * as \xHH, so that no two paths have one text. The caller's. */
char *vj_cgroup_path_text (const char *path);
