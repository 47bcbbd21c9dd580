/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/units.h"
#include "tempdir.h"
#include "test_child.h"

/* Processes that live, in a /proc and control groups that the test writes: each second of CPU time is the test's word. */

#define SECOND    VJ_US_PER_S
#define ENERGY_UJ G_GUINT64_CONSTANT (1000000)
#define UUID      "11111111-2222-4333-8444-555555555555"
#define HELLO     "\n{\"v\":1,\"hello\":\"00000000000000aa\"}\n"

typedef struct
{
  int pid;
  int socket;
  char *cpu_stat;
} Qemu;

typedef struct
{
  const char *root;
  VjRoots roots;
  VjLedger *ledger;
  VjMachine *machine;
  VjPoll *poll;
  VjLifetimes *lifetimes;
  VjFrameTemplate template;
  VjDomainSettings settings;
  VjDomains *domains;
  guint64 now_us;
  VjSnapshot *snapshot;
  GPtrArray *shown; /* of snapshot */
} Bed;

static void
open_ledger (Bed *bed)
{
  VjZone zone;
  bed->ledger = vj_ledger_new ();
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  vj_ledger_add_zone (bed->ledger, &zone, 0);
  bed->machine = vj_machine_open (&bed->roots, bed->ledger, TRUE, NULL);
  assert_non_null (bed->machine);
  bed->template.interval_us = SECOND;
  bed->template.frame.n_zones = 1;
  bed->template.frame.zones[0] = zone;
  g_strlcpy (bed->template.frame.host, UUID, sizeof bed->template.frame.host);
  g_strlcpy (bed->template.frame.source, "powercap", sizeof bed->template.frame.source);
}

static Bed *
bed_new (const char *root, gboolean forever)
{
  static const char *const zones[] = { "package-0", NULL };
  g_autofree char *problem = NULL;
  Bed *bed = g_new0 (Bed, 1);
  bed->root = root;
  bed->roots = (VjRoots){ .procfs = g_build_filename (root, "proc", NULL),
                          .cgroupfs = g_build_filename (root, "cgroup", NULL),
                          .sysfs = g_strdup (root) };
  tempdir_write (root, "proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n");
  tempdir_write (root, "cgroup/cgroup.controllers", "cpu\n");
  open_ledger (bed);
  bed->poll = vj_poll_new (NULL, NULL);
  bed->settings = (VjDomainSettings){ .measure = TRUE, .interval_us = SECOND, .resolution_uj = 1 };
  if (forever)
    bed->lifetimes = vj_lifetimes_open (root, zones, &problem, NULL);
  const VjDomainsOptions options = {
    .run = { .roots = &bed->roots, .ledger = bed->ledger, .machine = bed->machine, .poll = bed->poll },
    .template = &bed->template,
    .settings = &bed->settings,
    .lifetimes = bed->lifetimes
  };
  bed->domains = vj_domains_new (&options);
  vj_domains_begin_interval (bed->domains, vj_clock_boottime_us ());
  bed->snapshot = vj_snapshot_new ();
  bed->shown = bed->snapshot->domains;
  return bed;
}

static void
bed_free (Bed *bed)
{
  vj_domains_free (bed->domains);
  vj_lifetimes_free (bed->lifetimes);
  vj_poll_free (bed->poll);
  vj_machine_free (bed->machine);
  vj_ledger_free (bed->ledger);
  vj_roots_clear (&bed->roots);
  vj_snapshot_free (bed->snapshot);
  g_free (bed);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bed, bed_free)

/* Written in place, since the file stays open. */
static void
use_cpu (const Bed *bed, const Qemu *qemu, guint64 used_us)
{
  g_autofree char *text = g_strdup_printf ("usage_usec %012" G_GUINT64_FORMAT "\n", used_us);
  tempdir_write (bed->root, qemu->cpu_stat, text);
}

