/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define VJ_ERROR (vj_error_quark ())
GQuark vj_error_quark (void);

/* What a caller can do about an error; the message always names the thing and the remedy. */
typedef enum
{
  VJ_ERROR_FAILED,      /* anything else */
  VJ_ERROR_GONE,        /* the process, cgroup, port or file has vanished: an ordinary event (design law 9) */
  VJ_ERROR_DENIED,      /* permission missing; the message says which */
  VJ_ERROR_INVALID,     /* input that does not have the documented form */
  VJ_ERROR_UNAVAILABLE, /* the machine or the kernel does not offer it */
  VJ_ERROR_BUSY,        /* somebody else holds it */
} VjError;

/* Process exit codes. 2 is the command line or the configuration, as for GNU tools. */
#define VJ_EXIT_OK     0
#define VJ_EXIT_FAILED 1
#define VJ_EXIT_USAGE  2

/* Sets *error from errno_value: ENOENT, ESRCH, ENODEV, ENXIO are GONE; EACCES, EPERM are DENIED. The text is
 * "<formatted message>: <strerror>". */
void vj_error_set_errno (GError **error, int errno_value, const char *format, ...) G_GNUC_PRINTF (3, 4);
gboolean vj_error_is_gone (const GError *error);
gboolean vj_error_is_denied (const GError *error);
