/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/frame.h"

#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SESSION "0123456789abcdef"
#define EPOCH   "fedcba9876543210"
#define HOST    "4c4c4544-0039-4d10-8056-b5c04f4e3332"

static const char frame_line[] =
    "{\"v\":1,\"session\":\"" SESSION "\",\"host\":\"" HOST "\",\"epoch\":\"" EPOCH "\",\"seq\":42,"
    "\"mono_us\":123456789,\"interval_us\":1000000,\"age_us\":250,\"quality\":\"measured\",\"source\":"
    "\"powercap\","
    "\"static\":\"separate\",\"zones\":{\"package-0\":5000,\"package-0/core\":3000,\"package-0/dram\":0,"
    "\"psys\":9223372036854775807}}\n";

static void
add_zone (VjFrame *frame, const char *id, guint64 energy_uj)
{
  assert_true (vj_zone_init_from_id (&frame->zones[frame->n_zones], id, frame->zones, frame->n_zones));
  frame->energy_uj[frame->n_zones++] = energy_uj;
}

static void
sample_frame (VjFrame *frame)
{
  *frame = (VjFrame){ .session = SESSION,
                      .host = HOST,
                      .epoch = EPOCH,
                      .sequence = 42,
                      .monotonic_us = 123456789,
                      .interval_us = 1000000,
                      .age_us = 250,
                      .quality = VJ_QUALITY_MEASURED,
                      .source = "powercap",
                      .static_policy = "separate" };
  add_zone (frame, "package-0", 5000);
  add_zone (frame, "package-0/core", 3000);
  add_zone (frame, "package-0/dram", 0);
  add_zone (frame, "psys", G_MAXINT64);
}

/* The structs have padding, so they are compared as text, and by what the text does not show. */
static void
assert_frames_equal (const VjFrame *a, const VjFrame *b)
{
  g_autoptr (GString) text_a = g_string_new (NULL);
  g_autoptr (GString) text_b = g_string_new (NULL);

  assert_true (vj_frame_encode (a, text_a));
  assert_true (vj_frame_encode (b, text_b));
  assert_string_equal (text_a->str, text_b->str);
  assert_memory_equal (a->zones, b->zones, a->n_zones * sizeof a->zones[0]);
}

static void
test_encode (void **state)
{
  g_autoptr (GString) out = g_string_new ("before ");
  VjFrame frame;

  sample_frame (&frame);
  assert_true (vj_frame_encode (&frame, out));
  assert_true (g_str_has_prefix (out->str, "before "));
  assert_string_equal (out->str + strlen ("before "), frame_line);
}

static void
test_decode (void **state)
{
  VjFrame expected;

  sample_frame (&expected);
  for (gsize stripped = 0; stripped <= 1; stripped++)
    {
      gsize length = strlen (frame_line) - stripped;
      g_autofree char *line = g_memdup2 (frame_line, length);
      VjFrame frame;

      memset (&frame, 0xaa, sizeof frame);
      assert_true (vj_frame_decode (line, length, &frame, NULL));
      assert_frames_equal (&frame, &expected);
    }
}

static void
test_encode_refuses (void **state)
{
  g_autoptr (GString) out = g_string_new (NULL);
  VjFrame good, frame;

  sample_frame (&good);
#define REFUSED(statement)                                                                                   \
  do                                                                                                         \
    {                                                                                                        \
      frame = good;                                                                                          \
      statement;                                                                                             \
      assert_false (vj_frame_encode (&frame, out));                                                          \
      assert_int_equal (out->len, 0);                                                                        \
    }                                                                                                        \
  while (0)
  REFUSED (frame.session[0] = 'A');
  REFUSED (frame.session[15] = '\0');
  REFUSED (memset (frame.session, 'a', sizeof frame.session));
  REFUSED (frame.host[35] = '\0');
  REFUSED (frame.host[8] = 'a');
  REFUSED (memset (frame.source, 'a', sizeof frame.source));
  REFUSED (frame.source[0] = '"');
  REFUSED (frame.static_policy[0] = '\0');
  REFUSED (frame.sequence = 0);
  REFUSED (frame.sequence = G_GUINT64_CONSTANT (1) << 63);
  REFUSED (frame.interval_us = 0);
  REFUSED (frame.interval_us = VJ_FRAME_INTERVAL_MAX_US + 1);
  REFUSED (frame.energy_uj[3]++);
  REFUSED (frame.n_zones = VJ_FRAME_ZONES_MAX + 1);
#undef REFUSED
}