/* scope: of a domain, as libvirt makes it. */
static Qemu
qemu_start (const Bed *bed, const char *scope, guint64 used_us)
{
  Qemu qemu = { .cpu_stat = g_strdup_printf ("cgroup/machine/qemu-%s.libvirt-qemu/cpu.stat", scope) };
  qemu.pid = test_child_start (NULL, NULL, &qemu.socket);
  g_autofree char *stat = g_strdup_printf ("proc/%d/stat", qemu.pid);
  g_autofree char *cgroup = g_strdup_printf ("proc/%d/cgroup", qemu.pid);
  g_autofree char *path = g_strdup_printf ("0::/machine/qemu-%s.libvirt-qemu/emulator\n", scope);
  tempdir_write (bed->root, stat,
                 "7 (qemu) S 1 7 7 0 -1 0 0 0 0 0 500 20 0 0 20 0 4 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
                 "0 17 1 0 0 0 480 0 0 0 0 0 0 0 0 0\n");
  tempdir_write (bed->root, cgroup, path);
  use_cpu (bed, &qemu, used_us);
  return qemu;
}

static void
qemu_stop (Qemu *qemu)
{
  if (qemu->pid > 0)
    test_child_stop (qemu->pid, qemu->socket);
  qemu->pid = 0;
  g_clear_pointer (&qemu->cpu_stat, g_free);
}

static VjDomainInfo
info_of (const char *manager, const char *id, int pid)
{
  VjDomainInfo info = {
    .name = (char *)"a", .manager = manager, .state = VJ_DOMAIN_RUNNING, .vcpus = 1, .pid = pid
  };
  g_strlcpy (info.id, id, sizeof info.id);
  g_strlcpy (info.uuid, UUID, sizeof info.uuid);
  return info;
}

static void
tell (const Bed *bed, const char *manager, const char *id, const Qemu *qemu)
{
  const VjDomainInfo info = info_of (manager, id, qemu->pid);
  vj_domains_present (bed->domains, &info);
}

