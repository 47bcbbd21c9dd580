/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Energy is integer microjoules (_uj), power microwatts (_uw), CPU time nanoseconds (_ns), intervals
 * microseconds (_us) of CLOCK_MONOTONIC. The unit stands in every name. */
#define VJ_US_PER_S  G_GUINT64_CONSTANT (1000000)
#define VJ_US_PER_MS G_GUINT64_CONSTANT (1000)
#define VJ_NS_PER_US G_GUINT64_CONSTANT (1000)
#define VJ_NS_PER_S  G_GUINT64_CONSTANT (1000000000)
#define VJ_UJ_PER_J  G_GUINT64_CONSTANT (1000000)
#define VJ_UJ_PER_MJ G_GUINT64_CONSTANT (1000)
#define VJ_UW_PER_W  G_GUINT64_CONSTANT (1000000)

/* 128-bit products; GCC and clang on every 64-bit target. */
__extension__ typedef unsigned __int128 VjU128;
__extension__ typedef __int128 VjI128;
