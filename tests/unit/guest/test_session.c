/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S VJ_SESSION_HELLO_MIN_US / 3

static VjSession
connected_session (guint64 random, guint64 now_us)
{
  VjSession session = { 0 };
  g_autoptr (GString) out = g_string_new (NULL);

  vj_session_connect (&session);
  vj_session_hello (&session, random, now_us, out);
  return session;
}

static VjFrame
frame_of (const char *session, guint64 sequence, guint64 interval_us)
{
  VjFrame frame = { .sequence = sequence, .interval_us = interval_us };

  g_strlcpy (frame.session, session, sizeof frame.session);
  return frame;
}

static void
hello_and_ack_have_the_documented_form (void **state)
{
  VjSession session = { 0 };
  g_autoptr (GString) out = g_string_new (NULL);

  vj_session_connect (&session);
  vj_session_hello (&session, 0xabc, 0, out);
  assert_string_equal (out->str, "{\"v\":1,\"hello\":\"0000000000000abc\"}\n");

  const VjFrame frame = frame_of ("0000000000000abc", 42, S);
  assert_int_equal (vj_session_take (&session, &frame, 0), VJ_SESSION_ACCEPTED);
  g_string_truncate (out, 0);
  vj_session_ack (&session, out);
  assert_string_equal (out->str, "{\"v\":1,\"ack\":\"0000000000000abc\",\"seq\":42}\n");
}

static void
frames_are_judged (void **state)
{
  const struct
  {
    const char *session;
    guint64 sequence;
    VjSessionVerdict verdict;
  } rows[] = {
    { "0000000000000001", 1, VJ_SESSION_ACCEPTED },
    { "0000000000000001", 1, VJ_SESSION_OLD },
    { "0000000000000002", 2, VJ_SESSION_FOREIGN },
    { "0000000000000001", 7, VJ_SESSION_ACCEPTED },
    { "0000000000000001", 6, VJ_SESSION_OLD },
    { "0000000000000001", 8, VJ_SESSION_ACCEPTED },
    { "", 9, VJ_SESSION_FOREIGN },
  };
  VjSession session = connected_session (1, 0);

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const VjFrame frame = frame_of (rows[i].session, rows[i].sequence, S);
      assert_int_equal (vj_session_take (&session, &frame, 0), rows[i].verdict);
    }
  assert_int_equal (session.foreign, 2);
  assert_int_equal (session.old, 2);
}

static void
unanswered_hellos_back_off (void **state)
{
  const guint64 waits_s[] = { 3, 6, 12, 24, 30, 30 };
  VjSession session = { 0 };
  g_autoptr (GString) out = g_string_new (NULL);
  guint64 now_us = 5 * S;

  vj_session_connect (&session);
  for (gsize i = 0; i < G_N_ELEMENTS (waits_s); i++)
    {
      vj_session_hello (&session, i, now_us, out);
      assert_int_equal (session.deadline_us - now_us, waits_s[i] * S);
      now_us = session.deadline_us;
    }
  vj_session_connect (&session);
  vj_session_hello (&session, 9, now_us, out);
  assert_int_equal (session.deadline_us - now_us, 3 * S);
}

static void
a_frame_moves_the_deadline_by_three_intervals (void **state)
{
  const struct
  {
    guint64 interval_us, silence_us;
  } rows[] = {
    { S, 3 * S },
    { S / 10, 3 * S / 10 },
    { 1, 3 * VJ_SESSION_INTERVAL_MIN_US }, /* however fast the host says it is */
    { 60 * S, 180 * S },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      VjSession session = connected_session (1, 0);
      const VjFrame frame = frame_of (session.id, 1, rows[i].interval_us);
      const VjFrame foreign = frame_of ("ffffffffffffffff", 2, rows[i].interval_us);

      assert_int_equal (vj_session_take (&session, &frame, 7 * S), VJ_SESSION_ACCEPTED);
      assert_int_equal (session.deadline_us, 7 * S + rows[i].silence_us);
      vj_session_take (&session, &foreign, 9 * S); /* a stranger's frames are silence */
      vj_session_take (&session, &frame, 9 * S);
      assert_int_equal (session.deadline_us, 7 * S + rows[i].silence_us);
    }
}

static void
a_hello_begins_a_new_session (void **state)
{
  VjSession session = connected_session (1, 0);
  g_autoptr (GString) out = g_string_new (NULL);
  const VjFrame ninth = frame_of ("0000000000000001", 9, S);
  const VjFrame first = frame_of ("0000000000000002", 1, S);

  vj_session_take (&session, &ninth, 0);
  vj_session_hello (&session, 2, S, out);
  assert_int_equal (vj_session_take (&session, &ninth, S), VJ_SESSION_FOREIGN);
  assert_int_equal (vj_session_take (&session, &first, S), VJ_SESSION_ACCEPTED);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (hello_and_ack_have_the_documented_form),
    cmocka_unit_test (frames_are_judged),
    cmocka_unit_test (unanswered_hellos_back_off),
    cmocka_unit_test (a_frame_moves_the_deadline_by_three_intervals),
    cmocka_unit_test (a_hello_begins_a_new_session),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
