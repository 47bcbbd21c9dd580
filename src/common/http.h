/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A small read-only HTTP server (libsoup) on a unix socket and, optionally, on TCP. Main-loop thread (the
 * thread-default context at vj_http_new ()). Clients are not trusted: one request per connection, no request
 * bodies to speak of, VJ_HTTP_CONNECTIONS at a time for each listener (one more and the oldest is dropped),
 * each for VJ_HTTP_LIFETIME_S at most. */
#define VJ_HTTP_CONNECTIONS 8
#define VJ_HTTP_LIFETIME_S  5
typedef struct VjHttp VjHttp;

/* Answers GET and HEAD of path. Returns the body (caller of the handler frees with g_free) and sets
 * *ret_content_type to a static string. NULL: 503 with *error's message. */
typedef char *(*VjHttpHandler) (const char **ret_content_type, gpointer user_data, GError **error);

VjHttp *vj_http_new (void);
void vj_http_free (VjHttp *http); /* unlinks the socket it made */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjHttp, vj_http_free)
void vj_http_handle (VjHttp *http, const char *path, VjHttpHandler handler, gpointer user_data);
/* Listens at socket_path with exactly the given mode; a stale socket file is replaced (the caller holds the
 * directory's lock), any other file is refused. */
gboolean vj_http_listen_unix (VjHttp *http, const char *socket_path, guint mode, GError **error);
/* address: numeric, with its port: "127.0.0.1:9101" or "[::1]:9101"; INVALID if not. BUSY if the port is
 * taken. */
gboolean vj_http_listen_tcp (VjHttp *http, const char *address, GError **error);

/* Client side, for the command line: GET path over the unix socket. The body is the caller's. Blocks, 10 s at
 * most without progress. GONE if nothing listens, UNAVAILABLE with the server's message for a 503. */
char *vj_http_get_unix (const char *socket_path, const char *path, GError **error);