static void
settle (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* An interval in which the machine was busy for two seconds. */
static void
tick (Bed *bed)
{
  bed->now_us += SECOND;
  vj_domains_read_usage (bed->domains, SECOND);
  vj_ledger_add_busy (bed->ledger, VJ_RESOURCE_CPU, 2 * VJ_NS_PER_S);
  vj_ledger_measure (bed->ledger, 0, ENERGY_UJ, SECOND, FALSE);
  vj_ledger_settle (bed->ledger);
  vj_domains_settled (bed->domains);
  vj_domains_begin_interval (bed->domains, vj_clock_boottime_us ());
  bed->template.frame.monotonic_us = bed->now_us;
  vj_domains_publish (bed->domains, SECOND, bed->now_us);
  settle ();
  const VjZoneTotals *totals = vj_ledger_totals (bed->ledger, 0);
  assert_int_equal (totals->measured_uj, totals->attributed_uj + totals->remainder_uj + totals->static_uj);
}

static guint
show (Bed *bed)
{
  g_ptr_array_set_size (bed->shown, 0);
  vj_domains_snapshot (bed->domains, bed->now_us, bed->shown);
  return bed->shown->len;
}

static const VjDomainSnapshot *
only (Bed *bed)
{
  assert_int_equal (show (bed), 1);
  return g_ptr_array_index (bed->shown, 0);
}

static guint64
cpu_s (Bed *bed)
{
  return only (bed)->cpu_ns / VJ_NS_PER_S;
}

static void
wait_for_exit (Bed *bed, Qemu *qemu)
{
  kill (qemu->pid, SIGKILL);
  assert_int_equal (waitpid (qemu->pid, NULL, 0), qemu->pid);
  for (int i = 0; i < 1000 && only (bed)->state != VJ_DOMAIN_STOPPED; i++)
    g_main_context_iteration (NULL, TRUE);
  assert_int_equal (only (bed)->state, VJ_DOMAIN_STOPPED);
  close (qemu->socket);
  qemu->pid = 0;
}

/* --- one process, one domain --- */

static void
test_a_process_goes_to_whom_has_the_better_right_to_it (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  tell (bed, "qemu", "qemu-a", &qemu);
  use_cpu (bed, &qemu, 3 * SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 3);

  use_cpu (bed, &qemu, 4 * SECOND); /* is billed to the one before, not twice and not to nobody */
  tell (bed, "libvirt", UUID, &qemu);
  assert_string_equal (only (bed)->manager, "libvirt");
  use_cpu (bed, &qemu, 5 * SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 1);

  tell (bed, "qemu", "qemu-a", &qemu); /* told again: nothing changes */
  tell (bed, "proxmox", "proxmox-100", &qemu);
  use_cpu (bed, &qemu, 7 * SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 3);
  assert_string_equal (only (bed)->id, UUID);

  for (guint i = 0; i < VJ_N_ENDINGS; i++)
    assert_int_equal (vj_domains_endings (bed->domains)[i], 0); /* nothing has ended */
  use_cpu (bed, &qemu, 8 * SECOND);
  vj_domains_absent (bed->domains, UUID); /* Proxmox comes before plain QEMU */
  use_cpu (bed, &qemu, 10 * SECOND);
  tick (bed);
  assert_string_equal (only (bed)->id, "proxmox-100");
  assert_int_equal (cpu_s (bed), 2);
  qemu_stop (&qemu);
}

/* Of two with the same right, the first keeps it. */
static void
test_a_process_stays_with_the_first_of_one_manager (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  tell (bed, "qemu", "qemu-a", &qemu);
  tell (bed, "qemu", "qemu-b", &qemu);
  use_cpu (bed, &qemu, SECOND);
  tick (bed);
  assert_string_equal (only (bed)->id, "qemu-a");
  assert_int_equal (cpu_s (bed), 1);
  qemu_stop (&qemu);
}

static guint64
start_ticks_now (void)
{
  return vj_clock_boottime_us () * (guint64)sysconf (_SC_CLK_TCK) / VJ_US_PER_S;
}

static void
write_start (const Bed *bed, int pid, guint64 start_ticks)
{
  g_autofree char *path = g_strdup_printf ("proc/%d/stat", pid);
  g_autofree char *text =
      g_strdup_printf ("7 (qemu) S 1 7 7 0 -1 0 0 0 0 0 500 20 0 0 20 0 4 0 %" G_GUINT64_FORMAT
                       " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 480 0 0 0 0 0 0 0 0 0\n",
                       start_ticks);
  tempdir_write (bed->root, path, text);
}

/* For want of file descriptors, say. But whoever has its number later is not it. */
static void
test_a_process_that_cannot_be_held_is_tried_again (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 5 * SECOND);
  g_autofree char *stat = g_strdup_printf ("proc/%d/stat", qemu.pid);
  tempdir_remove (bed->root, stat);
  tell (bed, "libvirt", UUID, &qemu);
  tick (bed);
  assert_int_equal (only (bed)->pid, 0);
  write_start (bed, qemu.pid, start_ticks_now () + 1000);
  tick (bed);
  assert_int_equal (only (bed)->pid, 0);
  write_start (bed, qemu.pid, 100);
  tick (bed);
  assert_int_equal (only (bed)->pid, qemu.pid);
  use_cpu (bed, &qemu, 7 * SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 2);
  qemu_stop (&qemu);
}

static void
test_what_only_an_earlier_agent_knew_is_let_go_once_all_is_told (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 5 * SECOND);
  const VjStoredDomain stored = { .id = UUID,
                                  .manager = "libvirt",
                                  .name = (char *)"a",
                                  .pid = qemu.pid,
                                  .mark = { "00112233445566aa", 4 * VJ_NS_PER_S, VJ_SCOPE_V2 } };
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_true (vj_domains_restore (bed->domains, &stored, TRUE));
  tell (bed, "qemu", "qemu-a", &qemu);
  tick (bed);
  assert_string_equal (only (bed)->id, UUID);
  assert_int_equal (cpu_s (bed), 1);
  vj_domains_listed (bed->domains, "proxmox");
  assert_string_equal (only (bed)->id, UUID);
  vj_domains_listed (bed->domains, "libvirt");
  assert_string_equal (only (bed)->id, "qemu-a");
  qemu_stop (&qemu);
}

static void
test_two_in_one_scope_are_read_by_their_processes (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "1-a", 0);
  Qemu third = qemu_start (bed, "1-a", 0), other = qemu_start (bed, "2-b", 0);
  tell (bed, "qemu", "qemu-1", &first);
  assert_string_equal (only (bed)->usage, "cgroup-v2");
  tell (bed, "qemu", "qemu-2", &second);
  tell (bed, "qemu", "qemu-3", &third);
  tell (bed, "qemu", "qemu-4", &other);
  use_cpu (bed, &first, 9 * SECOND);
  tick (bed);
  assert_int_equal (show (bed), 4);
  for (guint i = 0; i < 4; i++)
    {
      const VjDomainSnapshot *domain = g_ptr_array_index (bed->shown, i);
      assert_string_equal (domain->usage, i < 3 ? "process" : "cgroup-v2");
      assert_true (domain->cpu_ns < VJ_NS_PER_S);
    }
  Qemu *all[] = { &first, &second, &third, &other };
  for (guint i = 0; i < 4; i++)
    qemu_stop (all[i]);
}

