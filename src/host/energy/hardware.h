/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/source.h"

/* A word of 16 hexadecimal digits that stays the same as long as static power should: of the model and number of CPUs
 * (<procfs>/cpuinfo), the memory in GiB (<procfs>/meminfo) and the ids of the zones. The caller's. */
char *vj_hardware_fingerprint (const char *procfs, const VjSource *source);
