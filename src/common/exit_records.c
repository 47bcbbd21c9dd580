/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/exit_records.h"

#include <errno.h>
#include <linux/acct.h>
#include <linux/filter.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/taskstats.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/exit_record.h"

/* A record takes about 2 KiB of it, and only while it waits: room for every thread of dozens of virtual machines
 * that are destroyed at once. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)
/* What the buffer may hold, and more: get () reads all of it, and yet ends. */
#define READ_ALL 8192
/* A jump of the filter's language spans 255 instructions: two for each pid. */
#define BLOCK_PIDS 100
/* A new filter takes a microsecond for each pid. Where more processes than this are followed, the next tick makes it,
 * once. */
#define FILTER_AT_ONCE 200
/* Of every request, one at a time; what the kernel sends unasked has none. */
#define SEQUENCE 1

struct VjExitRecords
{
  int fd;
  guint16 family;
  gsize stats_offset;
  GHashTable *followed; /* pid -> Followed */
  gboolean stale;       /* the filter does not know all of them */
};

typedef struct
{
  guint64 threads_ns; /* of the threads that have exited since pid is followed */
  guint64 group_ns;   /* of all threads, as the kernel summed it when the last one exited */
  gboolean ended;
} Followed;

typedef struct
{
  struct nlmsghdr header;
  struct genlmsghdr generic;
  struct nlattr attribute;
  char payload[64];
} Request;

static gboolean
set_unavailable (GError **error, const char *why)
{
  g_set_error (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE, "no exit records from the kernel: %s", why);
  return FALSE;
}

static gboolean
send_request (int fd, guint16 family, guint8 command, guint16 type, const void *payload, gsize length)
{
  Request request = {
    .header = { .nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = SEQUENCE },
    .generic = { .cmd = command, .version = 1 },
    .attribute = { .nla_type = type, .nla_len = (guint16)(sizeof (struct nlattr) + length) },
  };

  request.header.nlmsg_len = (guint32)(offsetof (Request, payload) + length);
  memcpy (request.payload, payload, length);
  return send (fd, &request, request.header.nlmsg_len, 0) == (gssize)request.header.nlmsg_len;
}

/* The kernel answers while it takes the request: what there is to read is there. It may stand behind exit records, since
 * the kernel forgets a listener that has closed its socket only when it next fails to reach it: until then a socket that gets
 * the same address (the pid, as a rule) hears what that one asked for. 0 or an errno. */
static int
take_answer (int fd, char *answer, gsize size, gsize *ret_length)
{
  struct nlmsghdr header;
  gssize length = 0;
  int code = 0;

  do
    {
      length = recv (fd, answer, size, MSG_DONTWAIT);
      if (length < (gssize)sizeof header)
        return length < 0 ? errno : EPROTO;
      memcpy (&header, answer, sizeof header);
    }
  while (header.nlmsg_seq != SEQUENCE);
  *ret_length = (gsize)length;
  if (header.nlmsg_type != NLMSG_ERROR)
    return 0;
  if (length < (gssize)(sizeof header + sizeof code))
    return EPROTO;
  memcpy (&code, answer + sizeof header, sizeof code);
  return -code;
}

/* Sends, and takes the answer and the acknowledgement that follows it. answer NULL: only the latter comes. */
static int
ask (int fd, guint16 family, guint8 command, guint16 type, const void *payload, gsize length, char *answer,
     gsize size, gsize *ret_length)
{
  char acknowledgement[256];
  gsize acknowledged = 0;

  if (!send_request (fd, family, command, type, payload, length))
    return errno;
  if (answer != NULL)
    {
      const int result = take_answer (fd, answer, size, ret_length);

      if (result != 0)
        return result;
    }
  return take_answer (fd, acknowledgement, sizeof acknowledgement, &acknowledged);
}

static gboolean
find_family (VjExitRecords *records, GError **error)
{
  char answer[4096];
  gsize length = 0;
  const int result = ask (records->fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME,
                          TASKSTATS_GENL_NAME, sizeof TASKSTATS_GENL_NAME, answer, sizeof answer, &length);

  if (result == 0 && vj_exit_record_parse_family (answer, length, &records->family))
    return TRUE;
  return set_unavailable (error, "it has no TASKSTATS (CONFIG_TASKSTATS)");
}