/* Exactly VJ_FRAME_MAX bytes pass both ways; one more does not. */
static void
test_longest_frame (void **state)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GString) padded = NULL;
  VjFrame frame, back;
  char id[VJ_ZONE_ID_MAX + 1];

  sample_frame (&frame);
  frame.n_zones = 0;
  for (guint i = 0; i < VJ_FRAME_ZONES_MAX - 1; i++)
    {
      g_snprintf (id, sizeof id, "package-%u-%.*s", i, 30, "abcdefghijklmnopqrstuvwxyz0123456789");
      add_zone (&frame, id, 1);
    }
  assert_true (vj_frame_encode (&frame, out));
  while (out->len < VJ_FRAME_MAX && frame.energy_uj[frame.n_zones - 1] < G_MAXINT64 / 10)
    {
      for (gsize i = 0; i < frame.n_zones && out->len < VJ_FRAME_MAX; i++)
        {
          frame.energy_uj[i] *= 10;
          g_string_truncate (out, 0);
          assert_true (vj_frame_encode (&frame, out));
        }
    }
  assert_int_equal (out->len, VJ_FRAME_MAX);
  assert_true (vj_frame_decode (out->str, out->len, &back, NULL));
  assert_frames_equal (&back, &frame);
  frame.sequence = 100;
  assert_false (vj_frame_encode (&frame, out));
  assert_int_equal (out->len, VJ_FRAME_MAX);
  padded = g_string_new_len (out->str, (gssize)out->len);
  g_string_insert_c (padded, 1, ' ');
  assert_false (vj_frame_decode (padded->str, padded->len, &back, NULL));
}

static void
assert_decode_fails (const char *line, gsize length, const char *named)
{
  g_autofree char *copy = g_memdup2 (line, MAX (length, 1));
  g_autoptr (GError) error = NULL;
  VjFrame frame, untouched;

  memset (&frame, 0xaa, sizeof frame);
  memset (&untouched, 0xaa, sizeof untouched);
  if (vj_frame_decode (copy, length, &frame, &error))
    fail_msg ("accepted: %.*s", (int)length, line);
  assert_memory_equal (&frame, &untouched, sizeof frame);
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
  if (strstr (error->message, named) == NULL)
    fail_msg ("\"%s\" does not name %s", error->message, named);
  assert_null (strchr (error->message, '\n'));
}

/* Puts new_text in place of old_text, which is in frame_line once. */
static char *
edit (const char *old_text, const char *new_text)
{
  g_autoptr (GString) line = g_string_new (frame_line);

  assert_int_equal (g_string_replace (line, old_text, new_text, 0), 1);
  return g_string_free (g_steal_pointer (&line), FALSE);
}

