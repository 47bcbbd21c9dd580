/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A small read-only HTTP server (libsoup) on a unix socket and, optionally, on TCP. Main-loop thread. */
typedef struct VjHttp VjHttp;

/* Answers GET path. Returns the body (caller of the handler frees with g_free) and sets *ret_content_type to a
 * static string. NULL: 503 with *error's message. */
typedef char *(*VjHttpHandler) (const char **ret_content_type, gpointer user_data, GError **error);

VjHttp *vj_http_new (void);
void vj_http_free (VjHttp *http); /* unlinks the socket it made */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjHttp, vj_http_free)
void vj_http_handle (VjHttp *http, const char *path, VjHttpHandler handler, gpointer user_data);
/* Listens at socket_path with the given mode; a stale socket file is replaced (the caller holds the directory's lock). */
gboolean vj_http_listen_unix (VjHttp *http, const char *socket_path, guint mode, GError **error);
/* address: "127.0.0.1:9101" or "[::1]:9101". */
gboolean vj_http_listen_tcp (VjHttp *http, const char *address, GError **error);

/* Client side, for the command line: GET path over the unix socket. The body is the caller's. GONE if nothing listens. */
char *vj_http_get_unix (const char *socket_path, const char *path, GError **error);
