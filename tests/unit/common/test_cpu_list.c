/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/cpu_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void
test_parse (void **state)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint n;
    guint cpus[6];
  } cases[] = {
    { "0\n", TRUE, 1, { 0 } },
    { "0-3,8\n", TRUE, 5, { 0, 1, 2, 3, 8 } },
    { "0,2,4-5\n", TRUE, 4, { 0, 2, 4, 5 } },
    { "3-3\n", TRUE, 1, { 3 } },
    { "16383\n", TRUE, 1, { 16383 } },
    { "\n", TRUE, 0, { 0 } },
    { "16384\n", FALSE, 0, { 0 } },
    { "0-4294967295\n", FALSE, 0, { 0 } },
    { "0-18446744073709551615\n", FALSE, 0, { 0 } },
    { "0-3", FALSE, 0, { 0 } },
    { "3-0\n", FALSE, 0, { 0 } },
    { "0,0\n", FALSE, 0, { 0 } },
    { "0-3,2\n", FALSE, 0, { 0 } },
    { "0-\n", FALSE, 0, { 0 } },
    { "0,\n", FALSE, 0, { 0 } },
    { ",0\n", FALSE, 0, { 0 } },
    { "0-31:2/4\n", FALSE, 0, { 0 } },
    { "0 1\n", FALSE, 0, { 0 } },
    { "0\n1\n", FALSE, 0, { 0 } },
    { "", FALSE, 0, { 0 } },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const gsize length = strlen (cases[i].text);
      g_autofree char *text = g_memdup2 (cases[i].text, MAX (length, 1));
      g_autoptr (GArray) cpus = g_array_new (FALSE, FALSE, sizeof (guint));

      g_array_set_size (cpus, 3);
      assert_int_equal (vj_cpu_list_parse (text, length, cpus), cases[i].ok);
      assert_int_equal (cpus->len, cases[i].n);
      for (guint cpu = 0; cpu < cpus->len; cpu++)
        assert_int_equal (g_array_index (cpus, guint, cpu), cases[i].cpus[cpu]);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (test_parse) };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
