/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel/guest_feed.h"

#include <string.h>

/* The figures of the last moment at which something was due, for a guest that is told less often than the agent reads. */
typedef struct
{
  guint64 monotonic_us;
  guint64 age_us;
  guint64 energy_uj[]; /* per frame zone */
} Due;

struct VjGuestFeed
{
  VjPoll *poll;
  const VjFrameTemplate *template;
  const VjDomainRun *run;
  VjChannel *channel;
  gboolean adopted; /* there is a channel because QEMU has connected; nobody else knows of it */
  guint period;     /* in ticks */
  guint ticks_left; /* until something is due */
  guint64 resolution_uj;
  VjStaticPolicy static_policy;
  Due *due; /* NULL: what is newest */
};

/* An epoch, and with it the guest's counters, goes on or begins anew with the run. */
static gboolean
has_figures (const VjGuestFeed *feed)
{
  return feed->run != NULL && vj_domain_run_account (feed->run) != NULL;
}

static guint64
energy_uj (const VjGuestFeed *feed, gsize zone)
{
  return vj_domain_run_energy_uj (feed->run, feed->template->ledger_zone[zone]);
}

static void
take_due (VjGuestFeed *feed)
{
  const VjFrame *common = &feed->template->frame;
  if (feed->due == NULL)
    feed->due = g_malloc (sizeof (Due) + common->n_zones * sizeof (guint64));
  feed->due->monotonic_us = common->monotonic_us;
  feed->due->age_us = common->age_us;
  for (gsize i = 0; i < common->n_zones; i++)
    feed->due->energy_uj[i] = energy_uj (feed, i);
}

static guint64
round_down (guint64 value, guint64 quantum)
{
  return value - value % quantum;
}

/* A hello between two moments is answered with what was told at the last one. */
static gboolean
fill_frame (VjFrame *ret_frame, gpointer user_data)
{
  VjGuestFeed *feed = user_data;
  const VjFrame *common = &feed->template->frame;
  if (!has_figures (feed))
    return FALSE;
  if (feed->period > 1 && feed->due == NULL)
    take_due (feed);
  memcpy (ret_frame, common, G_STRUCT_OFFSET (VjFrame, zones));
  memcpy (ret_frame->zones, common->zones, common->n_zones * sizeof common->zones[0]);
  g_strlcpy (ret_frame->epoch, vj_domain_run_mark (feed->run)->epoch, sizeof ret_frame->epoch);
  g_strlcpy (ret_frame->static_policy, vj_static_policy_name (feed->static_policy),
             sizeof ret_frame->static_policy);
  ret_frame->interval_us = feed->period * feed->template->interval_us;
  if (feed->due != NULL)
    {
      ret_frame->monotonic_us = feed->due->monotonic_us;
      ret_frame->age_us = feed->due->age_us;
    }
  for (gsize i = 0; i < common->n_zones; i++)
    ret_frame->energy_uj[i] =
        round_down (feed->due != NULL ? feed->due->energy_uj[i] : energy_uj (feed, i), feed->resolution_uj);
  return TRUE;
}

VjGuestFeed *
vj_guest_feed_new (VjPoll *poll, const VjFrameTemplate *template)
{
  VjGuestFeed *feed = g_new0 (VjGuestFeed, 1);
  feed->poll = poll;
  feed->template = template;
  feed->period = 1;
  feed->resolution_uj = 1;
  return feed;
}

void
vj_guest_feed_free (VjGuestFeed *feed)
{
  if (feed == NULL)
    return;
  g_clear_pointer (&feed->channel, vj_channel_free);
  g_free (feed->due);
  g_free (feed);
}

static void
begin_period (VjGuestFeed *feed)
{
  g_clear_pointer (&feed->due, g_free);
  feed->ticks_left = 1;
}

/* Only QEMU itself could tell that it has such a port, and it has gone. */
static void
forget_adopted (VjGuestFeed *feed)
{
  if (feed->adopted)
    g_clear_pointer (&feed->channel, vj_channel_free);
  feed->adopted = FALSE;
}

void
vj_guest_feed_set_run (VjGuestFeed *feed, const VjDomainRun *run)
{
  feed->run = run;
  begin_period (feed);
  if (run == NULL)
    forget_adopted (feed);
}

void
vj_guest_feed_set_settings (VjGuestFeed *feed, const VjDomainSettings *settings)
{
  const guint64 tick_us = MAX (feed->template->interval_us, 1);
  const guint period = (guint)MAX ((settings->interval_us + tick_us - 1) / tick_us, 1);
  feed->resolution_uj = MAX (settings->resolution_uj, 1);
  feed->static_policy = settings->static_policy;
  if (feed->period == period)
    return;
  feed->period = period;
  begin_period (feed);
}

static void
open_channel (VjGuestFeed *feed, const char *path)
{
  g_clear_pointer (&feed->channel, vj_channel_free);
  feed->channel = vj_channel_new (feed->poll, path, fill_frame, feed);
}

void
vj_guest_feed_set_way (VjGuestFeed *feed, const char *path, gboolean connects)
{
  const char *current = feed->channel != NULL ? vj_channel_path (feed->channel) : NULL;
  if (path != NULL && g_strcmp0 (path, current) != 0)
    {
      feed->adopted = FALSE;
      open_channel (feed, path);
    }
  if (path != NULL)
    return;
  if (current != NULL)
    g_clear_pointer (&feed->channel, vj_channel_free);
  if (connects && feed->channel == NULL)
    open_channel (feed, NULL);
  if (connects)
    feed->adopted = FALSE;
  else if (!feed->adopted)
    g_clear_pointer (&feed->channel, vj_channel_free);
}

gboolean
vj_guest_feed_adopt (VjGuestFeed *feed, int fd)
{
  if (feed->channel != NULL && vj_channel_path (feed->channel) != NULL)
    return FALSE;
  if (feed->channel == NULL)
    {
      feed->adopted = TRUE;
      open_channel (feed, NULL);
    }
  vj_channel_adopt (feed->channel, fd);
  return TRUE;
}

static gboolean
is_due (VjGuestFeed *feed)
{
  if (!has_figures (feed) || --feed->ticks_left > 0)
    return FALSE;
  feed->ticks_left = feed->period;
  if (feed->period > 1)
    take_due (feed);
  return TRUE;
}

void
vj_guest_feed_tick (VjGuestFeed *feed, guint64 now_us)
{
  const gboolean due = is_due (feed);
  if (feed->channel == NULL)
    return;
  if (due)
    vj_channel_tick (feed->channel, now_us);
  else
    vj_channel_rest (feed->channel, now_us);
}

const VjChannel *
vj_guest_feed_channel (const VjGuestFeed *feed)
{
  return feed->channel;
}