/* Moved by hand, once its own scope has gone. */
static void
test_a_process_that_is_moved_into_anothers_scope_is_not_billed_for_it (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu moved = qemu_start (bed, "1-a", 0), other = qemu_start (bed, "2-b", 0);
  g_autofree char *cgroup = g_strdup_printf ("proc/%d/cgroup", moved.pid);
  tell (bed, "qemu", "qemu-1", &moved);
  tell (bed, "qemu", "qemu-2", &other);
  tick (bed);
  tempdir_write (bed->root, moved.cpu_stat, "nothing\n");
  tempdir_write (bed->root, cgroup, "0::/machine/qemu-2-b.libvirt-qemu/emulator\n");
  tick (bed);
  tick (bed);
  use_cpu (bed, &other, 4 * SECOND);
  tick (bed);
  assert_int_equal (show (bed), 2);
  for (guint i = 0; i < 2; i++)
    {
      const VjDomainSnapshot *domain = g_ptr_array_index (bed->shown, i);
      assert_string_equal (domain->usage, "process");
      assert_true (domain->cpu_ns < VJ_NS_PER_S);
    }
  qemu_stop (&moved);
  qemu_stop (&other);
}

/* --- settings --- */

static void
test_settings_apply_live (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  VjDomainInfo info = info_of ("libvirt", UUID, qemu.pid);
  bed->settings.said[VJ_SETTING_RESOLUTION] = TRUE;
  vj_domains_present (bed->domains, &info);
  use_cpu (bed, &qemu, SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 1);
  assert_int_equal (only (bed)->origin[VJ_SETTING_MEASURE], VJ_ORIGIN_DEFAULT);
  assert_int_equal (only (bed)->origin[VJ_SETTING_RESOLUTION], VJ_ORIGIN_CONFIG);
  g_autofree char *epoch = g_strdup (only (bed)->epoch);

  info.settings.said[VJ_SETTING_MEASURE] = TRUE;
  info.settings_problem = (char *)"interval: \"x\"";
  vj_domains_present (bed->domains, &info);
  use_cpu (bed, &qemu, 2 * SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 0);
  assert_false (only (bed)->settings.measure);
  assert_int_equal (only (bed)->origin[VJ_SETTING_MEASURE], VJ_ORIGIN_DOMAIN);
  assert_string_equal (only (bed)->settings_problem, "interval: \"x\"");
  assert_int_equal (only (bed)->pid, qemu.pid);

  info.settings.measure = TRUE;
  info.settings_problem = NULL;
  vj_domains_present (bed->domains, &info);
  use_cpu (bed, &qemu, 5 * SECOND);
  tick (bed);
  assert_int_equal (cpu_s (bed), 3); /* from now on, and not what it used unmeasured */
  assert_string_not_equal (only (bed)->epoch, epoch);
  assert_null (only (bed)->settings_problem);
  qemu_stop (&qemu);
}

static void
test_an_unmeasured_domain_is_nobody_elses (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  VjDomainInfo info = info_of ("libvirt", UUID, qemu.pid);
  info.settings.said[VJ_SETTING_MEASURE] = TRUE;
  vj_domains_present (bed->domains, &info);
  tell (bed, "qemu", "qemu-a", &qemu);
  use_cpu (bed, &qemu, SECOND);
  tick (bed);
  assert_string_equal (only (bed)->id, UUID);
  assert_int_equal (vj_ledger_totals (bed->ledger, 0)->attributed_uj, 0);
  qemu_stop (&qemu);
}

