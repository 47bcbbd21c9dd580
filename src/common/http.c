/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/http.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <libsoup/soup.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"

#define TEXT_PLAIN       "text/plain; charset=utf-8"
#define REQUEST_BODY_MAX 4096 /* read and thrown away; a client that announces more is hung up on */
#define BACKLOG          64
#define CLIENT_TIMEOUT_S 10
#define ACCEPT_PAUSE_MS  100

typedef struct
{
  VjHttpHandler handler;
  gpointer user_data;
} Route;

/* One listening socket and the connections it has accepted, the oldest first. */
typedef struct
{
  VjHttp *http;
  GSocket *socket;
  GSource *source;   /* waits for connections, or for the end of a pause */
  char *unlink_path; /* NULL: TCP */
  GQueue clients;
} Listener;

typedef struct
{
  Listener *listener;
  GSocketConnection *connection; /* not owned: libsoup's; a weak reference tells when it has let go */
  GSource *lifetime;
} Client;

struct VjHttp
{
  GMainContext *context;
  SoupServer *server;
  GHashTable *routes;   /* path -> Route */
  GPtrArray *listeners; /* of Listener */
};

static void
source_clear (GSource **source)
{
  if (*source == NULL)
    return;

  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
client_free (Client *client)
{
  source_clear (&client->lifetime);
  g_free (client);
}

static void
on_client_gone (gpointer user_data, GObject *connection)
{
  Client *client = user_data;

  g_queue_remove (&client->listener->clients, client);
  client_free (client);
}

/* Gives a connection up. libsoup owns it: it sees the end of the stream and lets go. */
static void
client_drop (Client *client)
{
  g_object_weak_unref (G_OBJECT (client->connection), on_client_gone, client);
  g_socket_shutdown (g_socket_connection_get_socket (client->connection), TRUE, TRUE, NULL);
  g_queue_remove (&client->listener->clients, client);
  client_free (client);
}

static gboolean
on_lifetime_over (gpointer user_data)
{
  client_drop (user_data);
  return G_SOURCE_REMOVE;
}

static void
listener_free (Listener *listener)
{
  source_clear (&listener->source);
  while (!g_queue_is_empty (&listener->clients))
    client_drop (g_queue_peek_head (&listener->clients));
  g_socket_close (listener->socket, NULL);
  g_object_unref (listener->socket);
  if (listener->unlink_path != NULL)
    unlink (listener->unlink_path);
  g_free (listener->unlink_path);
  g_free (listener);
}

static void
listener_add_client (Listener *listener, GSocketConnection *connection)
{
  Client *client = g_new0 (Client, 1);

  /* The newcomer wins: clients that hold connections without using them then cannot keep anybody out. */
  if (g_queue_get_length (&listener->clients) >= VJ_HTTP_CONNECTIONS)
    client_drop (g_queue_peek_head (&listener->clients));

  client->listener = listener;
  client->connection = connection;
  client->lifetime = g_timeout_source_new_seconds (VJ_HTTP_LIFETIME_S);
  g_source_set_callback (client->lifetime, on_lifetime_over, client, NULL);
  g_source_attach (client->lifetime, listener->http->context);
  g_object_weak_ref (G_OBJECT (connection), on_client_gone, client);
  g_queue_push_tail (&listener->clients, client);
}

static void wait_for_connections (Listener *listener);

static gboolean
on_pause_over (gpointer user_data)
{
  wait_for_connections (user_data);
  return G_SOURCE_REMOVE;
}

/* Where file descriptors have run out, the socket stays readable: asking again at once would use a whole CPU. */
static void
pause_accepting (Listener *listener)
{
  source_clear (&listener->source);
  listener->source = g_timeout_source_new (ACCEPT_PAUSE_MS);
  g_source_set_callback (listener->source, on_pause_over, listener, NULL);
  g_source_attach (listener->source, listener->http->context);
}

/* Accepts one connection and returns to the main loop, so that the tick's turn comes between two.
 * SoupServer's own listeners know no limits; hence this one. */
static gboolean
on_acceptable (GSocket *socket, GIOCondition condition, gpointer user_data)
{
  Listener *listener = user_data;
  g_autoptr (GSocket) accepted = g_socket_accept (socket, NULL, NULL);
  g_autoptr (GSocketConnection) connection = NULL;
  /* What libsoup takes for the host's name if an HTTP/1.0 client gives none; it cannot make one of a unix
   * address. */
  g_autoptr (GSocketAddress) local = g_inet_socket_address_new_from_string ("127.0.0.1", 80);

  if (accepted == NULL)
    {
      pause_accepting (listener);
      return G_SOURCE_REMOVE;
    }

  connection = g_socket_connection_factory_create_connection (accepted);
  listener_add_client (listener, connection);
  soup_server_accept_iostream (listener->http->server, G_IO_STREAM (connection), local, local, NULL);
  return G_SOURCE_CONTINUE;
}

static void
wait_for_connections (Listener *listener)
{
  source_clear (&listener->source);
  listener->source = g_socket_create_source (listener->socket, G_IO_IN, NULL);
  g_source_set_callback (listener->source, G_SOURCE_FUNC (on_acceptable), listener, NULL);
  g_source_attach (listener->source, listener->http->context);
}

/* Takes over socket, which is bound. */
static gboolean
start_listening (VjHttp *http, GSocket *socket, const char *unlink_path, GError **error)
{
  Listener *listener = NULL;

  g_socket_set_blocking (socket, FALSE);
  g_socket_set_listen_backlog (socket, BACKLOG);
  if (!g_socket_listen (socket, error))
    return FALSE;

  listener = g_new0 (Listener, 1);
  listener->http = http;
  listener->socket = g_object_ref (socket);
  listener->unlink_path = g_strdup (unlink_path);
  wait_for_connections (listener);
  g_ptr_array_add (http->listeners, listener);
  return TRUE;
}

/* GLib cuts a path short that does not fit. */
static GSocketAddress *
unix_address (const char *path, GError **error)
{
  if (strlen (path) < sizeof ((struct sockaddr_un *)NULL)->sun_path)
    return g_unix_socket_address_new (path);

  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s is too long for a socket: %zu bytes at most", path,
               sizeof ((struct sockaddr_un *)NULL)->sun_path - 1);
  return NULL;
}

