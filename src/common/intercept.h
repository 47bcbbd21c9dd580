/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Static power of a zone where nobody could measure the machine idle: the intercept of its power against the busy share of
 * the machine's CPUs, over what was observed (docs/static-power.md). Pure; floating point, bounded memory.
 *
 * Intervals are gathered into windows of VJ_INTERCEPT_WINDOW_US, windows into bins by busy share, so that a line can be
 * fitted to the windows nearest to idle alone: power bends, and a line through all loads would meet zero too high. What is
 * older than about half a day is forgotten, and all before a change of the machine's power as soon as it is noticed. */
typedef struct VjIntercept VjIntercept;

#define VJ_INTERCEPT_WINDOW_US (G_GUINT64_CONSTANT (10) * 1000000)

typedef enum
{
  VJ_INTERCEPT_JUSTIFIED,
  VJ_INTERCEPT_FEW,       /* too few windows */
  VJ_INTERCEPT_BUSY,      /* too few of them near idle: zero load is too far from anything observed */
  VJ_INTERCEPT_STEADY,    /* the load hardly varies */
  VJ_INTERCEPT_UNCHECKED, /* too few different loads to tell a line from a curve */
  VJ_INTERCEPT_CURVED,    /* a wider range of loads gives another intercept */
  VJ_INTERCEPT_NOISY,     /* power depends on more than load: the interval is too wide */
} VjInterceptVerdict;

typedef struct
{
  VjInterceptVerdict verdict;
  guint64 windows;   /* that the figures rest on */
  guint64 static_uw; /* 0 unless justified; never more than the lowest power of any window */
  /* Half of the 95 % interval or by how much another range of loads differs, and what the lowest power cut off. */
  guint64 error_uw;
} VjInterceptEstimate;

VjIntercept *vj_intercept_new (void);
void vj_intercept_free (VjIntercept *intercept);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjIntercept, vj_intercept_free)

/* One interval: the zone's energy, and the CPU time that the machine used in just this interval. TRUE: a window has become
 * complete. An interval longer than two minutes averages over too much and is left out. */
gboolean vj_intercept_add (VjIntercept *intercept, guint64 energy_uj, guint64 elapsed_us, guint64 busy_ns,
                           guint cpus);
/* The interval's energy or CPU time is not known: the window that it is in is left out. */
void vj_intercept_skip (VjIntercept *intercept);
void vj_intercept_estimate (const VjIntercept *intercept, VjInterceptEstimate *ret_estimate);
/* "the load hardly varies" */
const char *vj_intercept_verdict_text (VjInterceptVerdict verdict);
