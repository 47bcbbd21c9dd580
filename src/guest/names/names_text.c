/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/names_text.h"

#include <string.h>

#define ID_LENGTH  64
#define UID_LENGTH 36

/* Of a DNS label or subdomain (RFC 1123), as all of Kubernetes' names are. */
static gboolean
is_dns_name (const char *text)
{
  gsize length = strlen (text);
  if (length == 0 || length > 253 || !g_ascii_isalnum (text[0]) || !g_ascii_isalnum (text[length - 1]))
    return FALSE;
  return strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == length;
}

static gboolean
is_uid (const char *text)
{
  gsize length = strlen (text);
  return (length == UID_LENGTH || length == 32) && strspn (text, "0123456789abcdef-") == length;
}

/* parts if they are valid, else nothing. */
static char **
take_if (char **parts, gboolean valid)
{
  if (valid)
    return parts;
  g_strfreev (parts);
  return NULL;
}

char **
vj_names_parse_pod_directory (const char *name)
{
  char **parts = g_strsplit (name, "_", 4);
  gboolean valid =
      g_strv_length (parts) == 3 && is_dns_name (parts[0]) && is_dns_name (parts[1]) && is_uid (parts[2]);
  return take_if (parts, valid);
}

/* The id is what follows the last dash; a container's name may have dashes too. */
static gboolean
split_container (const char *text, char **ret_container, char **ret_id)
{
  const char *dash = strrchr (text, '-');
  if (dash == NULL || strlen (dash + 1) != ID_LENGTH + strlen (".log") || !g_str_has_suffix (dash, ".log")
      || strspn (dash + 1, "0123456789abcdef") != ID_LENGTH)
    return FALSE;
  *ret_container = g_strndup (text, (gsize)(dash - text));
  *ret_id = g_strndup (dash + 1, ID_LENGTH);
  return TRUE;
}

char **
vj_names_parse_log_link (const char *name)
{
  g_auto (GStrv) parts = g_strsplit (name, "_", 4);
  char *container = NULL;
  char *id = NULL;
  if (g_strv_length (parts) != 3 || !is_dns_name (parts[0]) || !is_dns_name (parts[1])
      || !split_container (parts[2], &container, &id))
    return NULL;
  char **found = g_new0 (char *, 5);
  found[0] = g_strdup (parts[0]);
  found[1] = g_strdup (parts[1]);
  found[2] = container;
  found[3] = id;
  return take_if (found, is_dns_name (container));
}
