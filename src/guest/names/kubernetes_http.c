/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes_http.h"

#include <libsoup/soup.h>
#include <string.h>

#define CHUNK     ((gsize)32 * 1024)
#define TOKEN_MAX ((gsize)64 * 1024)

struct VjKubernetesHttp
{
  const VjKubernetesServer *server;
  SoupSession *session;  /* NULL: to be made with the certificates of now */
  GHashTable *exchanges; /* of Exchange, as a set */
  gboolean ending;
};

typedef struct
{
  VjKubernetesHttp *http;
  VjKubernetesRequest request;
  GCancellable *cancellable;
  SoupMessage *message;
  GInputStream *stream;
  GString *body; /* so far; of lines, the last one */
  guint deadline;
  gboolean late;
} Exchange;

void
vj_kubernetes_server_clear (VjKubernetesServer *server)
{
  g_free (server->url);
  g_free (server->ca_file);
  g_free (server->token_file);
  g_free (server->cert_file);
  g_free (server->key_file);
  *server = (VjKubernetesServer){ 0 };
}

/* --- an exchange's end --- */

static void
exchange_free (Exchange *exchange)
{
  g_hash_table_remove (exchange->http->exchanges, exchange);
  g_clear_handle_id (&exchange->deadline, g_source_remove);
  g_clear_object (&exchange->stream);
  g_clear_object (&exchange->message);
  g_clear_object (&exchange->cancellable);
  g_string_free (exchange->body, TRUE);
  g_free (exchange);
}

/* Whoever is told may begin the next exchange. */
static void
finish (Exchange *exchange, const char *failure)
{
  VjKubernetesHttp *http = exchange->http;
  guint status = exchange->message != NULL ? soup_message_get_status (exchange->message) : 0;
  gboolean whole = exchange->request.line == NULL && status == SOUP_STATUS_OK && failure == NULL;
  if (failure != NULL)
    g_clear_object (&http->session);
  if (!http->ending)
    exchange->request.done (status, whole ? exchange->body->str : NULL, whole ? exchange->body->len : 0,
                            failure, exchange->request.user_data);
  exchange_free (exchange);
}

static char *
describe (const Exchange *exchange, const GError *error)
{
  const char *url = exchange->http->server->url;
  if (exchange->late)
    return g_strdup_printf ("%s: no answer within %u s", url, exchange->request.deadline_s);
  if (error->domain == G_TLS_ERROR)
    return g_strdup_printf ("%s: its certificate is not one to trust (see --kubernetes-ca): %s", url,
                            error->message);
  return g_strdup_printf ("%s: %s", url, error->message);
}

static void
finish_with (Exchange *exchange, const GError *error)
{
  g_autofree char *failure = describe (exchange, error);
  finish (exchange, failure);
}

/* --- its body --- */

static void read_on (Exchange *exchange);

/* Tells of each line that is whole. FALSE: no more is wanted. */
static gboolean
take_lines (Exchange *exchange)
{
  const char *line = exchange->body->str;
  const char *end;
  gboolean more = TRUE;
  while (more
         && (end = memchr (line, '\n', exchange->body->len - (gsize)(line - exchange->body->str))) != NULL)
    {
      if (end > line)
        more = exchange->request.line (line, (gsize)(end - line), exchange->request.user_data);
      line = end + 1;
    }
  g_string_erase (exchange->body, 0, line - exchange->body->str);
  return more;
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Exchange *exchange = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (bytes == NULL)
    {
      finish_with (exchange, error);
      return;
    }
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  gboolean more = length > 0;
  if (more)
    g_string_append_len (exchange->body, data, (gssize)length);
  if (more && exchange->request.line != NULL && !exchange->http->ending)
    more = take_lines (exchange);
  if (exchange->body->len > exchange->request.limit)
    finish (exchange, "an answer of this length is not to be taken");
  else if (more)
    read_on (exchange);
  else
    finish (exchange, NULL);
}

static void
read_on (Exchange *exchange)
{
  g_input_stream_read_bytes_async (exchange->stream, CHUNK, G_PRIORITY_DEFAULT, exchange->cancellable,
                                   on_read, exchange);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Exchange *exchange = user_data;
  g_autoptr (GError) error = NULL;
  exchange->stream = soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (exchange->stream == NULL)
    finish_with (exchange, error);
  else if (soup_message_get_status (exchange->message) != SOUP_STATUS_OK)
    finish (exchange, NULL);
  else
    read_on (exchange);
}

/* --- its beginning --- */

static gboolean
on_deadline (gpointer user_data)
{
  Exchange *exchange = user_data;
  exchange->deadline = 0;
  exchange->late = TRUE;
  g_cancellable_cancel (exchange->cancellable);
  return G_SOURCE_REMOVE;
}

static gboolean
ensure_session (VjKubernetesHttp *http, GError **error)
{
  g_autoptr (GTlsDatabase) database = NULL;
  if (http->session != NULL)
    return TRUE;
  if (http->server->ca_file != NULL)
    {
      database = g_tls_file_database_new (http->server->ca_file, error);
      if (database == NULL)
        return FALSE;
    }
  http->session = soup_session_new_with_options ("proxy-resolver", NULL, "user-agent", "virtjoule-attributor",
                                                 "idle-timeout", 60, NULL);
  soup_session_remove_feature_by_type (http->session, SOUP_TYPE_CONTENT_DECODER);
  if (database != NULL)
    soup_session_set_tls_database (http->session, database);
  return TRUE;
}

