/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Reads <directory>/NAME.pid, as libvirt and Proxmox have one for each QEMU. The pid counts only if the file means the process that
 * has it now: QEMU holds its lock, which libvirt lets it inherit (fcntl (2), F_GETLK names the holder); without any lock, the
 * process must not be younger than the file. 0 if there is no such pid, or name cannot be part of a file name. What is
 * no regular file, a symbolic link for one, is not opened. */
int vj_pidfile_read (const char *procfs, const char *directory, const char *name);
