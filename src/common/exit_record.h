/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* One message of the kernel's TASKSTATS family (linux/taskstats.h): what a thread used when it exited, and, from the last
 * thread of a process that ever had several, what all its threads used. Pure. */
typedef struct
{
  gsize
      stats_offset; /* of the thread's struct taskstats in the message: the same in all messages of one kernel */
  guint16 version;
  int pid;              /* the thread's own */
  int process;          /* that it belonged to */
  gboolean last;        /* thread of its process */
  guint64 cpu_ns;       /* the thread's, as the scheduler counts it */
  gboolean has_group;   /* the last thread of several */
  guint64 group_cpu_ns; /* of all threads that were ever there */
} VjExitRecord;

/* The first version with the process of a thread (ac_tgid) and the mark of the last one (AGROUP): Linux 5.19. */
#define VJ_EXIT_RECORD_VERSION 12

/* message: a whole netlink message, header included, in this machine's byte order; it need not be aligned. FALSE if it is no
 * such record; *ret_record is not touched then. */
gboolean vj_exit_record_parse (const void *message, gsize length, VjExitRecord *ret_record);

/* An answer of the generic netlink controller (linux/genetlink.h): the number of the family that was asked for. */
gboolean vj_exit_record_parse_family (const void *message, gsize length, guint16 *ret_family);
