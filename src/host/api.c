/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/api.h"

#include <string.h>

#include "common/units.h"

/* JSON is written directly: energies are exact integers and watts exact decimals, which a writer of doubles loses. */

static void
put_string (GString *json, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_string_append_c (json, '"');
  for (const char *p = valid; *p != '\0'; p++)
    {
      if ((guchar)*p < 0x20 || *p == 0x7f)
        {
          g_string_append_printf (json, "\\u%04x", (guint)*p);
          continue;
        }
      if (*p == '"' || *p == '\\')
        g_string_append_c (json, '\\');
      g_string_append_c (json, *p);
    }
  g_string_append_c (json, '"');
}

static void
put_separator (GString *json)
{
  if (strchr ("{[:", json->str[json->len - 1]) == NULL)
    g_string_append_c (json, ',');
}

static void
put_key (GString *json, const char *key)
{
  put_separator (json);
  put_string (json, key);
  g_string_append_c (json, ':');
}

/* open is '{' or '['; key NULL: an element of an array, on a line of its own. */
static void
put_open (GString *json, const char *key, char open)
{
  if (key != NULL)
    put_key (json, key);
  else
    {
      put_separator (json);
      g_string_append_c (json, '\n');
    }
  g_string_append_c (json, open);
}

static void
put_text (GString *json, const char *key, const char *text)
{
  put_key (json, key);
  if (text != NULL)
    put_string (json, text);
  else
    g_string_append (json, "null");
}

static void
put_u64 (GString *json, const char *key, guint64 value)
{
  put_key (json, key);
  g_string_append_printf (json, "%" G_GUINT64_FORMAT, value);
}

static void
put_bool (GString *json, const char *key, gboolean value)
{
  put_key (json, key);
  g_string_append (json, value ? "true" : "false");
}

static void
put_null (GString *json, const char *key)
{
  put_key (json, key);
  g_string_append (json, "null");
}

static void
put_watts (GString *json, const char *key, guint64 power_uw)
{
  put_key (json, key);
  g_string_append_printf (json, "%" G_GUINT64_FORMAT ".%06u", power_uw / VJ_UW_PER_W,
                          (guint)(power_uw % VJ_UW_PER_W));
}

static void
put_reading (GString *json, const VjSnapshot *snapshot, guint64 age_us)
{
  put_text (json, "quality", vj_quality_name (snapshot->quality));
  put_text (json, "source", snapshot->source);
  put_u64 (json, "age_us", age_us);
}

/* One member per zone. */
static void
put_per_zone (GString *json, const char *key, const VjSnapshot *snapshot, const guint64 *energy_uj)
{
  put_open (json, key, '{');
  for (guint i = 0; i < snapshot->zones->len; i++)
    put_u64 (json, vj_snapshot_zone (snapshot, i)->zone.id, energy_uj[i]);
  g_string_append_c (json, '}');
}

static void
put_channel (GString *json, const VjDomainSnapshot *domain)
{
  const VjChannelStatus *channel = &domain->channel;
  put_open (json, "channel", '{');
  put_text (json, "state", domain->has_channel ? vj_channel_state_name (channel->state) : "absent");
  if (domain->has_channel)
    {
      put_text (json, "way", domain->channel_way);
      if (channel->acked_monotonic_us > 0)
        put_u64 (json, "lag_us", domain->channel_lag_us);
      else
        put_null (json, "lag_us");
      put_u64 (json, "frames_sent", channel->frames_sent);
      put_u64 (json, "frames_skipped", channel->frames_skipped);
      put_u64 (json, "frames_unencodable", channel->frames_unencodable);
      put_u64 (json, "hellos", channel->hellos);
      put_u64 (json, "lines_dropped", channel->lines_dropped);
      put_u64 (json, "floods", channel->floods);
    }
  g_string_append_c (json, '}');
}

