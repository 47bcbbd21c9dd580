/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest can do to the host: any bytes, in pieces of any size. */
#include "fuzz.h"

#include "common/frame.h"

#include <string.h>

static void
check_line (const char *line, gsize length)
{
  g_autofree char *exact = g_memdup2 (line, length);
  g_autoptr (GString) again = g_string_new (NULL);
  VjGuestLine decoded;

  memset (&decoded, FUZZ_UNTOUCHED, sizeof decoded);
  if (!vj_guest_line_decode (exact, length, &decoded))
    {
      FUZZ_CHECK (fuzz_is_untouched (&decoded, sizeof decoded));
      return;
    }
  /* There is one text for each line. */
  vj_guest_line_encode (&decoded, again);
  FUZZ_CHECK (again->len == length + 1 && memcmp (again->str, line, length) == 0);
}

static void
collect_line (const char *line, gsize length, gpointer user_data)
{
  GString *lines = user_data;

  FUZZ_CHECK (length > 0 && length < VJ_FRAME_LINE_MAX);
  FUZZ_CHECK (memchr (line, '\n', length) == NULL);
  check_line (line, length);
  g_string_append_len (lines, line, (gssize)length);
  g_string_append_c (lines, '\n');
}

/* What the line buffer should do, said in the plainest way. Returns the lines dropped. */
static guint64
split_plainly (const char *bytes, gsize length, gboolean skip_first, GString *lines)
{
  guint64 dropped = 0;
  gboolean skip = skip_first;

  for (gsize at = 0; at < length;)
    {
      const char *newline = memchr (bytes + at, '\n', length - at);
      gsize part = newline != NULL ? (gsize)(newline - bytes) - at : length - at;

      if (!skip && part >= VJ_FRAME_LINE_MAX)
        dropped++;
      else if (!skip && part > 0 && newline != NULL)
        g_string_append_len (lines, bytes + at, (gssize)part + 1);
      skip = FALSE;
      at += part + 1;
    }
  return dropped;
}

static void
check_stream (const char *bytes, gsize length, gboolean skip_first)
{
  g_autoptr (GString) expected = g_string_new (NULL);
  g_autoptr (GString) lines = g_string_new (NULL);
  guint64 dropped = split_plainly (bytes, length, skip_first, expected);
  VjLineBuffer buffer;

  vj_line_buffer_init (&buffer, VJ_FRAME_LINE_MAX, skip_first);
  for (gsize at = 0; at < length;)
    {
      gsize chunk = MIN (((guchar)bytes[at] * 37U) % 200U + 1U, length - at);
      g_autofree char *exact = g_memdup2 (bytes + at, chunk);

      vj_line_buffer_feed (&buffer, exact, chunk, collect_line, lines);
      at += chunk;
    }
  FUZZ_CHECK (g_string_equal (lines, expected));
  FUZZ_CHECK (buffer.dropped == dropped);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *bytes = (const char *)data;

  check_stream (bytes, size, FALSE);
  check_stream (bytes, size, TRUE);
  return 0;
}
