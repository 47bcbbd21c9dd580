/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A kubeconfig as JSON, which every YAML reader takes too: kubectl config view --raw --minify --flatten -o json. Pure. Of each
 * pair of a file and its data (base64) one may be there; all are NULL where they are not. */
typedef struct
{
  char *server;
  char *ca_file;
  char *ca_data;
  char *token; /* as it is */
  char *token_file;
  char *cert_file;
  char *cert_data;
  char *key_file;
  char *key_data;
} VjKubeconfig;

void vj_kubeconfig_clear (VjKubeconfig *config);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjKubeconfig, vj_kubeconfig_clear)

/* The cluster and user of the current context. INVALID, with what to do about it, for YAML, for what wants another program to
 * log in, and for a cluster whose certificate is not to be verified. */
gboolean vj_kubeconfig_parse (const char *text, gsize length, VjKubeconfig *ret_config, GError **error);