/* A member per setting: what holds, and by whose word. */
static void
put_settings (GString *json, const VjDomainSnapshot *domain)
{
  put_open (json, "settings", '{');
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    {
      g_autofree char *value = vj_domain_settings_text (&domain->settings, (VjSetting)i);
      put_open (json, vj_setting_name ((VjSetting)i), '{');
      put_text (json, "value", value);
      put_text (json, "origin", vj_setting_origin_name (domain->origin[i]));
      g_string_append_c (json, '}');
    }
  g_string_append_c (json, '}');
  put_text (json, "settings_problem", domain->settings_problem);
}

static void
put_domain (GString *json, const VjSnapshot *snapshot, const VjDomainSnapshot *domain, guint64 age_us)
{
  put_open (json, NULL, '{');
  put_text (json, "name", domain->name);
  put_text (json, "id", domain->id);
  put_text (json, "uuid", domain->uuid[0] != '\0' ? domain->uuid : NULL);
  if (domain->vmid > 0)
    put_u64 (json, "vmid", domain->vmid);
  else
    put_null (json, "vmid");
  put_text (json, "manager", domain->manager);
  if (domain->pid > 0)
    put_u64 (json, "pid", (guint64)domain->pid);
  else
    put_null (json, "pid");
  put_text (json, "state", vj_domain_state_name (domain->state));
  put_watts (json, "watts", domain->power_uw);
  put_per_zone (json, "energy_uj", snapshot, domain->energy_uj);
  put_per_zone (json, "static_uj", snapshot, domain->static_uj);
  put_u64 (json, "cpu_ns", domain->cpu_ns);
  put_text (json, "usage", domain->usage);
  put_text (json, "package_split", domain->package_split);
  put_text (json, "epoch", domain->epoch);
  put_settings (json, domain);
  put_channel (json, domain);
  put_reading (json, snapshot, age_us);
  g_string_append_c (json, '}');
}

char *
vj_api_list_json (const VjSnapshot *snapshot)
{
  GString *json = g_string_new ("[");
  guint64 age_us = vj_snapshot_age_us (snapshot);
  for (guint i = 0; i < snapshot->domains->len; i++)
    put_domain (json, snapshot, g_ptr_array_index (snapshot->domains, i), age_us);
  g_string_append (json, "]\n");
  return g_string_free (json, FALSE);
}

/* Static, dynamic and the host's own are apart under every policy. */
static void
put_totals (GString *json, const VjZoneTotals *totals)
{
  const guint64 static_total_uj = totals->static_uj + totals->attributed_static_uj;
  put_u64 (json, "measured_uj", totals->measured_uj);
  put_u64 (json, "attributed_uj", totals->attributed_uj);
  put_u64 (json, "host_uj", totals->remainder_uj);
  put_u64 (json, "static_uj", totals->static_uj);
  put_u64 (json, "gap_uj", totals->gap_uj);
  put_u64 (json, "static_total_uj", static_total_uj);
  put_u64 (json, "attributed_static_uj", totals->attributed_static_uj);
  put_u64 (json, "dynamic_uj", totals->measured_uj - static_total_uj);
}

static void
put_zone (GString *json, const VjSnapshot *snapshot, const VjZoneSnapshot *zone)
{
  put_open (json, NULL, '{');
  put_text (json, "id", zone->zone.id);
  put_text (json, "name", zone->zone.name);
  put_totals (json, &zone->totals);
  put_u64 (json, "static_owed_uj", zone->static_owed_uj);
  put_text (json, "static_policy", vj_static_policy_name (snapshot->static_policy));
  /* The power of an unreadable zone is not known; its last one must not pass for today's. */
  if (zone->readable)
    put_watts (json, "watts", zone->power_uw);
  else
    put_null (json, "watts");
  put_bool (json, "readable", zone->readable);
  put_watts (json, "static_watts", zone->static_uw);
  put_text (json, "static_source", zone->static_source);
  put_text (json, "static_note", zone->static_note[0] != '\0' ? zone->static_note : NULL);
  put_reading (json, snapshot, zone->age_us);
  g_string_append_c (json, '}');
}