/* A record of this very process shows whether the kernel gives them, and where in them is what. */
static gboolean
learn_form (VjExitRecords *records, GError **error)
{
  char answer[4096];
  gsize length = 0;
  VjExitRecord record;
  const guint32 self = (guint32)getpid ();

  /* Of a process that has never yet left its CPU the scheduler has no sum. */
  sched_yield ();

  const int result = ask (records->fd, records->family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &self,
                          sizeof self, answer, sizeof answer, &length);

  if (result != 0)
    {
      vj_error_set_errno (error, result, "cannot read exit records, which needs CAP_NET_ADMIN");
      return FALSE;
    }
  if (!vj_exit_record_parse (answer, length, &record) || record.pid != (int)self
      || record.process != (int)self)
    return set_unavailable (error, "they have another form; Linux 5.19 or newer is needed");
  if (record.cpu_ns == 0)
    return set_unavailable (error, "they hold no CPU time (CONFIG_TASK_DELAY_ACCT)");
  records->stats_offset = record.stats_offset;
  return TRUE;
}

static void
add (GArray *filter, guint16 code, guint8 if_true, guint8 if_false, guint32 value)
{
  const struct sock_filter instruction = { .code = code, .jt = if_true, .jf = if_false, .k = value };

  g_array_append_val (filter, instruction);
}

/* The filter sees big-endian numbers wherever it runs. */
static int
compare_be32 (const void *one, const void *other)
{
  const guint32 a = *(const guint32 *)one;
  const guint32 b = *(const guint32 *)other;

  return (a > b) - (a < b);
}

static GArray *
followed_be32 (const VjExitRecords *records)
{
  GArray *pids = g_array_new (FALSE, FALSE, sizeof (guint32));
  GHashTableIter iter;
  gpointer key = NULL;

  g_hash_table_iter_init (&iter, records->followed);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    {
      const guint32 pid = GUINT32_FROM_BE ((guint32)GPOINTER_TO_INT (key));

      g_array_append_val (pids, pid);
    }
  g_array_sort (pids, compare_be32);
  return pids;
}

/* Takes the message if its process is one of these: in blocks, so that a foreign process pays for few of them. */
static void
add_pids (GArray *filter, const GArray *pids)
{
  for (guint from = 0; from < pids->len; from += BLOCK_PIDS)
    {
      const guint end = MIN (from + BLOCK_PIDS, pids->len);

      add (filter, BPF_JMP | BPF_JGT | BPF_K, (guint8)(2 * (end - from)), 0,
           g_array_index (pids, guint32, end - 1));
      for (guint i = from; i < end; i++)
        {
          add (filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, g_array_index (pids, guint32, i));
          add (filter, BPF_RET | BPF_K, 0, 0, G_MAXUINT32);
        }
    }
}

