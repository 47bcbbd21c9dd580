/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/source_powercap.h"

#include "common/clock.h"
#include "common/counter.h"
#include "common/error.h"
#include "common/file.h"
#include "common/units.h"
#include "common/powercap_scan.h"

#include <unistd.h>

/* What a reading may lie behind its time stamp: scheduling between the two, and the counter's own update period. */
#define PLAUSIBLE_SLACK_US (10 * VJ_US_PER_MS)

/* Mirrored dies. On some processors (AMD Zen 1 and 2) every die of a package shows the one counter of the package. The
 * dies of one package are therefore compared with its first:
 *  - readings further apart than maximum power can explain, given the time between the two reads and the counters'
 *    update period of 1 ms: different counters. This is nearly always settled by the first read.
 *  - readings as close as the power of this very interval explains, while the counter moved, in MIRROR_MATCHES
 *    successive reads: one counter, and the die contributes nothing from then on.
 * Until then the die is held: its reading is not fresh, and its next one covers the longer interval. So nothing is counted
 * twice while the matter is open, and nothing is lost if the dies turn out to be different. */
#define MIRROR_MATCHES   16
#define MIRROR_UPDATE_US (2 * VJ_US_PER_MS)
#define MIRROR_UNIT_UJ   100 /* more than one step of the hardware's counters (15 or 61 uJ) */

typedef enum
{
  DIE_ALONE,
  DIE_HELD,
  DIE_MIRROR
} DieState;

typedef struct
{
  char *path; /* relative to the sysfs root */
  int fd;     /* of energy_uj; -1: to be opened */
  VjCounter counter;
  guint64 last_us; /* when counter was advanced */
  gboolean failing;

  /* The current read. */
  gboolean readable;
  guint64 raw_uj;
  guint64 before_us, after_us; /* CLOCK_MONOTONIC around it */

  DieState state;
  int first_die; /* index of the first die of the package; -1: nothing to compare with */
  guint matches;
} Meter;

typedef struct
{
  VjSource base;
  char *sysfs;
  guint64 max_power_uw;
  gboolean built; /* by virtjoule-reader */
  GArray *meters; /* of Meter; as base.zones */
} PowercapSource;

static Meter *
get_meter (const PowercapSource *powercap, guint zone)
{
  return &g_array_index (powercap->meters, Meter, zone);
}

static void
clear_meter (gpointer data)
{
  Meter *meter = data;

  if (meter->fd >= 0)
    close (meter->fd);
  g_free (meter->path);
}

static void
close_meter (Meter *meter)
{
  if (meter->fd >= 0)
    close (meter->fd);
  meter->fd = -1;
}

static guint64
most_uj (const PowercapSource *powercap, guint64 elapsed_us)
{
  const VjU128 uj = (VjU128)powercap->max_power_uw * elapsed_us / VJ_US_PER_S;

  return uj > G_MAXUINT64 ? G_MAXUINT64 : (guint64)uj;
}

/* How far the counter has moved from one reading to another, across a wrap if need be. */
static guint64
moved_uj (const VjCounter *counter, guint64 from_uj, guint64 to_uj)
{
  if (to_uj >= from_uj || counter->max_range_uj < from_uj)
    return to_uj - from_uj;
  return counter->max_range_uj - from_uj + to_uj;
}

/* --- one zone's files ---------------------------------------------------------------------------------------------- */

/* 0 where it cannot be read: backward steps then count as resets. */
static guint64
read_range_uj (const char *sysfs, const char *path)
{
  g_autofree char *relative = g_build_filename (path, "max_energy_range_uj", NULL);
  const int fd = vj_file_open (sysfs, relative, NULL);
  guint64 range_uj = 0;

  if (fd < 0)
    return 0;
  if (!vj_file_pread_u64 (fd, &range_uj, NULL))
    range_uj = 0;
  close (fd);
  return range_uj;
}

