/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "host/channel/channel.h"
#include "host/domains/domain.h"
#include "host/domains/domain_run.h"
#include "host/channel/guest_socket.h"
#include "common/source.h"

/* What the agent shows of itself: plain values, consistent with one tick. Built by the agent, rendered by api. */
typedef struct
{
  VjZone zone;
  VjZoneTotals totals;
  guint64 static_owed_uj;
  guint64 power_uw; /* measured, over the last interval */
  gboolean readable;
  guint64 age_us; /* since the last successful reading */
  guint64 static_uw;
  const char *static_source; /* vj_static_power_view () */
  char static_note[128];     /* may be empty */
} VjZoneSnapshot;

typedef struct
{
  char id[VJ_DOMAIN_ID_SIZE];
  char uuid[37]; /* may be empty */
  guint vmid;    /* 0: none */
  char *name;
  const char *manager;
  VjDomainState state;
  int pid;                   /* 0 while unknown */
  guint64 power_uw;          /* of all components, over the last interval */
  guint64 cpu_ns;            /* cumulative, as the energies are */
  const char *usage;         /* vj_scope_kind_name (), or NULL while unknown */
  const char *package_split; /* vj_consumption_split () */
  char epoch[VJ_SESSION_LENGTH + 1];
  guint64 *energy_uj;                    /* one per zone */
  guint64 *static_uj;                    /* part of it, one per zone */
  VjDomainSettings settings;             /* what holds, */
  VjSettingOrigin origin[VJ_N_SETTINGS]; /* and by whose word */
  char *settings_problem;                /* NULL: none */
  gboolean has_channel;                  /* its definition has the port */
  const char *channel_way;               /* "bind", "connect" */
  VjChannelStatus channel;
  guint64 channel_lag_us; /* newest reading minus the last acknowledged one; 0 if none was acknowledged */
} VjDomainSnapshot;

#define VJ_SNAPSHOT_MANAGERS 3

typedef struct
{
  const char *version;
  char host[37];
  const char *source; /* "powercap", "model" */
  VjQuality quality;
  VjStaticPolicy static_policy;
  VjSourceCounts counts;
  guint64 age_us;      /* of the newest tick */
  guint64 interval_us; /* nominal */
  guint64 tick_us;     /* of the newest tick, CLOCK_MONOTONIC */
  guint64 busy_ns;     /* CPU time used by the machine since the agent started */
  guint cpus;
  const char *hardware; /* vj_hardware_fingerprint () */
  const char *state_dir;
  guint64 ticks;
  guint64 ticks_late;      /* began more than half an interval late */
  guint64 ticks_skipped;   /* deadlines that passed without a tick of their own */
  const char *libvirt_uri; /* or "none" */
  gboolean libvirt_connected;
  GArray *zones;                                  /* of VjZoneSnapshot */
  const char *managers[VJ_SNAPSHOT_MANAGERS + 1]; /* whose domains are followed; ends with NULL */
  gboolean counter_forever;
  gboolean guest_socket_open;
  VjGuestSocketCounts guest_socket;
  guint64 endings[VJ_N_ENDINGS];
  guint64 hook_notes;    /* that hooks left, and the agent took */
  gboolean exit_records; /* the kernel gives them */
  GPtrArray *domains;    /* of VjDomainSnapshot, sorted by name, then id */
} VjSnapshot;

VjSnapshot *vj_snapshot_new (void);
VjDomainSnapshot *vj_domain_snapshot_new (guint n_zones);
void vj_snapshot_free (VjSnapshot *snapshot);
const VjZoneSnapshot *vj_snapshot_zone (const VjSnapshot *snapshot, guint zone);
/* How old the oldest zone reading is that the figures rest on. */
guint64 vj_snapshot_age_us (const VjSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjSnapshot, vj_snapshot_free)
