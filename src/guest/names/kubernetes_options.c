/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes_options.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "guest/names/kubeconfig.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBELET_PORT    10250

void
vj_kubernetes_texts_clear (VjKubernetesTexts *texts)
{
  g_free (texts->mode);
  g_free (texts->url);
  g_free (texts->ca);
  g_free (texts->token);
  g_free (texts->client_cert);
  g_free (texts->client_key);
  g_free (texts->config);
  g_free (texts->node);
  g_free (texts->labels);
}

void
vj_kubernetes_texts_add_to (VjKubernetesTexts *texts, GOptionContext *context)
{
  const GOptionEntry entries[] = {
    { "kubernetes", 0, 0, G_OPTION_ARG_STRING, &texts->mode,
      "Names, owners and labels of pods from the API server (api) or this node's kubelet; or none (none)",
      "api|kubelet|none" },
    { "kubernetes-url", 0, 0, G_OPTION_ARG_STRING, &texts->url,
      "Where it is (a pod's own API server; for kubelet https://NODE:10250)", "URL" },
    { "kubernetes-ca", 0, 0, G_OPTION_ARG_FILENAME, &texts->ca,
      "Certificates that its certificate is verified by (the service account's, else the system's)", "FILE" },
    { "kubernetes-token", 0, 0, G_OPTION_ARG_FILENAME, &texts->token,
      "File of a bearer token (the service account's), or none", "FILE" },
    { "kubernetes-client-cert", 0, 0, G_OPTION_ARG_FILENAME, &texts->client_cert,
      "Certificate of this client, instead of a token", "FILE" },
    { "kubernetes-client-key", 0, 0, G_OPTION_ARG_FILENAME, &texts->client_key, "Its key (in the same file)",
      "FILE" },
    { "kubernetes-config", 0, 0, G_OPTION_ARG_FILENAME, &texts->config,
      "A kubeconfig as JSON (kubectl config view --raw --minify --flatten -o json), instead of these",
      "FILE" },
    { "node-name", 0, 0, G_OPTION_ARG_STRING, &texts->node, "This node ($NODE_NAME)", "NAME" },
    { "labels", 0, 0, G_OPTION_ARG_STRING, &texts->labels,
      "Labels of pods to show: app.kubernetes.io/name,...", "LIST" },
    { 0 },
  };
  g_option_context_add_main_entries (context, entries, NULL);
}

static gboolean
refuse (GError **error, const char *why, const char *what)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s: %s", what, why);
  return FALSE;
}

/* --- the URL --- */

static gboolean
is_loopback (const char *host)
{
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (host);
  return strcmp (host, "localhost") == 0 || (address != NULL && g_inet_address_get_is_loopback (address));
}

/* A token and names must not be had by whoever is in between. */
static gboolean
check_url (const char *url, GError **error)
{
  g_autoptr (GUri) uri = g_uri_parse (url, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL || g_uri_get_host (uri) == NULL || *g_uri_get_host (uri) == '\0'
      || g_uri_get_userinfo (uri) != NULL || g_uri_get_query (uri) != NULL
      || g_uri_get_fragment (uri) != NULL)
    return refuse (error, "must be of the form https://HOST:PORT", url);
  if (strcmp (g_uri_get_scheme (uri), "https") == 0
      || (strcmp (g_uri_get_scheme (uri), "http") == 0 && is_loopback (g_uri_get_host (uri))))
    return TRUE;
  return refuse (error, "must be https; http is for this machine itself only (kubectl proxy)", url);
}

/* NULL: nowhere to be found. */
static char *
default_url (const VjKubernetesOptions *options)
{
  if (options->mode == VJ_KUBERNETES_KUBELET)
    return options->node != NULL ? g_strdup_printf ("https://%s:%d", options->node, KUBELET_PORT) : NULL;
  const char *host = g_getenv ("KUBERNETES_SERVICE_HOST");
  const char *port = g_getenv ("KUBERNETES_SERVICE_PORT");
  if (host == NULL || *host == '\0')
    return NULL;
  return g_strdup_printf (strchr (host, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s", host,
                          port != NULL && *port != '\0' ? port : "443");
}

static gboolean
set_url (VjKubernetesOptions *options, const char *text, GError **error)
{
  g_autofree char *url = text != NULL ? g_strdup (text) : default_url (options);
  if (url == NULL)
    return refuse (error,
                   options->mode == VJ_KUBERNETES_KUBELET
                       ? "needs --node-name or --kubernetes-url"
                       : "this is no pod (no KUBERNETES_SERVICE_HOST): needs --kubernetes-url",
                   "--kubernetes");
  while (g_str_has_suffix (url, "/"))
    url[strlen (url) - 1] = '\0';
  options->server.url = g_steal_pointer (&url);
  return check_url (options->server.url, error);
}

/* --- files --- */

/* Absolute: GTlsFileDatabase takes no other. */
static char *
file_or (const char *text, const char *fallback)
{
  if (g_strcmp0 (text, "none") == 0)
    return NULL;
  if (text != NULL)
    return g_canonicalize_filename (text, NULL);
  return fallback != NULL && g_file_test (fallback, G_FILE_TEST_EXISTS) ? g_strdup (fallback) : NULL;
}

static gboolean
use_texts (VjKubernetesOptions *options, const VjKubernetesTexts *texts, GError **error)
{
  VjKubernetesServer *server = &options->server;
  server->cert_file = g_strdup (texts->client_cert);
  server->key_file = g_strdup (texts->client_key);
  server->ca_file = file_or (texts->ca, SERVICE_ACCOUNT "/ca.crt");
  server->token_file = file_or (texts->token, server->cert_file == NULL ? SERVICE_ACCOUNT "/token" : NULL);
  return set_url (options, texts->url, error);
}

/* A file that is only in memory, and there as long as the process. */
static gboolean
set_file_of (char **file, const void *data, gsize length, GError **error)
{
  int fd = memfd_create ("kubeconfig", MFD_CLOEXEC);
  if (fd >= 0 && write (fd, data, length) == (gssize)length)
    {
      *file = g_strdup_printf ("/proc/self/fd/%d", fd);
      return TRUE;
    }
  vj_error_set_errno (error, errno, "cannot keep what is in a kubeconfig in memory; give files in its place");
  if (fd >= 0)
    close (fd);
  return FALSE;
}

/* Either in the kubeconfig or in a file of its own, whose path is relative to it. Without both *ret_file is NULL. */
static gboolean
set_file (char **ret_file, const char *config, const char *file, const char *data, GError **error)
{
  if (data != NULL)
    {
      gsize length = 0;
      g_autofree guchar *plain = g_base64_decode (data, &length);
      if (g_strstr_len ((const char *)plain, (gssize)length, "-----BEGIN ") != NULL)
        return set_file_of (ret_file, plain, length, error);
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID,
                           "holds data that is no certificate or key (PEM, in base64); make it anew: "
                           "kubectl config view --raw --minify --flatten -o json");
      return FALSE;
    }
  g_autofree char *path = g_canonicalize_filename (config, NULL);
  g_autofree char *directory = g_path_get_dirname (path);
  *ret_file = file != NULL ? g_canonicalize_filename (file, directory) : NULL;
  return TRUE;
}

