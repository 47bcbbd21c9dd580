/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/api.h"

#include "common/metrics.h"
#include "common/units.h"

/* A name or a UUID may stand twice; an id is unique. */
#define DOMAIN_LABELS(it) "domain", (it)->name, "id", (it)->id, "uuid", (it)->uuid

static const VjDomainSnapshot *
domain_at (const VjSnapshot *snapshot, guint i)
{
  return g_ptr_array_index (snapshot->domains, i);
}

static void
put_domain_energy (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_domain_energy_joules_total", "counter",
                     "Energy attributed to the domain, per zone. Zones overlap: core is within its package.");
  for (guint i = 0; i < snapshot->domains->len; i++)
    for (guint zone = 0; zone < snapshot->zones->len; zone++)
      vj_metrics_micro (metrics, domain_at (snapshot, i)->energy_uj[zone],
                        DOMAIN_LABELS (domain_at (snapshot, i)), "zone",
                        vj_snapshot_zone (snapshot, zone)->zone.id, NULL);
}

static void
put_domain_static (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_domain_static_joules_total", "counter",
                     "Part of the domain's energy that is static and was handed to it by static-policy.");
  for (guint i = 0; i < snapshot->domains->len; i++)
    for (guint zone = 0; zone < snapshot->zones->len; zone++)
      vj_metrics_micro (metrics, domain_at (snapshot, i)->static_uj[zone],
                        DOMAIN_LABELS (domain_at (snapshot, i)), "zone",
                        vj_snapshot_zone (snapshot, zone)->zone.id, NULL);
}

static void
put_domain_cpu (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_domain_cpu_seconds_total", "counter",
                     "CPU time that the domain's energy was attributed by.");
  for (guint i = 0; i < snapshot->domains->len; i++)
    vj_metrics_micro (metrics, domain_at (snapshot, i)->cpu_ns / VJ_NS_PER_US,
                      DOMAIN_LABELS (domain_at (snapshot, i)), NULL);
}

static void
put_domain_channels (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (
      metrics, "virtjoule_channel_state", "gauge",
      "1 for the state that the guest's channel is in: absent, disconnected, waiting or open.");
  for (guint i = 0; i < snapshot->domains->len; i++)
    {
      const VjDomainSnapshot *domain = domain_at (snapshot, i);
      const char *state = domain->has_channel ? vj_channel_state_name (domain->channel.state) : "absent";
      vj_metrics_u64 (metrics, 1, DOMAIN_LABELS (domain), "state", state, NULL);
    }
  vj_metrics_family (metrics, "virtjoule_channel_lag_seconds", "gauge",
                     "Newest reading minus the last one that the guest acknowledged.");
  for (guint i = 0; i < snapshot->domains->len; i++)
    {
      const VjDomainSnapshot *domain = domain_at (snapshot, i);
      if (domain->has_channel && domain->channel.acked_monotonic_us > 0)
        vj_metrics_micro (metrics, domain->channel_lag_us, DOMAIN_LABELS (domain), NULL);
    }
}

static void
put_channel_faults (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_channel_faults_total", "counter",
                     "Connections given up because the guest flooded them (flood), and readings that did not "
                     "fit into a frame (unencodable).");
  for (guint i = 0; i < snapshot->domains->len; i++)
    {
      const VjDomainSnapshot *domain = domain_at (snapshot, i);
      if (!domain->has_channel)
        continue;
      vj_metrics_u64 (metrics, domain->channel.floods, DOMAIN_LABELS (domain), "fault", "flood", NULL);
      vj_metrics_u64 (metrics, domain->channel.frames_unencodable, DOMAIN_LABELS (domain), "fault",
                      "unencodable", NULL);
    }
}

static void
put_zone_energy (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_zone_energy_joules_total", "counter",
                     "Where the zone's energy went; the shares add up to what was measured.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    {
      const char *id = vj_snapshot_zone (snapshot, i)->zone.id;
      const VjZoneTotals *totals = &vj_snapshot_zone (snapshot, i)->totals;
      vj_metrics_micro (metrics, totals->attributed_uj, "zone", id, "share", "attributed", NULL);
      vj_metrics_micro (metrics, totals->remainder_uj, "zone", id, "share", "host", NULL);
      vj_metrics_micro (metrics, totals->static_uj, "zone", id, "share", "static", NULL);
    }
  vj_metrics_family (metrics, "virtjoule_zone_measured_joules_total", "counter",
                     "Energy of the zone since the account began; never wraps.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, vj_snapshot_zone (snapshot, i)->totals.measured_uj, "zone",
                      vj_snapshot_zone (snapshot, i)->zone.id, NULL);
  vj_metrics_family (metrics, "virtjoule_zone_gap_joules_total", "counter",
                     "Part of the host share that could not be attributed for want of usage.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, vj_snapshot_zone (snapshot, i)->totals.gap_uj, "zone",
                      vj_snapshot_zone (snapshot, i)->zone.id, NULL);
}

static void
put_zone_static (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_zone_static_attributed_joules_total", "counter",
                     "Part of the attributed share that is static and was handed out by static-policy.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, vj_snapshot_zone (snapshot, i)->totals.attributed_static_uj, "zone",
                      vj_snapshot_zone (snapshot, i)->zone.id, NULL);
  vj_metrics_family (metrics, "virtjoule_zone_static_owed_joules", "gauge",
                     "Static energy that the zone has not covered yet and still owes.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, vj_snapshot_zone (snapshot, i)->static_owed_uj, "zone",
                      vj_snapshot_zone (snapshot, i)->zone.id, NULL);
}

