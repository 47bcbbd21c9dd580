/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/api.h"

#include <json-glib/json-glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

#define J G_GUINT64_CONSTANT (1000000)

static void
add_zone (VjSnapshot *snapshot, const char *name, int parent, const VjZoneTotals *totals, gboolean readable)
{
  const VjZone *outer = parent >= 0 ? &vj_snapshot_zone (snapshot, (guint)parent)->zone : NULL;
  VjZoneSnapshot zone = {
    .totals = *totals, .static_owed_uj = 1500000, .power_uw = 20500001, .readable = readable
  };
  zone.age_us = readable ? 400000 : 73400000;
  zone.static_source = "none";
  if (parent < 0)
    {
      zone.static_uw = 10250000;
      zone.static_source = "calibrated";
      g_strlcpy (zone.static_note, "+-0.120 W", sizeof zone.static_note);
    }
  assert_true (vj_zone_init (&zone.zone, name, outer, parent));
  g_array_append_val (snapshot->zones, zone);
}

static VjDomainSnapshot *
add_domain (VjSnapshot *snapshot, const char *name, const char *uuid, guint64 energy_uj)
{
  VjDomainSnapshot *domain = vj_domain_snapshot_new (snapshot->zones->len);
  domain->name = g_strdup (name);
  g_strlcpy (domain->id, uuid, sizeof domain->id);
  g_strlcpy (domain->uuid, uuid, sizeof domain->uuid);
  domain->settings = (VjDomainSettings){ .measure = TRUE, .interval_us = 1000000, .resolution_uj = 1000 };
  g_strlcpy (domain->epoch, "00112233445566aa", sizeof domain->epoch);
  domain->manager = "libvirt";
  for (guint i = 0; i < snapshot->zones->len; i++)
    {
      domain->energy_uj[i] = energy_uj / (i + 1);
      domain->static_uj[i] = domain->energy_uj[i] / 3;
    }
  g_ptr_array_add (snapshot->domains, domain);
  return domain;
}

static void
add_domains (VjSnapshot *snapshot)
{
  VjDomainSnapshot *open = add_domain (snapshot, "web-1", "11111111-2222-4333-8444-555555555555", 123456789);
  open->state = VJ_DOMAIN_RUNNING;
  open->pid = 4242;
  open->power_uw = 12345678;
  open->cpu_ns = 98765432109;
  open->usage = "cgroup-v2";
  open->has_channel = TRUE;
  open->channel_way = "bind";
  open->settings.interval_us = 5000000;
  open->origin[VJ_SETTING_INTERVAL] = VJ_ORIGIN_DOMAIN;
  open->origin[VJ_SETTING_STATIC_POLICY] = VJ_ORIGIN_CONFIG;
  open->settings_problem = g_strdup ("resolution: \"fine\" is not allowed");
  open->channel = (VjChannelStatus){ .state = VJ_CHANNEL_OPEN,
                                     .acked_monotonic_us = 1,
                                     .frames_sent = 17,
                                     .frames_skipped = 2,
                                     .frames_unencodable = 8,
                                     .hellos = 3,
                                     .lines_dropped = 4,
                                     .floods = 9 };
  open->channel_lag_us = 1000250;

  VjDomainSnapshot *waiting =
      add_domain (snapshot, "b\"\\\x1b[31m\n\xff{zone=\"x\"}", "22222222-2222-4333-8444-555555555555", 7);
  waiting->state = VJ_DOMAIN_PAUSED;
  waiting->pid = 17;
  waiting->usage = "process";
  waiting->has_channel = TRUE;
  waiting->channel_way = "connect";
  waiting->manager = "proxmox";
  waiting->vmid = 100;
  g_strlcpy (waiting->id, "proxmox-100", sizeof waiting->id);
  waiting->uuid[0] = '\0';
  waiting->channel.state = VJ_CHANNEL_WAITING;

  VjDomainSnapshot *fresh = add_domain (snapshot, "ñandú-数据", "33333333-2222-4333-8444-555555555555", 0);
  fresh->state = VJ_DOMAIN_RUNNING;
}

