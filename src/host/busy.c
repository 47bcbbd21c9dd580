/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/busy.h"

#include "common/error.h"
#include "common/file.h"
#include "common/procfs.h"
#include "common/units.h"

#include <unistd.h>

#define STAT_TEXT_MIN ((gsize)64 * 1024)
#define STAT_TEXT_MAX ((gsize)16 * 1024 * 1024)

struct VjBusy
{
  char *procfs;
  int fd;
  char *text;
  gsize size; /* of text: the file's interrupt line grows with the machine */
  guint64 tick_ns;
  gboolean primed;
  guint cpus;
  guint64 idle_ticks;
  guint64 mark_us;
  guint64 owed_ns;      /* told as busy and then seen to be idle: 10 ms steps */
  guint64 last_busy_ns; /* of the last interval, for one that cannot be measured */
  guint64 last_elapsed_us;
};

VjBusy *
vj_busy_open (const char *procfs, GError **error)
{
  const int fd = vj_file_open (procfs, "stat", error);
  VjBusy *busy;

  if (fd < 0)
    return NULL;
  busy = g_new0 (VjBusy, 1);
  busy->procfs = g_strdup (procfs);
  busy->fd = fd;
  busy->size = STAT_TEXT_MIN;
  busy->text = g_malloc (busy->size);
  busy->tick_ns = VJ_NS_PER_S / (guint64)sysconf (_SC_CLK_TCK);
  return busy;
}

void
vj_busy_free (VjBusy *busy)
{
  if (!busy)
    return;
  close (busy->fd);
  g_free (busy->text);
  g_free (busy->procfs);
  g_free (busy);
}

static gboolean
read_text (VjBusy *busy, gsize *ret_length, GError **error)
{
  g_autoptr (GError) failure = NULL;

  while (!vj_file_pread (busy->fd, busy->text, busy->size, ret_length, &failure))
    {
      if (!g_error_matches (failure, VJ_ERROR, VJ_ERROR_INVALID) || busy->size >= STAT_TEXT_MAX)
        {
          g_propagate_prefixed_error (error, g_steal_pointer (&failure), "%s/stat: ", busy->procfs);
          return FALSE;
        }
      g_clear_error (&failure);
      busy->size *= 2;
      busy->text = g_realloc (busy->text, busy->size);
    }
  return TRUE;
}

/* The idle ticks of CPUs that came or went cannot be told from the sum, so such an interval is taken to be as busy as
 * the one before. */
static guint64
guess_busy_ns (const VjBusy *busy, guint64 elapsed_us)
{
  if (busy->last_elapsed_us == 0)
    return 0;
  return (guint64)((VjU128)busy->last_busy_ns * elapsed_us / busy->last_elapsed_us);
}

/* What rounding made too much of is taken back from the next intervals instead of being cut off, or a machine that is
 * nearly idle would seem to be busier than it is. More than the rounding of idle, iowait and steal is not owed. */
static guint64
measure_busy_ns (VjBusy *busy, const VjProcStat *stat, guint64 elapsed_us)
{
  const VjI128 capacity_ns = (VjI128)elapsed_us * VJ_NS_PER_US * stat->cpus;
  const VjI128 idle_ns = ((VjI128)stat->idle_ticks - busy->idle_ticks) * busy->tick_ns;
  const VjI128 busy_ns = capacity_ns - idle_ns - busy->owed_ns;
  const VjI128 bound_ns = (VjI128)stat->cpus * busy->tick_ns * 3;

  busy->owed_ns = busy_ns < 0 ? (guint64)MIN (-busy_ns, bound_ns) : 0;
  return (guint64)CLAMP (busy_ns, 0, capacity_ns);
}

gboolean
vj_busy_read (VjBusy *busy, guint64 now_us, guint64 *ret_busy_ns, guint *ret_cpus, GError **error)
{
  gsize length = 0;
  VjProcStat stat;
  guint64 busy_ns = 0;

  if (!read_text (busy, &length, error))
    return FALSE;
  if (!vj_procfs_parse_stat (busy->text, length, &stat))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID, "%s/stat is not of the kernel's form", busy->procfs);
      return FALSE;
    }

  const guint64 elapsed_us = busy->primed && now_us > busy->mark_us ? now_us - busy->mark_us : 0;
  if (busy->primed)
    busy_ns = stat.cpus == busy->cpus ? measure_busy_ns (busy, &stat, elapsed_us)
                                      : guess_busy_ns (busy, elapsed_us);
  busy->last_busy_ns = busy_ns;
  busy->last_elapsed_us = elapsed_us;
  vj_busy_set_mark (busy, stat.idle_ticks, now_us, stat.cpus);
  *ret_busy_ns = busy_ns;
  *ret_cpus = stat.cpus;
  return TRUE;
}

void
vj_busy_get_mark (const VjBusy *busy, guint64 *ret_idle_ticks, guint64 *ret_monotonic_us)
{
  *ret_idle_ticks = busy->idle_ticks;
  *ret_monotonic_us = busy->mark_us;
}

void
vj_busy_set_mark (VjBusy *busy, guint64 idle_ticks, guint64 monotonic_us, guint cpus)
{
  busy->primed = TRUE;
  busy->idle_ticks = idle_ticks;
  busy->mark_us = monotonic_us;
  busy->cpus = cpus;
}
