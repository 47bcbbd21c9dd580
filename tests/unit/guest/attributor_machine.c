/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attributor_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/units.h"
#include "tempdir.h"

static void
on_updated (gpointer user_data)
{
  ((Machine *)user_data)->updates++;
}

static void
on_report (const char *line, gpointer user_data)
{
  g_string_append_printf (((Machine *)user_data)->said, "%s\n", line);
}

void
write_zone (const Machine *machine, const char *zone, const char *name, guint64 energy_uj)
{
  g_autofree char *directory = g_strdup_printf ("sys/class/powercap/%s", zone);
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", energy_uj);
  const char *files[][2] = { { "name", name },
                             { "max_energy_range_uj", "4611686018427387904\n" },
                             { "energy_uj", text } };
  tempdir_mkdir (machine->root, directory);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char *file = g_strdup_printf ("%s/%s", directory, files[i][0]);
      assert_true (vj_file_replace (machine->root, file, files[i][1], strlen (files[i][1]), 0644, NULL));
    }
}

void
write_tree (const Machine *machine)
{
  write_zone (machine, "intel-rapl:0", "package-0\n", machine->package_uj);
  write_zone (machine, "intel-rapl:0:0", "dram\n", machine->dram_uj);
  if (machine->has_storage)
    write_zone (machine, "intel-rapl:1", "storage\n", machine->storage_uj);
  if (machine->dram_is_odd)
    tempdir_write (machine->root, "sys/class/powercap/intel-rapl:0:0/energy_uj", "odd\n");
}

void
write_generation (const Machine *machine)
{
  static const char text[] = "{\"generation\":1,\"quality\":\"measured\",\"source\":\"powercap\"}\n";
  assert_true (vj_file_replace (machine->root, "sys/class/generation", text, strlen (text), 0644, NULL));
}

void
use (Machine *machine, const char *path, guint64 us, guint64 memory)
{
  guint64 total = GPOINTER_TO_SIZE (g_hash_table_lookup (machine->cpu_us, path)) + us;
  g_autofree char *cpu = g_strconcat ("cgroup", path, "/cpu.stat", NULL);
  g_autofree char *mem = g_strconcat ("cgroup", path, "/memory.stat", NULL);
  g_autofree char *cpu_text = g_strdup_printf ("usage_usec %" G_GUINT64_FORMAT "\n", total);
  g_autofree char *mem_text = g_strdup_printf ("anon %" G_GUINT64_FORMAT "\nfile 1\nshmem 0\n", memory);
  g_hash_table_replace (machine->cpu_us, g_strdup (path), GSIZE_TO_POINTER (total));
  tempdir_write (machine->root, cpu, cpu_text);
  tempdir_write (machine->root, mem, mem_text);
}

void
make_group (Machine *machine, const char *path)
{
  if (!g_hash_table_contains (machine->cpu_us, path))
    use (machine, path, 0, 0);
}

void
remove_group (Machine *machine, const char *path)
{
  g_autofree char *relative = g_strconcat ("cgroup", path, NULL);
  tempdir_remove (machine->root, relative);
  g_hash_table_remove (machine->cpu_us, path);
  g_hash_table_remove (machine->io_bytes, path);
}

/* What the group moved, all above it moved too. */
void
move (Machine *machine, const char *path, guint64 bytes)
{
  for (g_autofree char *at = g_strdup (path); at[0] != '\0'; *strrchr (at, '/') = '\0')
    {
      guint64 total = GPOINTER_TO_SIZE (g_hash_table_lookup (machine->io_bytes, at)) + bytes;
      g_autofree char *file = g_strconcat ("cgroup", at, "/io.stat", NULL);
      g_autofree char *text = g_strdup_printf ("8:0 rbytes=%" G_GUINT64_FORMAT " wbytes=0\n", total);
      g_hash_table_replace (machine->io_bytes, g_strdup (at), GSIZE_TO_POINTER (total));
      tempdir_write (machine->root, file, text);
    }
}

void
move_disk (Machine *machine, guint64 bytes)
{
  machine->disk_bytes += bytes;
  g_autofree char *text =
      g_strdup_printf (" 8 0 sda 1 1 %" G_GUINT64_FORMAT " 1 1 1 0 1 0 0 0\n", machine->disk_bytes / 512);
  tempdir_write (machine->root, "proc/diskstats", text);
}

/* A disk of files; everything else in /proc is this machine's. */
void
add_storage (Machine *machine)
{
  static const char *const real[] = { "stat", "meminfo" };
  tempdir_mkdir (machine->root, "devices/block/sda/device");
  move_disk (machine, 1024);
  for (guint i = 0; i < G_N_ELEMENTS (real); i++)
    {
      g_autofree char *target = g_build_filename ("/proc", real[i], NULL);
      g_autofree char *link = g_build_filename (machine->root, "proc", real[i], NULL);
      assert_int_equal (symlink (target, link), 0);
    }
  g_free (machine->options.roots.procfs);
  machine->options.roots.procfs = g_build_filename (machine->root, "proc", NULL);
  machine->has_storage = TRUE;
}

