/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/snapshot.h"

static void
domain_free (gpointer data)
{
  VjDomainSnapshot *domain = data;
  g_free (domain->name);
  g_free (domain->settings_problem);
  g_free (domain->energy_uj);
  g_free (domain->static_uj);
  g_free (domain);
}

VjSnapshot *
vj_snapshot_new (void)
{
  VjSnapshot *snapshot = g_new0 (VjSnapshot, 1);
  snapshot->zones = g_array_new (FALSE, TRUE, sizeof (VjZoneSnapshot));
  snapshot->domains = g_ptr_array_new_with_free_func (domain_free);
  return snapshot;
}

VjDomainSnapshot *
vj_domain_snapshot_new (guint n_zones)
{
  VjDomainSnapshot *domain = g_new0 (VjDomainSnapshot, 1);
  domain->energy_uj = g_new0 (guint64, n_zones);
  domain->static_uj = g_new0 (guint64, n_zones);
  return domain;
}

void
vj_snapshot_free (VjSnapshot *snapshot)
{
  if (snapshot == NULL)
    return;
  g_array_unref (snapshot->zones);
  g_ptr_array_unref (snapshot->domains);
  g_free (snapshot);
}

const VjZoneSnapshot *
vj_snapshot_zone (const VjSnapshot *snapshot, guint zone)
{
  return &g_array_index (snapshot->zones, VjZoneSnapshot, zone);
}

guint64
vj_snapshot_age_us (const VjSnapshot *snapshot)
{
  guint64 age_us = snapshot->age_us;
  for (guint i = 0; i < snapshot->zones->len; i++)
    age_us = MAX (age_us, vj_snapshot_zone (snapshot, i)->age_us);
  return age_us;
}
