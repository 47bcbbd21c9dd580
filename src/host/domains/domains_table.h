/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/domains/domains.h"

/* The table's inside: domains.c has the table and whose process is whose, domains_runs.c who is billed for what,
 * domains_store.c what survives the agent, domains_view.c what is shown. For these only. */

typedef struct
{
  VjDomains *table;
  VjStoredDomain
      stored; /* identity, settings and, when it is stored, the run, in the form that the store keeps */
  gboolean connects; /* "connect" way */
  const char *manager;
  VjDomainState state;
  guint vcpus;    /* 0: not known */
  int wanted_pid; /* QEMU, as the watcher says; 0: not known */
  guint64
      wanted_us; /* CLOCK_BOOTTIME when it was told: a process that started later is another one of that number */
  VjDomainRun *run; /* NULL: no process, or one that is another domain's */
  VjGuestFeed *feed;
  char *settings_problem;
  gboolean told;      /* by a watcher; else it is known from the store alone */
  gboolean forgotten; /* nothing is kept for a later run */
  guint64 shown_uj;   /* of all components at the last tick */
  guint64 power_uw;
} VjDomain;

/* A run that has ended, and whose lifetime is kept: it is noted once its last sample is settled. */
typedef struct
{
  VjAccount *account;
  VjLifetime *base;
  char uuid[37];
} VjClosing;

struct VjDomains
{
  VjDomainsOptions options;
  GHashTable *by_id;  /* char* (in VjDomain) -> VjDomain */
  GPtrArray *all;     /* the same as they came: a tick goes through memory as it was given out */
  GHashTable *by_pid; /* -> VjDomain that has a run of that process */
  GPtrArray *closings;
  guint64 interval_start_us; /* CLOCK_BOOTTIME of the last tick; 0: none yet */
  guint64 endings[VJ_N_ENDINGS];
};

/* domains.c */
VjDomain *vj_domains_add (VjDomains *domains, const char *id);
void vj_domains_remove (VjDomains *domains, VjDomain *domain);
const char *vj_domains_manager (const char *name); /* the static name of a known one */
void vj_domain_set_name (VjDomain *domain, const char *name);
void vj_domain_set_way (VjDomain *domain, const char *path, gboolean connects);
/* Opens the way to the guest that was set. One whose process is another's would stand in that one's. */
void vj_domain_open_way (VjDomain *domain);
/* Its process is told of by a manager with a better right to it: the other domain is the one to see. */
gboolean vj_domain_is_shadow (const VjDomain *domain);
/* Holds the process. FALSE: it has vanished, or it is another than expected (start_us, 0: any). */
gboolean vj_domain_hold (VjDomain *domain, int pid, guint64 start_us);

/* domains_runs.c */
/* What holds for the domain now: whether it is billed, as whom, and what its guest is told. */
void vj_domain_apply_settings (VjDomain *domain, VjSettingOrigin ret_origin[VJ_N_SETTINGS]);
/* Bills the process that it holds, if it is to be measured. from: vj_domain_run_measure (). FALSE: it cannot be read. */
gboolean vj_domain_begin_run (VjDomain *domain, const VjRunMark *from);
/* Adds what its run used since the last sample. */
void vj_domain_sample (VjDomain *domain, guint64 since_us);
/* After the last sample, the process is let go. is_ending: the process has ended, or is about to. */
void vj_domain_end_run (VjDomain *domain, gboolean is_ending);
guint64 vj_domain_shown_energy (const VjDomain *domain);
void vj_closing_free (VjClosing *closing);