static gboolean
remove_stale_socket (const char *path, GError **error)
{
  struct stat status;

  if (lstat (path, &status) < 0)
    return TRUE;

  if (!S_ISSOCK (status.st_mode))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s exists and is not a socket: move it away", path);
      return FALSE;
    }
  if (unlink (path) == 0)
    return TRUE;

  vj_error_set_errno (error, errno, "cannot replace the socket %s", path);
  return FALSE;
}

/* Says which socket it was, in the words of VJ_ERROR. */
static void
translate_listen_error (GError **error, GError *cause, const char *where)
{
  int code = VJ_ERROR_FAILED;

  if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE))
    code = VJ_ERROR_BUSY;
  else if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
    code = VJ_ERROR_DENIED;
  g_set_error (error, VJ_ERROR, code, "cannot listen at %s: %s", where, cause->message);
  g_error_free (cause);
}

gboolean
vj_http_listen_unix (VjHttp *http, const char *socket_path, guint mode, GError **error)
{
  GError *cause = NULL;
  g_autoptr (GSocketAddress) address = unix_address (socket_path, error);
  g_autoptr (GSocket) socket = NULL;

  if (address == NULL || !remove_stale_socket (socket_path, error))
    return FALSE;

  socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &cause);
  if (socket == NULL || !g_socket_bind (socket, address, FALSE, &cause))
    {
      translate_listen_error (error, cause, socket_path);
      return FALSE;
    }
  /* Nobody gets in before the mode is right: until listen (2) a connect is refused. */
  if (chmod (socket_path, (mode_t)mode) < 0)
    {
      vj_error_set_errno (error, errno, "cannot set the mode of %s", socket_path);
      unlink (socket_path);
      return FALSE;
    }
  if (start_listening (http, socket, socket_path, &cause))
    return TRUE;

  translate_listen_error (error, cause, socket_path);
  unlink (socket_path);
  return FALSE;
}

