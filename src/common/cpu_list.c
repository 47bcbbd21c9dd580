/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/cpu_list.h"

#include "common/scan.h"

/* "N" or "N-M"; ranges rise, so that no list is longer than the machine. */
static gboolean
take_range (VjScan *scan, guint64 *next, GArray *cpus)
{
  guint64 first;
  guint64 last;

  if (!vj_scan_u64 (scan, &first))
    return FALSE;
  last = first;
  if (vj_scan_literal (scan, "-") && !vj_scan_u64 (scan, &last))
    return FALSE;
  if (first < *next || last < first || last >= VJ_CPUS_MAX)
    return FALSE;
  for (; first <= last; first++)
    {
      const guint cpu = (guint)first;

      g_array_append_val (cpus, cpu);
    }
  *next = first;
  return TRUE;
}

static gboolean
take_list (VjScan *scan, GArray *cpus)
{
  guint64 next = 0;

  if (*scan->at == '\n')
    return TRUE;
  do
    {
      if (!take_range (scan, &next, cpus))
        return FALSE;
    }
  while (vj_scan_literal (scan, ","));
  return TRUE;
}

gboolean
vj_cpu_list_parse (const char *text, gsize length, GArray *ret_cpus)
{
  VjScan scan = vj_scan_init (text, length);

  g_array_set_size (ret_cpus, 0);
  if (length > 0 && take_list (&scan, ret_cpus) && vj_scan_literal (&scan, "\n") && scan.at == scan.end)
    return TRUE;
  g_array_set_size (ret_cpus, 0);
  return FALSE;
}
