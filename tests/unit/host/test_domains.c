/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "domains_bed.h"
#include "tempdir.h"

/* Whose process is whose, settings and guests; test_domains_runs.c has who is billed for what. */

#define HELLO "\n{\"v\":1,\"hello\":\"00000000000000aa\"}\n"

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

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  assert_int_equal (bind (fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal (listen (fd, 1), 0);
  return fd;
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
  qemu_stop (&qemu);
  assert_int_equal (connect_guest (bed, info.pid), -1); /* before anybody knows of its end */
  settle ();
  assert_int_equal (connect_guest (bed, info.pid), -1);
}

/* No pid file told of the process: whoever answers at the channel is QEMU, but before it runs, which is libvirtd. */
static void
test_who_answers_at_the_channel (void **state)
{
  g_autoptr (Bed) bed = bed_new (*state, FALSE);
  Qemu self = { .pid = getpid () };
  VjDomainInfo info = info_of ("libvirt", UUID, 0);
  info.channel_path = g_build_filename (bed->root, "qemu.sock", NULL);
  const int listener = listen_at (info.channel_path);
  write_process (bed, &self, "/system.slice/libvirtd.service");
  vj_domains_present (bed->domains, &info);
  for (guint i = 0; i < 3; i++)
    tick (bed);
  assert_int_equal (only (bed)->channel.peer_pid, getpid ());
  assert_int_equal (only (bed)->pid, 0);
  write_process (bed, &self, "/machine/qemu-1-a.libvirt-qemu/emulator");
  tempdir_write (bed->root, "cgroup/machine/qemu-1-a.libvirt-qemu/cpu.stat", "usage_usec 0\n");
  tick (bed);
  assert_int_equal (only (bed)->pid, getpid ());
  close (listener);
  g_free (info.channel_path);
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

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (test_a_process_goes_to_whom_has_the_better_right_to_it),
    tempdir_unit_test (test_a_process_stays_with_the_first_of_one_manager),
    tempdir_unit_test (test_a_process_that_cannot_be_held_is_tried_again),
    tempdir_unit_test (test_what_only_an_earlier_agent_knew_is_let_go_once_all_is_told),
    tempdir_unit_test (test_settings_apply_live),
    tempdir_unit_test (test_an_unmeasured_domain_is_nobody_elses),
    tempdir_unit_test (test_a_domains_own_static_policy),
    tempdir_unit_test (test_who_may_connect),
    tempdir_unit_test (test_who_answers_at_the_channel),
    tempdir_unit_test (test_a_guest_is_told_at_its_interval_only),
  };
  return cmocka_run_group_tests_name ("domains", tests, NULL, NULL);
}