static VjSnapshot *
snapshot_new (void)
{
  VjSnapshot *snapshot = vj_snapshot_new ();
  snapshot->version = "0.1.0";
  g_strlcpy (snapshot->host, "99999999-2222-4333-8444-555555555555", sizeof snapshot->host);
  snapshot->source = "powercap";
  snapshot->quality = VJ_QUALITY_MEASURED;
  snapshot->static_policy = VJ_STATIC_PROPORTIONAL;
  snapshot->counts = (VjSourceCounts){ .wraps = 1, .resets = 2, .rejected = 3, .gaps = 4, .failures = 5 };
  snapshot->age_us = 400000;
  snapshot->interval_us = 1000000;
  snapshot->tick_us = 7200000000;
  snapshot->busy_ns = 86400123456789;
  snapshot->cpus = 64;
  snapshot->hardware = "0123456789abcdef";
  snapshot->state_dir = "/var/lib/virtjoule";
  snapshot->ticks = 3600;
  snapshot->ticks_late = 6;
  snapshot->ticks_skipped = 7;
  snapshot->libvirt_uri = "qemu:///system";
  snapshot->libvirt_connected = TRUE;
  snapshot->managers[0] = "libvirt";
  snapshot->managers[1] = "proxmox";
  snapshot->guest_socket_open = TRUE;
  snapshot->guest_socket = (VjGuestSocketCounts){ .accepted = 11, .refused = 12, .failed = 13 };
  snapshot->exit_records = TRUE;
  snapshot->endings[VJ_ENDING_EXACT] = 21;
  snapshot->endings[VJ_ENDING_COMPLETED] = 22;
  snapshot->endings[VJ_ENDING_UNKNOWN] = 23;
  snapshot->hook_notes = 24;
  add_zone (snapshot, "package-0", -1,
            &(VjZoneTotals){ 1000 * J + 3, 500 * J + 1, 300 * J + 2, 200 * J, 5 * J, 20 * J }, TRUE);
  add_zone (snapshot, "core", 0, &(VjZoneTotals){ 600 * J, 400 * J, 200 * J, 0, 0, 0 }, TRUE);
  add_zone (snapshot, "dram", 0, &(VjZoneTotals){ 40 * J, 0, 40 * J, 0, 40 * J, 0 }, FALSE);
  add_zone (snapshot, "psys", -1,
            &(VjZoneTotals){ G_GUINT64_CONSTANT (9000000000000000001), 0,
                             G_GUINT64_CONSTANT (9000000000000000001), 0, 0, 0 },
            TRUE);
  add_domains (snapshot);
  return snapshot;
}

static JsonNode *
parsed (const char *json)
{
  JsonNode *root = json_from_string (json, NULL);
  assert_non_null (root);
  return root;
}

static void
test_list (void **state)
{
  g_autoptr (VjSnapshot) snapshot = snapshot_new ();
  g_autofree char *json = vj_api_list_json (snapshot);
  g_autoptr (JsonNode) root = parsed (json);
  assert_int_equal (json_array_get_length (json_node_get_array (root)), 3);
  golden_assert ("api/list.json", json);
}

static void
test_strings_survive (void **state)
{
  g_autoptr (VjSnapshot) snapshot = snapshot_new ();
  g_autofree char *json = vj_api_list_json (snapshot);
  g_autoptr (JsonNode) root = parsed (json);
  JsonArray *domains = json_node_get_array (root);
  assert_string_equal (json_object_get_string_member (json_array_get_object_element (domains, 1), "name"),
                       "b\"\\\x1b[31m\n\xef\xbf\xbd{zone=\"x\"}");
  assert_string_equal (json_object_get_string_member (json_array_get_object_element (domains, 2), "name"),
                       "ñandú-数据");
}

static void
test_status (void **state)
{
  g_autoptr (VjSnapshot) snapshot = snapshot_new ();
  g_autofree char *json = vj_api_status_json (snapshot);
  g_autoptr (JsonNode) root = parsed (json);
  assert_true (JSON_NODE_HOLDS_OBJECT (root));
  golden_assert ("api/status.json", json);
}

static void
test_metrics (void **state)
{
  g_autoptr (VjSnapshot) snapshot = snapshot_new ();
  g_autofree char *text = vj_api_metrics (snapshot);
  golden_assert ("api/metrics.prom", text);
}

/* No zone, no domain, no libvirt: what an agent shows before its first tick. */
static void
test_empty (void **state)
{
  g_autoptr (VjSnapshot) snapshot = vj_snapshot_new ();
  snapshot->version = "0.1.0";
  snapshot->source = "model";
  snapshot->quality = VJ_QUALITY_ESTIMATED;
  snapshot->libvirt_uri = "none";
  g_autofree char *list = vj_api_list_json (snapshot);
  g_autofree char *status = vj_api_status_json (snapshot);
  g_autofree char *metrics = vj_api_metrics (snapshot);
  g_autoptr (JsonNode) root = parsed (status);
  assert_string_equal (list, "[]\n");
  assert_int_equal (json_object_get_int_member (json_node_get_object (root), "domains"), 0);
  assert_non_null (strstr (metrics, "quality=\"estimated\""));
}

static void
test_age_is_that_of_the_oldest_reading (void **state)
{
  g_autoptr (VjSnapshot) snapshot = snapshot_new ();
  assert_int_equal (vj_snapshot_age_us (snapshot), 73400000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_list),   cmocka_unit_test (test_strings_survive),
    cmocka_unit_test (test_status), cmocka_unit_test (test_metrics),
    cmocka_unit_test (test_empty),  cmocka_unit_test (test_age_is_that_of_the_oldest_reading),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