/* NULL if not of the form "127.0.0.1:9101" or "[::1]:9101". */
static GSocketAddress *
parse_tcp_address (const char *address)
{
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (address, 0, NULL);
  GNetworkAddress *host_port = NULL;

  if (parsed == NULL)
    return NULL;

  host_port = G_NETWORK_ADDRESS (parsed);
  if (g_network_address_get_port (host_port) == 0)
    return NULL;
  return g_inet_socket_address_new_from_string (g_network_address_get_hostname (host_port),
                                                g_network_address_get_port (host_port));
}

gboolean
vj_http_listen_tcp (VjHttp *http, const char *address, GError **error)
{
  GError *cause = NULL;
  g_autoptr (GSocketAddress) inet = parse_tcp_address (address);
  g_autoptr (GSocket) socket = NULL;

  if (inet == NULL)
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                   "\"%s\" is not an address to listen at: write 127.0.0.1:9101 or [::1]:9101", address);
      return FALSE;
    }
  socket =
      g_socket_new (g_socket_address_get_family (inet), G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &cause);
  if (socket != NULL && g_socket_bind (socket, inet, TRUE, &cause)
      && start_listening (http, socket, NULL, &cause))
    return TRUE;

  translate_listen_error (error, cause, address);
  return FALSE;
}

static void
respond_text (SoupServerMessage *message, guint status, const char *text)
{
  g_autofree char *line = g_strconcat (text, "\n", NULL);

  soup_server_message_set_status (message, status, NULL);
  soup_server_message_set_response (message, TEXT_PLAIN, SOUP_MEMORY_COPY, line, strlen (line));
}

static void
respond_route (SoupServerMessage *message, const Route *route)
{
  g_autoptr (GError) error = NULL;
  const char *content_type = TEXT_PLAIN;
  char *body = route->handler (&content_type, route->user_data, &error);

  if (body == NULL)
    {
      respond_text (message, SOUP_STATUS_SERVICE_UNAVAILABLE,
                    error != NULL ? error->message : "not available now");
      return;
    }
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, content_type, SOUP_MEMORY_TAKE, body, strlen (body));
}

/* libsoup would read a body of any length, and all that is there within one turn of the main loop. */
static gboolean
has_long_body (SoupMessageHeaders *request)
{
  SoupEncoding encoding = soup_message_headers_get_encoding (request);

  if (encoding == SOUP_ENCODING_CONTENT_LENGTH)
    return soup_message_headers_get_content_length (request) > REQUEST_BODY_MAX;
  return encoding != SOUP_ENCODING_NONE;
}

static void
respond (VjHttp *http, SoupServerMessage *message)
{
  const char *method = soup_server_message_get_method (message);
  const char *path = g_uri_get_path (soup_server_message_get_uri (message));
  const Route *route = g_hash_table_lookup (http->routes, path);

  /* libsoup serves any number of ranges, overlapping ones too, each as a copy. */
  soup_message_headers_remove (soup_server_message_get_request_headers (message), "Range");
  if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD)
    {
      soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow", "GET, HEAD");
      respond_text (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "only GET and HEAD are served here");
    }
  else if (route == NULL)
    respond_text (message, SOUP_STATUS_NOT_FOUND, "nothing is served at this path");
  else
    respond_route (message, route);
}

