/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/topology.h"

#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CPUS "devices/system/cpu/"

typedef struct
{
  const char *title;
  const char *present;
  const char *ids[4]; /* physical_package_id of each CPU; NULL: no such file */
  guint n_packages;
  guint numbers[4];
  guint package_of_cpu[4];
} Case;

static const Case cases[] = {
  { "one package", "0-3\n", { "0\n", "0\n", "0\n", "0\n" }, 1, { 0 }, { 0, 0, 0, 0 } },
  { "two packages", "0-3\n", { "0\n", "0\n", "1\n", "1\n" }, 2, { 0, 1 }, { 0, 0, 1, 1 } },
  { "interleaved", "0-3\n", { "0\n", "1\n", "0\n", "1\n" }, 2, { 0, 1 }, { 0, 1, 0, 1 } },
  { "numbers with holes, not in order",
    "0-3\n",
    { "9\n", "3\n", "36\n", "3\n" },
    3,
    { 3, 9, 36 },
    { 1, 0, 2, 0 } },
  { "a CPU that is not there", "0,2-3\n", { "0\n", NULL, "1\n", "1\n" }, 2, { 0, 1 }, { 0, 0, 1, 1 } },
  { "a CPU that is offline", "0-3\n", { "1\n", "2\n", NULL, "2\n" }, 2, { 1, 2 }, { 0, 1, 0, 1 } },
  { "no numbers at all", "0-3\n", { NULL, NULL, NULL, NULL }, 1, { 0 }, { 0, 0, 0, 0 } },
  { "numbers that the kernel does not know",
    "0-1\n",
    { "-1\n", "-1\n", NULL, NULL },
    1,
    { 0 },
    { 0, 0, 0, 0 } },
  { "numbers of another form",
    "0-3\n",
    { "x\n", "\n", "", "18446744073709551615\n" },
    1,
    { 0 },
    { 0, 0, 0, 0 } },
  { "a list of another form", "0-\n", { "0\n", "1\n", NULL, NULL }, 1, { 0 }, { 0, 0, 0, 0 } },
  { "nothing", NULL, { NULL, NULL, NULL, NULL }, 1, { 0 }, { 0, 0, 0, 0 } },
};

static void
write_case (const char *root, const Case *c)
{
  tempdir_mkdir (root, CPUS);
  if (c->present)
    tempdir_write (root, CPUS "present", c->present);
  for (guint cpu = 0; cpu < 4; cpu++)
    {
      g_autofree char *path = g_strdup_printf (CPUS "cpu%u/topology/physical_package_id", cpu);

      if (c->ids[cpu])
        tempdir_write (root, path, c->ids[cpu]);
    }
}

static void
check_case (const VjTopology *topology, const Case *c)
{
  guint n_cpus = 99;
  const guint *packages = vj_topology_packages_of_cpus (topology, &n_cpus);

  assert_int_equal (vj_topology_n_packages (topology), c->n_packages);
  for (guint i = 0; i < c->n_packages; i++)
    assert_int_equal (vj_topology_package_number (topology, i), c->numbers[i]);
  for (guint cpu = 0; cpu < 4; cpu++)
    assert_int_equal (vj_topology_package_of_cpu (topology, cpu), c->package_of_cpu[cpu]);
  assert_int_equal (vj_topology_package_of_cpu (topology, 4000000000U), 0);
  assert_true (n_cpus <= 4);
  for (guint cpu = 0; cpu < n_cpus; cpu++)
    assert_int_equal (packages[cpu], c->package_of_cpu[cpu]);
}

static void
packages_are_found (void **state)
{
  const char *root = *state;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      print_message ("%s\n", cases[i].title);
      write_case (root, &cases[i]);
      g_autoptr (VjTopology) topology = vj_topology_open (root);

      check_case (topology, &cases[i]);
      tempdir_remove (root, "devices");
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { tempdir_unit_test (packages_are_found) };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
