/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input of a fuzzer; libFuzzer and replay.c call it. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What must hold for every input, in every build. */
#define FUZZ_CHECK(condition)                                                                                 \
  do                                                                                                          \
    {                                                                                                         \
      if (!(condition))                                                                                       \
        {                                                                                                     \
          fprintf (stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                     \
          abort ();                                                                                           \
        }                                                                                                     \
    }                                                                                                         \
  while (0)
