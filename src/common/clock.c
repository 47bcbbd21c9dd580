/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/clock.h"

#include "common/units.h"

#include <time.h>

static guint64
read_clock_us (clockid_t id)
{
  struct timespec now = { 0 };

  clock_gettime (id, &now); /* can only fail for an unknown clock */
  return (guint64)now.tv_sec * VJ_US_PER_S + (guint64)now.tv_nsec / VJ_NS_PER_US;
}

guint64
vj_clock_monotonic_us (void)
{
  return read_clock_us (CLOCK_MONOTONIC);
}

guint64
vj_clock_boottime_us (void)
{
  return read_clock_us (CLOCK_BOOTTIME);
}
