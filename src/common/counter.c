/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/counter.h"

static VjCounterStep
step_forward (guint64 delta_uj, guint64 plausible_uj, guint64 *ret_delta_uj)
{
  if (delta_uj > plausible_uj)
    return VJ_COUNTER_REJECTED;
  *ret_delta_uj = delta_uj;
  return VJ_COUNTER_ADVANCED;
}

static VjCounterStep
step_back (const VjCounter *counter, guint64 raw_uj, guint64 plausible_uj, guint64 *ret_delta_uj)
{
  if (counter->max_range_uj >= counter->last_uj)
    {
      guint64 wrapped_uj = counter->max_range_uj - counter->last_uj + raw_uj;
      if (wrapped_uj <= plausible_uj)
        {
          *ret_delta_uj = wrapped_uj;
          return VJ_COUNTER_WRAPPED;
        }
    }
  if (raw_uj <= plausible_uj)
    *ret_delta_uj = raw_uj;
  return VJ_COUNTER_RESET;
}

VjCounterStep
vj_counter_advance (VjCounter *counter, guint64 raw_uj, guint64 plausible_uj, guint64 *ret_delta_uj)
{
  VjCounterStep step = VJ_COUNTER_PRIMED;
  *ret_delta_uj = 0;
  /* A full range may have passed unseen, so that even a forward step says nothing. */
  if (counter->primed && counter->max_range_uj > 0 && plausible_uj >= counter->max_range_uj)
    step = VJ_COUNTER_AMBIGUOUS;
  else if (counter->primed && raw_uj >= counter->last_uj)
    step = step_forward (raw_uj - counter->last_uj, plausible_uj, ret_delta_uj);
  else if (counter->primed)
    step = step_back (counter, raw_uj, plausible_uj, ret_delta_uj);
  counter->last_uj = raw_uj;
  counter->primed = TRUE;
  return step;
}