static gboolean
attach (const VjExitRecords *records, const GArray *filter)
{
  const struct sock_fprog program = { .len = (gushort)filter->len, .filter = (gpointer)filter->data };

  return filter->len <= BPF_MAXINSNS
         && setsockopt (records->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

/* Answers to requests pass, and records of those that are followed. More of them than a filter holds (net.core.optmem_max):
 * the last record of every process passes, and whoever does not matter is sorted out here, within the budget. */
static gboolean
filter_records (const VjExitRecords *records)
{
  g_autoptr (GArray) filter = g_array_new (FALSE, FALSE, sizeof (struct sock_filter));
  g_autoptr (GArray) pids = followed_be32 (records);
  const guint32 stats = (guint32)records->stats_offset;

  add (filter, BPF_LD | BPF_H | BPF_ABS, 0, 0, offsetof (struct nlmsghdr, nlmsg_type));
  add (filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, GUINT16_FROM_BE (NLMSG_ERROR));
  add (filter, BPF_RET | BPF_K, 0, 0, G_MAXUINT32);

  const guint begin = filter->len;

  add (filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, stats + (guint32)offsetof (struct taskstats, ac_tgid));
  add_pids (filter, pids);
  add (filter, BPF_RET | BPF_K, 0, 0, 0);
  if (attach (records, filter))
    return TRUE;
  g_array_set_size (filter, begin);
  add (filter, BPF_LD | BPF_B | BPF_ABS, 0, 0, stats + (guint32)offsetof (struct taskstats, ac_flag));
  add (filter, BPF_JMP | BPF_JSET | BPF_K, 0, 1, AGROUP);
  add (filter, BPF_RET | BPF_K, 0, 0, G_MAXUINT32);
  add (filter, BPF_RET | BPF_K, 0, 0, 0);
  return attach (records, filter);
}

static void
refresh_filter (VjExitRecords *records)
{
  if (records->stale && filter_records (records))
    records->stale = FALSE;
}

static int
listen_on (const VjExitRecords *records, const char *cpus)
{
  return ask (records->fd, records->family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, cpus,
              strlen (cpus) + 1, NULL, 0, NULL);
}

/* "N" is the last CPU, from Linux 5.12 on. */
static gboolean
start_listening (const VjExitRecords *records, GError **error)
{
  const int result = listen_on (records, "0-N");

  if (result == 0)
    return TRUE;
  if (result == EINVAL)
    return set_unavailable (error, "it gives them in the machine's own user and pid namespace only");
  vj_error_set_errno (error, result, "cannot listen to exit records");
  return FALSE;
}

static gboolean
open_socket (VjExitRecords *records, GError **error)
{
  /* The kernel alone may send to a socket that is connected to it. */
  const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  const int size = RECEIVE_BUFFER;

  records->fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC);
  if (records->fd < 0 && errno == EAFNOSUPPORT)
    return set_unavailable (error, "this process may use no netlink sockets");
  if (records->fd < 0 || connect (records->fd, (const struct sockaddr *)&kernel, sizeof kernel) != 0)
    {
      vj_error_set_errno (error, errno, "cannot open a netlink socket for exit records");
      return FALSE;
    }
  /* A smaller buffer will do most of the time. */
  (void)setsockopt (records->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  return TRUE;
}

VjExitRecords *
vj_exit_records_open (GError **error)
{
  g_autoptr (VjExitRecords) records = g_new0 (VjExitRecords, 1);

  records->followed = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  if (!open_socket (records, error) || !find_family (records, error) || !learn_form (records, error))
    return NULL;
  if (!filter_records (records))
    {
      vj_error_set_errno (error, errno, "cannot filter exit records");
      return NULL;
    }
  if (!start_listening (records, error))
    return NULL;
  return g_steal_pointer (&records);
}

void
vj_exit_records_free (VjExitRecords *records)
{
  if (records == NULL)
    return;
  /* The kernel forgets a listener when its socket has gone. */
  if (records->fd >= 0)
    close (records->fd);
  g_hash_table_unref (records->followed);
  g_free (records);
}

void
vj_exit_records_follow (VjExitRecords *records, int pid)
{
  if (g_hash_table_contains (records->followed, GINT_TO_POINTER (pid)))
    return;
  g_hash_table_insert (records->followed, GINT_TO_POINTER (pid), g_new0 (Followed, 1));
  records->stale = TRUE;
  if (g_hash_table_size (records->followed) <= FILTER_AT_ONCE)
    refresh_filter (records);
}

/* The filter may let its records pass until another process is followed. */
void
vj_exit_records_unfollow (VjExitRecords *records, int pid)
{
  g_hash_table_remove (records->followed, GINT_TO_POINTER (pid));
}

static void
take_record (const VjExitRecords *records, const VjExitRecord *record)
{
  Followed *followed = g_hash_table_lookup (records->followed, GINT_TO_POINTER (record->process));

  if (followed == NULL)
    return;
  followed->threads_ns += record->cpu_ns;
  if (!record->last || followed->ended)
    return;
  followed->ended = TRUE;
  followed->group_ns = record->has_group ? record->group_cpu_ns : record->cpu_ns;
}

static void
read_records (const VjExitRecords *records, guint budget)
{
  char message[4096];
  VjExitRecord record;

  for (guint i = 0; i < budget; i++)
    {
      const gssize length = recv (records->fd, message, sizeof message, MSG_DONTWAIT);

      if (length < 0 && errno != ENOBUFS && errno != EINTR)
        return;
      if (length > 0 && vj_exit_record_parse (message, (gsize)length, &record))
        take_record (records, &record);
    }
}

gboolean
vj_exit_records_get (VjExitRecords *records, int pid, guint64 *ret_cpu_ns)
{
  read_records (records, READ_ALL);

  const Followed *followed = g_hash_table_lookup (records->followed, GINT_TO_POINTER (pid));

  if (followed == NULL || !followed->ended)
    return FALSE;
  /* Threads that exit at the same moment may miss the kernel's sum, but not their own records. */
  *ret_cpu_ns = MAX (followed->group_ns, followed->threads_ns);
  return TRUE;
}

void
vj_exit_records_tick (VjExitRecords *records)
{
  refresh_filter (records);
  read_records (records, VJ_EXIT_RECORDS_BUDGET);
}

guint64
vj_exit_records_lost (const VjExitRecords *records)
{
  guint32 values[SK_MEMINFO_VARS] = { 0 };
  socklen_t size = sizeof values;

  if (getsockopt (records->fd, SOL_SOCKET, SO_MEMINFO, values, &size) != 0)
    return 0;
  return values[SK_MEMINFO_DROPS];
}
