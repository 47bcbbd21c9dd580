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
  char uuid[37];       /* lower case; the identity */
  char *name;          /* shown, never trusted */
  const char *manager; /* "libvirt" */
  VjDomainState state;
  guint vcpus;        /* that it may use now, 0 if the watcher cannot tell */
  int pid;            /* QEMU's, 0 if the watcher cannot tell */
  char *channel_path; /* unix socket of port org.virtjoule.energy.0 in the live definition, or NULL */
} VjDomainInfo;

void vj_domain_info_clear (VjDomainInfo *info);

/* A watcher's events, on the main-loop thread. The info is the watcher's.
 *   present     running or paused: new, changed or told again after a reconnection; idempotent. Another pid is another run.
 *   absent      stopped; unknown UUIDs are ignored
 *   listed      everything that runs has been told since (re)connection
 *   connection  on change; the message is for the log */
typedef struct
{
  void (*present) (const VjDomainInfo *info, gpointer user_data);
  void (*absent) (const char *uuid, gpointer user_data);
  void (*listed) (gpointer user_data);
  void (*connection) (gboolean connected, const char *message, gpointer user_data);
} VjDomainListener;
