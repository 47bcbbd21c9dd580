/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "host/domains/instance.h"

typedef struct
{
  char *base, *run, *state;
} Dirs;

static int
make_dirs (void **state)
{
  Dirs *dirs = g_new0 (Dirs, 1);
  dirs->base = g_dir_make_tmp ("vj-instance-XXXXXX", NULL);
  dirs->run = g_build_filename (dirs->base, "run", "vj", NULL);
  dirs->state = g_build_filename (dirs->base, "state", NULL);
  *state = dirs;
  return 0;
}

static int
remove_dirs (void **state)
{
  Dirs *dirs = *state;
  g_autofree char *command = g_strdup_printf ("rm -rf %s", dirs->base);
  g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL);
  g_free (dirs->base);
  g_free (dirs->run);
  g_free (dirs->state);
  g_free (dirs);
  return 0;
}

static void
the_host_id_lasts (void **state)
{
  const Dirs *dirs = *state;
  char first[37];
  g_autoptr (VjInstance) instance = vj_instance_open (dirs->run, dirs->state, NULL);
  assert_non_null (instance);
  assert_true (g_uuid_string_is_valid (vj_instance_host_id (instance)));
  assert_true (g_uuid_string_is_valid (vj_instance_boot_id (instance)));
  g_strlcpy (first, vj_instance_host_id (instance), sizeof first);
  g_clear_pointer (&instance, vj_instance_free);

  g_autoptr (VjInstance) again = vj_instance_open (dirs->run, dirs->state, NULL);
  assert_non_null (again);
  assert_string_equal (vj_instance_host_id (again), first);
}

static void
a_second_agent_is_refused_and_told_who_holds_it (void **state)
{
  const Dirs *dirs = *state;
  g_autoptr (GError) error = NULL;
  g_autofree char *pid = g_strdup_printf ("pid %d", (int)getpid ());
  g_autoptr (VjInstance) first = vj_instance_open (dirs->run, dirs->state, NULL);
  assert_non_null (first);
  assert_null (vj_instance_open (dirs->run, dirs->state, &error));
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_BUSY));
  assert_non_null (strstr (error->message, pid));
  assert_non_null (strstr (error->message, "--runtime-dir"));
}

static void
an_unusable_directory_is_named (void **state)
{
  g_autoptr (GError) error = NULL;
  assert_null (vj_instance_open ("/proc/version/run", "/tmp", &error));
  assert_non_null (strstr (error->message, "/proc/version/run"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (the_host_id_lasts, make_dirs, remove_dirs),
    cmocka_unit_test_setup_teardown (a_second_agent_is_refused_and_told_who_holds_it, make_dirs, remove_dirs),
    cmocka_unit_test (an_unusable_directory_is_named),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