/* The headers are the whole of a request for us. */
static void
on_got_headers (SoupServerMessage *message, gpointer user_data)
{
  if (has_long_body (soup_server_message_get_request_headers (message)))
    {
      g_autoptr (GIOStream) stream = soup_server_message_steal_connection (message);

      g_io_stream_close (stream, NULL, NULL);
    }
  else if (soup_server_message_get_status (message) == 0) /* else libsoup has refused it */
    respond (user_data, message);
}

static void
on_request_started (SoupServer *server, SoupServerMessage *message, gpointer user_data)
{
  SoupMessageHeaders *response = soup_server_message_get_response_headers (message);

  soup_message_headers_replace (response, "Connection", "close");
  /* of the answers that libsoup gives on its own, as to a malformed request */
  soup_message_headers_replace (response, "Content-Type", TEXT_PLAIN);
  g_signal_connect (message, "got-headers", G_CALLBACK (on_got_headers), user_data);
}

VjHttp *
vj_http_new (void)
{
  VjHttp *http = g_new0 (VjHttp, 1);

  http->context = g_main_context_ref_thread_default ();
  http->routes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  http->listeners = g_ptr_array_new_with_free_func ((GDestroyNotify)listener_free);
  http->server = soup_server_new (NULL, NULL);
  g_signal_connect (http->server, "request-started", G_CALLBACK (on_request_started), http);
  return http;
}

void
vj_http_free (VjHttp *http)
{
  if (http == NULL)
    return;

  soup_server_disconnect (http->server);
  g_ptr_array_unref (http->listeners);
  g_object_unref (http->server);
  g_hash_table_unref (http->routes);
  g_main_context_unref (http->context);
  g_free (http);
}

void
vj_http_handle (VjHttp *http, const char *path, VjHttpHandler handler, gpointer user_data)
{
  Route *route = g_new0 (Route, 1);

  route->handler = handler;
  route->user_data = user_data;
  g_hash_table_insert (http->routes, g_strdup (path), route);
}

static gboolean
is_nobody_listening (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
         || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
}

static void
translate_client_error (GError **error, GError *cause, const char *socket_path)
{
  if (is_nobody_listening (cause))
    g_set_error (error, VJ_ERROR, VJ_ERROR_GONE, "nobody listens at %s: is the agent running?", socket_path);
  else if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
    g_set_error (error, VJ_ERROR, VJ_ERROR_DENIED,
                 "%s: permission denied: run as root or join the socket's group", socket_path);
  else
    g_set_error (error, VJ_ERROR, VJ_ERROR_FAILED, "%s: %s", socket_path, cause->message);
  g_error_free (cause);
}

/* GET path of the peer at address. The error is the library's. */
static GBytes *
get_from (GSocketAddress *address, const char *path, guint *ret_status, GError **error)
{
  g_autoptr (SoupSession) session =
      soup_session_new_with_options ("remote-connectable", address, "timeout", CLIENT_TIMEOUT_S, NULL);
  g_autofree char *uri = g_strconcat ("http://localhost", path, NULL);
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, uri);
  GBytes *bytes = soup_session_send_and_read (session, message, NULL, error);

  *ret_status = soup_message_get_status (message);
  return bytes;
}

char *
vj_http_get_unix (const char *socket_path, const char *path, GError **error)
{
  GError *cause = NULL;
  guint status = 0;
  g_autoptr (GSocketAddress) address = unix_address (socket_path, error);
  g_autoptr (GBytes) bytes = NULL;
  g_autofree char *body = NULL;

  if (address == NULL)
    return NULL;

  bytes = get_from (address, path, &status, &cause);
  if (bytes == NULL)
    {
      translate_client_error (error, cause, socket_path);
      return NULL;
    }
  body = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  if (status == SOUP_STATUS_OK)
    return g_steal_pointer (&body);

  g_set_error (error, VJ_ERROR,
               status == SOUP_STATUS_SERVICE_UNAVAILABLE ? VJ_ERROR_UNAVAILABLE : VJ_ERROR_FAILED,
               "%s: %s: %u: %s", socket_path, path, status, g_strchomp (body));
  return NULL;
}
