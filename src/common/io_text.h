/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Parsers of what the kernel says of block I/O (proc(5), Documentation/admin-guide/{iostats,cgroup-v2}.rst,
 * cgroup-v1/blkio-controller.rst). Pure, as procfs.h. What fills an array empties it first, and leaves it empty where it
 * says FALSE: the text is not of the kernel's form. */

/* Bytes read and written, since the counter began. Discards move no data and do not count. */
typedef struct
{
  guint major;
  guint minor;
  guint64 bytes;
} VjDiskBytes;

/* cgroup v2 io.stat: appends a VjDiskBytes for each device with counters. Some kernels print devices without any, and
 * no newline after them. */
gboolean vj_io_text_parse_io_stat (const char *text, gsize length, GArray *ret_disks);

/* cgroup v1 blkio.throttle.io_service_bytes[_recursive]: the same from its Read and Write lines. */
gboolean vj_io_text_parse_blkio (const char *text, gsize length, GArray *ret_disks);

/* /proc/PID/io: read_bytes + write_bytes. The latter counts when a page is made dirty, before it reaches a disk. */
gboolean vj_io_text_parse_pid_io (const char *text, gsize length, guint64 *ret_bytes);

#define VJ_DISK_NAME_MAX 63

typedef struct
{
  VjDiskBytes disk;
  char name[VJ_DISK_NAME_MAX + 1];
} VjDiskstat;

/* /proc/diskstats: appends a VjDiskstat for every disk and partition there is. Its sectors are of 512 bytes, whatever the
 * disk's are. A longer name is passed over. */
gboolean vj_io_text_parse_diskstats (const char *text, gsize length, GArray *ret_diskstats);

/* Σ over now of what was added since before. A counter that fell began anew and counts from zero, as does a disk that
 * is not in before; one that has gone takes nothing back. Arrays of VjDiskBytes. */
guint64 vj_disk_bytes_delta (const GArray *before, const GArray *now);
/* The same; now becomes before. */
guint64 vj_disk_bytes_advance (GArray *before, const GArray *now);
