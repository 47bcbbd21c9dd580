/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/pidfile_watch.h"

#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The rest is tested with the watches that have one (test_qemu_watch.c, test_libvirt_watch.c). */

static void
on_file (const char *name, gpointer user_data)
{
  guint *any = user_data;

  *any += name == NULL;
}

static void
lost_events_may_have_been_of_any (void **state)
{
  g_autofree char *text = NULL;
  g_autoptr (VjPoll) poll = vj_poll_new (NULL, NULL);
  guint any = 0;

  assert_true (g_file_get_contents ("/proc/sys/fs/inotify/max_queued_events", &text, NULL, NULL));

  const guint64 n = g_ascii_strtoull (text, NULL, 10) + 10;

  if (n > 1000000)
    skip ();

  g_autoptr (VjPidfileWatch) watch = vj_pidfile_watch_new (poll, *state, on_file, &any, NULL);

  assert_non_null (watch);
  assert_int_equal (any, 1); /* those that were there before */
  for (guint64 i = 0; i < n; i++)
    {
      /* Two names in turn: the same event twice in a row counts once. */
      const char *name = i % 2 ? "one" : "other";

      tempdir_write (*state, name, "");
      tempdir_remove (*state, name);
    }
  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_int_equal (any, 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (lost_events_may_have_been_of_any),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
