/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/machine.h"

#include "common/units.h"
#include "common/busy.h"
#include "common/memory_total.h"

/* /proc/stat rounds idle and iowait down to 10 ms: of the machine once, of a package for each of its CPUs, where the
 * errors partly cancel out. */
#define ROUNDING_NS     (G_GUINT64_CONSTANT (2) * 10 * 1000 * 1000)
#define PACKAGES_FACTOR 3
/* What is read is not read at one instant. */
#define SKEW_NS (G_GUINT64_CONSTANT (2) * 1000 * 1000)

struct VjMachine
{
  VjLedger *ledger;
  VjBusy *busy;
  VjMemoryTotal *memory; /* NULL: no zone is shared by it */
  gboolean by_storage;   /* some zone is shared by it */
  VjDisks *disks;        /* NULL: not by_storage, or not known */
  GArray *disk_bytes;    /* VjDiskBytes at the last reading */
  GArray *disk_scratch;
  VjTopology *topology; /* NULL: one package */
  VjBusy *package_busy; /* NULL: one package */
  guint64 *package_ns;  /* scratch, one per package */
  guint cpus;
  guint64 busy_ns;
  guint64 total_ns;
  guint64 read_us;      /* of the last reading; 0: none */
  guint64 memory_bytes; /* at the last reading */
  gboolean memory_known;
  gboolean storage_known;
  gboolean packages_known;
};

/* Memory is a level: what stood over an interval is taken to be the mean of its ends. */
static void
read_memory (VjMachine *machine, guint64 elapsed_us)
{
  guint64 bytes = 0;
  gboolean known = vj_memory_total_read (machine->memory, &bytes, NULL);
  if (known && machine->memory_known)
    vj_ledger_add_busy (machine->ledger, VJ_RESOURCE_MEMORY,
                        vj_resource_memory (machine->memory_bytes / 2 + bytes / 2, elapsed_us));
  else
    vj_ledger_mark_resource_gap (machine->ledger, VJ_RESOURCE_MEMORY);
  machine->memory_bytes = bytes;
  machine->memory_known = known;
}

static void
read_storage (VjMachine *machine)
{
  guint64 bytes = 0;
  gboolean known = machine->disks != NULL && vj_disks_read (machine->disks, machine->disk_scratch, NULL);
  if (known)
    bytes = vj_disk_bytes_advance (machine->disk_bytes, machine->disk_scratch);
  if (known && machine->storage_known)
    vj_ledger_add_busy (machine->ledger, VJ_RESOURCE_STORAGE, bytes);
  else
    vj_ledger_mark_resource_gap (machine->ledger, VJ_RESOURCE_STORAGE);
  machine->storage_known = known;
}

/* By how much busy time may be off. It is idle time that comes in steps, so busy time without any is exact. */
static guint64
doubt_ns (const VjMachine *machine, guint64 elapsed_us)
{
  guint64 capacity_ns = elapsed_us * VJ_NS_PER_US * machine->cpus;
  guint64 idle_ns = capacity_ns - MIN (machine->busy_ns, capacity_ns);
  return CLAMP (2 * idle_ns, SKEW_NS, ROUNDING_NS);
}

static void
add_packages (VjMachine *machine, guint64 now_us, guint64 doubt)
{
  guint n = vj_topology_n_packages (machine->topology);
  guint cpus = 0;
  gboolean known = vj_busy_read (machine->package_busy, now_us, machine->package_ns, &cpus, NULL);
  for (guint i = 0; i < n; i++)
    {
      VjResource resource = VJ_RESOURCE_PACKAGE (vj_topology_package_number (machine->topology, i));
      vj_ledger_set_debt_limit (machine->ledger, resource, PACKAGES_FACTOR * doubt);
      if (known && machine->packages_known)
        vj_ledger_add_busy (machine->ledger, resource, machine->package_ns[i]);
      else
        vj_ledger_mark_resource_gap (machine->ledger, resource);
    }
  machine->packages_known = known;
}

gboolean
vj_machine_read (VjMachine *machine, guint64 now_us)
{
  guint64 elapsed_us = machine->read_us != 0 ? now_us - machine->read_us : 0;
  gboolean known = vj_busy_read (machine->busy, now_us, &machine->busy_ns, &machine->cpus, NULL);
  if (!known)
    {
      machine->busy_ns = 0;
      vj_ledger_mark_gap (machine->ledger);
    }
  vj_ledger_add_busy (machine->ledger, VJ_RESOURCE_CPU, machine->busy_ns);
  vj_ledger_set_debt_limit (machine->ledger, VJ_RESOURCE_CPU, doubt_ns (machine, elapsed_us));
  machine->total_ns += machine->busy_ns;
  if (machine->topology != NULL)
    add_packages (machine, now_us, doubt_ns (machine, elapsed_us));
  if (machine->memory != NULL)
    read_memory (machine, elapsed_us);
  if (machine->by_storage)
    read_storage (machine);
  machine->read_us = now_us;
  return known;
}