static const struct
{
  const char *old_text, *new_text, *named;
} refused[] = {
  { "\"v\":1", "\"v\":2", "\"v\" is 2" },
  { "\"v\":1,", "", "\"v\"" },
  { "\"v\":1", "\"v\":\"1\"", "\"v\"" },
  { "\"v\":1", "\"v\":1.0", "\"v\"" },
  { "\"v\":1", "\"v\":true", "\"v\"" },
  { "\"v\":1", "\"v\":null", "\"v\"" },
  { SESSION, "0123456789ABCDEF", "\"session\"" },
  { SESSION, "0123456789abcde", "\"session\"" },
  { SESSION, "0123456789abcdef0", "\"session\"" },
  { "\"" SESSION "\"", "12", "\"session\" is not a string" },
  { "\"powercap\"", "{}", "\"source\" is not a string" },
  { HOST, "4C4C4544-0039-4d10-8056-b5c04f4e3332", "\"host\"" },
  { HOST, "", "\"host\"" },
  { EPOCH, "x", "\"epoch\"" },
  { "\"epoch\"", "\"epocH\"", "\"epoch\"" },
  { "\"seq\":42", "\"seq\":0", "\"seq\"" },
  { "\"seq\":42", "\"seq\":-42", "\"seq\"" },
  { "\"seq\":42", "\"seq\":-18446744073709551574", "2^63" },
  { "\"seq\":42", "\"seq\":42.0", "\"seq\"" },
  { "\"seq\":42", "\"seq\":42e0", "\"seq\"" },
  { "\"seq\":42", "\"seq\":042", "JSON" },
  { "\"seq\":42", "\"seq\":0x42", "JSON" },
  { "\"seq\":42", "\"seq\":+42", "JSON" },
  { "\"seq\":42", "\"seq\":9223372036854775808", "2^63" },
  { "\"seq\":42", "\"seq\":18446744073709551658", "2^63" },
  { "\"seq\":42", "\"seq\":42,\"seq\":42", "\"seq\" twice" },
  { "\"seq\":42", "\"seq\":42,\"s\\u0065q\":43", "\"seq\" twice" },
  { "\"mono_us\":123456789,", "", "\"mono_us\"" },
  { "\"interval_us\":1000000", "\"interval_us\":0", "\"interval_us\"" },
  { "\"interval_us\":1000000", "\"interval_us\":3600000001", "\"interval_us\"" },
  { "\"age_us\":250", "\"age_us\":[250]", "\"age_us\"" },
  { "\"measured\"", "\"guessed\"", "\"quality\"" },
  { "\"measured\"", "\"\"", "\"quality\"" },
  { "\"measured\"", "0", "\"quality\"" },
  { "\"powercap\"", "\"power cap\"", "\"source\"" },
  { "\"powercap\"", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "\"source\"" },
  { "\"static\":\"separate\",", "", "\"static\"" },
  { "\"zones\"", "\"zone\"", "\"zones\"" },
  { "\"package-0\":5000", "\"package-0\":-1", "\"package-0\"" },
  { "\"package-0\":5000", "\"package-0\":0.5", "\"package-0\"" },
  { "\"package-0\":5000", "\"package-0\":\"5000\"", "\"package-0\"" },
  { "\"package-0\":5000", "\"package-0\":9223372036854775808", "2^63" },
  { "\"package-0\":5000", "\"package-0\":5000,\"package-0\":5000", "\"package-0\" twice" },
  { "\"package-0\":5000,", "", "\"package-0/core\"" }, /* its parent is missing */
  { "\"psys\"", "\"../etc\"", "\"../etc\"" },
  { "\"psys\"", "\"\"", "\"zones\"" },
  { "\"psys\"", "\"a\\nb\"", "\"zones\"" },
  { "\"psys\"", "\"a\\u0000b\"", "JSON" },
  { "\"psys\":9223372036854775807", "", "JSON" }, /* trailing comma */
  { "}}\n", "}", "JSON" },
  { "}}\n", "}}}", "JSON" },
  { "}}\n", "}} x", "JSON" },
  { "}}\n", "}}{}", "JSON" },
  { "}}\n", "}}\n\n", "JSON" },
  { "}}\n", "}}//", "JSON" },
  { "{\"v\"", "{'v'", "JSON" },
  { "{\"v\"", "[{\"v\"", "JSON" },
  { "{\"v\"", "var a={\"v\"", "JSON" },
  { "{\"v\":1,", "{\"v\":1 ", "JSON" },
  { "powercap", "power\ncap", "JSON" },
  { "powercap", "power\\cap", "JSON" },
  { "powercap",
    "power\xff"
    "cap",
    "UTF-8" },
  { "\"v\":1", "\"v\":1,\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "deep" },
};

static void
test_decode_refuses (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autofree char *line = edit (refused[i].old_text, refused[i].new_text);

      assert_decode_fails (line, strlen (line), refused[i].named);
    }
  assert_decode_fails ("", 0, "JSON");
  assert_decode_fails ("\n", 1, "JSON");
  assert_decode_fails ("1", 1, "JSON object");
  assert_decode_fails ("[]", 2, "JSON object");
  assert_decode_fails ("{}", 2, "\"v\"");
  assert_decode_fails (frame_line, 17, "JSON");
  assert_decode_fails ("{\0}", 3, "UTF-8");
}

/* No part of a frame is a frame. */
static void
test_decode_cut (void **state)
{
  for (gsize length = 0; length < strlen (frame_line) - 1; length++)
    assert_decode_fails (frame_line, length, "frame");
}

