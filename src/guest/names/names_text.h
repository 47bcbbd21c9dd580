/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Names that kubelet gives to what it leaves in /var/log (BuildPodLogsDirectory (), LogSymlink () in pkg/kubelet/kuberuntime).
 * Pure: the parts, the caller's (g_strfreev), or NULL for any other name. Kubernetes' names have no underscore, so there is one
 * way to split them. */

/* pods/NAMESPACE_POD_UID: namespace, pod, UID. */
char **vj_names_parse_pod_directory (const char *name);
/* containers/POD_NAMESPACE_CONTAINER-ID.log: pod, namespace, container, id. */
char **vj_names_parse_log_link (const char *name);