static void
test_a_domains_own_static_policy (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  VjDomainInfo info = info_of ("libvirt", UUID, qemu.pid);
  vj_ledger_set_static_uw (bed->ledger, 0, 100000);
  info.settings.said[VJ_SETTING_STATIC_POLICY] = TRUE;
  info.settings.static_policy = VJ_STATIC_EVEN;
  vj_domains_present (bed->domains, &info);
  tick (bed);
  assert_int_equal (only (bed)->static_uj[0], 100000);
  info.settings.said[VJ_SETTING_STATIC_POLICY] = FALSE;
  vj_domains_present (bed->domains, &info);
  tick (bed);
  assert_int_equal (only (bed)->static_uj[0], 100000);
  qemu_stop (&qemu);
}

/* --- guests --- */

static int
connect_guest (const Bed *bed, int pid)
{
  int ends[2];
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  if (vj_domains_connect (bed->domains, ends[0], pid))
    return ends[1];
  close (ends[0]);
  close (ends[1]);
  return -1;
}

/* What has come, without the newline that a connection starts with; the caller's. */
static char *
heard (int guest)
{
  char text[8192] = "";
  settle ();
  ssize_t length = recv (guest, text, sizeof text - 1, 0);
  return g_strstrip (g_strndup (text, length > 0 ? (gsize)length : 0));
}

static guint64
number (const char *frame, const char *member)
{
  const char *at = strstr (frame, member);
  assert_non_null (at);
  return g_ascii_strtoull (at + strlen (member), NULL, 10);
}

static void
say (int guest, const char *text)
{
  assert_int_equal (send (guest, text, strlen (text), 0), strlen (text));
  settle ();
}

static void
test_who_may_connect (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  VjDomainInfo info = info_of ("libvirt", UUID, qemu.pid);
  assert_int_equal (connect_guest (bed, qemu.pid), -1); /* nobody has told of it */
  vj_domains_present (bed->domains, &info);
  assert_int_equal (connect_guest (bed, getpid ()), -1);
  assert_false (only (bed)->has_channel);
  const int guest = connect_guest (bed, qemu.pid);
  assert_true (guest >= 0);
  assert_string_equal (only (bed)->channel_way, "connect");
  vj_domains_present (bed->domains, &info); /* nor does its watcher's silence take that away */
  assert_int_equal (only (bed)->channel.state, VJ_CHANNEL_WAITING);

  info.channel_path = g_build_filename (bed->root, "qemu.sock", NULL);
  vj_domains_present (bed->domains, &info);
  assert_string_equal (only (bed)->channel_way, "bind");
  assert_int_equal (connect_guest (bed, qemu.pid), -1);
  g_free (info.channel_path);
  close (guest);

  info.channel_path = NULL;
  info.channel_connects = TRUE;
  vj_domains_present (bed->domains, &info);
  assert_string_equal (only (bed)->channel_way, "connect");
  assert_int_equal (only (bed)->channel.state, VJ_CHANNEL_DISCONNECTED);
  wait_for_exit (bed, &qemu);
  assert_int_equal (connect_guest (bed, info.pid), -1);
  qemu_stop (&qemu);
}

/* Energy grows with each tick; the guest hears of it at every third, whatever it says. */
static void
test_a_guest_is_told_at_its_interval_only (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  VjDomainInfo info = info_of ("libvirt", UUID, qemu.pid);
  guint64 last_uj = 0, told_us = 0;
  guint frames = 0;
  info.settings.said[VJ_SETTING_INTERVAL] = info.settings.said[VJ_SETTING_RESOLUTION] = TRUE;
  info.settings.interval_us = 5 * SECOND / 2; /* not a multiple of the agent's: rounded up */
  info.settings.resolution_uj = 7000;
  vj_domains_present (bed->domains, &info);
  const int guest = connect_guest (bed, qemu.pid);
  for (guint i = 1; i <= 30; i++)
    {
      use_cpu (bed, &qemu, i * SECOND);
      tick (bed);
      say (guest, HELLO); /* a new session each time, which is answered at once */
      g_autofree char *frame = heard (guest);
      const char *last = strrchr (frame, '\n');
      last = last != NULL ? last + 1 : frame;
      const guint64 energy_uj = number (last, "\"package-0\":");
      const guint64 at_us = number (last, "\"mono_us\":");
      assert_int_equal (number (last, "\"interval_us\":"), 3 * SECOND);
      assert_int_equal (energy_uj % 7000, 0);
      assert_true (energy_uj >= last_uj);
      assert_true (energy_uj == last_uj || at_us >= told_us + 3 * SECOND || told_us == 0);
      frames += energy_uj != last_uj;
      if (at_us != told_us)
        told_us = at_us;
      last_uj = energy_uj;
    }
  assert_true (frames >= 9 && frames <= 11);
  assert_int_equal (only (bed)->settings.interval_us, 3 * SECOND);
  close (guest);
  qemu_stop (&qemu);
}

