/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/topology.h"

#include "common/cgroup.h"
#include "common/cpu_list.h"
#include "common/file.h"

#define LIST_MAX   65536
#define NUMBER_MAX 32

struct VjTopology
{
  GArray *numbers; /* guint: package number by index, ascending, at least one */
  GArray *indexes; /* guint: package index by CPU */
};

/* -1 where it is not known. */
static gint64
read_package (const char *directory, guint cpu)
{
  g_autofree char *relative = g_strdup_printf ("cpu%u/topology/physical_package_id", cpu);
  gsize length = 0;
  g_autofree char *text = vj_file_read (directory, relative, NUMBER_MAX, &length, NULL);
  guint64 number = 0;

  if (!text || !vj_cgroup_parse_u64 (text, length, &number) || number > G_MAXINT)
    return -1;
  return (gint64)number;
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  const guint *x = a;
  const guint *y = b;

  return (*x > *y) - (*x < *y);
}

/* G_MAXUINT where it is not there. */
static guint
find_number (const GArray *numbers, gint64 number)
{
  for (guint i = 0; i < numbers->len; i++)
    {
      if (g_array_index (numbers, guint, i) == number)
        return i;
    }
  return G_MAXUINT;
}

static void
add_numbers (VjTopology *topology, const gint64 *packages, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      const guint number = (guint)MAX (packages[i], 0);

      if (packages[i] >= 0 && find_number (topology->numbers, number) == G_MAXUINT)
        g_array_append_val (topology->numbers, number);
    }
  g_array_sort (topology->numbers, compare_numbers);
  if (topology->numbers->len == 0)
    g_array_set_size (topology->numbers, 1);
}

static void
set_indexes (VjTopology *topology, const GArray *cpus, const gint64 *packages)
{
  if (cpus->len > 0)
    g_array_set_size (topology->indexes, g_array_index (cpus, guint, cpus->len - 1) + 1);
  for (guint i = 0; i < cpus->len; i++)
    {
      const guint index = find_number (topology->numbers, packages[i]);

      g_array_index (topology->indexes, guint, g_array_index (cpus, guint, i)) =
          index == G_MAXUINT ? 0 : index;
    }
}

VjTopology *
vj_topology_open (const char *sysfs)
{
  VjTopology *topology = g_new0 (VjTopology, 1);
  g_autofree char *directory = g_build_filename (sysfs, "devices", "system", "cpu", NULL);
  gsize length = 0;
  g_autofree char *text = vj_file_read (directory, "present", LIST_MAX, &length, NULL);
  g_autoptr (GArray) cpus = g_array_new (FALSE, FALSE, sizeof (guint));
  gint64 *packages;

  topology->numbers = g_array_new (FALSE, TRUE, sizeof (guint));
  topology->indexes = g_array_new (FALSE, TRUE, sizeof (guint));
  if (text)
    vj_cpu_list_parse (text, length, cpus);
  packages = g_new (gint64, cpus->len + 1);
  for (guint i = 0; i < cpus->len; i++)
    packages[i] = read_package (directory, g_array_index (cpus, guint, i));
  add_numbers (topology, packages, cpus->len);
  set_indexes (topology, cpus, packages);
  g_free (packages);
  return topology;
}

void
vj_topology_free (VjTopology *topology)
{
  if (!topology)
    return;
  g_array_unref (topology->numbers);
  g_array_unref (topology->indexes);
  g_free (topology);
}

guint
vj_topology_n_packages (const VjTopology *topology)
{
  return topology->numbers->len;
}

guint
vj_topology_package_number (const VjTopology *topology, guint index)
{
  return g_array_index (topology->numbers, guint, index);
}

guint
vj_topology_package_of_cpu (const VjTopology *topology, guint cpu)
{
  return cpu < topology->indexes->len ? g_array_index (topology->indexes, guint, cpu) : 0;
}

const guint *
vj_topology_packages_of_cpus (const VjTopology *topology, guint *ret_n)
{
  *ret_n = topology->indexes->len;
  return (const guint *)(gconstpointer)topology->indexes->data;
}
