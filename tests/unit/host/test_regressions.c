/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One case for each failure that was found in public tools of this kind, named after it. The letters are those tools' lists:
 * S Scaphandre, K Kepler, A Alumet, E CEEMS. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/counter.h"
#include "common/procfs.h"
#include "common/units.h"
#include "fake_powercap.h"
#include "host/api.h"
#include "common/busy.h"
#include "host/domains/domains.h"
#include "common/source_powercap.h"
#include "host/usage/usage.h"
#include "tempdir.h"
#include "test_child.h"

#define SECOND  VJ_US_PER_S
#define JOULE   VJ_UJ_PER_J
#define EPOCH   "00112233445566aa"
#define UUID    "11111111-2222-4333-8444-555555555555"
#define TICK_NS (VJ_NS_PER_S / (guint64)sysconf (_SC_CLK_TCK))

static VjLedger *
new_ledger (void)
{
  VjLedger *ledger = vj_ledger_new ();
  VjZone zone;
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  vj_ledger_add_zone (ledger, &zone, 0);
  return ledger;
}

/* One interval in which account uses half of what the machine uses. */
static void
take_interval (VjLedger *ledger, VjAccount *account, guint64 measured_uj, guint64 elapsed_us)
{
  vj_account_add_usage (account, VJ_RESOURCE_CPU, elapsed_us);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 2 * elapsed_us);
  vj_ledger_measure (ledger, 0, measured_uj, elapsed_us, FALSE);
  vj_ledger_settle (ledger);
}

/* S1: a guest's counter that is fed power every few seconds reads low by as many times. */
static void
test_s1_counter_does_not_depend_on_the_interval (void **state)
{
  static const guint64 intervals_us[] = { SECOND / 10, SECOND, 5 * SECOND, 60 * SECOND };
  for (gsize i = 0; i < G_N_ELEMENTS (intervals_us); i++)
    {
      g_autoptr (VjLedger) ledger = new_ledger ();
      VjAccount *account = vj_ledger_open (ledger, EPOCH);
      for (guint64 at_us = 0; at_us < 60 * SECOND; at_us += intervals_us[i])
        take_interval (ledger, account, 40 * intervals_us[i], intervals_us[i]); /* 40 W */
      assert_int_equal (vj_account_energy_uj (account, 0), 60 * 20 * JOULE);
    }
}

/* S3: when the hardware's counter wraps, that interval is lost for every VM. */
static void
test_s3_wrap_loses_no_interval (void **state)
{
  g_autoptr (VjLedger) ledger = new_ledger ();
  VjAccount *account = vj_ledger_open (ledger, EPOCH);
  VjSourceReading reading;
  fake_powercap_add (*state, "intel-rapl:0", "package-0", FAKE_RANGE_UJ - 10 * JOULE);
  g_autoptr (VjSource) source = vj_source_powercap_open (*state, VJ_POWERCAP_MAX_POWER_UW, NULL);
  vj_source_read (source, SECOND, &reading);
  fake_powercap_set_energy (*state, "intel-rapl:0", 30 * JOULE);
  reading = (VjSourceReading){ 0 };
  vj_source_read (source, 2 * SECOND, &reading);
  take_interval (ledger, account, reading.delta_uj, reading.elapsed_us);
  assert_int_equal (vj_account_energy_uj (account, 0), 20 * JOULE);
  assert_int_equal (source->counts.wraps, 1);
}

/* S8: the time of guests is within user time, and is added to it once more. */
static void
test_s8_guest_time_is_not_counted_twice (void **state)
{
  static const char pid_stat[] =
      "7 (qemu) S 1 7 7 0 -1 0 0 0 0 0 500 20 0 0 20 0 4 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
      "0 17 1 0 0 0 480 0 0 0 0 0 0 0 0 0\n";
  static const char stat[] = "cpu  500 0 20 80 0 0 0 0 480 0\ncpu0 500 0 20 80 0 0 0 0 480 0\n";
  VjProcPidStat process;
  VjProcStat machine;
  assert_true (vj_procfs_parse_pid_stat (pid_stat, strlen (pid_stat), &process));
  assert_int_equal (process.cpu_ticks, 520);
  assert_true (vj_procfs_parse_stat (stat, strlen (stat), &machine));
  assert_int_equal (machine.idle_ticks, 80);
}