static void
put_ticks (GString *json, const VjSnapshot *snapshot)
{
  put_open (json, "ticks", '{');
  put_u64 (json, "count", snapshot->ticks);
  put_u64 (json, "late", snapshot->ticks_late);
  put_u64 (json, "skipped", snapshot->ticks_skipped);
  put_u64 (json, "interval_us", snapshot->interval_us);
  put_u64 (json, "monotonic_us", snapshot->tick_us);
  put_u64 (json, "age_us", snapshot->age_us);
  g_string_append_c (json, '}');
}

static void
put_sources (GString *json, const VjSnapshot *snapshot)
{
  put_open (json, "sources", '[');
  put_open (json, NULL, '{');
  put_text (json, "name", snapshot->source);
  put_text (json, "quality", vj_quality_name (snapshot->quality));
  put_u64 (json, "age_us", vj_snapshot_age_us (snapshot));
  g_string_append (json, "}]");
}

static void
put_counters (GString *json, const VjSourceCounts *counts)
{
  put_open (json, "counters", '{');
  put_u64 (json, "wraps", counts->wraps);
  put_u64 (json, "resets", counts->resets);
  put_u64 (json, "rejected", counts->rejected);
  put_u64 (json, "gaps", counts->gaps);
  put_u64 (json, "failures", counts->failures);
  g_string_append_c (json, '}');
}

static void
put_managers (GString *json, const VjSnapshot *snapshot)
{
  put_open (json, "managers", '[');
  for (guint i = 0; snapshot->managers[i] != NULL; i++)
    {
      put_separator (json);
      put_string (json, snapshot->managers[i]);
    }
  g_string_append_c (json, ']');
}

static void
put_guest_socket (GString *json, const VjSnapshot *snapshot)
{
  put_open (json, "guest_socket", '{');
  put_bool (json, "open", snapshot->guest_socket_open);
  put_u64 (json, "accepted", snapshot->guest_socket.accepted);
  put_u64 (json, "refused", snapshot->guest_socket.refused);
  put_u64 (json, "failed", snapshot->guest_socket.failed);
  g_string_append_c (json, '}');
}

static void
put_endings (GString *json, const VjSnapshot *snapshot)
{
  put_open (json, "endings", '{');
  for (guint i = 0; i < VJ_N_ENDINGS; i++)
    put_u64 (json, vj_ending_name ((VjEnding)i), snapshot->endings[i]);
  g_string_append_c (json, '}');
}

char *
vj_api_status_json (const VjSnapshot *snapshot)
{
  GString *json = g_string_new ("{");
  put_text (json, "version", snapshot->version);
  put_text (json, "host", snapshot->host);
  put_text (json, "hardware", snapshot->hardware);
  put_text (json, "state_dir", snapshot->state_dir);
  put_u64 (json, "cpus", snapshot->cpus);
  put_u64 (json, "busy_us", snapshot->busy_ns / VJ_NS_PER_US);
  put_open (json, "zones", '[');
  for (guint i = 0; i < snapshot->zones->len; i++)
    put_zone (json, snapshot, vj_snapshot_zone (snapshot, i));
  g_string_append_c (json, ']');
  put_ticks (json, snapshot);
  put_sources (json, snapshot);
  put_counters (json, &snapshot->counts);
  put_open (json, "libvirt", '{');
  put_text (json, "uri", snapshot->libvirt_uri);
  put_bool (json, "connected", snapshot->libvirt_connected);
  g_string_append_c (json, '}');
  put_text (json, "counter_lifetime", snapshot->counter_forever ? "forever" : "run");
  put_managers (json, snapshot);
  put_guest_socket (json, snapshot);
  put_endings (json, snapshot);
  put_u64 (json, "hook_notes", snapshot->hook_notes);
  put_bool (json, "exit_records", snapshot->exit_records);
  put_u64 (json, "domains", snapshot->domains->len);
  g_string_append (json, "}\n");
  return g_string_free (json, FALSE);
}