static void
put_zone_health (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_zone_readable", "gauge",
                     "1 if the zone's last reading succeeded; its counters stand still while it is 0.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_u64 (metrics, vj_snapshot_zone (snapshot, i)->readable ? 1 : 0, "zone",
                    vj_snapshot_zone (snapshot, i)->zone.id, NULL);
  vj_metrics_family (metrics, "virtjoule_zone_age_seconds", "gauge", "Time since the zone was last read.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, vj_snapshot_zone (snapshot, i)->age_us, "zone",
                      vj_snapshot_zone (snapshot, i)->zone.id, NULL);
}

static void
put_zone_static_power (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (metrics, "virtjoule_zone_static_watts", "gauge",
                     "Power that the zone is taken to draw whatever the load, and where that is from.");
  for (guint i = 0; i < snapshot->zones->len; i++)
    vj_metrics_micro (metrics, vj_snapshot_zone (snapshot, i)->static_uw, "zone",
                      vj_snapshot_zone (snapshot, i)->zone.id, "source",
                      vj_snapshot_zone (snapshot, i)->static_source, NULL);
}

static void
put_one_u64 (VjMetrics *metrics, const char *name, const char *type, const char *help, guint64 value)
{
  vj_metrics_family (metrics, name, type, help);
  vj_metrics_u64 (metrics, value, NULL);
}

static void
put_source (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  const VjSourceCounts *counts = &snapshot->counts;
  vj_metrics_family (metrics, "virtjoule_source_info", "gauge",
                     "Where the energy figures come from, and whether they are measured or estimated.");
  vj_metrics_u64 (metrics, 1, "source", snapshot->source, "quality", vj_quality_name (snapshot->quality),
                  NULL);
  vj_metrics_family (metrics, "virtjoule_source_age_seconds", "gauge",
                     "Age of the source's oldest zone reading.");
  vj_metrics_micro (metrics, vj_snapshot_age_us (snapshot), "source", snapshot->source, NULL);
  const struct
  {
    const char *name;
    const char *help;
    guint64 value;
  } counters[] = {
    { "virtjoule_source_wraps_total", "Wraps of an energy counter.", counts->wraps },
    { "virtjoule_source_resets_total", "Resets of an energy counter.", counts->resets },
    { "virtjoule_source_rejected_total", "Implausible steps, not counted.", counts->rejected },
    { "virtjoule_source_gaps_total", "Intervals in which a zone may have wrapped more than once.",
      counts->gaps },
    { "virtjoule_source_failures_total", "Failed readings of a zone.", counts->failures },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (counters); i++)
    {
      vj_metrics_family (metrics, counters[i].name, "counter", counters[i].help);
      vj_metrics_u64 (metrics, counters[i].value, "source", snapshot->source, NULL);
    }
}

static void
put_endings (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  vj_metrics_family (
      metrics, "virtjoule_domain_endings_total", "counter",
      "Runs of domains that have ended, by what was known of their last moments: exact, completed (from "
      "exit records) or unknown (left with the host).");
  for (guint i = 0; i < VJ_N_ENDINGS; i++)
    vj_metrics_u64 (metrics, snapshot->endings[i], "known", vj_ending_name ((VjEnding)i), NULL);
}

static void
put_guest_socket (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  const VjGuestSocketCounts *counts = &snapshot->guest_socket;
  vj_metrics_family (metrics, "virtjoule_guest_socket_connections_total", "counter",
                     "Connections to the guest socket: accepted, refused (no domain of ours) or failed.");
  vj_metrics_u64 (metrics, counts->accepted, "result", "accepted", NULL);
  vj_metrics_u64 (metrics, counts->refused, "result", "refused", NULL);
  vj_metrics_u64 (metrics, counts->failed, "result", "failed", NULL);
}

static void
put_agent (VjMetrics *metrics, const VjSnapshot *snapshot)
{
  put_one_u64 (metrics, "virtjoule_ticks_total", "counter", "Intervals that were read.", snapshot->ticks);
  put_one_u64 (metrics, "virtjoule_ticks_late_total", "counter",
               "Intervals that began more than half an interval late.", snapshot->ticks_late);
  put_one_u64 (metrics, "virtjoule_ticks_skipped_total", "counter",
               "Deadlines that became part of a longer interval.", snapshot->ticks_skipped);
  put_endings (metrics, snapshot);
  put_one_u64 (metrics, "virtjoule_hook_notes_total", "counter", "Notes of hooks that were taken.",
               snapshot->hook_notes);
  put_guest_socket (metrics, snapshot);
  put_one_u64 (metrics, "virtjoule_libvirt_connected", "gauge", "1 while connected to libvirt.",
               snapshot->libvirt_connected ? 1 : 0);
  vj_metrics_family (metrics, "virtjoule_build_info", "gauge", "Version of the agent.");
  vj_metrics_u64 (metrics, 1, "version", snapshot->version, NULL);
}

char *
vj_api_metrics (const VjSnapshot *snapshot)
{
  VjMetrics *metrics = vj_metrics_new ();
  put_domain_energy (metrics, snapshot);
  put_domain_static (metrics, snapshot);
  put_domain_cpu (metrics, snapshot);
  put_domain_channels (metrics, snapshot);
  put_channel_faults (metrics, snapshot);
  put_zone_energy (metrics, snapshot);
  put_zone_static (metrics, snapshot);
  put_zone_health (metrics, snapshot);
  put_zone_static_power (metrics, snapshot);
  put_source (metrics, snapshot);
  put_agent (metrics, snapshot);
  return vj_metrics_finish (metrics);
}
