/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/curve.h"

#include <math.h>
#include <stdlib.h>

#include "common/units.h"

#define WHOLE (G_GUINT64_CONSTANT (1) << 52)

typedef struct
{
  guint64 usage; /* 0 where size does not matter */
  guint64 age;
  gsize index;
} Task;

static int
compare_u64 (guint64 a, guint64 b)
{
  return a < b ? -1 : a > b;
}

static int
compare_tasks (const void *a, const void *b)
{
  const Task *first = a, *second = b;
  int order = compare_u64 (second->usage, first->usage);
  if (order == 0)
    order = compare_u64 (first->age, second->age);
  return order != 0 ? order : compare_u64 (first->index, second->index);
}

static Task *
stack_up (const VjCurve *curve, const guint64 *age, gsize n, const guint64 *usage)
{
  Task *tasks = g_new (Task, n);
  for (gsize i = 0; i < n; i++)
    tasks[i] = (Task){ curve->stacking == VJ_STACKING_LARGEST ? usage[i] : 0, age[i], i };
  qsort (tasks, n, sizeof *tasks, compare_tasks);
  return tasks;
}

void
vj_curve_bend (const VjCurve *curve, const guint64 *age, gsize n, guint64 *weights)
{
  VjU128 total = 0, x = 0;
  guint64 y = 0;
  for (gsize i = 0; i < n; i++)
    total += weights[i];
  if (curve->kind == VJ_CURVE_LINEAR || total == 0)
    return;
  Task *tasks = stack_up (curve, age, n, weights);
  for (gsize i = 0; i < n; i++)
    {
      guint64 *weight = &weights[tasks[i].index];
      if (*weight == 0)
        continue;
      x += *weight;
      const double bent = pow ((double)x / (double)total, curve->gamma_permille / 1000.0);
      const guint64 reached = MAX (y, (guint64)(bent * (double)WHOLE + 0.5));
      *weight = reached - y;
      y = reached;
    }
  g_free (tasks);
}
