/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/zone.h"

/* Static power that was found for this machine, in a key file of the state directory: VJ_STATIC_CALIBRATED is written by
 * `virtjoule calibrate`, VJ_STATIC_OBSERVED by the agent. Used by both programs. */
#define VJ_STATIC_CALIBRATED "static-power"
#define VJ_STATIC_OBSERVED   "static-auto"

#define VJ_FINGERPRINT_LENGTH 16

typedef struct
{
  char id[VJ_ZONE_ID_MAX + 1];
  guint64 static_uw;
  guint64 error_uw; /* half of the 95 % confidence interval */
  guint64 sigma_uw; /* standard deviation of single intervals; 0 if it is not known */
} VjStaticZone;

typedef struct
{
  char fingerprint[VJ_FINGERPRINT_LENGTH + 1]; /* of the hardware that the figures hold for */
  GArray *zones;                               /* of VjStaticZone */
} VjStaticFile;

VjStaticFile *vj_static_file_new (const char *fingerprint);
void vj_static_file_free (VjStaticFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjStaticFile, vj_static_file_free)
/* NULL if the zone is not in it. */
const VjStaticZone *vj_static_file_find (const VjStaticFile *file, const char *id);

/* Replaces the file as a whole. */
gboolean vj_static_file_save (const VjStaticFile *file, const char *state_dir, const char *name,
                              GError **error);
/* GONE: there is none. INVALID: not of that form, or more than 1 MW. */
VjStaticFile *vj_static_file_load (const char *state_dir, const char *name, GError **error);
