/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/exit_record.h"

#include <linux/acct.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What a newer kernel may append to its struct taskstats. */
#define APPENDED 144

static void
put_attribute (GByteArray *message, guint16 type, const void *payload, gsize length)
{
  const struct nlattr header = { .nla_len = (guint16)(sizeof (struct nlattr) + length), .nla_type = type };
  const guint8 zeros[NLA_ALIGNTO] = { 0 };

  g_byte_array_append (message, (const guint8 *)&header, sizeof header);
  g_byte_array_append (message, payload, (guint)length);
  g_byte_array_append (message, zeros, (guint)(-length % NLA_ALIGNTO));
}

static void
put_stats (GByteArray *message, guint16 aggregate, guint16 id_type, int id, const struct taskstats *stats)
{
  g_autoptr (GByteArray) inner = g_byte_array_new ();
  guint8 long_stats[sizeof *stats + APPENDED] = { 0 };
  const guint32 id32 = (guint32)id;

  memcpy (long_stats, stats, sizeof *stats);
  put_attribute (inner, id_type, &id32, sizeof id32);
  put_attribute (inner, TASKSTATS_TYPE_STATS, long_stats, sizeof long_stats);
  put_attribute (message, aggregate, inner->data, inner->len);
}

static GByteArray *
begin_message (guint8 command)
{
  GByteArray *message = g_byte_array_new ();
  const struct nlmsghdr header = { .nlmsg_type = NLMSG_MIN_TYPE + 15 };
  const struct genlmsghdr generic = { .cmd = command, .version = 1 };

  g_byte_array_append (message, (const guint8 *)&header, sizeof header);
  g_byte_array_append (message, (const guint8 *)&generic, sizeof generic);
  return message;
}

static void
end_message (GByteArray *message)
{
  memcpy (message->data, &message->len, sizeof message->len);
}

static struct taskstats
thread_stats (void)
{
  return (struct taskstats){
    .version = 13,
    .ac_pid = 4711,
    .ac_tgid = 4700,
    .cpu_run_real_total = 52000000,
    .cpu_run_virtual_total = 50001442,
    .ac_utime = 12000,
    .ac_stime = 40000,
  };
}

static GByteArray *
thread_message (const struct taskstats *stats)
{
  GByteArray *message = begin_message (TASKSTATS_CMD_NEW);

  put_stats (message, TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_PID, (int)stats->ac_pid, stats);
  end_message (message);
  return message;
}

static void
reads_a_thread (void **state)
{
  const struct taskstats stats = thread_stats ();
  g_autoptr (GByteArray) message = thread_message (&stats);
  VjExitRecord record;

  assert_true (vj_exit_record_parse (message->data, message->len, &record));
  assert_int_equal (record.stats_offset, 36);
  assert_int_equal (record.version, 13);
  assert_int_equal (record.pid, 4711);
  assert_int_equal (record.process, 4700);
  assert_int_equal (record.cpu_ns, 50001442);
  assert_false (record.last);
  assert_false (record.has_group);
}

static void
reads_the_last_of_several (void **state)
{
  struct taskstats stats = thread_stats ();
  const struct taskstats group = { .version = 13, .cpu_run_virtual_total = 150101464 };
  g_autoptr (GByteArray) message = begin_message (TASKSTATS_CMD_NEW);
  VjExitRecord record;

  stats.ac_flag = AGROUP | AXSIG;
  put_stats (message, TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_PID, 4711, &stats);
  put_stats (message, TASKSTATS_TYPE_AGGR_TGID, TASKSTATS_TYPE_TGID, 4700, &group);
  end_message (message);
  assert_true (vj_exit_record_parse (message->data, message->len, &record));
  assert_true (record.last);
  assert_true (record.has_group);
  assert_int_equal (record.cpu_ns, 50001442);
  assert_int_equal (record.group_cpu_ns, 150101464);
}

/* An attribute of attributes may say that it is one. */
static void
reads_what_is_marked_as_nested (void **state)
{
  const struct taskstats stats = thread_stats ();
  g_autoptr (GByteArray) message = begin_message (TASKSTATS_CMD_NEW);
  VjExitRecord record;

  put_stats (message, TASKSTATS_TYPE_AGGR_PID | NLA_F_NESTED, TASKSTATS_TYPE_PID, 4711, &stats);
  end_message (message);
  assert_true (vj_exit_record_parse (message->data, message->len, &record));
  assert_int_equal (record.cpu_ns, 50001442);
}

static void
assert_refused (const guint8 *message, gsize length)
{
  VjExitRecord record;
  VjExitRecord before;

  memset (&record, 0xaa, sizeof record);
  before = record;
  assert_false (vj_exit_record_parse (message, length, &record));
  assert_memory_equal (&record, &before, sizeof record);
}

static void
refuses_older_forms (void **state)
{
  struct taskstats stats = thread_stats ();

  stats.version = VJ_EXIT_RECORD_VERSION - 1;
  g_autoptr (GByteArray) older = thread_message (&stats);
  assert_refused (older->data, older->len);

  stats = thread_stats ();
  stats.ac_tgid = 0;
  g_autoptr (GByteArray) nobody = thread_message (&stats);
  assert_refused (nobody->data, nobody->len);
}

static void
refuses_every_part (void **state)
{
  const struct taskstats stats = thread_stats ();
  g_autoptr (GByteArray) message = thread_message (&stats);

  for (guint length = 0; length < message->len; length++)
    {
      g_autofree guint8 *part = g_memdup2 (message->data, length);

      assert_refused (part, length);
      /* The same with a header that says so. */
      if (length < sizeof length)
        continue;
      memcpy (part, &length, sizeof length);
      assert_refused (part, length);
    }
}

static void
refuses_other_messages (void **state)
{
  const guint8 error[36] = { 36, 0, 0, 0, NLMSG_ERROR };
  const struct taskstats stats = thread_stats ();
  g_autoptr (GByteArray) message = thread_message (&stats);

  assert_refused (error, sizeof error);
  message->data[NLMSG_HDRLEN] = TASKSTATS_CMD_GET;
  assert_refused (message->data, message->len);
}

static void
reads_a_family (void **state)
{
  const guint16 id = 31;
  guint16 family = 0;
  g_autoptr (GByteArray) message = begin_message (CTRL_CMD_NEWFAMILY);

  put_attribute (message, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME, sizeof TASKSTATS_GENL_NAME);
  put_attribute (message, CTRL_ATTR_FAMILY_ID, &id, sizeof id);
  end_message (message);
  assert_true (vj_exit_record_parse_family (message->data, message->len, &family));
  assert_int_equal (family, 31);
  assert_false (vj_exit_record_parse_family (message->data, message->len - NLA_ALIGNTO, &family));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (reads_a_thread),
    cmocka_unit_test (reads_the_last_of_several),
    cmocka_unit_test (reads_what_is_marked_as_nested),
    cmocka_unit_test (refuses_older_forms),
    cmocka_unit_test (refuses_every_part),
    cmocka_unit_test (refuses_other_messages),
    cmocka_unit_test (reads_a_family),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
