/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "guest/names/label_rules.h"

/* Documents of the Kubernetes API (v1: Pod, PodList, WatchEvent, Status; metadata of ReplicaSet and Job), as far as names are in
 * them. Pure; members are NULL where the document does not say, or says what no such name can be. */
typedef struct
{
  char *id; /* the runtime's, without "containerd://" */
  char *name;
  char *image;
} VjKubernetesContainer;

/* The controller among ownerReferences. */
typedef struct
{
  char *api; /* "apps/v1" */
  char *kind;
  char *name;
  char *uid;
} VjKubernetesOwner;

void vj_kubernetes_owner_clear (VjKubernetesOwner *owner);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjKubernetesOwner, vj_kubernetes_owner_clear)

typedef struct
{
  char *uid;
  char *namespace_;
  char *name;
  VjKubernetesOwner owner; /* kind is NULL: none; a static pod's node is none */
  char **labels;           /* name, value, ..., NULL */
  GPtrArray *containers; /* of VjKubernetesContainer: init and ephemeral ones too, and their previous runs */
} VjKubernetesPod;

void vj_kubernetes_pod_free (VjKubernetesPod *pod);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjKubernetesPod, vj_kubernetes_pod_free)

typedef void (*VjKubernetesTakePod) (const VjKubernetesPod *pod, gpointer user_data);

/* A PodList, pod by pod. *ret_version: from which to watch, the caller's; NULL if it is not said (a kubelet's list). FALSE if it is
 * no list; single pods that make no sense are passed over. */
gboolean vj_kubernetes_list_parse (const char *text, gsize length, const VjLabelRules *labels,
                                   VjKubernetesTakePod take, gpointer user_data, char **ret_version);

typedef enum
{
  VJ_KUBERNETES_POD, /* ADDED, MODIFIED, DELETED: a pod's last state has names too */
  VJ_KUBERNETES_BOOKMARK,
  VJ_KUBERNETES_ERROR,
} VjKubernetesEventType;

typedef struct
{
  VjKubernetesEventType type;
  VjKubernetesPod *pod; /* NULL: none, or one that makes no sense */
  char *version;
  guint code;    /* of an error: as in HTTP; 410: the version is too old */
  char *message; /* of an error */
} VjKubernetesEvent;

void vj_kubernetes_event_clear (VjKubernetesEvent *event);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjKubernetesEvent, vj_kubernetes_event_clear)

/* A line of a watch. FALSE for anything else. */
gboolean vj_kubernetes_event_parse (const char *line, gsize length, const VjLabelRules *labels,
                                    VjKubernetesEvent *ret_event);
/* The controller of the object of that uid; kind is NULL if it has none. FALSE if the document is not that object. */
gboolean vj_kubernetes_owner_parse (const char *text, gsize length, const char *uid,
                                    VjKubernetesOwner *ret_owner);