static void
test_decode_accepts (void **state)
{
  static const char *const cases[][2] = {
    { "\"v\":1", " \"v\" : 1 " },
    { "\"v\":1", "\"v\":1,\"new\":[1.5,-2,{\"a\":null},true,\"\\\"\\\\\\u00e9\"]" },
    { "\"v\":1", "\"v\":1,\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]" },
    { "\"v\":1", "\"v\":1,\"package-0\":7" },
    { "\"v\":1", "\"\\u0076\":1" },
    { "\"seq\":42", "\"seq\":9223372036854775807" },
    { "\"interval_us\":1000000", "\"interval_us\":3600000000" },
    { "\"measured\"", "\"estimated\"" },
    { "\"package-0\":5000", "\"package-0\":0" },
    { "\"package-0/core\":3000", "\"package-0/other\":3000" },
    { "{\"package-0\":5000,\"package-0/core\":3000,\"package-0/dram\":0,\"psys\":9223372036854775807}",
      "{}" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *line = edit (cases[i][0], cases[i][1]);
      g_autoptr (GError) error = NULL;
      VjFrame frame;

      if (!vj_frame_decode (line, strlen (line), &frame, &error))
        fail_msg ("%s: %s", line, error->message);
      assert_string_equal (frame.epoch, EPOCH);
    }
}

static void
test_too_many_zones (void **state)
{
  g_autoptr (GString) zones = g_string_new ("\"psys\":0");
  g_autofree char *line = NULL;

  for (guint i = 0; i < VJ_FRAME_ZONES_MAX - 3; i++)
    g_string_append_printf (zones, ",\"z%u\":1", i);
  line = edit ("\"psys\":9223372036854775807", zones->str);
  assert_decode_fails (line, strlen (line), "\"zones\"");
}

static void
test_guest_lines (void **state)
{
  static const struct
  {
    const char *text;
    VjGuestLine line;
  } cases[] = {
    { "{\"v\":1,\"hello\":\"" SESSION "\"}\n", { VJ_GUEST_HELLO, SESSION, 0 } },
    { "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":42}\n", { VJ_GUEST_ACK, SESSION, 42 } },
    { "{\"v\":1,\"ack\":\"" EPOCH "\",\"seq\":18446744073709551615}\n",
      { VJ_GUEST_ACK, EPOCH, G_MAXUINT64 } },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GString) out = g_string_new (NULL);
      VjGuestLine line = { 0 };

      vj_guest_line_encode (&cases[i].line, out);
      assert_string_equal (out->str, cases[i].text);
      assert_true (out->len <= VJ_FRAME_LINE_MAX);
      assert_true (vj_guest_line_decode (out->str, out->len, &line));
      assert_true (vj_guest_line_decode (out->str, out->len - 1, &line));
      assert_int_equal (line.kind, cases[i].line.kind);
      assert_string_equal (line.session, cases[i].line.session);
      assert_int_equal (line.sequence, cases[i].line.sequence);
      for (gsize length = 0; length < out->len - 1; length++)
        assert_false (vj_guest_line_decode (out->str, length, &line));
    }
}

static void
test_guest_lines_refused (void **state)
{
  static const char *const cases[] = {
    "",
    "\n",
    "{}",
    " {\"v\":1,\"hello\":\"" SESSION "\"}",
    "{\"v\":1,\"hello\":\"" SESSION "\"} ",
    "{\"v\":1,\"hello\":\"" SESSION "\"}\n\n",
    "{\"v\":1,\"hello\":\"" SESSION "\"}\r\n",
    "{\"v\":1, \"hello\":\"" SESSION "\"}",
    "{\"hello\":\"" SESSION "\",\"v\":1}",
    "{\"v\":2,\"hello\":\"" SESSION "\"}",
    "{\"v\":1,\"hello\":\"0123456789ABCDEF\"}",
    "{\"v\":1,\"hello\":\"" SESSION "0\"}",
    "{\"v\":1,\"hello\":\"" SESSION "\",\"seq\":1}",
    "{\"v\":1,\"ack\":\"" SESSION "\"}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":0}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":01}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":-1}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":+1}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":1.0}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":}",
    "{\"v\":1,\"ack\":\"" SESSION "\",\"seq\":18446744073709551616}",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i]);
      g_autofree char *text = g_memdup2 (cases[i], MAX (length, 1));
      VjGuestLine line = { .sequence = 77 };

      if (vj_guest_line_decode (text, length, &line))
        fail_msg ("accepted: %s", cases[i]);
      assert_int_equal (line.sequence, 77);
    }
}

static void
collect_line (const char *line, gsize length, gpointer user_data)
{
  GString *out = user_data;

  g_string_append_c (out, '<');
  g_string_append_len (out, line, (gssize)length);
  g_string_append_c (out, '>');
}

