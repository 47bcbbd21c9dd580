/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host, or whoever holds its end of the channel, can do to a reader. */
#include "fuzz.h"

#include "common/error.h"
#include "common/frame.h"

#include <string.h>

static void
check_same (const VjFrame *frame, const VjFrame *back)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GString) again = g_string_new (NULL);

  FUZZ_CHECK (vj_frame_encode (frame, text) && vj_frame_encode (back, again));
  FUZZ_CHECK (g_string_equal (text, again));
  FUZZ_CHECK (frame->n_zones == back->n_zones);
  FUZZ_CHECK (memcmp (frame->zones, back->zones, frame->n_zones * sizeof frame->zones[0]) == 0);
}

static void
check_round_trip (const VjFrame *frame, gsize limit)
{
  g_autoptr (GString) line = g_string_new (NULL);
  VjFrame back;

  FUZZ_CHECK (vj_frame_encode (frame, line));
  FUZZ_CHECK (line->len <= limit && line->str[line->len - 1] == '\n');
  FUZZ_CHECK (memchr (line->str, '\n', line->len - 1) == NULL);
  FUZZ_CHECK (vj_frame_decode (line->str, line->len, &back, NULL));
  check_same (frame, &back);
}

static void
check_refused (const VjFrame *frame, const GError *error)
{
  FUZZ_CHECK (fuzz_is_untouched (frame, sizeof *frame));
  FUZZ_CHECK (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  FUZZ_CHECK (g_utf8_validate (error->message, -1, NULL) && strchr (error->message, '\n') == NULL);
}

static void
check_accepted (const VjFrame *frame, gsize size)
{
  FUZZ_CHECK (frame->n_zones <= VJ_FRAME_ZONES_MAX);
  for (gsize i = 0; i < frame->n_zones; i++)
    {
      FUZZ_CHECK (frame->zones[i].parent >= -1 && frame->zones[i].parent < (int)i);
      FUZZ_CHECK (frame->energy_uj[i] <= G_MAXINT64);
    }
  /* Our own form of a line is the shortest. */
  check_round_trip (frame, MIN (size + 1, VJ_FRAME_MAX));
}

static guint64
take_u64 (const uint8_t **data, size_t *size)
{
  guint64 value = 0;
  size_t n = MIN (*size, sizeof value);

  memcpy (&value, *data, n);
  *data += n;
  *size -= n;
  return value;
}

/* A frame made of the input's bytes: whatever the host encodes, a reader decodes. */
static void
check_encoder (const uint8_t *data, size_t size)
{
  static const char *const ids[] = { "package-0", "package-0/core", "package-1-die-1", "psys",
                                     "package-1-die-1/dram" };
  g_autoptr (GString) line = g_string_new (NULL);
  VjFrame frame = { .session = "0123456789abcdef",
                    .host = "4c4c4544-0039-4d10-8056-b5c04f4e3332",
                    .epoch = "fedcba9876543210",
                    .source = "model" };

  frame.sequence = take_u64 (&data, &size);
  frame.monotonic_us = take_u64 (&data, &size);
  frame.interval_us = take_u64 (&data, &size);
  frame.age_us = take_u64 (&data, &size);
  frame.quality = size % 2 == 0 ? VJ_QUALITY_MEASURED : VJ_QUALITY_ESTIMATED;
  g_strlcpy (frame.static_policy, size % 3 == 0 ? "even" : "separate", sizeof frame.static_policy);
  for (; frame.n_zones < G_N_ELEMENTS (ids) && size > 0; frame.n_zones++)
    {
      gsize n = frame.n_zones;

      FUZZ_CHECK (vj_zone_init_from_id (&frame.zones[n], ids[n], frame.zones, n));
      frame.energy_uj[n] = take_u64 (&data, &size);
    }
  if (vj_frame_encode (&frame, line))
    check_round_trip (&frame, VJ_FRAME_MAX);
  else
    FUZZ_CHECK (line->len == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  VjFrame frame;

  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  memset (&frame, FUZZ_UNTOUCHED, sizeof frame);
  if (vj_frame_decode ((const char *)data, size, &frame, &error))
    check_accepted (&frame, size);
  else
    check_refused (&frame, error);
  check_encoder (data, size);
  return 0;
}
