/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A temporary directory per test: cmocka's setup and teardown; *state is its path. */
int tempdir_setup (void **state);
int tempdir_teardown (void **state);
#define tempdir_unit_test(f) cmocka_unit_test_setup_teardown (f, tempdir_setup, tempdir_teardown)

/* Writes <root>/<relative>, in place if it is there, and makes the directories it needs. Aborts where it
 * cannot. */
void tempdir_write (const char *root, const char *relative, const char *text);
/* Makes directory <root>/<relative> and those above it. */
void tempdir_mkdir (const char *root, const char *relative);
/* Removes <root>/<relative> and what is below it. Symbolic links are removed, not followed. */
void tempdir_remove (const char *root, const char *relative);
