/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/roots.h"

void
vj_roots_clear (VjRoots *roots)
{
  g_clear_pointer (&roots->sysfs, g_free);
  g_clear_pointer (&roots->procfs, g_free);
  g_clear_pointer (&roots->cgroupfs, g_free);
  g_clear_pointer (&roots->runtime_dir, g_free);
  g_clear_pointer (&roots->state_dir, g_free);
  g_clear_pointer (&roots->libvirt_rundir, g_free);
}
