/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/port.h"

#include "common/error.h"
#include "tempdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 60

typedef struct
{
  GString *log; /* states and bytes, in order */
} Owner;

static void
on_state (VjPortState state, const char *detail, gpointer user_data)
{
  const char *names[] = { "waiting", "connected", "disconnected" };
  Owner *owner = user_data;

  g_string_append_printf (owner->log, "[%s]", names[state]);
}

static void
on_bytes (const char *bytes, gsize length, gpointer user_data)
{
  Owner *owner = user_data;

  g_string_append_len (owner->log, bytes, (gssize)length);
}

static gboolean
give_up (gpointer gave_up)
{
  *(gboolean *)gave_up = TRUE;
  return G_SOURCE_REMOVE;
}

static void
run_until (const Owner *owner, const char *expected)
{
  gboolean gave_up = FALSE;
  const guint timer = g_timeout_add_seconds (DEADLINE_S, give_up, &gave_up);

  while (strcmp (owner->log->str, expected) != 0 && !gave_up)
    g_main_context_iteration (NULL, TRUE);
  if (!gave_up)
    g_source_remove (timer);
  assert_string_equal (owner->log->str, expected);
}

static int
open_terminal (char **ret_path)
{
  const int fd = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);

  assert_true (fd >= 0 && grantpt (fd) == 0 && unlockpt (fd) == 0);
  *ret_path = g_strdup (ptsname (fd));
  return fd;
}

/* A pseudo-terminal is the character device that every machine can have; its other end going away looks like a port
 * that is unplugged. */
static void
a_character_device_is_read_lost_and_found_again (void **state)
{
  const VjPortFuncs funcs = { .state = on_state, .bytes = on_bytes };
  g_autofree char *link = g_build_filename (*state, "port", NULL);
  const VjPortPlace place = { .path = link, .dev = *state, .sysfs = *state };
  g_autoptr (GString) log = g_string_new (NULL);
  Owner owner = { .log = log };
  g_autoptr (VjPoll) poll = vj_poll_new (NULL, NULL);
  g_autofree char *first_path = NULL, *second_path = NULL;

  g_autoptr (VjPort) port = vj_port_new (poll, &place, &funcs, &owner);
  run_until (&owner, "[waiting]");
  assert_false (vj_port_send (port, "x\n", 2));

  const int first = open_terminal (&first_path);
  assert_int_equal (symlink (first_path, link), 0);
  run_until (&owner, "[waiting][connected]");
  assert_int_equal (write (first, "one\n", 4), 4);
  run_until (&owner, "[waiting][connected]one\n");
  assert_true (vj_port_send (port, "x\n", 2));

  const int second = open_terminal (&second_path);
  assert_int_equal (unlink (link), 0);
  close (first);
  run_until (&owner, "[waiting][connected]one\n[disconnected][waiting]");
  assert_int_equal (symlink (second_path, link), 0);
  run_until (&owner, "[waiting][connected]one\n[disconnected][waiting][connected]");
  close (second);
}

static void
keep_detail (VjPortState state, const char *detail, gpointer user_data)
{
  Owner *owner = user_data;

  g_string_assign (owner->log, detail);
}

/* epoll refuses /dev/null. */
static void
a_device_that_is_no_port_is_named (void **state)
{
  const VjPortFuncs funcs = { .state = keep_detail, .bytes = on_bytes };
  const VjPortPlace place = { .path = "/dev/null", .dev = *state, .sysfs = *state };
  g_autoptr (GString) log = g_string_new (NULL);
  Owner owner = { .log = log };
  g_autoptr (VjPoll) poll = vj_poll_new (NULL, NULL);
  g_autoptr (VjPort) port = vj_port_new (poll, &place, &funcs, &owner);

  assert_non_null (port);
  while (log->len == 0)
    g_main_context_iteration (NULL, TRUE);
  assert_true (g_str_has_prefix (log->str, "/dev/null: "));
}

static void
find_by_name_needs_no_udev (void **state)
{
  const VjPortPlace place = { .dev = "/somewhere", .sysfs = *state };
  g_autoptr (GError) error = NULL;

  assert_null (vj_port_find (&place, &error));
  assert_true (vj_error_is_gone (error));
  assert_non_null (strstr (error->message, VJ_PORT_NAME));

  tempdir_write (*state, "class/virtio-ports/vport0p1/name", "org.qemu.guest_agent.0\n");
  tempdir_write (*state, "class/virtio-ports/vport2p7/name", VJ_PORT_NAME "\n");
  tempdir_mkdir (*state, "class/virtio-ports/vport0p0"); /* a console: no name */
  g_autofree char *path = vj_port_find (&place, NULL);
  assert_string_equal (path, "/somewhere/vport2p7");
}

static void
other_kinds_of_files_are_refused (void **state)
{
  g_autofree char *file = g_build_filename (*state, "file", NULL);
  const char *paths[] = { file, *state };

  tempdir_write (*state, "file", "");
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      const VjPortPlace place = { .path = paths[i], .dev = *state, .sysfs = *state };
      g_autoptr (GError) error = NULL;
      assert_null (vj_port_find (&place, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (a_character_device_is_read_lost_and_found_again),
    tempdir_unit_test (a_device_that_is_no_port_is_named),
    tempdir_unit_test (find_by_name_needs_no_udev),
    tempdir_unit_test (other_kinds_of_files_are_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
