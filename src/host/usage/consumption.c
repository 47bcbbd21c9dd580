/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/usage/consumption.h"

#include "common/units.h"
#include "host/usage/memory.h"
#include "host/usage/package_usage.h"
#include "host/usage/storage.h"

/* A domain's memory changes slowly, and reading it costs several times what CPU time costs. */
#define PERIOD_US (10 * VJ_US_PER_S)
/* While it uses no CPU time, only what the host takes from it. */
#define REST_PERIOD_US (60 * VJ_US_PER_S)
/* Threads of one domain whose files stay open. */
#define THREAD_FDS 64

struct VjConsumption
{
  const VjMachine *machine;
  VjUsage *cpu;
  guint64 cpu_ns;
  guint64 alone_ns;         /* of the process alone, when cpu_ns was read */
  guint64 age_us;           /* since what is not read at every tick was read */
  gboolean moved;           /* cpu_ns, in that time */
  VjMemoryUsage *memory;    /* NULL: not needed, or not readable */
  guint64 memory_bytes;     /* when it was last read */
  VjStorageUsage *storage;  /* NULL: as memory */
  VjPackageUsage *packages; /* NULL: one package */
  guint64 *package_ns;      /* scratch, one per package */
  gboolean exact;
};

static void
open_packages (VjConsumption *consumption, const VjRoots *roots, int pid)
{
  const VjTopology *topology = vj_machine_topology (consumption->machine);
  if (topology == NULL)
    return;
  consumption->package_ns = g_new0 (guint64, vj_topology_n_packages (topology));
  consumption->packages = vj_package_usage_open (roots->procfs, topology, pid, THREAD_FDS, NULL);
  if (consumption->packages != NULL)
    vj_package_usage_split (consumption->packages, 0, consumption->package_ns);
}

static void
open_memory (VjConsumption *consumption, const VjRoots *roots, int pid)
{
  consumption->memory = vj_memory_usage_open (roots, pid, NULL);
  if (consumption->memory != NULL)
    vj_memory_usage_read (consumption->memory, &consumption->memory_bytes, NULL);
}

/* Where it cannot be told, nothing is left to complete. */
static void
note_alone (VjConsumption *consumption)
{
  if (!vj_usage_read_process (consumption->cpu, &consumption->alone_ns, NULL))
    consumption->alone_ns = G_MAXUINT64;
}

VjConsumption *
vj_consumption_open (const VjRoots *roots, const VjMachine *machine, int pid, GError **error)
{
  g_autoptr (VjConsumption) consumption = g_new0 (VjConsumption, 1);
  consumption->machine = machine;
  consumption->cpu = vj_usage_open (roots, pid, error);
  if (consumption->cpu == NULL || !vj_usage_read (consumption->cpu, &consumption->cpu_ns, error))
    return NULL;
  note_alone (consumption);
  /* The readings of many domains that begin together are spread over the period by their pids. */
  consumption->age_us = (guint64)pid * VJ_US_PER_S % PERIOD_US;
  if (vj_machine_shares_memory (machine))
    open_memory (consumption, roots, pid);
  if (vj_machine_disks (machine) != NULL)
    consumption->storage = vj_storage_usage_open (roots, vj_machine_disks (machine), pid, NULL);
  open_packages (consumption, roots, pid);
  return g_steal_pointer (&consumption);
}

void
vj_consumption_free (VjConsumption *consumption)
{
  if (consumption == NULL)
    return;
  g_clear_pointer (&consumption->packages, vj_package_usage_free);
  g_clear_pointer (&consumption->storage, vj_storage_usage_free);
  g_clear_pointer (&consumption->memory, vj_memory_usage_free);
  g_clear_pointer (&consumption->cpu, vj_usage_free);
  g_free (consumption->package_ns);
  g_free (consumption);
}

guint64
vj_consumption_cpu_ns (const VjConsumption *consumption)
{
  return consumption->cpu_ns;
}

void
vj_consumption_set_cpu_ns (VjConsumption *consumption, guint64 cpu_ns)
{
  const guint64 back_ns = consumption->cpu_ns - MIN (consumption->cpu_ns, cpu_ns);
  consumption->cpu_ns = cpu_ns;
  consumption->alone_ns -= MIN (consumption->alone_ns, back_ns);
  if (cpu_ns == 0 && consumption->storage != NULL)
    vj_storage_usage_count_from_birth (consumption->storage);
}