static guint64
read_usage (VjUsage *usage)
{
  guint64 usage_ns = 0;
  assert_true (vj_usage_read (usage, &usage_ns, NULL));
  return usage_ns;
}

static void *
burn (void *data)
{
  struct timespec used = { 0 };
  while (used.tv_sec == 0 && used.tv_nsec < 20000000)
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &used);
  return data;
}

/* K2: what threads and processes used that end between two readings is lost, and the survivors get its energy. */
static void
test_k2_usage_of_those_who_ended_is_not_given_to_survivors (void **state)
{
  char *root = *state;
  const VjRoots roots = { .procfs = root, .cgroupfs = root };
  pthread_t thread;
  g_autoptr (VjUsage) usage = vj_usage_open (&roots, getpid (), NULL);
  assert_non_null (usage);
  const guint64 before_ns = read_usage (usage);
  assert_int_equal (pthread_create (&thread, NULL, burn, NULL), 0);
  assert_int_equal (pthread_join (thread, NULL), 0);
  assert_true (read_usage (usage) - before_ns >= 20000000);

  g_autoptr (VjLedger) ledger = new_ledger ();
  VjAccount *survivor = vj_ledger_open (ledger, "survivor"), *brief = vj_ledger_open (ledger, "brief");
  vj_account_add_usage (survivor, VJ_RESOURCE_CPU, 30);
  vj_account_add_usage (brief, VJ_RESOURCE_CPU, 60);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 100);
  vj_ledger_close (ledger, brief);
  vj_ledger_measure (ledger, 0, 1000, SECOND, FALSE);
  vj_ledger_settle (ledger);
  assert_int_equal (vj_account_energy_uj (survivor, 0), 300);
  assert_int_equal (vj_ledger_totals (ledger, 0)->attributed_uj, 900);
}

/* K3: in an interval without energy all counters fall back to zero. */
static void
test_k3_interval_without_energy_resets_no_counter (void **state)
{
  g_autoptr (VjLedger) ledger = new_ledger ();
  VjAccount *account = vj_ledger_open (ledger, EPOCH);
  take_interval (ledger, account, 1000, SECOND);
  take_interval (ledger, account, 0, SECOND);
  assert_int_equal (vj_account_energy_uj (account, 0), 500);
  assert_int_equal (vj_ledger_totals (ledger, 0)->measured_uj, 1000);
  take_interval (ledger, account, 1000, SECOND);
  assert_int_equal (vj_account_energy_uj (account, 0), 1000);
}

/* A process that lives until it is told. */
/* K6: a pid that has come to mean another process gives a negative step, which is taken for a huge one. */
static void
test_k6_reused_pid_is_another_process (void **state)
{
  char *root = *state;
  VjRoots roots = { .procfs = g_strdup ("/proc"), .cgroupfs = root, .sysfs = root };
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);
  g_autoptr (VjPoll) poll = vj_poll_new (NULL, NULL);
  g_autoptr (VjLedger) ledger = new_ledger ();
  VjFrameTemplate template = { .interval_us = SECOND };
  const VjDomainSettings settings = { .measure = TRUE, .resolution_uj = 1 };
  g_autoptr (VjMachine) machine = vj_machine_open (&roots, ledger, TRUE, NULL);
  const VjDomainsOptions options = {
    .run = { .roots = &roots, .ledger = ledger, .machine = machine, .poll = poll },
    .template = &template,
    .settings = &settings
  };
  g_autoptr (VjDomains) domains = vj_domains_new (&options);
  VjStoredDomain stored = {
    .id = UUID,
    .pid = pid,
    .start_us = 1,
    .mark = { .epoch = EPOCH, .usage_ns = 5 * VJ_NS_PER_S, .usage_kind = VJ_SCOPE_PROCESS }
  };
  stored.name = (char[]){ "-" };
  vj_account_add_usage (vj_ledger_open (ledger, EPOCH), VJ_RESOURCE_CPU, 5 * VJ_NS_PER_S);
  vj_ledger_measure (ledger, 0, 0, 0, FALSE);
  vj_ledger_settle (ledger);

  assert_false (vj_domains_restore (domains, &stored, TRUE));
  assert_null (vj_ledger_find (ledger, EPOCH));
  vj_domains_read_usage (domains, SECOND);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, VJ_NS_PER_S);
  vj_ledger_measure (ledger, 0, 1000, SECOND, FALSE);
  vj_ledger_settle (ledger);
  assert_int_equal (vj_ledger_totals (ledger, 0)->attributed_uj, 0);
  test_child_stop (pid, socket);
  g_free (roots.procfs);
}

