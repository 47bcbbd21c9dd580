/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/source.h"

#include <string.h>

void
vj_source_free (VjSource *source)
{
  if (source == NULL)
    return;
  g_clear_pointer (&source->zones, g_array_unref);
  source->driver->free (source);
}

guint
vj_source_n_zones (const VjSource *source)
{
  return source->zones->len;
}

const VjZone *
vj_source_zone (const VjSource *source, guint zone)
{
  return &g_array_index (source->zones, VjZone, zone);
}

int
vj_source_find_zone (const VjSource *source, const char *id)
{
  for (guint zone = 0; zone < source->zones->len; zone++)
    if (strcmp (vj_source_zone (source, zone)->id, id) == 0)
      return (int)zone;
  return -1;
}

void
vj_source_set_notice (VjSource *source, VjSourceNotice notice, gpointer user_data)
{
  source->notice = notice;
  source->notice_data = user_data;
}

void
vj_source_report (VjSource *source, guint zone, const GError *error)
{
  if (source->notice != NULL)
    source->notice (vj_source_zone (source, zone), error, source->notice_data);
}

void
vj_source_read (VjSource *source, guint64 now_us, VjSourceReading *ret_readings)
{
  memset (ret_readings, 0, source->zones->len * sizeof *ret_readings);
  source->driver->read (source, now_us, ret_readings);
}

gboolean
vj_source_get_mark (const VjSource *source, guint zone, VjSourceMark *ret_mark)
{
  return source->driver->get_mark != NULL && source->driver->get_mark (source, zone, ret_mark);
}

void
vj_source_set_mark (VjSource *source, guint zone, const VjSourceMark *mark)
{
  if (source->driver->set_mark != NULL)
    source->driver->set_mark (source, zone, mark);
}
