/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Runs a child that does body (argument, socket), if there is a body, then waits to be killed by test_child_stop ().
 * *ret_socket: the other end. */
typedef void (*TestChildBody) (gpointer argument, int socket);
int test_child_start (TestChildBody body, gpointer argument, int *ret_socket);
void test_child_stop (int pid, int socket);
/* Runs program with any arguments; uid 0: as who we are. Its pid when it has written to its standard output, which is when it is
 * ready; -1 if that never comes. The caller's to end and to wait for. */
int test_child_execute (guint uid, const char *program, const char *const *arguments);
/* Lets the other side of the socket go on; waits until it does. FALSE if it has gone. */
gboolean test_child_signal (int socket);
gboolean test_child_await (int socket);