static void
test_line_buffer (void **state)
{
  static const struct
  {
    const char *bytes;
    gsize length; /* 0: strlen */
    gboolean skip_first;
    const char *lines;
    guint64 dropped;
  } cases[] = {
    { "ab\ncd\n", 0, FALSE, "<ab><cd>", 0 },
    { "ab\ncd\n", 0, TRUE, "<cd>", 0 },
    { "\nab\n", 0, TRUE, "<ab>", 0 },
    { "\n\nab\n\n", 0, FALSE, "<ab>", 0 },
    { "ab", 0, FALSE, "", 0 },
    { "1234567\n", 0, FALSE, "<1234567>", 0 }, /* 8 bytes, as allowed */
    { "12345678\nab\n", 0, FALSE, "<ab>", 1 },
    { "12345678901234567890\n12345678\nab\n", 0, FALSE, "<ab>", 2 },
    { "12345678901234567890", 0, FALSE, "", 1 },
    { "12345678901234567890\nab\n", 0, TRUE, "<ab>", 0 },
    { "a\0b\n\xff\r\n", 7, FALSE, NULL, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = cases[i].length > 0 ? cases[i].length : strlen (cases[i].bytes);

      for (gsize chunk = 1; chunk <= length; chunk++)
        {
          g_autoptr (GString) out = g_string_new (NULL);
          VjLineBuffer lines;

          vj_line_buffer_init (&lines, 8, cases[i].skip_first);
          for (gsize at = 0; at < length; at += chunk)
            vj_line_buffer_feed (&lines, cases[i].bytes + at, MIN (chunk, length - at), collect_line, out);
          if (cases[i].lines != NULL)
            assert_string_equal (out->str, cases[i].lines);
          else
            assert_memory_equal (out->str, "<a\0b><\xff\r>", 10);
          assert_int_equal (lines.dropped, cases[i].dropped);
        }
    }
}

static void
test_line_buffer_limit (void **state)
{
  g_autofree char *bytes = g_malloc (VJ_FRAME_MAX + 1);
  g_autoptr (GString) out = g_string_new (NULL);
  VjLineBuffer lines;

  memset (bytes, 'x', VJ_FRAME_MAX + 1);
  vj_line_buffer_init (&lines, G_MAXSIZE, FALSE);
  vj_line_buffer_feed (&lines, bytes, VJ_FRAME_MAX - 1, collect_line, out);
  vj_line_buffer_feed (&lines, "\n", 1, collect_line, out);
  assert_int_equal (out->len, VJ_FRAME_MAX - 1 + 2);
  vj_line_buffer_feed (&lines, bytes, VJ_FRAME_MAX, collect_line, out);
  vj_line_buffer_feed (&lines, "\n", 1, collect_line, out);
  assert_int_equal (out->len, VJ_FRAME_MAX - 1 + 2);
  assert_int_equal (lines.dropped, 1);
}

static void
check_documented_line (const char *line, guint *frames, guint *hellos, guint *acks)
{
  g_autoptr (GString) again = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  VjGuestLine guest;
  VjFrame frame;

  if (vj_guest_line_decode (line, strlen (line), &guest))
    {
      vj_guest_line_encode (&guest, again);
      *(guest.kind == VJ_GUEST_HELLO ? hellos : acks) += 1;
    }
  else
    {
      if (!vj_frame_decode (line, strlen (line), &frame, &error))
        fail_msg ("%s: %s", line, error->message);
      assert_true (vj_frame_encode (&frame, again));
      *frames += 1;
    }
  g_string_truncate (again, again->len - 1);
  assert_string_equal (again->str, line);
}

/* Every line of the document's json blocks is one that the programs write and understand. */
static void
test_documented_lines (void **state)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gboolean inside = FALSE;
  guint frames = 0, hellos = 0, acks = 0;

  assert_true (g_file_get_contents (VJ_PROTOCOL_DOCUMENT, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (gsize i = 0; lines[i] != NULL; i++)
    {
      if (g_str_has_prefix (lines[i], "```"))
        inside = strcmp (lines[i], "```json") == 0;
      else if (inside)
        check_documented_line (lines[i], &frames, &hellos, &acks);
    }
  assert_true (frames >= 4 && hellos >= 2 && acks >= 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_encode),           cmocka_unit_test (test_encode_refuses),
    cmocka_unit_test (test_decode),           cmocka_unit_test (test_longest_frame),
    cmocka_unit_test (test_decode_refuses),   cmocka_unit_test (test_decode_cut),
    cmocka_unit_test (test_decode_accepts),   cmocka_unit_test (test_too_many_zones),
    cmocka_unit_test (test_guest_lines),      cmocka_unit_test (test_guest_lines_refused),
    cmocka_unit_test (test_line_buffer),      cmocka_unit_test (test_line_buffer_limit),
    cmocka_unit_test (test_documented_lines),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
