/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* GETs of one HTTPS server, on the main loop and never blocking it. The server's certificate is always verified; redirects are not
 * followed and proxies not used. Files are read anew: the token for each request, the certificates after each failure to get
 * through. */
typedef struct VjKubernetesHttp VjKubernetesHttp;

typedef struct
{
  char *url;        /* "https://HOST:PORT"; http:// is for loopback alone, and gets no token */
  char *ca_file;    /* PEM; NULL: the system's */
  char *token_file; /* NULL: none */
  char *cert_file;  /* the client's, PEM; NULL: none */
  char *key_file;   /* NULL: in cert_file */
} VjKubernetesServer;

/* Frees the strings, not the struct itself. */
void vj_kubernetes_server_clear (VjKubernetesServer *server);

typedef struct
{
  const char *accept; /* media type */
  gsize limit;        /* of the body, or of one line; more is a failure */
  guint deadline_s;   /* for all of it */
  /* Of an answer of 200, each line as it comes; FALSE: no more. NULL: the body comes as a whole, with done. */
  gboolean (*line) (const char *line, gsize length, gpointer user_data);
  /* Once for each request, unless vj_kubernetes_http_free () comes before. status: 0 if none came; failure: what went wrong,
   * or NULL; text: the body of an answer of 200, NULL with line. */
  void (*done) (guint status, const char *text, gsize length, const char *failure, gpointer user_data);
  gpointer user_data;
} VjKubernetesRequest;

/* server is borrowed. */
VjKubernetesHttp *vj_kubernetes_http_new (const VjKubernetesServer *server);
/* Breaks off what is under way; runs the main loop until that has ended. */
void vj_kubernetes_http_free (VjKubernetesHttp *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjKubernetesHttp, vj_kubernetes_http_free)
/* path: with its query, escaped. */
void vj_kubernetes_http_get (VjKubernetesHttp *http, const char *path, const VjKubernetesRequest *request);
