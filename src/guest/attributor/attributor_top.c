/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/attributor_top.h"

#include <string.h>

#include "common/cli_table.h"
#include "common/units.h"

#define SHORT_ID       12
#define SILENT_LEAST_S 3

typedef struct
{
  char *key; /* the same in every snapshot */
  const char *level;
  char *name;
  guint64 energy_uj;
  guint64 cpu_ns;
  gboolean has_cpu;
  guint64 power_uw;
  guint64 cpu_permille;
} Row;

static void
row_free (gpointer data)
{
  Row *row = data;
  g_free (row->key);
  g_free (row->name);
  g_free (row);
}

const char *
vj_top_sort_name (VjTopSort sort)
{
  static const char *const names[VJ_TOP_SORTS] = { "power", "joules", "CPU", "name" };
  return names[sort];
}

/* --- zones --- */

static const VjZoneView *
zone_at (const VjAttributorSnapshot *snapshot, guint i)
{
  return &g_array_index (snapshot->zones, VjZoneView, i);
}

/* Zones that count: a part of another one does not, nor does one that holds packages. */
static gboolean
is_counted (const VjAttributorSnapshot *snapshot, guint i)
{
  return vj_zone_is_component (&zone_at (snapshot, i)->zone) || snapshot->zones->len == 1;
}

static guint64
counted_uj (const VjAttributorSnapshot *snapshot, const guint64 *energy_uj)
{
  guint64 sum_uj = 0;
  for (guint i = 0; i < snapshot->zones->len; i++)
    if (is_counted (snapshot, i))
      sum_uj += energy_uj[i];
  return sum_uj;
}

/* --- rows --- */

static Row *
row_new (GPtrArray *rows, const char *level, char *key, char *name)
{
  Row *row = g_new0 (Row, 1);
  row->level = level;
  row->key = key;
  row->name = name;
  g_ptr_array_add (rows, row);
  return row;
}

static char *
container_name (const VjGroupSnapshot *group)
{
  g_autofree char *short_id = g_strndup (group->class.id, SHORT_ID);
  const char *name = group->sandbox ? "(sandbox)" : group->name != NULL ? group->name : short_id;
  if (group->pod != NULL)
    return g_strjoin ("/", group->namespace_ != NULL ? group->namespace_ : "", group->pod, name, NULL);
  return g_strdup (name);
}

static char *
pod_name (const VjGroupSnapshot *group)
{
  if (group->pod == NULL)
    return g_strdup (group->class.pod_uid);
  return g_strjoin ("/", group->namespace_ != NULL ? group->namespace_ : "", group->pod, NULL);
}

static guint
level_of (const VjGroupSnapshot *group)
{
  switch (group->class.kind)
    {
    case VJ_CGROUP_POD:
      return VJ_LEVEL_POD;
    case VJ_CGROUP_CONTAINER:
      return VJ_LEVEL_CONTAINER;
    case VJ_CGROUP_UNIT:
      return VJ_LEVEL_UNIT;
    case VJ_CGROUP_ROOT:
    case VJ_CGROUP_SLICE:
    case VJ_CGROUP_OTHER:
    default:
      return 0;
    }
}

/* Names of a delegated group are its owner's claim: its path says what it is. */
static char *
group_name (const VjGroupSnapshot *group)
{
  g_autofree char *name = NULL;
  if (group->class.delegated)
    name = g_strdup (group->path);
  else if (group->class.kind == VJ_CGROUP_POD)
    name = pod_name (group);
  else if (group->class.kind == VJ_CGROUP_CONTAINER)
    name = container_name (group);
  else
    name = g_strdup (group->name);
  return group->terminated ? g_strconcat (name, " (ended)", NULL) : g_steal_pointer (&name);
}

static void
add_processes (GPtrArray *rows, const VjAttributorSnapshot *snapshot, const VjGroupSnapshot *group)
{
  for (guint i = 0; group->processes != NULL && i < group->processes->len; i++)
    {
      const VjProcessSnapshot *process = g_ptr_array_index (group->processes, i);
      char *key =
          g_strdup_printf ("%d %" G_GUINT64_FORMAT " %s", process->pid, process->start_us, group->path);
      char *name =
          g_strdup_printf ("%d %s%s", process->pid, process->command, process->terminated ? " (ended)" : "");
      Row *row = row_new (rows, "process", key, name);
      row->energy_uj = counted_uj (snapshot, process->energy_uj);
      row->cpu_ns = process->cpu_ns;
      row->has_cpu = TRUE;
    }
}

