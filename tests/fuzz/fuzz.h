/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* One input of a fuzzer; libFuzzer and replay.c call it. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What must hold for every input, in every build. */
#define FUZZ_CHECK(condition)                                                                                \
  do                                                                                                         \
    {                                                                                                        \
      if (!(condition))                                                                                      \
        {                                                                                                    \
          g_printerr ("%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                         \
          abort ();                                                                                          \
        }                                                                                                    \
    }                                                                                                        \
  while (0)

/* What an output is filled with before a call that must leave it alone when it fails. */
#define FUZZ_UNTOUCHED 0xaa

static inline gboolean
fuzz_is_untouched (gconstpointer memory, gsize size)
{
  const guchar *bytes = memory;

  for (gsize i = 0; i < size; i++)
    {
      if (bytes[i] != FUZZ_UNTOUCHED)
        return FALSE;
    }
  return TRUE;
}
