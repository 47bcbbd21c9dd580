/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/curve.h"
#include "common/roots.h"
#include "common/static_policy.h"

#include <glib.h>

typedef enum
{
  VJ_SOURCE_AUTO,
  VJ_SOURCE_POWERCAP,
  VJ_SOURCE_MODEL
} VjSourceChoice;

/* In static_uw: found by observation; the value, if any, of package and dram zones that are not named. */
#define VJ_STATIC_AUTO_UW G_MAXUINT64
#define VJ_STATIC_DEFAULT "default"

/* The agent's settings: built-in defaults, then the key file, then the command line. */
typedef struct
{
  VjRoots roots;
  guint64 interval_us;   /* 100 ms to 60 s; default 1 s */
  char *libvirt_uri;     /* "none": no libvirt */
  VjSourceChoice source; /* auto: powercap, or model only where no meter exists */
  GHashTable *static_uw; /* zone id or VJ_STATIC_DEFAULT -> guint64* µW or VJ_STATIC_AUTO_UW */
  VjStaticPolicy static_policy;
  VjCurve curve;
  guint64 max_power_uw;  /* plausibility bound of one zone */
  guint64 model_idle_uw; /* 0: by core count */
  guint64 model_full_uw;
  guint64 quantum_uj;    /* what guests see is rounded down to this; default 1 mJ */
  char *metrics_listen;  /* "127.0.0.1:9177", or NULL */
  gboolean show_version; /* --version was given: nothing else is set */
} VjConfig;

/* Reads the command line and the file it names (--config). --help prints and exits by itself, as GOptionContext does.
 * INVALID for a wrong option, key, value or unit; for a file: "FILE:LINE: ..." and what is allowed. */
VjConfig *vj_config_parse (int argc, char **argv, GError **error);
void vj_config_free (VjConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjConfig, vj_config_free)
