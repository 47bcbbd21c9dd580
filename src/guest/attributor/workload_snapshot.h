/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/attributor/attributor_snapshot.h"
#include "guest/names/names.h"
#include "guest/attributor/workload_group.h"

/* Appends a VjGroupSnapshot for every group below root, parents first, with the names that are known by now. */
void vj_group_snapshot (const VjGroupBook *book, const VjGroup *root, VjNames *names, GPtrArray *ret_groups);