/* K8: time that another hypervisor took is counted as the machine's own activity. */
static void
test_k8_stolen_time_is_not_busy_time (void **state)
{
  guint64 busy_ns = 0;
  guint cpus = 0;
  tempdir_write (*state, "stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n");
  g_autoptr (VjBusy) busy = vj_busy_open (*state, NULL);
  assert_true (vj_busy_read (busy, SECOND, &busy_ns, &cpus, NULL));
  tempdir_write (*state, "stat", "cpu  10 0 0 50 0 0 0 40 0 0\ncpu0 10 0 0 50 0 0 0 40 0 0\n");
  assert_true (vj_busy_read (busy, 2 * SECOND, &busy_ns, &cpus, NULL));
  assert_int_equal (busy_ns, 10 * TICK_NS);
}

static VjSnapshot *
new_snapshot (const VjLedger *ledger, VjAccount *account)
{
  VjSnapshot *snapshot = vj_snapshot_new ();
  VjDomainSnapshot *domain = vj_domain_snapshot_new (vj_ledger_n_zones (ledger));
  snapshot->version = "0";
  snapshot->source = "powercap";
  snapshot->libvirt_uri = "none";
  snapshot->hardware = snapshot->state_dir = "-";
  domain->name = g_strdup ("a");
  domain->manager = "libvirt";
  for (guint z = 0; z < vj_ledger_n_zones (ledger); z++)
    {
      const VjZoneSnapshot zone = { .zone = *vj_ledger_zone (ledger, z),
                                    .totals = *vj_ledger_totals (ledger, z),
                                    .static_source = "none" };
      g_array_append_val (snapshot->zones, zone);
      domain->energy_uj[z] = vj_account_energy_uj (account, z);
    }
  g_ptr_array_add (snapshot->domains, domain);
  return snapshot;
}

static void
check_scrape (const VjLedger *ledger, VjAccount *account, const char *joules)
{
  g_autoptr (VjSnapshot) snapshot = new_snapshot (ledger, account);
  g_autofree char *text = vj_api_metrics (snapshot);
  g_autofree char *line = g_strdup_printf (
      "virtjoule_domain_energy_joules_total{domain=\"a\",id=\"\",uuid=\"\",zone=\"package-0\"} %s\n", joules);
  assert_non_null (strstr (text, "# TYPE virtjoule_domain_energy_joules_total counter\n"));
  assert_non_null (strstr (text, line));
}

/* A1: what is shown is the last interval's energy, so that a scrape that comes seldom discards joules. */
static void
test_a1_seldom_scrape_discards_nothing (void **state)
{
  g_autoptr (VjLedger) ledger = new_ledger ();
  VjAccount *account = vj_ledger_open (ledger, EPOCH);
  take_interval (ledger, account, 2 * JOULE, SECOND);
  check_scrape (ledger, account, "1.000000");
  check_scrape (ledger, account, "1.000000");
  for (int i = 0; i < 14; i++)
    take_interval (ledger, account, 2 * JOULE, SECOND);
  check_scrape (ledger, account, "15.000000");
}

