/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/roots.h"
#include "guest/attributor/attributor_snapshot.h"
#include "guest/names/names.h"
#include "guest/attributor/workloads.h"

/* The attributor's body: in step with the powercap tree, carries its energy to what runs on this machine. One main loop. */
typedef struct VjAttributor VjAttributor;

typedef struct
{
  VjRoots roots;       /* sysfs: what holds class/powercap */
  char *device_sysfs;  /* what tells of this machine's disks and memory */
  guint64 interval_us; /* of a tree that does not tell of its updates */
  VjWorkloadsOptions workloads;
  void (*report) (const char *line,
                  gpointer user_data);  /* what an administrator wants to read, once per change */
  void (*updated) (gpointer user_data); /* an interval has been attributed; NULL: nobody asks */
  void (*appeared) (const VjCgroupClass *class,
                    gpointer user_data); /* a group is there, for whoever looks for names; NULL: nobody */
  gpointer user_data;
} VjAttributorOptions;

/* options and what it points to, and names, must outlive it. A tree that is not there is waited for. */
VjAttributor *vj_attributor_new (const VjAttributorOptions *options, VjNames *names, GError **error);
void vj_attributor_free (VjAttributor *attributor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjAttributor, vj_attributor_free)
VjAttributorSnapshot *vj_attributor_snapshot (const VjAttributor *attributor);
