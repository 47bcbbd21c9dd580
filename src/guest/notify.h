/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* sd_notify (3) without its library: sends text ("READY=1") to the socket that the service manager named. socket_path is
 * $NOTIFY_SOCKET; NULL: nobody wants to know. Failures do not matter to the caller. */
void vj_notify (const char *socket_path, const char *text);