/* A driver that was unloaded and came back may have numbered its zones anew, hence the look at the name. */
static gboolean
open_meter (const PowercapSource *powercap, guint zone, GError **error)
{
  Meter *meter = get_meter (powercap, zone);
  g_autofree char *relative = g_build_filename (meter->path, "energy_uj", NULL);
  VjZone found;

  if (!vj_powercap_read_zone (powercap->sysfs, meter->path, NULL, -1, &found, error))
    return FALSE;
  if (!g_str_equal (found.name, vj_source_zone (&powercap->base, zone)->name))
    {
      g_set_error (error, VJ_ERROR, VJ_ERROR_GONE, "the zone there is now %s", found.name);
      return FALSE;
    }
  meter->fd = vj_file_open (powercap->sysfs, relative, error);
  if (meter->fd < 0)
    return FALSE;
  if (!powercap->built) /* else it does not wrap */
    meter->counter.max_range_uj = read_range_uj (powercap->sysfs, meter->path);
  return TRUE;
}

static void
add_remedy (const PowercapSource *powercap, const Meter *meter, GError **error)
{
  const char *remedy = "; tried again at every reading";

  if (vj_error_is_denied (*error))
    remedy =
        "; energy_uj is readable by root only since Linux 5.10: run as root or grant CAP_DAC_READ_SEARCH";
  else if (vj_error_is_gone (*error))
    remedy = "; picked up when it comes back (is the intel_rapl_msr module loaded?)";

  g_autofree char *message =
      g_strdup_printf ("%s/%s: %s%s", powercap->sysfs, meter->path, (*error)->message, remedy);
  g_free ((*error)->message);
  (*error)->message = g_steal_pointer (&message);
}

static gboolean
read_meter (const PowercapSource *powercap, guint zone, GError **error)
{
  Meter *meter = get_meter (powercap, zone);

  meter->readable = FALSE;
  if (meter->fd >= 0 || open_meter (powercap, zone, error))
    {
      meter->before_us = vj_clock_monotonic_us ();
      meter->readable = vj_file_pread_u64 (meter->fd, &meter->raw_uj, error);
      meter->after_us = vj_clock_monotonic_us ();
    }
  if (meter->readable && powercap->built)
    close_meter (meter); /* the next value is another file */
  if (meter->readable)
    return TRUE;
  close_meter (meter); /* it may have been removed: look it up by its path next time */
  add_remedy (powercap, meter, error);
  return FALSE;
}

static void
read_and_report (PowercapSource *powercap, guint zone)
{
  Meter *meter = get_meter (powercap, zone);
  g_autoptr (GError) error = NULL;

  if (meter->state == DIE_MIRROR)
    return;
  if (!read_meter (powercap, zone, &error))
    powercap->base.counts.failures++;
  if (meter->readable == meter->failing)
    vj_source_report (&powercap->base, zone, error);
  meter->failing = !meter->readable;
}

/* --- mirrored dies ------------------------------------------------------------------------------------------------- */

typedef enum
{
  DIES_DIFFER,
  DIES_UNDECIDED,
  DIES_CLOSE,
  DIES_MATCH
} DieVerdict;

static DieVerdict
compare_dies (const PowercapSource *powercap, const Meter *first, const Meter *die, guint64 now_us)
{
  const guint64 forth_uj = moved_uj (&first->counter, first->raw_uj, die->raw_uj);
  const guint64 back_uj = moved_uj (&first->counter, die->raw_uj, first->raw_uj);
  const guint64 apart_uj = MIN (forth_uj, back_uj);
  const guint64 skew_us = die->after_us - first->before_us + MIRROR_UPDATE_US;
  const guint64 elapsed_us = now_us - first->last_us;

  if (first->counter.max_range_uj != die->counter.max_range_uj
      || apart_uj > most_uj (powercap, skew_us) + MIRROR_UNIT_UJ)
    return DIES_DIFFER;
  if (!first->counter.primed || elapsed_us == 0)
    return DIES_UNDECIDED;

  const guint64 delta_uj = moved_uj (&first->counter, first->counter.last_uj, first->raw_uj);
  if (delta_uj == 0 || delta_uj > most_uj (powercap, elapsed_us + PLAUSIBLE_SLACK_US))
    return DIES_UNDECIDED; /* counters at rest say nothing, nor does a reset */
  return apart_uj <= (VjU128)delta_uj * skew_us / elapsed_us + MIRROR_UNIT_UJ ? DIES_MATCH : DIES_CLOSE;
}

