/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What containers and pods are called. Several sources fill it (kubelet's log directories, the runtimes' state, the Kubernetes
 * API); the better one wins whatever the order. Unknown stays unknown: never a guess. Keys are the container's id and the pod's
 * UID, which name one thing for ever. */
typedef struct VjNames VjNames;

typedef enum
{
  VJ_NAMES_CLAIM,   /* of a pod, to be the one that a static pod's control group belongs to */
  VJ_NAMES_LOGS,    /* /var/log/pods, /var/log/containers */
  VJ_NAMES_RUNTIME, /* docker, containerd, CRI-O, Podman state directories */
  VJ_NAMES_API,     /* kubelet or API server */
} VjNamesSource;

/* Strings are the names'; NULL: not known. */
typedef struct
{
  const char *name;
  const char *pod_uid;
  const char *image;
  gboolean sandbox; /* the pod's pause container */
} VjContainerName;

typedef struct
{
  const char *namespace_;
  const char *name;
  const char *workload_kind; /* "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", ... or NULL */
  const char *workload;
  const char *const *labels; /* name, value, ..., NULL: those allowed; or NULL */
} VjPodName;

VjNames *vj_names_new (void);
void vj_names_free (VjNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjNames, vj_names_free)
/* Members that are NULL leave what an equal or better source said. Everything is copied. Over-long or non-printable texts
 * are refused (as unknown). */
void vj_names_put_container (VjNames *names, VjNamesSource source, const char *id,
                             const VjContainerName *name);
void vj_names_put_pod (VjNames *names, VjNamesSource source, const char *uid, const VjPodName *name);
/* Borrowed until the next change. NULL: nothing is known. */
const VjContainerName *vj_names_container (VjNames *names, const char *id);
const VjPodName *vj_names_pod (VjNames *names, const char *uid);
/* Whether they are called the same. */
gboolean vj_pod_name_equal (const VjPodName *a, const VjPodName *b);
/* Bounded: beyond this the entries not looked up for longest are dropped. */
#define VJ_NAMES_MAX 20000