/* --- endings and lifetimes --- */

static void
test_how_a_run_ended_is_known (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu first = qemu_start (bed, "1-a", 0);
  tell (bed, "libvirt", UUID, &first);
  use_cpu (bed, &first, SECOND);
  vj_domains_ending (bed->domains, UUID);
  assert_int_equal (cpu_s (bed), 1); /* without a tick */
  use_cpu (bed, &first, 2 * SECOND);
  wait_for_exit (bed, &first);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_EXACT], 1);
  const guint64 before_uj = vj_ledger_totals (bed->ledger, 0)->attributed_uj;
  tick (bed);
  assert_true (vj_ledger_totals (bed->ledger, 0)->attributed_uj - before_uj > ENERGY_UJ * 9 / 10);

  Qemu second = qemu_start (bed, "2-a", 0);
  tell (bed, "libvirt", UUID, &second);
  tempdir_write (bed->root, second.cpu_stat, "nothing\n");
  wait_for_exit (bed, &second);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_EXACT], 1);
  assert_int_equal (vj_domains_endings (bed->domains)[VJ_ENDING_UNKNOWN], 1);
  qemu_stop (&first);
  qemu_stop (&second);
}

static void
test_counters_that_last_for_ever (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0);
  tell (bed, "libvirt", UUID, &first);
  use_cpu (bed, &first, SECOND);
  tick (bed);
  g_autofree char *epoch = g_strdup (only (bed)->epoch);
  const guint64 before_uj = only (bed)->energy_uj[0];
  assert_true (before_uj > 0);
  use_cpu (bed, &first, 2 * SECOND);
  vj_domains_absent (bed->domains, UUID);
  tick (bed); /* the last second is settled here */
  assert_int_equal (show (bed), 0);

  Qemu second = qemu_start (bed, "2-a", 0);
  tell (bed, "libvirt", UUID, &second);
  assert_string_equal (only (bed)->epoch, epoch);
  assert_int_equal (cpu_s (bed), 2);
  assert_int_equal (only (bed)->energy_uj[0], vj_ledger_totals (bed->ledger, 0)->attributed_uj);
  tick (bed);

  Qemu third = qemu_start (bed, "3-a", 0); /* starts anew within one interval */
  use_cpu (bed, &second, SECOND);
  vj_domains_absent (bed->domains, UUID);
  tell (bed, "libvirt", UUID, &third);
  tick (bed);
  assert_string_equal (only (bed)->epoch, epoch);
  assert_int_equal (cpu_s (bed), 3);
  assert_int_equal (only (bed)->energy_uj[0], vj_ledger_totals (bed->ledger, 0)->attributed_uj);

  vj_domains_absent (bed->domains, UUID);
  vj_domains_forgotten (bed->domains, UUID);
  tick (bed);
  tell (bed, "libvirt", UUID, &second);
  assert_string_not_equal (only (bed)->epoch, epoch);
  assert_int_equal (only (bed)->energy_uj[0], 0);
  qemu_stop (&first);
  qemu_stop (&second);
  qemu_stop (&third);
}

