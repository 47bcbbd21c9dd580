/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/http.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"

#define DEADLINE_S 60

typedef struct
{
  VjHttp *http;
  char *directory;
  char *socket_path;
  guint calls;
} Fixture;

static char *
answer (const char **ret_content_type, gpointer user_data, GError **error)
{
  Fixture *fixture = user_data;

  fixture->calls++;
  *ret_content_type = "application/json";
  return g_strdup ("{\"answer\":42}");
}

static char *
refuse (const char **ret_content_type, gpointer user_data, GError **error)
{
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, "no reading yet");
  return NULL;
}

/* More than the socket buffers hold. */
static char *
answer_at_length (const char **ret_content_type, gpointer user_data, GError **error)
{
  *ret_content_type = "text/plain";
  return g_strnfill (4 << 20, 'x');
}

static int
set_up (void **state)
{
  Fixture *fixture = g_new0 (Fixture, 1);

  fixture->directory = g_dir_make_tmp ("test-http-XXXXXX", NULL);
  fixture->socket_path = g_build_filename (fixture->directory, "api", NULL);
  fixture->http = vj_http_new ();
  vj_http_handle (fixture->http, "/answer", answer, fixture);
  vj_http_handle (fixture->http, "/refuse", refuse, fixture);
  vj_http_handle (fixture->http, "/long", answer_at_length, fixture);
  *state = fixture;
  return vj_http_listen_unix (fixture->http, fixture->socket_path, 0660, NULL) ? 0 : -1;
}

static int
tear_down (void **state)
{
  Fixture *fixture = *state;

  vj_http_free (fixture->http);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_int_equal (g_access (fixture->socket_path, F_OK), -1);
  assert_int_equal (g_rmdir (fixture->directory), 0);
  g_free (fixture->socket_path);
  g_free (fixture->directory);
  g_free (fixture);
  return 0;
}

/* A client that speaks plain bytes, so that it can misbehave. */
typedef struct
{
  int fd;
  GString *received;
  gboolean closed;
} Peer;

static gboolean
on_peer_readable (int fd, GIOCondition condition, gpointer user_data)
{
  Peer *peer = user_data;
  char bytes[65536];
  ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);

  if (n > 0)
    g_string_append_len (peer->received, bytes, n);
  else if (n == 0 || errno != EAGAIN)
    peer->closed = TRUE;
  return !peer->closed;
}

static Peer *
peer_new (int fd)
{
  Peer *peer = g_new0 (Peer, 1);

  peer->fd = fd;
  peer->received = g_string_new (NULL);
  assert_return_code (fcntl (fd, F_SETFL, O_NONBLOCK), errno);
  return peer;
}

static Peer *
peer_new_unix (const Fixture *fixture)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, fixture->socket_path, sizeof address.sun_path);
  assert_return_code (connect (fd, (struct sockaddr *)&address, sizeof address), errno);
  return peer_new (fd);
}

static void
peer_free (Peer *peer)
{
  close (peer->fd);
  g_string_free (peer->received, TRUE);
  g_free (peer);
}

