/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fails the running cmocka test unless text equals tests/data/<name>. With VJ_UPDATE_GOLDEN=1 in the environment the
 * file is rewritten instead; review the difference. */
void golden_assert (const char *name, const char *text);
/* The text of tests/data/<name>; the caller's. */
char *golden_read (const char *name);