static void
set_state (PowercapSource *powercap, guint zone, DieState state)
{
  for (guint i = zone; i < powercap->meters->len; i++)
    {
      Meter *meter = get_meter (powercap, i);

      if (i != zone && vj_source_zone (&powercap->base, i)->parent != (int)zone)
        continue;
      meter->state = state;
      if (state == DIE_MIRROR)
        close_meter (meter);
    }
}

/* What lies within a die follows the die. */
static void
judge_die (PowercapSource *powercap, guint zone, guint64 now_us)
{
  Meter *die = get_meter (powercap, zone);

  if (die->state != DIE_HELD || die->first_die < 0)
    return;

  const Meter *first = get_meter (powercap, (guint)die->first_die);
  if (!die->readable || !first->readable)
    return;
  switch (compare_dies (powercap, first, die, now_us))
    {
    case DIES_DIFFER:
      set_state (powercap, zone, DIE_ALONE);
      break;
    case DIES_CLOSE:
      die->matches = 0;
      break;
    case DIES_MATCH:
      if (++die->matches >= MIRROR_MATCHES)
        set_state (powercap, zone, DIE_MIRROR);
      break;
    case DIES_UNDECIDED:
      break;
    }
}

static void
find_first_die (PowercapSource *powercap, guint zone)
{
  const VjZone *die = vj_source_zone (&powercap->base, zone);

  if (die->kind != VJ_ZONE_PACKAGE || die->die < 0)
    return;
  for (guint i = 0; i < zone; i++)
    {
      const VjZone *other = vj_source_zone (&powercap->base, i);

      if (other->kind != VJ_ZONE_PACKAGE || other->package != die->package || other->die < 0)
        continue;
      get_meter (powercap, zone)->first_die = (int)i;
      set_state (powercap, zone, DIE_HELD);
      return;
    }
}

/* --- the source ---------------------------------------------------------------------------------------------------- */

static void
count_step (VjSourceCounts *counts, VjCounterStep step)
{
  counts->wraps += step == VJ_COUNTER_WRAPPED;
  counts->resets += step == VJ_COUNTER_RESET;
  counts->rejected += step == VJ_COUNTER_REJECTED;
  counts->gaps += step == VJ_COUNTER_AMBIGUOUS;
}

/* A held die that has not moved has nothing to hold back. */
static gboolean
is_to_be_advanced (const Meter *meter)
{
  if (meter->state == DIE_MIRROR)
    return TRUE;
  return meter->readable
         && (meter->state == DIE_ALONE || !meter->counter.primed || meter->raw_uj == meter->counter.last_uj);
}

static void
advance (PowercapSource *powercap, guint zone, guint64 now_us, VjSourceReading *ret_reading)
{
  Meter *meter = get_meter (powercap, zone);
  VjCounterStep step = VJ_COUNTER_ADVANCED;

  if (!is_to_be_advanced (meter))
    return;
  ret_reading->fresh = TRUE;
  ret_reading->elapsed_us = meter->counter.primed && now_us > meter->last_us ? now_us - meter->last_us : 0;
  if (meter->state != DIE_MIRROR)
    step = vj_counter_advance (&meter->counter, meter->raw_uj,
                               most_uj (powercap, ret_reading->elapsed_us + PLAUSIBLE_SLACK_US),
                               &ret_reading->delta_uj);
  ret_reading->gap = step >= VJ_COUNTER_RESET;
  count_step (&powercap->base.counts, step);
  meter->last_us = now_us;
}

/* All zones are read before anything is made of them, so that their readings lie close together. */
static void
powercap_read (VjSource *source, guint64 now_us, VjSourceReading *ret_readings)
{
  PowercapSource *powercap = (PowercapSource *)source;

  for (guint i = 0; i < powercap->meters->len; i++)
    read_and_report (powercap, i);
  for (guint i = 0; i < powercap->meters->len; i++)
    judge_die (powercap, i, now_us);
  for (guint i = 0; i < powercap->meters->len; i++)
    advance (powercap, i, now_us, &ret_readings[i]);
}

