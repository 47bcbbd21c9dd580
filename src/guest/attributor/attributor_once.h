/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/attributor.h"

/* The longest that a tree can take from one update to the next (virtjouled.conf(5): interval), and some more. */
#define VJ_ONCE_UPDATE_S 70

/* Runs loop until an interval begins: until the next update of a tree that tells of them, else not at all. FALSE with an error
 * if there is no tree, or if it stands still; FALSE without one if the loop was ended by somebody else. */
gboolean vj_once_await_update (const VjAttributorOptions *options, GMainLoop *loop, GError **error);
/* Runs loop, and says whether somebody ended it within VJ_ONCE_UPDATE_S; if not, *error says that the tree stands still. */
gboolean vj_once_run (const VjAttributorOptions *options, GMainLoop *loop, GError **error);