static gboolean
set_files (VjKubernetesServer *server, const char *path, const VjKubeconfig *config, GError **error)
{
  return set_file (&server->ca_file, path, config->ca_file, config->ca_data, error)
         && set_file (&server->cert_file, path, config->cert_file, config->cert_data, error)
         && set_file (&server->key_file, path, config->key_file, config->key_data, error)
         && (config->token != NULL
                 ? set_file_of (&server->token_file, config->token, strlen (config->token), error)
                 : set_file (&server->token_file, path, config->token_file, NULL, error));
}

static gboolean
use_kubeconfig (VjKubernetesOptions *options, const VjKubernetesTexts *texts, GError **error)
{
  const char *path = texts->config;
  g_auto (VjKubeconfig) config = { 0 };
  g_autofree char *text = NULL;
  gsize length = 0;
  if (texts->url != NULL || texts->ca != NULL || texts->token != NULL || texts->client_cert != NULL
      || texts->client_key != NULL)
    return refuse (error, "goes without --kubernetes-url, -ca, -token, -client-cert and -client-key",
                   "--kubernetes-config");
  if (!g_file_get_contents (path, &text, &length, error))
    return FALSE;
  if (!vj_kubeconfig_parse (text, length, &config, error))
    {
      g_prefix_error (error, "%s: ", path);
      return FALSE;
    }
  if (!set_files (&options->server, path, &config, error))
    {
      g_prefix_error (error, "%s: ", path);
      return FALSE;
    }
  return set_url (options, config.server, error);
}

/* --- all of it --- */

static gboolean
set_mode (VjKubernetesOptions *options, const char *text, GError **error)
{
  if (text == NULL || strcmp (text, "none") == 0)
    options->mode = VJ_KUBERNETES_NONE;
  else if (strcmp (text, "api") == 0)
    options->mode = VJ_KUBERNETES_API;
  else if (strcmp (text, "kubelet") == 0)
    options->mode = VJ_KUBERNETES_KUBELET;
  else
    return refuse (error, "must be api, kubelet or none", "--kubernetes");
  return TRUE;
}

/* It becomes part of a URL. */
static gboolean
set_node (VjKubernetesOptions *options, const char *text, GError **error)
{
  const char *node = text != NULL ? text : g_getenv ("NODE_NAME");
  if (node == NULL || *node == '\0')
    return options->mode == VJ_KUBERNETES_KUBELET
           || refuse (error, "needs this node's name: --node-name or NODE_NAME", "--kubernetes api");
  options->node = g_strdup (node);
  if (strlen (node) > 253 || strspn (node, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen (node))
    return refuse (error, "no name of a node", node);
  return TRUE;
}

/* Without a mode they would be for nothing, and nobody would be told. */
static gboolean
check_unused (const VjKubernetesTexts *texts, GError **error)
{
  const struct
  {
    const char *text;
    const char *option;
  } unused[] = {
    { texts->url, "--kubernetes-url" },
    { texts->ca, "--kubernetes-ca" },
    { texts->token, "--kubernetes-token" },
    { texts->client_cert, "--kubernetes-client-cert" },
    { texts->client_key, "--kubernetes-client-key" },
    { texts->config, "--kubernetes-config" },
    { texts->labels, "--labels" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (unused); i++)
    if (unused[i].text != NULL)
      return refuse (error, "goes with --kubernetes api or kubelet", unused[i].option);
  return TRUE;
}

gboolean
vj_kubernetes_options_interpret (VjKubernetesOptions *options, const VjKubernetesTexts *texts, GError **error)
{
  if (!set_mode (options, texts->mode, error))
    return FALSE;
  if (options->mode == VJ_KUBERNETES_NONE)
    return check_unused (texts, error);
  if (texts->labels != NULL && !vj_label_rules_parse (texts->labels, &options->labels, error))
    return FALSE;
  if (!set_node (options, texts->node, error))
    return FALSE;
  return texts->config != NULL ? use_kubeconfig (options, texts, error) : use_texts (options, texts, error);
}
