/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/package_busy.h"

#include "common/error.h"
#include "fake_topology.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS ((guint64)1000 * 1000)

/* Ticks are of 10 ms. */
static void
write_stat (const char *root, guint idle0, guint idle1, guint idle2, gboolean has_cpu3)
{
  g_autofree char *text = g_strdup_printf ("cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 9 9 9 %u 0 0 0 0 0 0\n"
                                           "cpu1 9 9 9 0 %u 0 0 0 0 0\ncpu2 9 9 9 0 0 0 0 %u 0 0\n%sintr 1\n",
                                           idle0, idle1, idle2, has_cpu3 ? "cpu3 0 0 0 0 0 0 0 0 0 0\n" : "");

  tempdir_write (root, "stat", text);
}

static void
busy_time_is_by_package (void **state)
{
  static const guint package_of_cpu[] = { 0, 1, 1, 0 };
  static const struct
  {
    guint idle[3];
    gboolean has_cpu3;
    guint64 now_us;
    guint64 busy_ms[2];
  } steps[] = {
    { { 100, 200, 300 }, FALSE, 1000000, { 0, 0 } },
    { { 200, 300, 400 }, FALSE, 2000000, { 0, 0 } }, /* idle */
    { { 200, 350, 500 }, FALSE, 3000000, { 1000, 500 } },
    { { 301, 350, 500 }, FALSE, 4000000, { 0, 2000 } }, /* 10 ms too much idle time: owed */
    { { 351, 450, 600 }, FALSE, 5000000, { 490, 0 } },
    { { 351, 451, 601 }, TRUE, 6000000, { 490, 1980 } }, /* a CPU came: as busy as before */
    { { 351, 451, 601 }, TRUE, 6500000, { 1000, 1000 } },
  };
  const char *root = *state;
  g_autoptr (GError) error = NULL;
  guint64 busy_ns[2];

  fake_topology_write (root, package_of_cpu, 4);
  write_stat (root, 0, 0, 0, FALSE);
  g_autoptr (VjTopology) topology = vj_topology_open (root);
  g_autoptr (VjPackageBusy) busy = vj_package_busy_open (root, topology, &error);
  assert_non_null (busy);
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      write_stat (root, steps[i].idle[0], steps[i].idle[1], steps[i].idle[2], steps[i].has_cpu3);
      assert_true (vj_package_busy_read (busy, steps[i].now_us, busy_ns, &error));
      assert_int_equal (busy_ns[0], steps[i].busy_ms[0] * MS);
      assert_int_equal (busy_ns[1], steps[i].busy_ms[1] * MS);
    }
  tempdir_write (root, "stat", "cpu  1\n");
  assert_false (vj_package_busy_read (busy, 7000000, busy_ns, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
}

int
main (void)
{
  const struct CMUnitTest tests[] = { tempdir_unit_test (busy_time_is_by_package) };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