VjScopeKind
vj_consumption_kind (const VjConsumption *consumption)
{
  return vj_usage_kind (consumption->cpu);
}

guint64
vj_consumption_scope (const VjConsumption *consumption)
{
  return vj_usage_scope (consumption->cpu);
}

const char *
vj_consumption_split (const VjConsumption *consumption)
{
  if (vj_machine_topology (consumption->machine) == NULL)
    return NULL;
  return consumption->exact ? "exact" : "modelled";
}

/* Every package's energy is shared by the CPU time on it. Where no thread can be looked at, nobody knows where the time was
 * spent, and it stays with the host. */
static void
add_packages (VjConsumption *consumption, VjAccount *account, guint64 used_ns)
{
  const VjTopology *topology = vj_machine_topology (consumption->machine);
  if (consumption->packages == NULL)
    return;
  consumption->exact = vj_package_usage_split (consumption->packages, used_ns, consumption->package_ns);
  for (guint i = 0; i < vj_topology_n_packages (topology); i++)
    vj_account_add_usage (account, VJ_RESOURCE_PACKAGE (vj_topology_package_number (topology, i)),
                          consumption->package_ns[i]);
}

/* Time for what is not read at every tick. */
static gboolean
is_due (VjConsumption *consumption, gboolean moved, guint64 elapsed_us)
{
  consumption->moved = consumption->moved || moved;
  consumption->age_us += elapsed_us;
  if (consumption->age_us < (consumption->moved ? PERIOD_US : REST_PERIOD_US))
    return FALSE;
  consumption->moved = FALSE;
  consumption->age_us = 0;
  return TRUE;
}

static void
add_memory (VjConsumption *consumption, VjAccount *account, guint64 elapsed_us, gboolean due)
{
  if (consumption->memory == NULL)
    return;
  if (due && !vj_memory_usage_read (consumption->memory, &consumption->memory_bytes, NULL))
    consumption->memory_bytes = 0;
  vj_account_add_usage (account, VJ_RESOURCE_MEMORY,
                        vj_resource_memory (consumption->memory_bytes, elapsed_us));
}

static void
add_storage (VjConsumption *consumption, VjAccount *account)
{
  const VjDisks *disks = vj_machine_disks (consumption->machine);
  guint64 bytes = 0;
  if (consumption->storage != NULL && vj_storage_usage_take (consumption->storage, disks, &bytes, NULL))
    vj_account_add_usage (account, VJ_RESOURCE_STORAGE, bytes);
}

static void
add_cpu (VjConsumption *consumption, VjAccount *account, guint64 cpu_ns)
{
  guint64 used_ns = cpu_ns - MIN (cpu_ns, consumption->cpu_ns);
  consumption->cpu_ns = cpu_ns;
  vj_account_add_usage (account, VJ_RESOURCE_CPU, used_ns);
  add_packages (consumption, account, used_ns);
}

gboolean
vj_consumption_sample (VjConsumption *consumption, VjAccount *account, guint64 elapsed_us)
{
  guint64 cpu_ns = 0;
  if (!vj_usage_read (consumption->cpu, &cpu_ns, NULL))
    return FALSE;
  const gboolean moved = cpu_ns != consumption->cpu_ns;
  const gboolean due = is_due (consumption, moved, elapsed_us);
  /* Where the scope has used nothing since, the two readings of then still belong together. */
  if (moved || due)
    note_alone (consumption);
  add_cpu (consumption, account, cpu_ns);
  add_memory (consumption, account, elapsed_us, due);
  add_storage (consumption, account);
  return TRUE;
}

/* A scope need not hold all that the process has ever used, and it holds helpers too: only what the process has used since
 * the last sample is sure to be left. Of helpers' part of it nobody knows. */
gboolean
vj_consumption_complete (VjConsumption *consumption, VjAccount *account, guint64 alone_ns)
{
  if (alone_ns <= consumption->alone_ns)
    return FALSE;
  add_cpu (consumption, account, consumption->cpu_ns + alone_ns - consumption->alone_ns);
  consumption->alone_ns = alone_ns;
  return TRUE;
}
