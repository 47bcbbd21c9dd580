/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* One process held by pidfd_open (2), so that its pid cannot come to mean another. Identity is pid + start time. */
typedef struct
{
  int pid;
  int pidfd;        /* readable (POLLIN) once the process has exited; owned */
  guint64 start_us; /* CLOCK_BOOTTIME µs, in steps of 1 / USER_HZ (10 ms) */
} VjProcess;

/* Opens pid and reads its start time from <procfs>/PID/stat, in the order that excludes a reused pid. GONE if it is not
 * there. Free with vj_process_free (). */
VjProcess *vj_process_open (const char *procfs, int pid, GError **error);
void vj_process_free (VjProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjProcess, vj_process_free)
gboolean vj_process_is_alive (const VjProcess *process);

/* The process at the other end of a unix socket when it connected (SO_PEERCRED); it may have exited since. 0 if the kernel
 * does not say, or it is of another pid namespace. */
int vj_process_peer_pid (int fd);
