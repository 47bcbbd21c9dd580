/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/error.h"

#include <errno.h>

GQuark
vj_error_quark (void)
{
  return g_quark_from_static_string ("vj-error");
}

static int
code_of_errno (int errno_value)
{
  switch (errno_value)
    {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      return VJ_ERROR_GONE;
    case EACCES:
    case EPERM:
      return VJ_ERROR_DENIED;
    default:
      return VJ_ERROR_FAILED;
    }
}

void
vj_error_set_errno (GError **error, int errno_value, const char *format, ...)
{
  if (error == NULL)
    return;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, VJ_ERROR, code_of_errno (errno_value), "%s: %s", message, g_strerror (errno_value));
}

gboolean
vj_error_is_gone (const GError *error)
{
  return g_error_matches (error, VJ_ERROR, VJ_ERROR_GONE);
}

gboolean
vj_error_is_denied (const GError *error)
{
  return g_error_matches (error, VJ_ERROR, VJ_ERROR_DENIED);
}
