/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The simulated machine behind simpowercap: real CPU time in, energy counters out. */

__extension__ typedef unsigned __int128 u128;

#define ANY              (-1)
#define SIM_PACKAGES_MAX 16
#define SIM_DIES_MAX     4
#define SIM_ZONES_MAX    (SIM_PACKAGES_MAX * SIM_DIES_MAX * 3)

/* What is measured: a package, its core or its dram. Several zones may show one account (mirrored dies). */
typedef enum
{
  PACKAGE,
  CORE,
  DRAM
} AccountKind;
typedef struct
{
  AccountKind kind;
  int package;
  uint64_t uj;
  u128 rest_fj;
} Account;

/* How an account is shown: one directory of the class. */
typedef struct
{
  char id[64];
  char name[32];
  size_t account;
  uint64_t offset_uj; /* after resets and jumps */
  int error;          /* errno value of every access, or 0 */
} Zone;

typedef enum
{
  PID,
  CGROUP,
  MACHINE
} BusyKind;
typedef struct
{
  BusyKind kind;
  int pid;
  char *path;
  int package; /* where its energy is used; ANY: evenly on all */
  uint64_t last_ns, total_ns;
  bool ended;
} Busy;

typedef struct
{
  uint64_t static_uw, per_cpu_uw, dram_uw, range_uj, update_ns, core_permille;
  int packages;
  Account accounts[SIM_ZONES_MAX];
  Zone zones[SIM_ZONES_MAX];
  Busy busy[1024];
  size_t n_accounts, n_zones, n_busy;
  uint64_t start_ns, last_ns, busy_ns, idle_ns;
} Sim;

bool sim_parse_number (const char *text, uint64_t *ret_number);
bool sim_parse_watts (const char *text, uint64_t *ret_uw);
void sim_start (Sim *sim);
/* what: "PID[@PACKAGE]", "DIR[@PACKAGE]"; anything for MACHINE. */
bool sim_add_busy (Sim *sim, BusyKind kind, const char *what);
/* Brings all accounts up to now (within the update period, nothing moves). */
void sim_update (Sim *sim);
uint64_t sim_counter_uj (const Sim *sim, const Zone *zone);
/* One line of the control file. */
bool sim_run (Sim *sim, const char *line);
/* The text of the truth file: the caller's (free). */
/* As /proc/stat of a machine that did nothing else than what counts as busy. */
char *sim_stat (Sim *sim);
char *sim_truth (Sim *sim);
