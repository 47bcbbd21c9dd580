/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/names/names.h"

/* Names from what kubelet leaves on the node, without any access to an API: <log_dir>/pods/NAMESPACE_POD_UID and
 * <log_dir>/containers/POD_NAMESPACE_CONTAINER-ID.log, a link into the former. Either is enough for pods
 * that run: newer kubelets keep the former to root. Followed by inotify(7); directories that are not
 * there are looked for again now and then. */
typedef struct VjNamesLogs VjNamesLogs;

/* names is borrowed. Fails only where inotify cannot be had. */
VjNamesLogs *vj_names_logs_new (const char *log_dir, VjNames *names, GError **error);
void vj_names_logs_free (VjNamesLogs *logs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjNamesLogs, vj_names_logs_free)
