/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "guest/reader/account.h"
#include "guest/reader/port.h"
#include "guest/reader/tree.h"

/* The reader's body: port -> session -> account -> tree, in one main loop. Beside the tree it keeps
 * virtjoule.state (base and epoch, written before values become visible) and generation (renamed into place after
 * all zones of a frame are). */

typedef struct
{
  VjPortPlace port;
  const char *tree;
  const VjTreeBackend *backend;
  VjCorePolicy core;
  guint mode;
  void (*report) (const char *line,
                  gpointer user_data); /* what an administrator wants to read, once per change */
  gpointer user_data;
} VjReaderOptions;

typedef struct VjReader VjReader;

/* options (and what it points to) must outlive the reader. Fails where the tree cannot be written; a port that is not
 * there is waited for. */
VjReader *vj_reader_new (const VjReaderOptions *options, GError **error);
void vj_reader_free (VjReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjReader, vj_reader_free)
