/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Reads <directory>/NAME.pid, as libvirt writes for each QEMU. The pid counts only if the file means the process that
 * has it now: libvirt lets QEMU inherit the file's lock (fcntl (2), F_GETLK names the holder); without any lock, the
 * process must not be younger than the file. 0 if there is no such pid, or name cannot be part of a file name. */
int vj_pidfile_read (const char *procfs, const char *directory, const char *name);