/* The store does not keep zones that were not there when it was written; the book does, of the same epoch. */
static void
test_a_zone_that_was_not_there_goes_on_too (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu qemu = qemu_start (bed, "1-a", 0);
  guint64 known_uj = 500, known_static_uj = 200, none[2] = { 0 };
  const VjLifetime known = { "00112233445566aa", 0, &known_uj, &known_static_uj };
  const VjLifetime other = { "ffffffffffffffff", 0, &known_uj, &known_static_uj };
  VjLifetime stored_base = { "00112233445566aa", 0, &none[0], &none[1] };
  VjStoredDomain stored = { .id = UUID,
                            .uuid = UUID,
                            .manager = "libvirt",
                            .name = (char *)"a",
                            .pid = qemu.pid,
                            .mark = { "00112233445566aa", 0, VJ_SCOPE_V2 },
                            .base = &stored_base };
  vj_lifetimes_note (bed->lifetimes, UUID, &other);
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_true (vj_domains_restore (bed->domains, &stored, FALSE));
  assert_int_equal (only (bed)->energy_uj[0], 0);
  vj_domains_absent (bed->domains, UUID);
  tick (bed);

  vj_lifetimes_note (bed->lifetimes, UUID, &known);
  vj_ledger_open (bed->ledger, stored.mark.epoch);
  assert_true (vj_domains_restore (bed->domains, &stored, FALSE));
  assert_int_equal (only (bed)->energy_uj[0], known_uj);
  assert_int_equal (only (bed)->static_uj[0], known_static_uj);
  use_cpu (bed, &qemu, SECOND);
  tick (bed);
  vj_domains_note_lifetimes (bed->domains);
  assert_true (vj_lifetimes_get (bed->lifetimes, UUID)->energy_uj[0] > known_uj);
  qemu_stop (&qemu);
}

/* As Proxmox gives a VMID to another machine: what the one before used is not the next one's. */
static void
test_another_machine_by_the_same_id (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "2-b", 0);
  tell (bed, "proxmox", "proxmox-100", &first);
  use_cpu (bed, &first, SECOND);
  tick (bed);
  const guint64 before_uj = only (bed)->energy_uj[0];
  VjDomainInfo info = info_of ("proxmox", "proxmox-100", second.pid);
  info.uuid[0] = '9';
  vj_domains_present (bed->domains, &info);
  assert_int_equal (only (bed)->energy_uj[0], 0);
  tick (bed);
  assert_true (vj_lifetimes_get (bed->lifetimes, UUID)->energy_uj[0] >= before_uj);
  assert_null (vj_lifetimes_get (bed->lifetimes, info.uuid));
  qemu_stop (&first);
  qemu_stop (&second);
}

/* Two runs of one UUID side by side: the second is nobody's continuation. */
static void
test_a_uuid_that_stands_twice_adds_nothing_up (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, TRUE);
  Qemu first = qemu_start (bed, "1-a", 0), second = qemu_start (bed, "2-b", 0);
  tell (bed, "libvirt", UUID, &first);
  tick (bed);
  vj_domains_note_lifetimes (bed->domains);
  tell (bed, "qemu", "qemu-b", &second);
  use_cpu (bed, &first, SECOND);
  tick (bed);
  assert_int_equal (show (bed), 2);
  const VjDomainSnapshot *a = g_ptr_array_index (bed->shown, 0), *b = g_ptr_array_index (bed->shown, 1);
  assert_string_not_equal (a->epoch, b->epoch);
  assert_int_equal (a->energy_uj[0] + b->energy_uj[0], vj_ledger_totals (bed->ledger, 0)->attributed_uj);
  qemu_stop (&first);
  qemu_stop (&second);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_a_process_goes_to_whom_has_the_better_right_to_it),
    tempdir_unit_test (test_a_process_stays_with_the_first_of_one_manager),
    tempdir_unit_test (test_a_process_that_cannot_be_held_is_tried_again),
    tempdir_unit_test (test_what_only_an_earlier_agent_knew_is_let_go_once_all_is_told),
    tempdir_unit_test (test_two_in_one_scope_are_read_by_their_processes),
    tempdir_unit_test (test_a_process_that_is_moved_into_anothers_scope_is_not_billed_for_it),
    tempdir_unit_test (test_settings_apply_live),
    tempdir_unit_test (test_an_unmeasured_domain_is_nobody_elses),
    tempdir_unit_test (test_a_domains_own_static_policy),
    tempdir_unit_test (test_who_may_connect),
    tempdir_unit_test (test_a_guest_is_told_at_its_interval_only),
    tempdir_unit_test (test_how_a_run_ended_is_known),
    tempdir_unit_test (test_counters_that_last_for_ever),
    tempdir_unit_test (test_a_zone_that_was_not_there_goes_on_too),
    tempdir_unit_test (test_another_machine_by_the_same_id),
    tempdir_unit_test (test_a_uuid_that_stands_twice_adds_nothing_up),
  };
  return cmocka_run_group_tests_name ("domains", tests, NULL, NULL);
}
