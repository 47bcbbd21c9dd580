/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/frame.h"
#include "guest/reader/tree.h"

/* What the guest's counters show: value = base + E(epoch). A new epoch adds the old one's last E to the base, so that
 * values never go backwards; one that comes back, as where counters last for ever, takes its own out of the base again; a host that sends less than before within one epoch is held at what was shown, and counted.
 * Pure; the text form is what the reader keeps across restarts. */

#define VJ_ACCOUNT_ZONES_MAX 256
/* Epochs before the current one that are remembered: of hosts that a guest may come back to. */
#define VJ_ACCOUNT_RECENT_MAX 4

typedef enum
{
  VJ_CORE_AUTO, /* a core zone where the host has one */
  VJ_CORE_ALWAYS, /* and a copy of the package where it has neither core nor uncore, for consumers that want a sub-zone */
} VjCorePolicy;

typedef struct
{
  char id[VJ_ZONE_ID_MAX + 1]; /* "package-0/core" */
  guint64 base_uj;
  guint64 last_uj;                          /* the highest E of the current epoch */
  guint64 recent_uj[VJ_ACCOUNT_RECENT_MAX]; /* and of the ones before, which base_uj holds */
  VjTreeZone shown;
} VjAccountZone;

typedef struct
{
  VjCorePolicy core;
  char epoch[VJ_SESSION_LENGTH + 1];                         /* "": no frame yet */
  char recent[VJ_ACCOUNT_RECENT_MAX][VJ_SESSION_LENGTH + 1]; /* the ones before, newest first; "": none */
  guint64 generation;                                        /* frames taken */
  guint64 clamped;                                           /* values that went backwards within an epoch */
  guint64 ignored;                                           /* zones that were one too many */
  gsize n_zones;
  VjAccountZone zones[VJ_ACCOUNT_ZONES_MAX]; /* in order of first appearance, which is their numbering */
} VjAccount;

/* Takes a frame in. Packages and their direct sub-zones count; psys and other top-level zones do not, since consumers
 * would sum them with the packages they contain. */
void vj_account_take (VjAccount *account, const VjFrame *frame);

/* Makes id show at least energy_uj from now on: what a tree that outlived its state showed. FALSE if id is no zone or
 * its package is not known yet. */
gboolean vj_account_adopt (VjAccount *account, const char *id, guint64 energy_uj);

/* Fills ret_zones, an array of VjTreeZone, for vj_tree_update(). */
void vj_account_zones (const VjAccount *account, GArray *ret_zones);

/* The persistent form; the caller frees. Parsing replaces everything but core; on INVALID the account is unspecified. */
char *vj_account_to_text (const VjAccount *account);
gboolean vj_account_parse (VjAccount *account, const char *text, GError **error);