/* It may rotate at any time. */
static gboolean
add_token (const VjKubernetesServer *server, SoupMessage *message, GError **error)
{
  g_autofree char *token = NULL;
  gsize length = 0;
  if (server->token_file == NULL || g_ascii_strncasecmp (server->url, "https://", strlen ("https://")) != 0)
    return TRUE;
  if (!g_file_get_contents (server->token_file, &token, &length, error))
    return FALSE;
  g_strstrip (token);
  if (*token == '\0' || length > TOKEN_MAX || strcspn (token, " \t\r\n") != strlen (token)
      || !g_str_is_ascii (token))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s holds no token", server->token_file);
      return FALSE;
    }
  g_autofree char *value = g_strconcat ("Bearer ", token, NULL);
  soup_message_headers_replace (soup_message_get_request_headers (message), "Authorization", value);
  return TRUE;
}

static gboolean
add_certificate (const VjKubernetesServer *server, SoupMessage *message, GError **error)
{
  if (server->cert_file == NULL)
    return TRUE;
  g_autoptr (GTlsCertificate) certificate = g_tls_certificate_new_from_files (
      server->cert_file, server->key_file != NULL ? server->key_file : server->cert_file, error);
  if (certificate == NULL)
    return FALSE;
  soup_message_set_tls_client_certificate (message, certificate);
  return TRUE;
}

/* libsoup 3.2 does not tell an HTTP/2 stream that waits of its connection's end: a watch would outlive its server. */
static void
on_network_event (SoupMessage *message, GSocketClientEvent event, GIOStream *connection, gpointer user_data)
{
  static const char *const protocols[] = { "http/1.1", NULL };
  if (event == G_SOCKET_CLIENT_TLS_HANDSHAKING && G_IS_TLS_CONNECTION (connection))
    g_tls_connection_set_advertised_protocols (G_TLS_CONNECTION (connection), protocols);
}

static gboolean
prepare (Exchange *exchange, const char *path, GError **error)
{
  const VjKubernetesServer *server = exchange->http->server;
  g_autofree char *url = g_strconcat (server->url, path, NULL);
  exchange->message = soup_message_new (SOUP_METHOD_GET, url);
  if (exchange->message == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "not an address: %s", url);
      return FALSE;
    }
  soup_message_add_flags (exchange->message, SOUP_MESSAGE_NO_REDIRECT);
  g_signal_connect (exchange->message, "network-event", G_CALLBACK (on_network_event), NULL);
  soup_message_headers_replace (soup_message_get_request_headers (exchange->message), "Accept",
                                exchange->request.accept);
  return ensure_session (exchange->http, error) && add_token (server, exchange->message, error)
         && add_certificate (server, exchange->message, error);
}

/* Never from within vj_kubernetes_http_get (): its caller is not done yet. */
static gboolean
on_unprepared (gpointer user_data)
{
  Exchange *exchange = user_data;
  g_autofree char *failure = g_strdup (exchange->body->str);
  exchange->deadline = 0;
  finish (exchange, failure);
  return G_SOURCE_REMOVE;
}

void
vj_kubernetes_http_get (VjKubernetesHttp *http, const char *path, const VjKubernetesRequest *request)
{
  g_autoptr (GError) error = NULL;
  Exchange *exchange = g_new0 (Exchange, 1);
  exchange->http = http;
  exchange->request = *request;
  exchange->cancellable = g_cancellable_new ();
  exchange->body = g_string_new (NULL);
  g_hash_table_add (http->exchanges, exchange);
  if (!prepare (exchange, path, &error))
    {
      g_string_assign (exchange->body, error->message);
      exchange->deadline = g_idle_add (on_unprepared, exchange);
      return;
    }
  exchange->deadline = g_timeout_add_seconds (request->deadline_s, on_deadline, exchange);
  soup_session_send_async (http->session, exchange->message, G_PRIORITY_DEFAULT, exchange->cancellable,
                           on_sent, exchange);
}

VjKubernetesHttp *
vj_kubernetes_http_new (const VjKubernetesServer *server)
{
  VjKubernetesHttp *http = g_new0 (VjKubernetesHttp, 1);
  http->server = server;
  http->exchanges = g_hash_table_new (NULL, NULL);
  return http;
}

void
vj_kubernetes_http_free (VjKubernetesHttp *http)
{
  if (http == NULL)
    return;
  GHashTableIter iter;
  gpointer key;
  http->ending = TRUE;
  g_hash_table_iter_init (&iter, http->exchanges);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_cancellable_cancel (((Exchange *)key)->cancellable);
  while (g_hash_table_size (http->exchanges) > 0)
    g_main_context_iteration (NULL, TRUE);
  g_hash_table_unref (http->exchanges);
  g_clear_object (&http->session);
  g_free (http);
}