static gboolean
on_deadline (gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Runs the main loop until *done. */
static void
run_until (const gboolean *done)
{
  gboolean late = FALSE;
  guint deadline = g_timeout_add_seconds (DEADLINE_S, on_deadline, &late);

  while (!*done && !late)
    g_main_context_iteration (NULL, TRUE);
  if (!late)
    g_source_remove (deadline);
  assert_false (late);
}

static void
peer_wait_closed (Peer *peer)
{
  guint source = g_unix_fd_add (peer->fd, G_IO_IN, on_peer_readable, peer);

  run_until (&peer->closed);
  (void)source; /* gone with the end of the stream */
}

static void
peer_send (Peer *peer, const char *text)
{
  assert_int_equal (send (peer->fd, text, strlen (text), MSG_NOSIGNAL), strlen (text));
}

/* The whole answer to one request. */
static char *
exchange (const Fixture *fixture, const char *request)
{
  Peer *peer = peer_new_unix (fixture);
  char *received = NULL;

  peer_send (peer, request);
  peer_wait_closed (peer);
  received = g_strdup (peer->received->str);
  peer_free (peer);
  return received;
}

static void
test_requests (void **state)
{
  static const struct
  {
    const char *request;
    const char *status;
    const char *content_type;
    const char *body;
  } cases[] = {
    { "GET /answer HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "application/json", "{\"answer\":42}" },
    { "GET /answer?a=b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "application/json", "{\"answer\":42}" },
    { "GET /answer HTTP/1.0\r\n\r\n", "HTTP/1.0 200 ", "application/json", "{\"answer\":42}" },
    { "HEAD /answer HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "application/json", "" },
    { "GET /answer HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1,0-1\r\n\r\n", "HTTP/1.1 200 ", "application/json",
      "{\"answer\":42}" },
    { "GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 503 ", "text/plain", "no reading yet\n" },
    { "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", "text/plain", NULL },
    { "GET /answer/more HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", "text/plain", NULL },
    { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", "text/plain", NULL },
    { "POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 405 ", "text/plain",
      NULL },
    { "DELETE /answer HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ", "text/plain", NULL },
    { "PUT /nothing HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
      "HTTP/1.1 405 ", "text/plain", NULL },
    { "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ", "text/plain", NULL },
    { "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 40", "text/plain", NULL },
    { "GET /%2e%2e/%ff HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 40", "text/plain", NULL },
    { "nonsense\r\n\r\n", "HTTP/1.", "text/plain", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *received = exchange (*state, cases[i].request);
      g_autofree char *type = g_strconcat ("\r\nContent-Type: ", cases[i].content_type, NULL);
      const char *body = strstr (received, "\r\n\r\n");

      print_message ("%s%s\n", cases[i].request, received);
      assert_ptr_equal (strstr (received, cases[i].status), received);
      assert_non_null (strstr (received, type));
      assert_non_null (strstr (received, "\r\nConnection: close\r\n"));
      assert_non_null (body);
      if (cases[i].body != NULL)
        assert_string_equal (body + 4, cases[i].body);
    }
}

static void
test_unwanted_bodies (void **state)
{
  static const char *const requests[] = {
    "POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nab",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nab",
    "GET /%2e%2e/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nab",
    "GET /answer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
  };
  Fixture *fixture = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (requests); i++)
    {
      g_autofree char *received = exchange (fixture, requests[i]);

      assert_string_equal (received, "");
    }
  assert_int_equal (fixture->calls, 0);
}

static void
test_endless_headers (void **state)
{
  Fixture *fixture = *state;
  Peer *peer = peer_new_unix (fixture);
  g_autofree char *line = g_strnfill (1 << 20, 'a');

  peer_send (peer, "GET /answer HTTP/1.1\r\nHost: x\r\nX: ");
  assert_true (send (peer->fd, line, strlen (line), MSG_NOSIGNAL) > 100000);
  peer_wait_closed (peer);
  peer_free (peer);
  assert_int_equal (fixture->calls, 0);
}

/* Clients that connect and say nothing, or do not read their answer, keep nobody out: the oldest of them
 * goes. */
static void
test_idle_clients (void **state)
{
  Fixture *fixture = *state;
  Peer *peers[3 * VJ_HTTP_CONNECTIONS];
  g_autofree char *received = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (peers); i++)
    {
      peers[i] = peer_new_unix (fixture);
      if (i % 2 == 1)
        peer_send (peers[i], "GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    }
  received = exchange (fixture, "GET /answer HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true (g_str_has_prefix (received, "HTTP/1.1 200 "));

  for (gsize i = 0; i < 2 * VJ_HTTP_CONNECTIONS; i++)
    peer_wait_closed (peers[i]);
  for (gsize i = 0; i < G_N_ELEMENTS (peers); i++)
    peer_free (peers[i]);
}

/* The youngest one is dropped too, when its time is over. */
static void
test_lifetime (void **state)
{
  Peer *peer = peer_new_unix (*state);

  peer_send (peer, "GET /answer HTTP/1.1\r\n");
  peer_wait_closed (peer);
  assert_int_equal (peer->received->len, 0);
  peer_free (peer);
}

static void
test_long_answer (void **state)
{
  g_autofree char *received = exchange (*state, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
  const char *body = strstr (received, "\r\n\r\n");

  assert_non_null (body);
  assert_int_equal (strlen (body + 4), 4 << 20);
}

static void
test_socket_file (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *path = g_build_filename (fixture->directory, "other", NULL);
  struct stat status;

  for (guint i = 0; i < 2; i++) /* the second time over a stale file: nobody unlinked the first one's */
    {
      g_autoptr (VjHttp) http = vj_http_new ();
      g_autofree char *hidden = g_strconcat (path, ".hidden", NULL);

      assert_true (vj_http_listen_unix (http, path, i == 0 ? 0600 : 0666, NULL));
      assert_int_equal (stat (path, &status), 0);
      assert_int_equal (status.st_mode & 07777, i == 0 ? 0600 : 0666);
      assert_int_equal (g_rename (path, hidden), 0);
      vj_http_free (g_steal_pointer (&http));
      assert_int_equal (g_rename (hidden, path), 0);
    }
  assert_int_equal (g_unlink (path), 0);
}

static void
test_refused_paths (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *file = g_build_filename (fixture->directory, "file", NULL);
  g_autofree char *no_directory = g_build_filename (fixture->directory, "none", "api", NULL);
  g_autofree char *padding = g_strnfill (200, 'x');
  g_autofree char *too_long = g_build_filename (fixture->directory, padding, NULL);
  const char *paths[] = { file, no_directory, too_long };

  assert_true (g_file_set_contents (file, "precious", -1, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (GError) error = NULL;

      assert_false (vj_http_listen_unix (fixture->http, paths[i], 0600, &error));
      assert_int_equal (error->domain, VJ_ERROR);
      assert_non_null (strstr (error->message, paths[i]));
    }
  assert_int_equal (g_unlink (file), 0);
}

/* A port that was free a moment ago. */
static int
free_port (int *ret_fd)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;

  *ret_fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_return_code (bind (*ret_fd, (struct sockaddr *)&address, sizeof address), errno);
  assert_return_code (listen (*ret_fd, 1), errno);
  assert_return_code (getsockname (*ret_fd, (struct sockaddr *)&address, &length), errno);
  return ntohs (address.sin_port);
}

static void
test_tcp (void **state)
{
  Fixture *fixture = *state;
  g_autoptr (GError) error = NULL;
  int holder = -1;
  int port = free_port (&holder);
  g_autofree char *address = g_strdup_printf ("127.0.0.1:%d", port);
  struct sockaddr_in inet = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  Peer *peer = NULL;

  assert_false (vj_http_listen_tcp (fixture->http, address, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_BUSY));
  close (holder);
  assert_true (vj_http_listen_tcp (fixture->http, address, NULL));

  inet.sin_port = htons ((guint16)port);
  peer = peer_new (socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect (peer->fd, (struct sockaddr *)&inet, sizeof inet) < 0)
    assert_int_equal (errno, EINPROGRESS);
  assert_int_equal (g_poll (&(GPollFD){ .fd = peer->fd, .events = G_IO_OUT }, 1, DEADLINE_S * 1000), 1);
  peer_send (peer, "GET /answer HTTP/1.1\r\nHost: x\r\n\r\n");
  peer_wait_closed (peer);
  assert_true (g_str_has_prefix (peer->received->str, "HTTP/1.1 200 "));
  assert_true (g_str_has_suffix (peer->received->str, "{\"answer\":42}"));
  peer_free (peer);
}

static void
test_tcp_addresses_refused (void **state)
{
  static const char *const addresses[] = {
    "",      "9101",           ":9101", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "localhost:9101",
    "[::1]", "127.0.0.1:99999"
  };
  Fixture *fixture = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_autoptr (GError) error = NULL;

      print_message ("%s\n", addresses[i]);
      assert_false (vj_http_listen_tcp (fixture->http, addresses[i], &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
    }
}

/* The command line's side, which blocks, in a thread of its own. */
typedef struct
{
  const char *socket_path;
  const char *path;
  char *body;
  GError *error;
  gboolean done;
} Call;

static gboolean
on_call_done (gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_REMOVE;
}

static gpointer
call_thread (gpointer user_data)
{
  Call *call = user_data;
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  call->body = vj_http_get_unix (call->socket_path, call->path, &call->error);
  g_main_context_pop_thread_default (context);
  g_idle_add (on_call_done, &call->done);
  return NULL;
}

static void
get (Call *call)
{
  GThread *thread = g_thread_new ("client", call_thread, call);

  run_until (&call->done);
  g_thread_join (thread);
}

static void
test_client (void **state)
{
  static const struct
  {
    const char *path;
    const char *body;
    int code;
    const char *message;
  } cases[] = {
    { "/answer", "{\"answer\":42}", 0, NULL },
    { "/refuse", NULL, VJ_ERROR_UNAVAILABLE, "no reading yet" },
    { "/nothing", NULL, VJ_ERROR_FAILED, "404" },
  };
  Fixture *fixture = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Call call = { .socket_path = fixture->socket_path, .path = cases[i].path };
      g_autoptr (GError) error = NULL;
      g_autofree char *body = NULL;

      get (&call);
      body = call.body;
      error = call.error;
      if (cases[i].body != NULL)
        assert_string_equal (body, cases[i].body);
      else
        {
          assert_null (body);
          assert_true (g_error_matches (error, VJ_ERROR, cases[i].code));
          assert_non_null (strstr (error->message, cases[i].message));
        }
    }
}

static void
test_client_without_server (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *none = g_build_filename (fixture->directory, "none", NULL);
  g_autoptr (GError) missing = NULL;
  g_autoptr (GError) stale = NULL;
  g_autoptr (GError) invalid = NULL;
  g_autofree char *too_long = g_strnfill (108, 'x');
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  assert_null (vj_http_get_unix (none, "/answer", &missing));
  assert_true (vj_error_is_gone (missing));

  g_strlcpy (address.sun_path, none, sizeof address.sun_path);
  assert_return_code (bind (fd, (struct sockaddr *)&address, sizeof address), errno);
  close (fd);
  assert_null (vj_http_get_unix (none, "/answer", &stale));
  assert_true (vj_error_is_gone (stale));
  assert_null (vj_http_get_unix (too_long, "/answer", &invalid));
  assert_true (g_error_matches (invalid, VJ_ERROR, VJ_ERROR_INVALID));
  assert_int_equal (g_unlink (none), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_requests, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_unwanted_bodies, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_endless_headers, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_idle_clients, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_lifetime, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_long_answer, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_socket_file, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_refused_paths, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_tcp, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_tcp_addresses_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_client, set_up, tear_down),
    cmocka_unit_test_setup_teardown (test_client_without_server, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
