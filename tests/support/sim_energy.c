/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim_energy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FJ_PER_UJ 1000000000u /* uW x ns = fJ */
#define TEXT_MAX  4096

/* --- busy time ----------------------------------------------------------------------------------------------------- */

static uint64_t
clock_ns (clockid_t id, bool *ret_failed)
{
  struct timespec now = { 0 };

  *ret_failed = clock_gettime (id, &now) != 0;
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t
now_ns (void)
{
  bool failed;

  return clock_ns (CLOCK_MONOTONIC, &failed);
}

static uint64_t
pid_ns (int pid, bool *ret_failed)
{
  clockid_t id;

  *ret_failed = clock_getcpuclockid (pid, &id) != 0;
  return *ret_failed ? 0 : clock_ns (id, ret_failed);
}

/* The number after key in the first bytes of a file. */
static bool
read_number (const char *directory, const char *file, const char *key, uint64_t *ret_number)
{
  char path[TEXT_MAX], text[TEXT_MAX] = "";
  ssize_t length = -1;

  (void)snprintf (path, sizeof path, "%s/%s", directory, file);
  const int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  length = read (fd, text, sizeof text - 1);
  close (fd);
  const char *found = length > 0 ? strstr (text, key) : NULL;
  if (found == NULL)
    return false;
  *ret_number = strtoull (found + strlen (key), NULL, 10);
  return true;
}

static uint64_t
cgroup_ns (const char *directory, bool *ret_failed)
{
  uint64_t number = 0;

  *ret_failed = false;
  if (read_number (directory, "cpu.stat", "usage_usec ", &number))
    return number * 1000;
  *ret_failed = !read_number (directory, "cpuacct.usage", "", &number);
  return number;
}

/* "cpuN user nice system idle iowait irq softirq steal ...": idle + iowait + steal. */
static uint64_t
idle_ticks_of (char *line)
{
  char *at = strchr (line, ' ');
  uint64_t field[8] = { 0 };

  for (int i = 0; i < 8 && at != NULL; i++)
    field[i] = strtoull (at, &at, 10);
  return field[3] + field[4] + field[7];
}

/* Time that all CPUs together were not idle: elapsed x CPUs - idle - iowait - steal. */
static uint64_t
machine_ns (bool *ret_failed)
{
  FILE *file = fopen ("/proc/stat", "re");
  char line[TEXT_MAX];
  uint64_t cpus = 0, idle_ticks = 0;
  const uint64_t tick_ns = 1000000000u / (uint64_t)sysconf (_SC_CLK_TCK);

  *ret_failed = file == NULL;
  if (file == NULL)
    return 0;
  while (fgets (line, sizeof line, file) != NULL)
    if (strncmp (line, "cpu", 3) == 0 && line[3] != ' ')
      {
        idle_ticks += idle_ticks_of (line);
        cpus++;
      }
  (void)fclose (file);
  return now_ns () * cpus - idle_ticks * tick_ns; /* modulo 2^64: only differences are used */
}

static uint64_t
sample_ns (const Busy *busy, bool *ret_failed)
{
  switch (busy->kind)
    {
    case PID:
      return pid_ns (busy->pid, ret_failed);
    case CGROUP:
      return cgroup_ns (busy->path, ret_failed);
    default:
      return machine_ns (ret_failed);
    }
}

/* CPU time since the last call; what the rounding of /proc/stat takes back is awaited. */
static uint64_t
take_busy_ns (Busy *busy)
{
  bool failed;
  const uint64_t now = busy->ended ? busy->last_ns : sample_ns (busy, &failed);
  const uint64_t delta_ns = now - busy->last_ns;

  if (busy->ended)
    return 0;
  busy->ended = failed;
  if (failed || (int64_t)delta_ns < 0)
    return 0;
  busy->last_ns = now;
  busy->total_ns += delta_ns;
  return delta_ns;
}

/* --- energy -------------------------------------------------------------------------------------------------------- */

/* sum_ns: CPU time x number of packages used on one package. */
static u128
account_fj (const Sim *sim, const Account *account, uint64_t elapsed_ns, u128 sum_ns)
{
  const u128 load_fj = sum_ns * sim->per_cpu_uw / (unsigned)sim->packages;

  switch (account->kind)
    {
    case PACKAGE:
      return (u128)sim->static_uw * elapsed_ns + load_fj;
    case CORE:
      return load_fj * sim->core_permille / 1000;
    default:
      return (u128)sim->dram_uw * elapsed_ns;
    }
}

static void
update (Sim *sim, bool at_once)
{
  const uint64_t now = now_ns ();
  const uint64_t elapsed_ns = now - sim->last_ns;
  u128 sum_ns[SIM_PACKAGES_MAX] = { 0 };

  if (!at_once && sim->update_ns > 0 && now / sim->update_ns == sim->last_ns / sim->update_ns)
    return;
  for (size_t i = 0; i < sim->n_busy; i++)
    {
      const uint64_t delta_ns = take_busy_ns (&sim->busy[i]);

      sim->busy_ns += delta_ns;
      for (int package = 0; package < sim->packages; package++)
        if (sim->busy[i].package == ANY)
          sum_ns[package] += delta_ns;
        else if (sim->busy[i].package == package)
          sum_ns[package] += (u128)delta_ns * (unsigned)sim->packages;
    }
  for (size_t i = 0; i < sim->n_accounts; i++)
    {
      Account *account = &sim->accounts[i];
      const u128 fj = account->rest_fj + account_fj (sim, account, elapsed_ns, sum_ns[account->package]);

      account->uj += (uint64_t)(fj / FJ_PER_UJ);
      account->rest_fj = fj % FJ_PER_UJ;
    }
  sim->last_ns = now;
}

uint64_t
sim_counter_uj (const Sim *sim, const Zone *zone)
{
  return (sim->accounts[zone->account].uj + zone->offset_uj) % sim->range_uj;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

bool
sim_parse_watts (const char *text, uint64_t *ret_uw)
{
  char *end;
  const double watts = strtod (text, &end);

  if (end == text || *end != '\0' || !(watts >= 0 && watts < 1e6))
    return false;
  *ret_uw = (uint64_t)(watts * 1e6 + 0.5);
  return true;
}

bool
sim_parse_number (const char *text, uint64_t *ret_number)
{
  char *end;

  errno = 0;
  *ret_number = strtoull (text, &end, 10);
  return end != text && *end == '\0' && errno == 0;
}

/* what: PID[@P] or DIR[@P] */
bool
sim_add_busy (Sim *sim, BusyKind kind, const char *what)
{
  Busy *busy = &sim->busy[sim->n_busy];
  char *text = strdup (what);
  char *at = strrchr (text, '@');
  uint64_t package = 0, pid = 0;
  bool failed = sim->n_busy == sizeof sim->busy / sizeof sim->busy[0];

  if (at != NULL)
    {
      *at = '\0';
      failed |= !sim_parse_number (at + 1, &package) || package >= (uint64_t)sim->packages;
    }
  failed |= kind == PID && (!sim_parse_number (text, &pid) || pid == 0 || pid > INT32_MAX);
  if (!failed)
    {
      *busy =
          (Busy){ .kind = kind, .pid = (int)pid, .path = text, .package = at == NULL ? ANY : (int)package };
      busy->last_ns = sample_ns (busy, &failed);
    }
  if (failed)
    free (text);
  else
    sim->n_busy++;
  return !failed;
}

/* It stays in the truth, and uses no more energy. */
static bool
remove_pid (Sim *sim, const char *text)
{
  uint64_t pid;
  bool found = false;

  if (!sim_parse_number (text, &pid))
    return false;
  for (size_t i = 0; i < sim->n_busy; i++)
    if (sim->busy[i].kind == PID && (uint64_t)sim->busy[i].pid == pid && !sim->busy[i].ended)
      found = sim->busy[i].ended = true;
  return found;
}

static Zone *
find_zone (Sim *sim, const char *id)
{
  for (size_t i = 0; i < sim->n_zones; i++)
    if (strcmp (sim->zones[i].id, id) == 0)
      return &sim->zones[i];
  return NULL;
}

static bool
set_error (Zone *zone, const char *text)
{
  uint64_t number = 0;

  if (strcmp (text, "EIO") == 0)
    number = EIO;
  else if (strcmp (text, "EACCES") == 0)
    number = EACCES;
  else if (strcmp (text, "ENODEV") == 0)
    number = ENODEV;
  else if (!sim_parse_number (text, &number) || number == 0 || number > 200)
    return false;
  zone->error = (int)number;
  return true;
}

static bool
run_on_zone (const Sim *sim, const char *verb, Zone *zone, const char *argument)
{
  uint64_t jump_uj;

  if (strcmp (verb, "error") == 0)
    return set_error (zone, argument);
  if (strcmp (verb, "reset") == 0)
    zone->offset_uj = sim->range_uj - sim->accounts[zone->account].uj % sim->range_uj;
  else if (strcmp (verb, "jump") == 0 && sim_parse_number (argument, &jump_uj))
    zone->offset_uj = (zone->offset_uj + jump_uj) % sim->range_uj;
  else
    return false;
  return true;
}

static bool
run (Sim *sim, const char *verb, const char *first, const char *second)
{
  Zone *zone = find_zone (sim, first);

  update (sim, true); /* what was used so far is of the old setting */
  if (strcmp (verb, "add-pid") == 0)
    return sim_add_busy (sim, PID, first);
  if (strcmp (verb, "add-cgroup") == 0)
    return sim_add_busy (sim, CGROUP, first);
  if (strcmp (verb, "remove-pid") == 0)
    return remove_pid (sim, first);
  if (strcmp (verb, "static-watts") == 0)
    return sim_parse_watts (first, &sim->static_uw);
  if (strcmp (verb, "watts-per-cpu") == 0)
    return sim_parse_watts (first, &sim->per_cpu_uw);
  if (zone != NULL)
    return run_on_zone (sim, verb, zone, second);
  if (strcmp (verb, "clear") != 0)
    return false;
  for (size_t i = 0; i < sim->n_zones; i++)
    sim->zones[i].error = 0;
  return true;
}

bool
sim_run (Sim *sim, const char *line)
{
  char *text = strdup (line), *rest = NULL;
  const char *separators = " \t\r\n";
  const char *verb = strtok_r (text, separators, &rest);
  const char *first = strtok_r (NULL, separators, &rest);
  const char *second = strtok_r (NULL, separators, &rest);
  const bool done = verb != NULL && run (sim, verb, first == NULL ? "" : first, second == NULL ? "" : second);

  free (text);
  return done;
}

void
sim_start (Sim *sim)
{
  sim->start_ns = sim->last_ns = now_ns ();
}

void
sim_update (Sim *sim)
{
  update (sim, false);
}

/* --- truth --------------------------------------------------------------------------------------------------------- */

char *
sim_truth (Sim *sim)
{
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream (&text, &size);

  sim_update (sim);
  for (size_t i = 0; i < sim->n_zones; i++)
    (void)fprintf (file, "zone %s %" PRIu64 "\n", sim->zones[i].id, sim->accounts[sim->zones[i].account].uj);
  for (size_t i = 0; i < sim->n_busy; i++)
    {
      const Busy *busy = &sim->busy[i];

      if (busy->kind == PID)
        (void)fprintf (file, "pid %d %" PRIu64 "\n", busy->pid, busy->total_ns);
      else if (busy->kind == CGROUP)
        (void)fprintf (file, "cgroup %s %" PRIu64 "\n", busy->path, busy->total_ns);
      else
        (void)fprintf (file, "machine %" PRIu64 "\n", busy->total_ns);
    }
  (void)fprintf (file, "busy %" PRIu64 "\nelapsed %" PRIu64 "\n", sim->busy_ns, sim->last_ns - sim->start_ns);
  (void)fclose (file);
  return text;
}

char *
sim_stat (Sim *sim)
{
  const uint64_t cpus = (uint64_t)sysconf (_SC_NPROCESSORS_ONLN);
  const uint64_t tick_ns = 1000000000u / (uint64_t)sysconf (_SC_CLK_TCK);
  char *text = NULL;
  size_t size = 0;

  update (sim, true);
  const uint64_t capacity_ns = (sim->last_ns - sim->start_ns) * cpus;
  const uint64_t idle_ns = capacity_ns > sim->busy_ns ? capacity_ns - sim->busy_ns : 0;
  FILE *file = open_memstream (&text, &size);
  if (idle_ns > sim->idle_ns)
    sim->idle_ns = idle_ns;
  (void)fprintf (file, "cpu  %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", sim->busy_ns / tick_ns,
                 sim->idle_ns / tick_ns);
  for (uint64_t i = 0; i < cpus; i++)
    (void)fprintf (file, "cpu%" PRIu64 " %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", i,
                   sim->busy_ns / cpus / tick_ns, sim->idle_ns / cpus / tick_ns);
  (void)fprintf (file, "intr 0\n");
  (void)fclose (file);
  return text;
}
