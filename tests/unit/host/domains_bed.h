/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/units.h"
#include "host/domains/domains.h"

/* What the domains' tests share: processes that live, in a /proc and control groups that the test writes. Each second of CPU time
 * is the test's word. */

#define SECOND    VJ_US_PER_S
#define ENERGY_UJ G_GUINT64_CONSTANT (1000000) /* of each tick */
#define UUID      "11111111-2222-4333-8444-555555555555"

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
  VjExitRecords *exits; /* NULL: none */
  VjDomains *domains;
  guint64 now_us;
  VjSnapshot *snapshot;
  GPtrArray *shown; /* of snapshot */
} Bed;

Bed *bed_new (const char *root, gboolean forever);
void bed_free (Bed *bed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bed, bed_free)
/* With what bed has by now; those before are the caller's to free. */
void open_domains (Bed *bed);

/* What /proc says of it, in this control group. */
void write_process (const Bed *bed, const Qemu *qemu, const char *group);
/* scope: of a domain, as libvirt makes it. */
Qemu qemu_start (const Bed *bed, const char *scope, guint64 used_us);
void qemu_stop (Qemu *qemu);
/* Ends it, and waits until the domain is known to have stopped. */
void wait_for_exit (Bed *bed, Qemu *qemu);
/* Written in place, since the file stays open. */
void use_cpu (const Bed *bed, const Qemu *qemu, guint64 used_us);

VjDomainInfo info_of (const char *manager, const char *id, int pid);
void tell (const Bed *bed, const char *manager, const char *id, const Qemu *qemu);
/* Lets the main loop do what there is to do. */
void settle (void);
/* An interval in which the machine was busy for two seconds. */
void tick (Bed *bed);
/* How many there are; they are in bed->shown. */
guint show (Bed *bed);
/* The one that there is, and its CPU time. */
const VjDomainSnapshot *only (Bed *bed);
guint64 cpu_s (Bed *bed);
