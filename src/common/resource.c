/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/resource.h"

#include "common/units.h"

VjResource
vj_resource_of_zone (const VjZone *zone, guint n_packages)
{
  const gboolean on_package = zone->package >= 0 && zone->package <= VJ_RESOURCE_PACKAGE_MAX;
  if (zone->kind == VJ_ZONE_DRAM)
    return VJ_RESOURCE_MEMORY;
  if (zone->kind == VJ_ZONE_STORAGE)
    return VJ_RESOURCE_STORAGE;
  if (n_packages < 2 || !on_package || (zone->kind != VJ_ZONE_PACKAGE && !vj_zone_is_within_parent (zone)))
    return VJ_RESOURCE_CPU;
  return VJ_RESOURCE_PACKAGE (zone->package);
}

guint64
vj_resource_memory (guint64 bytes, guint64 elapsed_us)
{
  const VjU128 amount = (VjU128)bytes * elapsed_us / 1024 / VJ_US_PER_MS;
  return amount > G_MAXUINT64 ? G_MAXUINT64 : (guint64)amount;
}