static void
add_group (GPtrArray *rows, const VjAttributorSnapshot *snapshot, const VjGroupSnapshot *group, guint levels)
{
  if ((levels & VJ_LEVEL_PROCESS) != 0)
    add_processes (rows, snapshot, group);
  if ((levels & level_of (group)) == 0)
    return;
  Row *row =
      row_new (rows, vj_cgroup_kind_name (group->class.kind), g_strdup (group->path), group_name (group));
  row->energy_uj = counted_uj (snapshot, group->energy_uj);
  row->cpu_ns = group->cpu_ns;
  row->has_cpu = TRUE;
}

static GPtrArray *
rows_of (const VjAttributorSnapshot *snapshot, guint levels)
{
  GPtrArray *rows = g_ptr_array_new_with_free_func (row_free);
  for (guint i = 0; (levels & VJ_LEVEL_WORKLOAD) != 0 && i < snapshot->owners->len; i++)
    {
      const VjOwnerSnapshot *owner = g_ptr_array_index (snapshot->owners, i);
      char *name = g_strdup_printf ("%s/%s (%s)", owner->namespace_, owner->name, owner->kind);
      Row *row = row_new (rows, "workload", g_strconcat ("workload ", name, NULL), name);
      row->energy_uj = counted_uj (snapshot, owner->energy_uj);
    }
  for (guint i = 0; i < snapshot->groups->len; i++)
    add_group (rows, snapshot, g_ptr_array_index (snapshot->groups, i), levels);
  return rows;
}

/* --- rates --- */

static guint64
growth (guint64 now, guint64 before)
{
  return now > before ? now - before : 0;
}

static guint64
power_uw (guint64 energy_uj, guint64 elapsed_us)
{
  return elapsed_us > 0 ? (guint64)((VjU128)energy_uj * VJ_US_PER_S / elapsed_us) : 0;
}

static void
rate_rows (GPtrArray *rows, GPtrArray *rows_before, guint64 elapsed_us)
{
  g_autoptr (GHashTable) by_key = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < rows_before->len; i++)
    {
      Row *row = g_ptr_array_index (rows_before, i);
      g_hash_table_insert (by_key, row->key, row);
    }
  for (guint i = 0; i < rows->len; i++)
    {
      Row *row = g_ptr_array_index (rows, i);
      const Row *before = g_hash_table_lookup (by_key, row->key);
      guint64 energy_uj = growth (row->energy_uj, before != NULL ? before->energy_uj : 0);
      guint64 cpu_ns = growth (row->cpu_ns, before != NULL ? before->cpu_ns : 0);
      row->power_uw = power_uw (energy_uj, elapsed_us);
      row->cpu_permille = elapsed_us > 0 ? cpu_ns / elapsed_us : 0; /* ns by us */
    }
}

/* What is sorted by is higher first, then names. */
static int
compare_rows (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const Row *first = *(Row *const *)a;
  const Row *second = *(Row *const *)b;
  const guint64 values[VJ_TOP_SORTS][2] = {
    [VJ_TOP_BY_POWER] = { first->power_uw, second->power_uw },
    [VJ_TOP_BY_ENERGY] = { first->energy_uj, second->energy_uj },
    [VJ_TOP_BY_CPU] = { first->cpu_permille, second->cpu_permille },
  };
  const guint64 *value = values[((const VjTopView *)user_data)->sort];
  if (value[0] != value[1])
    return value[0] > value[1] ? -1 : 1;
  int order = strcmp (first->name, second->name);
  return order != 0 ? order : strcmp (first->key, second->key);
}

/* --- text --- */

static char *
thousandths (guint64 micro)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT ".%03" G_GUINT64_FORMAT, micro / 1000000, micro / 1000 % 1000);
}

