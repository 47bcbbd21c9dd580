/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/exit_record.h"

#include <linux/acct.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <string.h>

/* Fields up to and including ac_tgid, which version 12 brought; newer kernels append. */
#define STATS_MIN (offsetof (struct taskstats, ac_tgid) + sizeof (guint32))

/* linux/netlink.h has signed numbers for these. */
#define ALIGN_TO     ((gsize)NLA_ALIGNTO)
#define HEADERS_SIZE (sizeof (struct nlmsghdr) + sizeof (struct genlmsghdr))

typedef struct
{
  const char *data; /* NULL: there is none */
  gsize length;
} Part;

static Part
rest_of (Part part, gsize offset)
{
  if (offset > part.length)
    return (Part){ NULL, 0 };
  return (Part){ part.data + offset, part.length - offset };
}

/* The payload of the first attribute of this type among those in part. */
static Part
find_attribute (Part part, guint16 type)
{
  while (part.data != NULL && part.length >= sizeof (struct nlattr))
    {
      struct nlattr header;

      memcpy (&header, part.data, sizeof header);
      if (header.nla_len < sizeof header || header.nla_len > part.length)
        break;
      if ((header.nla_type & NLA_TYPE_MASK) == type)
        return (Part){ part.data + sizeof header, header.nla_len - sizeof header };
      part = rest_of (part, (header.nla_len + ALIGN_TO - 1) & ~(ALIGN_TO - 1));
    }
  return (Part){ NULL, 0 };
}

/* The attributes of a generic netlink message with this command. */
static Part
attributes_of (const void *message, gsize length, guint8 command)
{
  const Part whole = { message, length };
  struct nlmsghdr header;
  struct genlmsghdr generic;

  if (length < HEADERS_SIZE)
    return (Part){ NULL, 0 };
  memcpy (&header, whole.data, sizeof header);
  memcpy (&generic, whole.data + sizeof header, sizeof generic);
  if (header.nlmsg_len > length || header.nlmsg_len < HEADERS_SIZE || header.nlmsg_type < NLMSG_MIN_TYPE
      || generic.cmd != command)
    return (Part){ NULL, 0 };
  return rest_of ((Part){ whole.data, header.nlmsg_len }, HEADERS_SIZE);
}

static gboolean
take_stats (Part part, struct taskstats *ret_stats)
{
  guint16 version = 0; /* its first field */

  if (part.data == NULL || part.length < STATS_MIN)
    return FALSE;
  memcpy (&version, part.data, sizeof version);
  if (version < VJ_EXIT_RECORD_VERSION)
    return FALSE;
  memcpy (ret_stats, part.data, MIN (part.length, sizeof *ret_stats));
  return TRUE;
}

gboolean
vj_exit_record_parse (const void *message, gsize length, VjExitRecord *ret_record)
{
  const Part attributes = attributes_of (message, length, TASKSTATS_CMD_NEW);
  const Part thread =
      find_attribute (find_attribute (attributes, TASKSTATS_TYPE_AGGR_PID), TASKSTATS_TYPE_STATS);
  const Part group =
      find_attribute (find_attribute (attributes, TASKSTATS_TYPE_AGGR_TGID), TASKSTATS_TYPE_STATS);
  struct taskstats stats = { .version = 0 };
  struct taskstats group_stats = { .version = 0 };

  if (!take_stats (thread, &stats) || stats.ac_tgid == 0 || stats.ac_tgid > G_MAXINT
      || stats.ac_pid > G_MAXINT)
    return FALSE;
  *ret_record = (VjExitRecord){
    .stats_offset = (gsize)(thread.data - (const char *)message),
    .version = stats.version,
    .pid = (int)stats.ac_pid,
    .process = (int)stats.ac_tgid,
    .last = (stats.ac_flag & AGROUP) != 0,
    /* The scheduler's own sum. cpu_run_real_total and ac_utime + ac_stime are sampled by the timer on many kernels. */
    .cpu_ns = stats.cpu_run_virtual_total,
    .has_group = take_stats (group, &group_stats),
    .group_cpu_ns = group_stats.cpu_run_virtual_total,
  };
  return TRUE;
}

gboolean
vj_exit_record_parse_family (const void *message, gsize length, guint16 *ret_family)
{
  const Part family =
      find_attribute (attributes_of (message, length, CTRL_CMD_NEWFAMILY), CTRL_ATTR_FAMILY_ID);

  if (family.data == NULL || family.length < sizeof *ret_family)
    return FALSE;
  memcpy (ret_family, family.data, sizeof *ret_family);
  return TRUE;
}