/* A zone of a package that the topology does not know is shared by CPU time as a whole. */
static VjResource
resource_of_zone (const VjMachine *machine, const VjZone *zone, guint n_packages)
{
  VjResource resource = vj_resource_of_zone (zone, n_packages);
  if (resource < VJ_RESOURCE_PACKAGE (0))
    return resource;
  for (guint i = 0; i < n_packages; i++)
    if (resource == VJ_RESOURCE_PACKAGE (vj_topology_package_number (machine->topology, i)))
      return resource;
  return VJ_RESOURCE_CPU;
}

static void
set_resources (VjMachine *machine, guint n_packages, gboolean *ret_by_memory)
{
  for (guint i = 0; i < vj_ledger_n_zones (machine->ledger); i++)
    {
      VjResource resource = resource_of_zone (machine, vj_ledger_zone (machine->ledger, i), n_packages);
      vj_ledger_set_resource (machine->ledger, i, resource);
      *ret_by_memory = *ret_by_memory || resource == VJ_RESOURCE_MEMORY;
      machine->by_storage = machine->by_storage || resource == VJ_RESOURCE_STORAGE;
    }
}

static void
open_storage (VjMachine *machine, const VjRoots *roots)
{
  machine->disk_bytes = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  machine->disk_scratch = g_array_new (FALSE, FALSE, sizeof (VjDiskBytes));
  machine->disks = vj_disks_open (roots, NULL);
}

static gboolean
open_packages (VjMachine *machine, const VjRoots *roots, guint n_packages, GError **error)
{
  machine->package_ns = g_new0 (guint64, n_packages);
  machine->package_busy = vj_busy_open_packages (roots->procfs, machine->topology, error);
  return machine->package_busy != NULL;
}

VjMachine *
vj_machine_open (const VjRoots *roots, VjLedger *ledger, gboolean by_package, GError **error)
{
  g_autoptr (VjMachine) machine = g_new0 (VjMachine, 1);
  gboolean by_memory = FALSE;
  machine->ledger = ledger;
  machine->busy = vj_busy_open (roots->procfs, error);
  if (machine->busy == NULL)
    return NULL;
  machine->topology = vj_topology_open (roots->sysfs);
  guint n_packages = by_package ? vj_topology_n_packages (machine->topology) : 1;
  if (n_packages == 1)
    g_clear_pointer (&machine->topology, vj_topology_free);
  else if (!open_packages (machine, roots, n_packages, error))
    return NULL;
  set_resources (machine, n_packages, &by_memory);
  if (machine->by_storage)
    open_storage (machine, roots);
  if (!by_memory)
    return g_steal_pointer (&machine);
  machine->memory = vj_memory_total_open (roots, error);
  return machine->memory != NULL ? g_steal_pointer (&machine) : NULL;
}

void
vj_machine_free (VjMachine *machine)
{
  if (machine == NULL)
    return;
  g_clear_pointer (&machine->memory, vj_memory_total_free);
  g_clear_pointer (&machine->disks, vj_disks_free);
  g_clear_pointer (&machine->disk_bytes, g_array_unref);
  g_clear_pointer (&machine->disk_scratch, g_array_unref);
  g_clear_pointer (&machine->busy, vj_busy_free);
  g_clear_pointer (&machine->package_busy, vj_busy_free);
  g_clear_pointer (&machine->topology, vj_topology_free);
  g_free (machine->package_ns);
  g_free (machine);
}

guint64
vj_machine_busy_ns (const VjMachine *machine)
{
  return machine->busy_ns;
}

guint64
vj_machine_total_ns (const VjMachine *machine)
{
  return machine->total_ns;
}

guint
vj_machine_cpus (const VjMachine *machine)
{
  return machine->cpus;
}

gboolean
vj_machine_shares_memory (const VjMachine *machine)
{
  return machine->memory != NULL;
}

const VjDisks *
vj_machine_disks (const VjMachine *machine)
{
  return machine->disks;
}

const VjTopology *
vj_machine_topology (const VjMachine *machine)
{
  return machine->topology;
}

void
vj_machine_get_mark (const VjMachine *machine, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us)
{
  vj_busy_get_mark (machine->busy, ret_idle_ticks, ret_monotonic_us);
}

void
vj_machine_set_mark (VjMachine *machine, guint64 idle_ticks, guint64 monotonic_us, guint cpus)
{
  vj_busy_set_mark (machine->busy, idle_ticks, monotonic_us, cpus);
}
