/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/zone.h"

/* The guest's powercap tree. Its contract, whatever the backend:
 * - nested intel-rapl/intel-rapl:P/intel-rapl:P:S, and the flat links intel-rapl:P and intel-rapl:P:S beside intel-rapl;
 * - each zone has name, energy_uj, max_energy_range_uj and enabled; intel-rapl has enabled; nothing else looks like a zone;
 * - the tree and each later zone are complete when they become visible, and no file ever reads empty or torn. */

/* Far above any sum of joules, and exact as a signed 64-bit integer and as a double, which is what consumers hold it in. */
#define VJ_TREE_MAX_RANGE_UJ (G_GUINT64_CONSTANT (1) << 62)

typedef struct
{
  int package;                   /* P of intel-rapl:P */
  int sub;                       /* S of intel-rapl:P:S, or -1 for the package itself */
  char name[VJ_ZONE_ID_MAX + 1]; /* text of the name file */
  guint64 energy_uj;
  gboolean live; /* in the latest frame; else frozen */
} VjTreeZone;

typedef struct VjTree VjTree;

/* What a backend does. dir is the tree's directory, as the user gave it. */
typedef struct
{
  const char *name;
  gpointer (*open) (const char *dir, guint mode, GError **error);
  gboolean (*update) (gpointer backend, const VjTreeZone *zones, gsize n, GError **error);
  void (*close) (gpointer backend);
} VjTreeBackend;

extern const VjTreeBackend vj_tree_files; /* tmpfs: written aside and renamed; stays when the reader ends */
extern const VjTreeBackend vj_tree_fuse;  /* every read asks the reader; only where built with VJ_FUSE */

/* NULL if there is no such backend in this build. */
const VjTreeBackend *vj_tree_backend (const char *name);

/* Prepares the tree at dir; nothing becomes visible before the first update. mode: of energy_uj and the other files.
 * The error names the directory and what is wrong with it. */
VjTree *vj_tree_new (const VjTreeBackend *backend, const char *dir, guint mode, GError **error);
void vj_tree_free (VjTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjTree, vj_tree_free)

/* Shows these values. zones has a package before its sub-zones, and keeps every zone it ever had, in the same order. */
gboolean vj_tree_update (VjTree *tree, const VjTreeZone *zones, gsize n, GError **error);

/* Tells what a tree at dir shows, packages before their sub-zones, in the order of their numbers. Nothing where there is
 * none. */
typedef void (*VjTreeScanFunc) (const char *id, guint64 energy_uj, gpointer user_data);
void vj_tree_scan (const char *dir, VjTreeScanFunc func, gpointer user_data);

/* Helpers of the backends. path: "intel-rapl/intel-rapl:0/intel-rapl:0:1"; link: "intel-rapl:0:1". The caller frees. */
char *vj_tree_zone_path (const VjTreeZone *zone);
char *vj_tree_zone_link (const VjTreeZone *zone);