/* A2: any step backwards is taken for a wrap, so that a reset adds up to the counter's whole range. */
static void
test_a2_reset_is_not_taken_for_a_wrap (void **state)
{
  VjCounter counter = { .max_range_uj = FAKE_RANGE_UJ };
  guint64 delta_uj = 0, sum_uj = 0;
  vj_counter_advance (&counter, 200000 * JOULE, 500 * JOULE, &delta_uj);
  assert_int_equal (vj_counter_advance (&counter, 3 * JOULE, 500 * JOULE, &delta_uj), VJ_COUNTER_RESET);
  sum_uj += delta_uj;
  assert_int_equal (vj_counter_advance (&counter, 8 * JOULE, 500 * JOULE, &delta_uj), VJ_COUNTER_ADVANCED);
  sum_uj += delta_uj;
  assert_int_equal (sum_uj, 8 * JOULE);
}

/* A3: package-0-die-0 is not understood; and dies that mirror one counter are added up. */
static void
test_a3_dies_are_understood_and_mirrors_left_out (void **state)
{
  VjZone zone;
  VjSourceReading readings[2];
  guint64 sum_uj = 0;
  assert_true (vj_zone_init (&zone, "package-0-die-0\n", NULL, -1));
  assert_true (zone.kind == VJ_ZONE_PACKAGE && zone.package == 0 && zone.die == 0);
  fake_powercap_add (*state, "intel-rapl:0", "package-0-die-0", 0);
  fake_powercap_add (*state, "intel-rapl:1", "package-0-die-1", 0);
  g_autoptr (VjSource) source = vj_source_powercap_open (*state, VJ_POWERCAP_MAX_POWER_UW, NULL);
  for (guint64 i = 1; i <= 20; i++)
    {
      fake_powercap_set_energy (*state, "intel-rapl:0", i * 7 * JOULE);
      fake_powercap_set_energy (*state, "intel-rapl:1", i * 7 * JOULE);
      memset (readings, 0, sizeof readings);
      vj_source_read (source, i * SECOND, readings);
      for (guint z = 0; z < vj_source_n_zones (source); z++)
        sum_uj += readings[z].delta_uj;
    }
  assert_int_equal (sum_uj, 19 * 7 * JOULE);
}

/* E2: packages and dram are added up unconditionally: where there is no dram, there is no result. */
static void
test_e2_sum_holds_without_dram (void **state)
{
  g_autoptr (VjLedger) ledger = new_ledger ();
  VjAccount *account = vj_ledger_open (ledger, EPOCH);
  take_interval (ledger, account, 2 * JOULE, SECOND);
  g_autoptr (VjSnapshot) snapshot = new_snapshot (ledger, account);
  g_autofree char *metrics = vj_api_metrics (snapshot);
  g_autofree char *list = vj_api_list_json (snapshot);
  assert_null (strstr (metrics, "dram"));
  assert_non_null (strstr (list, "\"energy_uj\":{\"package-0\":1000000}"));
  check_scrape (ledger, account, "1.000000");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_s1_counter_does_not_depend_on_the_interval),
    tempdir_unit_test (test_s3_wrap_loses_no_interval),
    cmocka_unit_test (test_s8_guest_time_is_not_counted_twice),
    tempdir_unit_test (test_k2_usage_of_those_who_ended_is_not_given_to_survivors),
    cmocka_unit_test (test_k3_interval_without_energy_resets_no_counter),
    tempdir_unit_test (test_k6_reused_pid_is_another_process),
    tempdir_unit_test (test_k8_stolen_time_is_not_busy_time),
    cmocka_unit_test (test_a1_seldom_scrape_discards_nothing),
    cmocka_unit_test (test_a2_reset_is_not_taken_for_a_wrap),
    tempdir_unit_test (test_a3_dies_are_understood_and_mirrors_left_out),
    cmocka_unit_test (test_e2_sum_holds_without_dram),
  };
  return cmocka_run_group_tests_name ("regressions", tests, NULL, NULL);
}
