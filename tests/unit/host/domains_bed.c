/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domains_bed.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "tempdir.h"
#include "test_child.h"

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

void
open_domains (Bed *bed)
{
  const VjDomainsOptions options = { .run = { .roots = &bed->roots,
                                              .ledger = bed->ledger,
                                              .machine = bed->machine,
                                              .poll = bed->poll,
                                              .exits = bed->exits },
                                     .template = &bed->template,
                                     .settings = &bed->settings,
                                     .lifetimes = bed->lifetimes };
  bed->domains = vj_domains_new (&options);
  vj_domains_begin_interval (bed->domains, vj_clock_boottime_us ());
}

Bed *
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
  open_domains (bed);
  bed->snapshot = vj_snapshot_new ();
  bed->shown = bed->snapshot->domains;
  return bed;
}

void
bed_free (Bed *bed)
{
  vj_domains_free (bed->domains);
  vj_exit_records_free (bed->exits);
  vj_lifetimes_free (bed->lifetimes);
  vj_poll_free (bed->poll);
  vj_machine_free (bed->machine);
  vj_ledger_free (bed->ledger);
  vj_roots_clear (&bed->roots);
  vj_snapshot_free (bed->snapshot);
  g_free (bed);
}

void
use_cpu (const Bed *bed, const Qemu *qemu, guint64 used_us)
{
  g_autofree char *text = g_strdup_printf ("usage_usec %012" G_GUINT64_FORMAT "\n", used_us);
  tempdir_write (bed->root, qemu->cpu_stat, text);
}

void
write_process (const Bed *bed, const Qemu *qemu, const char *group)
{
  g_autofree char *stat = g_strdup_printf ("proc/%d/stat", qemu->pid);
  g_autofree char *cgroup = g_strdup_printf ("proc/%d/cgroup", qemu->pid);
  g_autofree char *path = g_strdup_printf ("0::%s\n", group);
  tempdir_write (bed->root, stat,
                 "7 (qemu) S 1 7 7 0 -1 0 0 0 0 0 500 20 0 0 20 0 4 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
                 "0 17 1 0 0 0 480 0 0 0 0 0 0 0 0 0\n");
  tempdir_write (bed->root, cgroup, path);
}

Qemu
qemu_start (const Bed *bed, const char *scope, guint64 used_us)
{
  Qemu qemu = { .cpu_stat = g_strdup_printf ("cgroup/machine/qemu-%s.libvirt-qemu/cpu.stat", scope) };
  qemu.pid = test_child_start (NULL, NULL, &qemu.socket);
  g_autofree char *group = g_strdup_printf ("/machine/qemu-%s.libvirt-qemu/emulator", scope);
  write_process (bed, &qemu, group);
  use_cpu (bed, &qemu, used_us);
  return qemu;
}

void
qemu_stop (Qemu *qemu)
{
  if (qemu->pid > 0)
    test_child_stop (qemu->pid, qemu->socket);
  qemu->pid = 0;
  g_clear_pointer (&qemu->cpu_stat, g_free);
}

VjDomainInfo
info_of (const char *manager, const char *id, int pid)
{
  VjDomainInfo info = {
    .name = (char *)"a", .manager = manager, .state = VJ_DOMAIN_RUNNING, .vcpus = 1, .pid = pid
  };
  g_strlcpy (info.id, id, sizeof info.id);
  g_strlcpy (info.uuid, UUID, sizeof info.uuid);
  return info;
}

void
tell (const Bed *bed, const char *manager, const char *id, const Qemu *qemu)
{
  const VjDomainInfo info = info_of (manager, id, qemu->pid);
  vj_domains_present (bed->domains, &info);
}

void
settle (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

void
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

guint
show (Bed *bed)
{
  g_ptr_array_set_size (bed->shown, 0);
  vj_domains_snapshot (bed->domains, bed->now_us, bed->shown);
  return bed->shown->len;
}

const VjDomainSnapshot *
only (Bed *bed)
{
  assert_int_equal (show (bed), 1);
  return g_ptr_array_index (bed->shown, 0);
}

guint64
cpu_s (Bed *bed)
{
  return only (bed)->cpu_ns / VJ_NS_PER_S;
}

void
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