static void
put_head (GString *out, const VjAttributorSnapshot *now, const VjTopView *view)
{
  guint64 silent_s = view->silent_us / VJ_US_PER_S;
  g_autofree char *interval = thousandths (now->interval_us);
  g_autofree char *quality = vj_cli_printable (now->quality);
  g_autofree char *source = vj_cli_printable (now->source);
  g_autofree char *message = vj_cli_printable (view->message != NULL ? view->message : "");
  g_string_append_printf (out, " Interval %s s   cgroups %s   sorted by %s", interval, now->cgroup_version,
                          vj_top_sort_name (view->sort));
  if (*quality != '\0')
    g_string_append_printf (out, "   %s: %s", source, quality);
  g_string_append_c (out, '\n');
  if (*message != '\0')
    g_string_append_printf (out, " %s\n", message);
  if (silent_s >= SILENT_LEAST_S && view->silent_us >= 3 * now->interval_us)
    g_string_append_printf (out, " No update of the tree for %" G_GUINT64_FORMAT " s\n", silent_s);
  g_string_append_c (out, '\n');
}

static guint64
kernel_before_uj (const VjAttributorSnapshot *before, guint zone)
{
  return before != NULL && zone < before->zones->len ? zone_at (before, zone)->kernel_uj : 0;
}

static void
put_zones (GString *out, const VjAttributorSnapshot *before, const VjAttributorSnapshot *now)
{
  static const char *const numbers[] = { "Watts", "Kernel W", "Joules", "Kernel J" };
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  vj_cli_table_column (table, "Zone", FALSE);
  for (gsize i = 0; i < G_N_ELEMENTS (numbers); i++)
    vj_cli_table_column (table, numbers[i], TRUE);
  for (guint i = 0; i < now->zones->len; i++)
    {
      const VjZoneView *view = zone_at (now, i);
      guint64 kernel_uj = growth (view->kernel_uj, kernel_before_uj (before, i));
      vj_cli_table_cell (table, view->zone.id);
      vj_cli_table_take (table, thousandths (view->power_uw));
      vj_cli_table_take (table, thousandths (power_uw (kernel_uj, now->interval_us)));
      vj_cli_table_take (table, thousandths (view->measured_uj));
      vj_cli_table_take (table, thousandths (view->kernel_uj));
    }
  vj_cli_table_render (table, out);
}

static void
put_rows (GString *out, const GPtrArray *rows, guint max_rows)
{
  static const char *const numbers[] = { "Watts", "Joules", "CPU %" };
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  for (gsize i = 0; i < G_N_ELEMENTS (numbers); i++)
    vj_cli_table_column (table, numbers[i], TRUE);
  vj_cli_table_column (table, "Level", FALSE);
  vj_cli_table_column (table, "Name", FALSE);
  for (guint i = 0; i < rows->len && (max_rows == 0 || i < max_rows); i++)
    {
      const Row *row = g_ptr_array_index (rows, i);
      vj_cli_table_take (table, thousandths (row->power_uw));
      vj_cli_table_take (table, thousandths (row->energy_uj));
      vj_cli_table_take (table, row->has_cpu
                                    ? g_strdup_printf ("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT,
                                                       row->cpu_permille / 10, row->cpu_permille % 10)
                                    : g_strdup ("-"));
      vj_cli_table_cell (table, row->level);
      vj_cli_table_cell (table, row->name);
    }
  vj_cli_table_render (table, out);
}

char *
vj_attributor_top (const VjAttributorSnapshot *before, const VjAttributorSnapshot *now, const VjTopView *view)
{
  g_autoptr (GPtrArray) rows = rows_of (now, view->levels);
  g_autoptr (GPtrArray) rows_before = before != NULL ? rows_of (before, view->levels) : g_ptr_array_new ();
  GString *out = g_string_new (NULL);
  rate_rows (rows, rows_before, now->interval_us);
  g_ptr_array_sort_with_data (rows, compare_rows, (gpointer)view);
  put_head (out, now, view);
  put_zones (out, before, now);
  g_string_append_c (out, '\n');
  put_rows (out, rows, view->max_rows);
  return g_string_free (out, FALSE);
}
