/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/static_policy.h"

#include <string.h>

static const char *const names[] = {
  [VJ_STATIC_SEPARATE] = "separate",
  [VJ_STATIC_EVEN] = "even",
  [VJ_STATIC_PROPORTIONAL] = "proportional",
  [VJ_STATIC_ALLOCATION] = "allocation",
};

const char *
vj_static_policy_name (VjStaticPolicy policy)
{
  return names[policy];
}

gboolean
vj_static_policy_parse (const char *name, VjStaticPolicy *ret_policy)
{
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (names[i], name) == 0)
      {
        *ret_policy = (VjStaticPolicy)i;
        return TRUE;
      }
  return FALSE;
}

guint64
vj_static_hand_out (guint64 static_uj, const guint64 *weights, const guint64 *limit_uj, gsize n,
                    VjCarry *carry, guint64 *ret_part_uj)
{
  guint64 handed_uj = 0;
  vj_apportion (static_uj, weights, n, carry, ret_part_uj);
  for (gsize i = 0; i < n; i++)
    {
      if (limit_uj != NULL)
        ret_part_uj[i] = MIN (ret_part_uj[i], limit_uj[i]);
      handed_uj += ret_part_uj[i];
    }
  return handed_uj;
}
