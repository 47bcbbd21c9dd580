/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/source.h"

/* Estimates one zone "package-0" where no meter exists: P = idle + (full - idle) x busy share of all CPUs, busy from
 * <procfs>/stat. Quality is "estimated" everywhere it shows. 0 for either power means the default for the number of
 * CPUs (vj_source_model_default_uw ()). */
VjSource *vj_source_model_open (const char *procfs, guint64 idle_uw, guint64 full_uw, GError **error);
void vj_source_model_default_uw (guint n_cpus, guint64 *ret_idle_uw, guint64 *ret_full_uw);
/* The idle power of an open model source, µW. */
guint64 vj_source_model_idle_uw (const VjSource *source);
