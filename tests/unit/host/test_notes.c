/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/notes.h"

#include "common/error.h"
#include "tempdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_US (60 * G_USEC_PER_SEC)

typedef struct
{
  VjNotes *notes_watch;
  char *directory;
  GString *told; /* "manager notes;" each */
  guint notes;   /* all of them */
  guint calls;
  gboolean free_when_told;
} Told;

static void
on_note (const char *manager, guint notes, gpointer user_data)
{
  Told *told = user_data;

  told->calls++;
  told->notes += notes;
  g_string_append_printf (told->told, "%s %u;", manager, notes);
  if (told->free_when_told)
    g_clear_pointer (&told->notes_watch, vj_notes_free);
}

static Told *
told_new (const char *root)
{
  Told *told = g_new0 (Told, 1);

  told->told = g_string_new (NULL);
  told->directory = g_build_filename (root, VJ_NOTES_DIRECTORY, NULL);
  told->notes_watch = vj_notes_open (root, on_note, told, NULL);
  assert_non_null (told->notes_watch);
  return told;
}

static void
told_free (Told *told)
{
  g_clear_pointer (&told->notes_watch, vj_notes_free);
  g_string_free (told->told, TRUE);
  g_free (told->directory);
  g_free (told);
}

static void
leave (const Told *told, const char *name)
{
  g_autofree char *path = g_build_filename (told->directory, name, NULL);
  const int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

  assert_true (fd >= 0);
  close (fd);
}

static guint
entries (const char *directory)
{
  GDir *dir = g_dir_open (directory, 0, NULL);
  guint count = 0;

  while (dir && g_dir_read_name (dir))
    count++;
  if (dir)
    g_dir_close (dir);
  return count;
}

static gboolean
wake (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

/* Runs the main loop until end has been told. */
static void
run_until (const Told *told, const char *end)
{
  const gint64 deadline = g_get_monotonic_time () + DEADLINE_US;
  const guint timer = g_timeout_add_seconds (1, wake, NULL);

  while (!g_str_has_suffix (told->told->str, end) && g_get_monotonic_time () < deadline)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timer);
  assert_true (g_str_has_suffix (told->told->str, end));
}

static void
tells_and_removes (void **state)
{
  Told *told = told_new (*state);
  struct stat status;

  assert_int_equal (stat (told->directory, &status), 0);
  assert_int_equal (status.st_mode & 07777, 0700);
  leave (told, "libvirt.started");
  run_until (told, "libvirt 1;");
  leave (told, "proxmox.post-stop");
  run_until (told, "proxmox 1;");
  leave (told, "libvirt.started");
  leave (told, "libvirt.stopped");
  leave (told, "proxmox.post-start");
  run_until (told, "libvirt 2;proxmox 1;");
  assert_string_equal (told->told->str, "libvirt 1;proxmox 1;libvirt 2;proxmox 1;");
  assert_int_equal (entries (told->directory), 0);
  told_free (told);
}

static void
tells_what_was_moved_in (void **state)
{
  Told *told = told_new (*state);
  g_autofree char *aside = g_build_filename (*state, "aside", NULL);
  g_autofree char *note = g_build_filename (told->directory, "libvirt.started", NULL);

  tempdir_write (*state, "aside", "");
  assert_int_equal (rename (aside, note), 0);
  run_until (told, "libvirt 1;");
  told_free (told);
}

static void
ignores_other_names (void **state)
{
  static const char *const names[] = {
    "libvirt", ".started", "xen.started", "libvirtd.started", "LIBVIRT.started", "\xff\xfe", "$(reboot)",
  };
  Told *told = told_new (*state);

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    leave (told, names[i]);
  leave (told, "proxmox.end");
  run_until (told, "proxmox 1;");
  assert_int_equal (told->calls, 1);
  assert_int_equal (entries (told->directory), 0);
  told_free (told);
}

static void
odd_things_do_no_harm (void **state)
{
  Told *told = told_new (*state);
  g_autofree char *target = g_build_filename (*state, "target", NULL);
  g_autofree char *link_path = g_build_filename (told->directory, "libvirt.link", NULL);
  g_autofree char *fifo = g_build_filename (told->directory, "libvirt.fifo", NULL);
  g_autofree char *empty = g_build_filename (told->directory, "libvirt.empty", NULL);

  tempdir_write (*state, "target", "kept");
  assert_int_equal (symlink (target, link_path), 0);
  assert_int_equal (mkfifo (fifo, 0600), 0);
  assert_int_equal (mkdir (empty, 0700), 0);
  run_until (told, "libvirt 3;");
  assert_true (g_file_test (target, G_FILE_TEST_EXISTS));
  assert_int_equal (entries (told->directory), 0);
  told_free (told);
}

static void
a_full_directory_stays_untold (void **state)
{
  Told *told = told_new (*state);

  g_main_context_iteration (NULL, FALSE);
  tempdir_write (told->directory, "libvirt.full/x", "");
  leave (told, "proxmox.end");
  run_until (told, "proxmox 1;");
  assert_string_equal (told->told->str, "proxmox 1;");
  assert_int_equal (entries (told->directory), 1);
  told_free (told);
}

