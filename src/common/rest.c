/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/rest.h"

void
vj_rest_add (VjRest *rest, gboolean is_platform, gboolean fresh, guint64 delta_uj, guint64 elapsed_us,
             gboolean gap)
{
  if (is_platform)
    {
      rest->n_platforms++;
      rest->platform_uj += delta_uj;
      rest->platform_us += elapsed_us;
    }
  else
    {
      rest->n_parts++;
      rest->parts_uj += delta_uj;
      rest->parts_us += elapsed_us;
    }
  rest->missing = rest->missing || !fresh;
  rest->gap = rest->gap || gap;
}

/* What is left, with older debt paid; a shortfall is the new debt. */
static guint64
take_rest (VjRest *rest)
{
  const guint64 due_uj = rest->parts_uj + rest->debt_uj;
  if (rest->platform_uj >= due_uj)
    {
      rest->debt_uj = 0;
      return rest->platform_uj - due_uj;
    }
  rest->debt_uj = MIN (due_uj - rest->platform_uj, MAX (rest->parts_uj, rest->debt_uj));
  return 0;
}

gboolean
vj_rest_take (VjRest *rest, guint64 *ret_delta_uj, guint64 *ret_elapsed_us, gboolean *ret_gap)
{
  const gboolean complete = rest->n_platforms == 1 && rest->n_parts > 0 && !rest->missing;
  const gboolean comparable = rest->parts_us == rest->platform_us * rest->n_parts;
  rest->n_platforms = rest->n_parts = 0;
  rest->missing = FALSE;
  if (!complete)
    return FALSE;
  *ret_delta_uj = comparable ? take_rest (rest) : 0;
  *ret_elapsed_us = comparable ? rest->platform_us : 0;
  *ret_gap = rest->gap;
  *rest = (VjRest){ .debt_uj = rest->debt_uj };
  return TRUE;
}
