/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Many file descriptors behind one epoll fd in the main loop (design law 4: GLib polls every fd of its own on every
 * iteration). Main-loop thread only. */
typedef struct VjPoll VjPoll;
typedef struct VjPollWatch VjPollWatch;

/* events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP as reported. The callback may remove any watch, its own
 * included. */
typedef void (*VjPollFunc) (int fd, guint32 events, gpointer user_data);

/* Attached to context (NULL: the default one). A wake dispatches a bounded batch and returns to the loop, so that no
 * amount of traffic starves the tick, whose source has a higher priority. */
VjPoll *vj_poll_new (GMainContext *context, GError **error);
/* What comes within gather_us of a wake is served together, by the next one. Where many peers answer at much the same
 * time, an iteration of the main loop for each would cost more than to serve them. 0, the default: everything is served
 * at once. */
void vj_poll_set_gather (VjPoll *poll, guint gather_us);
void vj_poll_free (VjPoll *poll); /* all watches must have been removed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjPoll, vj_poll_free)

/* events as for epoll_ctl (2) (EPOLLET allowed; 0: only HUP and ERR, unless EPOLLET). fd stays the caller's. */
VjPollWatch *vj_poll_add (VjPoll *poll, int fd, guint32 events, VjPollFunc func, gpointer user_data,
                          GError **error);
gboolean vj_poll_modify (VjPollWatch *watch, guint32 events);
void vj_poll_remove (VjPollWatch *watch); /* before the fd is closed; NULL is allowed */
