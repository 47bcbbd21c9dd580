/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/frame.h"
#include "common/ledger.h"
#include "guest/attributor/cgroup_class.h"
#include "guest/attributor/tree_watch.h"

/* What the attributor shows: plain values, consistent with one interval. Built by the attributor, rendered by its outputs
 * (metrics, JSON, terminal). Energies have one entry per zone. For every zone, to the microjoule:
 *   measured == kernel + Σ totals of the outermost groups + folded, and
 *   a group's total == its own + Σ totals of its children + folded
 *   own of a group == Σ of its processes + exited, where processes are followed */
typedef struct
{
  int pid;
  guint64 start_us;    /* CLOCK_BOOTTIME; with pid the identity */
  char *command;       /* comm; any bytes made valid UTF-8 */
  gboolean terminated; /* it has ended; its figures are all of it */
  guint64 cpu_ns;
  guint64 *energy_uj;
} VjProcessSnapshot;

typedef struct
{
  int parent; /* index of the enclosing group, which comes before it; -1: the root */
  VjCgroupClass class;
  char *path; /* unique: vj_cgroup_path_text () */
  char *
      name; /* of a unit or slice: the directory's, unescaped; of a container or pod: its name, or NULL if unknown */
  char *namespace_;
  char *pod; /* of a pod and its containers; NULL if unknown */
  char *workload_kind;
  char *workload;
  char **labels;    /* name, value, ..., NULL; or NULL */
  gboolean sandbox; /* the container that holds the pod together (pause) */
  gboolean terminated;
  guint64 cpu_ns;       /* with all below it */
  guint64 *energy_uj;   /* with all below it */
  guint64 *own_uj;      /* without */
  guint64 *folded_uj;   /* of children that ended and are shown no more */
  guint64 *exited_uj;   /* part of own: of processes that are not shown */
  GPtrArray *processes; /* of VjProcessSnapshot, by energy, highest first; NULL where not followed */
} VjGroupSnapshot;

typedef struct
{
  VjZone zone;
  guint64 measured_uj;
  guint64 kernel_uj; /* used outside of every group: kernel, interrupts; and what could not be matched */
  guint64 gap_uj;    /* part of it: could not be matched with usage */
  guint64 folded_uj; /* of outermost groups that ended and are shown no more */
  guint64 power_uw;
} VjZoneView;

typedef struct
{
  VjTreeWatchMode mode;
  char quality[16]; /* of the generation file: "measured", "estimated"; "" on real counters */
  char source[32];
  guint64 age_us; /* since the last interval */
  guint64 intervals;
  guint64 interval_us; /* length of the last one */
  const char *cgroup_version;
  guint64 groups_refused;
  guint processes;
  GArray *zones;     /* of VjZoneView */
  GPtrArray *groups; /* of VjGroupSnapshot, parents first */
  GPtrArray *owners; /* of VjOwnerSnapshot: workloads, by namespace, kind and name */
} VjAttributorSnapshot;

VjAttributorSnapshot *vj_attributor_snapshot_new (void);
void vj_attributor_snapshot_free (VjAttributorSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjAttributorSnapshot, vj_attributor_snapshot_free)

/* For whoever builds it. */
VjGroupSnapshot *vj_group_snapshot_new (guint n_zones);
GPtrArray *vj_process_snapshots_new (void); /* of VjProcessSnapshot */

/* What an owner of pods was given, those that ended included. */
typedef struct
{
  char *namespace_;
  char *kind;
  char *name;
  guint64 *energy_uj;
} VjOwnerSnapshot;

/* Renderings. Pure. levels: which of them are shown. */
typedef enum
{
  VJ_LEVEL_WORKLOAD = 1 << 0, /* owners of pods */
  VJ_LEVEL_POD = 1 << 1,
  VJ_LEVEL_CONTAINER = 1 << 2,
  VJ_LEVEL_UNIT = 1 << 3,
  VJ_LEVEL_PROCESS = 1 << 4,
} VjLevels;

/* Prometheus text exposition; docs/attributor.md lists the families. */
char *vj_attributor_metrics (const VjAttributorSnapshot *snapshot, guint levels);
/* One document; docs/attributor.md describes it. */
char *vj_attributor_json (const VjAttributorSnapshot *snapshot, guint levels);
