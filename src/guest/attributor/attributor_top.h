/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/attributor_snapshot.h"

/* What uses the energy, as text for a terminal: the node by zone, then workloads, pods, containers, units and processes, the
 * highest first. Slices are left out: they hold what is listed. Nothing in it can harm a terminal, whatever names are. Pure. */
typedef enum
{
  VJ_TOP_BY_POWER, /* over the last interval */
  VJ_TOP_BY_ENERGY,
  VJ_TOP_BY_CPU,
  VJ_TOP_BY_NAME,
  VJ_TOP_SORTS,
} VjTopSort;

const char *vj_top_sort_name (VjTopSort sort);

typedef struct
{
  guint levels; /* VjLevels */
  VjTopSort sort;
  guint max_rows;      /* 0: all */
  guint64 silent_us;   /* for how long there has been no interval */
  const char *message; /* NULL: none */
} VjTopView;

/* Watts and CPU time are over the last interval: what now has more than before, the snapshot of the interval that preceded it
 * (NULL: everything began with this one). Joules are so far, of packages and memory, which do not overlap. The caller's. */
char *vj_attributor_top (const VjAttributorSnapshot *before, const VjAttributorSnapshot *now,
                         const VjTopView *view);