/* A mirror has no mark: whoever starts anew finds out anew. */
static gboolean
powercap_get_mark (const VjSource *source, guint zone, VjSourceMark *ret_mark)
{
  const Meter *meter = get_meter ((const PowercapSource *)source, zone);

  if (!meter->counter.primed || meter->state == DIE_MIRROR)
    return FALSE;
  *ret_mark = (VjSourceMark){ .raw_uj = meter->counter.last_uj, .monotonic_us = meter->last_us };
  g_strlcpy (ret_mark->id, vj_source_zone (source, zone)->id, sizeof ret_mark->id);
  return TRUE;
}

static void
powercap_set_mark (VjSource *source, guint zone, const VjSourceMark *mark)
{
  Meter *meter = get_meter ((PowercapSource *)source, zone);

  meter->counter.last_uj = mark->raw_uj;
  meter->counter.primed = TRUE;
  meter->last_us = mark->monotonic_us;
}

static void
powercap_free (VjSource *source)
{
  PowercapSource *powercap = (PowercapSource *)source;

  g_array_unref (powercap->meters);
  g_free (powercap->sysfs);
  g_free (powercap);
}

static const VjSourceDriver driver = {
  .name = "powercap",
  .quality = VJ_QUALITY_MEASURED,
  .read = powercap_read,
  .get_mark = powercap_get_mark,
  .set_mark = powercap_set_mark,
  .free = powercap_free,
};

static PowercapSource *
new_source (const char *sysfs, guint64 max_power_uw)
{
  PowercapSource *powercap = g_new0 (PowercapSource, 1);

  powercap->base.driver = &driver;
  powercap->base.zones = g_array_new (FALSE, FALSE, sizeof (VjZone));
  powercap->sysfs = g_strdup (sysfs);
  powercap->max_power_uw = max_power_uw;
  powercap->meters = g_array_new (FALSE, FALSE, sizeof (Meter));
  g_array_set_clear_func (powercap->meters, clear_meter);
  return powercap;
}

/* TRUE if at least one zone can be read; else the error of one, a missing permission before any other. */
static gboolean
check_readable (PowercapSource *powercap, GError **error)
{
  g_autoptr (GError) worst = NULL;
  gboolean readable = FALSE;

  for (guint i = 0; i < powercap->meters->len; i++)
    {
      g_autoptr (GError) failure = NULL;

      if (read_meter (powercap, i, &failure))
        readable = TRUE;
      else if (worst == NULL || (vj_error_is_denied (failure) && !vj_error_is_denied (worst)))
        {
          g_clear_error (&worst);
          worst = g_steal_pointer (&failure);
        }
    }
  if (!readable)
    g_propagate_error (error, g_steal_pointer (&worst));
  return readable;
}

static gboolean
find_zones (PowercapSource *powercap, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);

  if (!vj_powercap_scan (powercap->sysfs, powercap->base.zones, paths, error))
    return FALSE;
  for (guint i = 0; i < paths->len; i++)
    {
      const Meter meter = { .path = g_strdup (g_ptr_array_index (paths, i)), .fd = -1, .first_die = -1 };

      g_array_append_val (powercap->meters, meter);
    }
  for (guint i = 0; i < paths->len; i++)
    find_first_die (powercap, i);
  return TRUE;
}

static VjSource *
open_source (PowercapSource *powercap, GError **error)
{
  if (find_zones (powercap, error) && check_readable (powercap, error))
    return &powercap->base;
  vj_source_free (&powercap->base);
  return NULL;
}

VjSource *
vj_source_powercap_open (const char *sysfs, guint64 max_power_uw, GError **error)
{
  return open_source (new_source (sysfs, max_power_uw), error);
}

VjSource *
vj_source_tree_open (const char *sysfs, GError **error)
{
  PowercapSource *powercap = new_source (sysfs, G_MAXUINT64);

  powercap->built = TRUE;
  return open_source (powercap, error);
}
