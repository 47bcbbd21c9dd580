/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"
#include "golden.h"
#include "host/cli/cli_domains.h"
#include "common/cli_table.h"

/* The agent's golden documents in, golden tables out. */
static void
test_list (void **state)
{
  g_autofree char *json = golden_read ("api/list.json");
  g_autofree char *text = vj_cli_list_text (json, FALSE, NULL);
  golden_assert ("cli/list.txt", text);
}

static void
test_list_with_uuid (void **state)
{
  g_autofree char *json = golden_read ("api/list.json");
  g_autofree char *text = vj_cli_list_text (json, TRUE, NULL);
  golden_assert ("cli/list-uuid.txt", text);
}

static void
test_list_verbose (void **state)
{
  g_autofree char *json = golden_read ("api/list.json");
  g_autofree char *text = vj_cli_settings_text (json, NULL);
  golden_assert ("cli/list-verbose.txt", text);
}

static void
test_status (void **state)
{
  g_autofree char *json = golden_read ("api/status.json");
  g_autofree char *text = vj_cli_status_text (json, NULL);
  golden_assert ("cli/status.txt", text);
}

static void
test_estimates_say_so (void **state)
{
  const char *list =
      "[{\"name\":\"a\",\"watts\":1.5,\"energy_uj\":{\"package-0\":1500},\"quality\":\"estimated\","
      "\"source\":\"model\",\"age_us\":100000}]";
  const char *status = "{\"sources\":[{\"name\":\"model\",\"quality\":\"estimated\",\"age_us\":0}],"
                       "\"zones\":[{\"id\":\"package-0\",\"quality\":\"estimated\",\"readable\":true}]}";
  g_autofree char *list_text = vj_cli_list_text (list, FALSE, NULL);
  g_autofree char *status_text = vj_cli_status_text (status, NULL);
  assert_non_null (strstr (list_text, "Energy is estimated by model, not measured;"));
  assert_non_null (strstr (status_text, "Energy:    estimated by model, not measured;"));
}

/* Answers that no agent of this version gives: an error, or a table with holes, but never a warning or a crash. */
static void
test_odd_answers (void **state)
{
  static const struct
  {
    const char *json;
    gboolean list;
    gboolean status;
  } odd[] = {
    { "", FALSE, FALSE },
    { "hello", FALSE, FALSE },
    { "[", FALSE, FALSE },
    { "7", FALSE, FALSE },
    { "null", FALSE, FALSE },
    { "[]", TRUE, FALSE },
    { "[1, null, \"x\", []]", TRUE, FALSE },
    { "[{}]", TRUE, FALSE },
    { "[{\"name\":5,\"watts\":\"x\",\"energy_uj\":[],\"channel\":7,\"age_us\":null}]", TRUE, FALSE },
    { "[{\"energy_uj\":{\"z\":1}},{\"energy_uj\":{\"z\":-1}},{}, 3]", TRUE, FALSE },
    { "{}", FALSE, TRUE },
    { "{\"zones\":{},\"ticks\":[],\"sources\":[1],\"counters\":\"\",\"libvirt\":null}", FALSE, TRUE },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (odd); i++)
    {
      g_autoptr (GError) list_error = NULL;
      g_autoptr (GError) status_error = NULL;
      g_autofree char *list = vj_cli_list_text (odd[i].json, FALSE, &list_error);
      g_autofree char *status = vj_cli_status_text (odd[i].json, &status_error);
      print_message ("%s\n", odd[i].json);
      assert_int_equal (list != NULL, odd[i].list);
      assert_int_equal (status != NULL, odd[i].status);
      assert_int_equal (g_error_matches (list_error, VJ_ERROR, VJ_ERROR_INVALID), !odd[i].list);
      assert_int_equal (g_error_matches (status_error, VJ_ERROR, VJ_ERROR_INVALID), !odd[i].status);
    }
}

static void
test_terminal_controls_are_replaced (void **state)
{
  static const struct
  {
    const char *text;
    const char *printable;
  } cases[] = {
    { "web-1", "web-1" },
    { "\x1b[2J", "?[2J" },
    { "a\nb\tc\rd\x7f", "a?b?c?d?" },
    { "\xc2\x9b"
      "31m",
      "?31m" }, /* C1 control: CSI in one character */
    { "\xe2\x80\xae"
      "abc",
      "?abc" },                  /* right-to-left override */
    { "a\xe2\x80\xa8z", "a?z" }, /* line separator */
    { "\xff", "\xef\xbf\xbd" },
    { "ñandú-数据", "ñandú-数据" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *printable = vj_cli_printable (cases[i].text);
      assert_string_equal (printable, cases[i].printable);
    }
}

static void
test_table (void **state)
{
  g_autoptr (VjCliTable) table = vj_cli_table_new ();
  g_autoptr (GString) text = g_string_new (NULL);
  vj_cli_table_column (table, "Name", FALSE);
  vj_cli_table_column (table, "J", TRUE);
  vj_cli_table_column (table, "State", FALSE);
  vj_cli_table_cell (table, "数据-12");
  vj_cli_table_cell (table, "1");
  vj_cli_table_cell (table, "x");
  vj_cli_table_cell (table, "a");
  vj_cli_table_cell (table, "123");
  vj_cli_table_cell (table, "");
  vj_cli_table_render (table, text);
  assert_string_equal (text->str, " Name        J   State\n"
                                  "-----------------------\n"
                                  " 数据-12     1   x\n"
                                  " a         123   \n");
}

static void
test_clip (void **state)
{
  static const struct
  {
    const char *text;
    guint columns;
    gsize bytes;
  } cases[] = {
    { "abc", 0, 0 }, { "abc", 2, 2 },  { "abc", 3, 3 },  { "abc", 9, 3 },
    { "", 1, 0 },    { "数据", 3, 3 }, { "数据", 4, 6 }, { "e\xcc\x81x", 1, 3 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_int_equal (vj_cli_clip (cases[i].text, cases[i].columns), cases[i].bytes);
}

static char *
has_vanished (const VjLibvirtDomain *domain, gpointer user_data, GError **error)
{
  g_set_error_literal (error, VJ_ERROR, VJ_ERROR_GONE, "it has vanished");
  return NULL;
}

/* Of all domains one may vanish before its turn; whoever names one means it. */
static void
test_a_vanished_domain (void **state)
{
  g_autoptr (VjLibvirtAdmin) admin = vj_libvirt_admin_open ("test:///default", FALSE, NULL);
  char *const names[] = { (char *)"test", NULL };
  assert_non_null (admin);
  assert_int_equal (vj_cli_each_domain (admin, names, TRUE, has_vanished, NULL), VJ_EXIT_OK);
  assert_int_equal (vj_cli_each_domain (admin, names, FALSE, has_vanished, NULL), VJ_EXIT_FAILED);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_list),
    cmocka_unit_test (test_list_with_uuid),
    cmocka_unit_test (test_list_verbose),
    cmocka_unit_test (test_status),
    cmocka_unit_test (test_estimates_say_so),
    cmocka_unit_test (test_odd_answers),
    cmocka_unit_test (test_terminal_controls_are_replaced),
    cmocka_unit_test (test_table),
    cmocka_unit_test (test_clip),
    cmocka_unit_test (test_a_vanished_domain),
  };
  g_log_set_always_fatal ((GLogLevelFlags)(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING));
  return cmocka_run_group_tests (tests, NULL, NULL);
}
