/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/curve.h"
#include "common/roots.h"
#include "host/domains/domain_settings.h"

#include <glib.h>

typedef enum
{
  VJ_SOURCE_AUTO,
  VJ_SOURCE_POWERCAP,
  VJ_SOURCE_MODEL
} VjSourceChoice;

/* Who runs virtual machines here; flags. */
typedef enum
{
  VJ_MANAGER_LIBVIRT = 1,
  VJ_MANAGER_PROXMOX = 2,
  VJ_MANAGER_QEMU = 4
} VjManager;

/* In static_uw: found by observation; the value, if any, of package and dram zones that are not named. */
#define VJ_STATIC_AUTO_UW G_MAXUINT64
#define VJ_STATIC_DEFAULT "default"

/* The agent's settings: built-in defaults, then the key file, then the command line. */
typedef struct
{
  VjRoots roots;
  guint64 interval_us; /* 100 ms to 60 s; default 1 s */
  guint managers;      /* of VjManager; 0: auto */
  char *libvirt_uri;   /* "none": no libvirt */
  char *proxmox_rundir;
  char *pve_dir;
  char **qemu_executables;  /* patterns of g_pattern_match_simple () */
  GArray *qemu_uids;        /* of guint: who may run QEMU; empty: anybody; NULL: nothing is said */
  gboolean counter_forever; /* counters go on across stop and start */
  VjSourceChoice source;    /* auto: powercap, or model only where no meter exists */
  GHashTable *static_uw;    /* zone id or VJ_STATIC_DEFAULT -> guint64* µW or VJ_STATIC_AUTO_UW */
  VjDomainSettings domain;  /* of every domain that says nothing else; said[]: what was configured */
  VjCurve curve;
  guint64 max_power_uw;  /* plausibility bound of one zone */
  guint64 model_idle_uw; /* 0: by core count */
  guint64 model_full_uw;
  char *metrics_listen;  /* "127.0.0.1:9177", or NULL */
  gboolean show_version; /* --version was given: nothing else is set */
} VjConfig;

/* Reads the command line and the file it names (--config). --help prints and exits by itself, as GOptionContext does.
 * INVALID for a wrong option, key, value or unit; for a file: "FILE:LINE: ..." and what is allowed. */
VjConfig *vj_config_parse (int argc, char **argv, GError **error);
void vj_config_free (VjConfig *config);
/* Whether that manager's machines are to be followed. auto: libvirt's, unless there is no libvirt-uri, and Proxmox's. */
gboolean vj_config_follows (const VjConfig *config, VjManager manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjConfig, vj_config_free)
