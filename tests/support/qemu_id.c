/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

/* Preloaded into a QEMU that is not Proxmox's own, and so refuses -id VMID: hides it from main (), but not from
 * /proc/PID/cmdline, which is the memory that the pointers leave. */
__attribute__ ((constructor)) static void
hide_id (int argc, char **argv, char **environment)
{
  static char harmless[] = "-nodefaults"; /* which Proxmox says anyway */

  for (int i = 1; i + 1 < argc; i++)
    if (strcmp (argv[i], "-id") == 0)
      argv[i] = argv[i + 1] = harmless;
  unsetenv ("LD_PRELOAD");
}
