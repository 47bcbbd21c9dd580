/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The roots below which everything is found; no module below main names an absolute path (design law 5). */
typedef struct
{
  char *sysfs;          /* /sys */
  char *procfs;         /* /proc */
  char *cgroupfs;       /* /sys/fs/cgroup; NULL: no control group is looked at */
  char *runtime_dir;    /* /run/virtjoule */
  char *state_dir;      /* /var/lib/virtjoule */
  char *libvirt_rundir; /* /run/libvirt/qemu: NAME.pid */
} VjRoots;

/* Frees the strings, not the struct itself. */
void vj_roots_clear (VjRoots *roots);