void
start (Machine *machine)
{
  machine->attributor = vj_attributor_new (&machine->options, machine->names, NULL);
  assert_non_null (machine->attributor);
}

void
update (Machine *machine, guint64 package_uj, guint64 dram_uj)
{
  guint before = machine->updates;
  machine->package_uj += package_uj;
  machine->dram_uj += dram_uj;
  write_tree (machine);
  write_generation (machine);
  while (machine->updates == before)
    g_main_context_iteration (NULL, TRUE);
}

int
setup (void **state)
{
  Machine *machine = g_new0 (Machine, 1);
  void *root = NULL;
  assert_int_equal (tempdir_setup (&root), 0);
  machine->root = root;
  machine->names = vj_names_new ();
  machine->said = g_string_new (NULL);
  machine->cpu_us = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  machine->options.roots.sysfs = g_build_filename (root, "sys", NULL);
  machine->options.roots.procfs = g_strdup ("/proc");
  machine->options.roots.cgroupfs = g_build_filename (root, "cgroup", NULL);
  machine->options.device_sysfs = g_build_filename (root, "devices", NULL);
  machine->io_bytes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  machine->options.interval_us = NEVER_US;
  machine->options.workloads =
      (VjWorkloadsOptions){ .max_groups = 1000, .keep_us = NEVER_US, .max_ended = 100 };
  machine->options.report = on_report;
  machine->options.updated = on_updated;
  machine->options.user_data = machine;
  tempdir_write (root, "cgroup/cgroup.controllers", "cpu memory\n");
  *state = machine;
  return 0;
}

int
teardown (void **state)
{
  Machine *machine = *state;
  void *root = (void *)machine->root;
  vj_attributor_free (machine->attributor);
  vj_names_free (machine->names);
  vj_roots_clear (&machine->options.roots);
  g_free (machine->options.device_sysfs);
  g_hash_table_unref (machine->io_bytes);
  g_hash_table_unref (machine->cpu_us);
  g_string_free (machine->said, TRUE);
  g_free (machine);
  return tempdir_teardown (&root);
}

/* --- what must hold in every snapshot --- */

static guint64
sum_of_outermost (const VjAttributorSnapshot *snapshot, guint zone)
{
  guint64 sum_uj = 0;
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, i);
      if (group->parent < 0)
        sum_uj += group->energy_uj[zone];
    }
  return sum_uj;
}

static void
assert_group_adds_up (const VjAttributorSnapshot *snapshot, guint index, guint zone)
{
  const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, index);
  guint64 parts_uj = group->own_uj[zone] + group->folded_uj[zone];
  for (guint i = index + 1; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *child = g_ptr_array_index (snapshot->groups, i);
      if (child->parent == (int)index)
        parts_uj += child->energy_uj[zone];
    }
  assert_int_equal (group->energy_uj[zone], parts_uj);
  guint64 own_uj = group->exited_uj[zone];
  for (guint i = 0; group->processes != NULL && i < group->processes->len; i++)
    own_uj += ((VjProcessSnapshot *)g_ptr_array_index (group->processes, i))->energy_uj[zone];
  assert_int_equal (group->own_uj[zone], own_uj);
}

VjAttributorSnapshot *
checked_snapshot (const Machine *machine)
{
  VjAttributorSnapshot *snapshot = vj_attributor_snapshot (machine->attributor);
  for (guint zone = 0; zone < snapshot->zones->len; zone++)
    {
      const VjZoneView *view = &g_array_index (snapshot->zones, VjZoneView, zone);
      assert_int_equal (view->measured_uj,
                        view->kernel_uj + view->folded_uj + sum_of_outermost (snapshot, zone));
      for (guint i = 0; i < snapshot->groups->len; i++)
        assert_group_adds_up (snapshot, i, zone);
    }
  return snapshot;
}

const VjGroupSnapshot *
find (const VjAttributorSnapshot *snapshot, const char *path)
{
  for (guint i = 0; i < snapshot->groups->len; i++)
    {
      const VjGroupSnapshot *group = g_ptr_array_index (snapshot->groups, i);
      if (strcmp (group->path, path) == 0)
        return group;
    }
  return NULL;
}

/* Where a test has no use for its absence. */
const VjGroupSnapshot *
group_of (const VjAttributorSnapshot *snapshot, const char *path)
{
  const VjGroupSnapshot *group = find (snapshot, path);
  if (group == NULL)
    {
      print_error ("%s is not shown\n", path);
      abort ();
    }
  return group;
}
