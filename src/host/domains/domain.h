/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "host/domains/domain_settings.h"

/* What a watcher (libvirt, Proxmox and plain QEMU) knows of one virtual machine. */
typedef enum
{
  VJ_DOMAIN_RUNNING,
  VJ_DOMAIN_PAUSED,
  VJ_DOMAIN_STOPPED, /* shut off, crashed, gone */
} VjDomainState;

const char *vj_domain_state_name (VjDomainState state); /* "running", "paused", "stopped" */

#define VJ_DOMAIN_ID_SIZE 64

typedef struct
{
  /* The identity on this host; printable, no white space. libvirt: the UUID in lower case; Proxmox: "proxmox-VMID"; plain
   * QEMU: "qemu-UUID", else "qemu-PID-START". Another process of the same id is another run. */
  char id[VJ_DOMAIN_ID_SIZE];
  char uuid[37];       /* lower case, shown; "" if the watcher cannot tell */
  guint vmid;          /* Proxmox's; 0: none */
  char *name;          /* shown, never trusted */
  const char *manager; /* "libvirt", "proxmox", "qemu"; static */
  VjDomainState state;
  guint vcpus; /* that it may use now, 0 if the watcher cannot tell */
  int pid;     /* QEMU's, 0 if the watcher cannot tell */
  char *
      channel_path; /* "bind" way: unix socket of port org.virtjoule.energy.0 that QEMU listens on, or NULL */
  gboolean channel_connects; /* "connect" way: that port connects to the agent's guest socket */
  VjDomainSettings settings; /* what is said of this domain alone */
  char *settings_problem;    /* what of it could not be understood, and is taken as not said; NULL: nothing */
} VjDomainInfo;

void vj_domain_info_clear (VjDomainInfo *info);

/* A watcher's events, on the main-loop thread. The info is the watcher's. A process that two watchers tell of belongs to
 * the domain of the first of libvirt, Proxmox, plain QEMU.
 *   present     running or paused: new, changed or told again after a reconnection; idempotent. Another pid is another run.
 *   absent      stopped; unknown ids are ignored
 *   ending      is shutting down, and its process still lives: the moment for a last sample
 *   forgotten   will not come back (undefined): nothing is kept for a later run
 *   listed      everything that runs has been told since (re)connection
 *   connection  on change; the message is for the log */
typedef struct
{
  void (*present) (const VjDomainInfo *info, gpointer user_data);
  void (*absent) (const char *id, gpointer user_data);
  void (*ending) (const char *id, gpointer user_data);
  void (*forgotten) (const char *id, gpointer user_data);
  void (*listed) (gpointer user_data);
  void (*connection) (gboolean connected, const char *message, gpointer user_data);
} VjDomainListener;
