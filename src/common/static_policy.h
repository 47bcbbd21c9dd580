/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/apportion.h"

/* Who bears the static energy of a zone, that which does not depend on load. Pure. docs/model.md says how to choose.
 *   separate      nobody: it is shown apart
 *   even          every open consumer the same
 *   proportional  every consumer in proportion to its dynamic energy in the same zone and interval
 *   allocation    every open consumer in proportion to what it was allotted (vCPUs) */
typedef enum
{
  VJ_STATIC_SEPARATE,
  VJ_STATIC_EVEN,
  VJ_STATIC_PROPORTIONAL,
  VJ_STATIC_ALLOCATION,
} VjStaticPolicy;

#define VJ_N_STATIC_POLICIES (VJ_STATIC_ALLOCATION + 1)

const char *vj_static_policy_name (VjStaticPolicy policy); /* as above */
/* FALSE, and *ret_policy untouched, for any other name. */
gboolean vj_static_policy_parse (const char *name, VjStaticPolicy *ret_policy);

/* Divides static_uj exactly by weights, and returns how much was handed out: all of it, but for what limit_uj (NULL: no
 * limits) forbids a consumer to take, and none if all weights are 0. The rest stays static. */
guint64 vj_static_hand_out (guint64 static_uj, const guint64 *weights, const guint64 *limit_uj, gsize n,
                            VjCarry *carry, guint64 *ret_part_uj);