/* More than one look takes, and none of them goes. */
static void
full_directories_hold_nobody_up (void **state)
{
  for (guint i = 0; i < 1100; i++)
    {
      g_autofree char *name = g_strdup_printf (VJ_NOTES_DIRECTORY "/libvirt.%u/x", i);

      tempdir_write (*state, name, "");
    }

  Told *told = told_new (*state);

  while (g_main_context_iteration (NULL, FALSE))
    ;
  assert_int_equal (told->calls, 0);
  told_free (told);
}

/* Which no hook of ours leaves. A look takes 1024 entries, and tells once. */
static void
a_flood_is_told_in_few_words (void **state)
{
  const guint n = 5000;
  Told *told = told_new (*state);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *name = g_strdup_printf ("libvirt.%u", i);

      leave (told, name);
    }
  while (entries (told->directory) > 0)
    g_main_context_iteration (NULL, TRUE);
  assert_int_equal (told->notes, n);
  assert_in_range (told->calls, 1, n / 1024 + 1);
  told_free (told);
}

static void
a_queue_that_overflows_loses_nothing (void **state)
{
  g_autofree char *text = NULL;
  Told *told = told_new (*state);
  g_autofree char *one = g_build_filename (told->directory, "one", NULL);
  g_autofree char *other = g_build_filename (told->directory, "other", NULL);

  assert_true (g_file_get_contents ("/proc/sys/fs/inotify/max_queued_events", &text, NULL, NULL));

  const guint64 n = g_ascii_strtoull (text, NULL, 10) + 10;

  if (n > 1000000)
    {
      told_free (told);
      skip ();
    }
  for (guint64 i = 0; i < n; i++)
    {
      /* Two names in turn: the same event twice in a row counts once. */
      leave (told, i % 2 ? "one" : "other");
      unlink (i % 2 ? one : other);
    }
  leave (told, "libvirt.last");
  run_until (told, "libvirt 1;");
  told_free (told);
}

static void
makes_a_removed_directory_anew (void **state)
{
  Told *told = told_new (*state);
  g_autofree char *moved = g_build_filename (*state, "moved", NULL);

  leave (told, "libvirt.lost");
  tempdir_remove (*state, VJ_NOTES_DIRECTORY);
  run_until (told, "libvirt 0;proxmox 0;");
  leave (told, "libvirt.a");
  run_until (told, "libvirt 1;");
  assert_int_equal (rename (told->directory, moved), 0);
  run_until (told, "libvirt 0;proxmox 0;");
  leave (told, "libvirt.b");
  run_until (told, "libvirt 1;");
  told_free (told);
}

static void
removes_what_was_left (void **state)
{
  for (guint i = 0; i < 3000; i++)
    {
      g_autofree char *name = g_strdup_printf (VJ_NOTES_DIRECTORY "/libvirt.%u", i);

      tempdir_write (*state, name, "");
    }

  Told *told = told_new (*state);

  assert_int_equal (entries (told->directory), 0);
  leave (told, "libvirt.a");
  run_until (told, "libvirt 1;");
  assert_int_equal (told->calls, 1);
  told_free (told);
}

static void
may_be_freed_by_a_note (void **state)
{
  Told *told = told_new (*state);

  told->free_when_told = TRUE;
  leave (told, "libvirt.a");
  leave (told, "proxmox.b");
  while (told->notes_watch != NULL)
    g_main_context_iteration (NULL, TRUE);
  assert_int_equal (told->calls, 1);
  told_free (told);
}

static void
says_why_it_cannot_open (void **state)
{
  g_autofree char *away = g_build_filename (*state, "away", NULL);
  g_autofree char *directory = g_build_filename (*state, VJ_NOTES_DIRECTORY, NULL);
  GError *error = NULL;

  assert_null (vj_notes_open (away, on_note, NULL, &error));
  assert_true (vj_error_is_gone (error));
  g_clear_error (&error);
  assert_int_equal (symlink (*state, directory), 0);
  assert_null (vj_notes_open (*state, on_note, NULL, &error));
  assert_non_null (strstr (error->message, directory));
  g_clear_error (&error);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    tempdir_unit_test (tells_and_removes),
    tempdir_unit_test (tells_what_was_moved_in),
    tempdir_unit_test (ignores_other_names),
    tempdir_unit_test (odd_things_do_no_harm),
    tempdir_unit_test (a_full_directory_stays_untold),
    tempdir_unit_test (full_directories_hold_nobody_up),
    tempdir_unit_test (a_flood_is_told_in_few_words),
    tempdir_unit_test (a_queue_that_overflows_loses_nothing),
    tempdir_unit_test (makes_a_removed_directory_anew),
    tempdir_unit_test (removes_what_was_left),
    tempdir_unit_test (may_be_freed_by_a_note),
    tempdir_unit_test (says_why_it_cannot_open),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
