/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a watcher (libvirt, Proxmox) knows of one virtual machine. */
typedef enum
{
  VJ_DOMAIN_RUNNING,
  VJ_DOMAIN_PAUSED,
  VJ_DOMAIN_STOPPED, /* shut off, crashed, gone */
} VjDomainState;

const char *vj_domain_state_name (VjDomainState state); /* "running", "paused", "stopped" */

typedef struct
{
  char uuid[37];        /* lower case; the identity */
  char *name;           /* shown, never trusted */
  const char *manager;  /* "libvirt" */
  VjDomainState state;
  int pid;              /* QEMU's, 0 if the watcher cannot tell */
  char *channel_path;   /* unix socket of port org.virtjoule.energy.0 in the live definition, or NULL */
} VjDomainInfo;

void vj_domain_info_clear (VjDomainInfo *info);

/* A watcher's events, on the main-loop thread. The info is the watcher's. */
typedef struct
{
  void (*present) (const VjDomainInfo *info, gpointer user_data); /* running or paused: new, changed or listed again; idempotent */
  void (*absent) (const char *uuid, gpointer user_data);          /* stopped; unknown UUIDs are ignored */
  void (*listed) (gpointer user_data);                            /* everything that runs has been told since (re)connection */
  void (*connection) (gboolean connected, const char *message, gpointer user_data); /* on change; message is for the log */
} VjDomainListener;
