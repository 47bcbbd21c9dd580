/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/file.h"
#include "guest/reader/session.h"

#define STATE_NAME      "virtjoule.state"
#define GENERATION_NAME "generation"
#define STATE_MAX       262144

struct VjReader
{
  const VjReaderOptions *options;
  char *parent; /* directory of the tree */
  int lock;     /* of parent: one reader writes in it */
  VjPoll *poll;
  VjPort *port;
  VjTree *tree;
  VjSession session;
  VjAccount account;
  VjLineBuffer lines;
  GArray *zones; /* of VjTreeZone, for the tree */
  guint timer;   /* GSource id */
  guint64 timer_us;
  gboolean told_complete;
  gboolean first_line;   /* of this connection is yet to come: it may be the tail of an older one */
  gboolean told_garbage; /* on this connection */
  gboolean told_failure;
};

static void arm_timer (VjReader *reader);

static void report (const VjReader *reader, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
report (const VjReader *reader, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_autofree char *line = g_strdup_vprintf (format, args);
  va_end (args);
  reader->options->report (line, reader->options->user_data);
}

/* --- state and generation ----------------------------------------------------------------------------------- */

static gboolean
save_state (const VjReader *reader, GError **error)
{
  g_autofree char *text = vj_account_to_text (&reader->account);

  return vj_file_replace (reader->parent, STATE_NAME, text, strlen (text), 0600, error);
}

static void
adopt_zone (const char *id, guint64 energy_uj, gpointer user_data)
{
  VjReader *reader = user_data;

  vj_account_adopt (&reader->account, id, energy_uj);
}

/* Without a usable state, what the old tree shows becomes the base: values do not go backwards. */
static void
load_state (VjReader *reader)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = vj_file_read (reader->parent, STATE_NAME, STATE_MAX, NULL, &error);

  reader->account.core = reader->options->core;
  if (text != NULL && vj_account_parse (&reader->account, text, &error))
    return;
  if (!vj_error_is_gone (error))
    report (reader, "%s/%s is not usable (%s); going on from what the tree shows", reader->parent, STATE_NAME,
            error->message);
  reader->account = (VjAccount){ .core = reader->options->core };
  vj_tree_scan (reader->options->tree, adopt_zone, reader);
}

/* Every text in a decoded frame is a word that needs no escaping. */
static gboolean
write_generation (const VjReader *reader, const VjFrame *frame, GError **error)
{
  g_autofree char *line =
      g_strdup_printf ("{\"generation\":%" G_GUINT64_FORMAT ",\"quality\":\"%s\",\"source\":\"%s\","
                       "\"static\":\"%s\",\"interval_us\":%" G_GUINT64_FORMAT ",\"age_us\":%" G_GUINT64_FORMAT
                       ",\"epoch\":\"%s\"}\n",
                       reader->account.generation, vj_quality_name (frame->quality), frame->source,
                       frame->static_policy, frame->interval_us, frame->age_us, frame->epoch);

  return vj_file_replace (reader->parent, GENERATION_NAME, line, strlen (line), reader->options->mode, error);
}

/* --- frames ------------------------------------------------------------------------------------------------- */

/* A tree without zones is none yet. */
static gboolean
update_tree (VjReader *reader, GError **error)
{
  vj_account_zones (&reader->account, reader->zones);
  return reader->zones->len == 0
         || vj_tree_update (reader->tree, &g_array_index (reader->zones, VjTreeZone, 0), reader->zones->len,
                            error);
}

static gboolean
show_frame (VjReader *reader, const VjFrame *frame, GError **error)
{
  vj_account_take (&reader->account, frame);
  return save_state (reader, error) && update_tree (reader, error) && write_generation (reader, frame, error);
}

static void
send_ack (VjReader *reader)
{
  g_autoptr (GString) out = g_string_new (NULL);

  vj_session_ack (&reader->session, out);
  vj_port_send (reader->port, out->str, out->len);
}

static void
tell_complete (VjReader *reader)
{
  if (reader->told_complete || reader->zones->len == 0)
    return;
  reader->told_complete = TRUE;
  report (reader, "%s is complete (%u zones)", reader->options->tree, reader->zones->len);
}

static void
take_frame (VjReader *reader, const VjFrame *frame)
{
  g_autoptr (GError) error = NULL;

  if (vj_session_take (&reader->session, frame, vj_clock_monotonic_us ()) != VJ_SESSION_ACCEPTED)
    return;
  if (reader->session.deadline_us < reader->timer_us)
    arm_timer (reader);
  if (!show_frame (reader, frame, &error))
    {
      /* Not acknowledged, so the host keeps its frame until the next hello, and all is tried again. */
      if (!reader->told_failure)
        report (reader, "%s", error->message);
      reader->told_failure = TRUE;
      return;
    }
  reader->told_failure = FALSE;
  send_ack (reader);
  tell_complete (reader);
}

static void
line_received (const char *line, gsize length, gpointer user_data)
{
  VjReader *reader = user_data;
  g_autoptr (GError) error = NULL;
  VjFrame frame;

  if (vj_frame_decode (line, length, &frame, &error))
    take_frame (reader, &frame);
  else if (!reader->first_line && !reader->told_garbage)
    {
      reader->told_garbage = TRUE;
      report (reader, "dropped a line that is no frame: %s", error->message);
    }
  reader->first_line = FALSE;
}

/* --- hellos ------------------------------------------------------------------------------------------------- */

static void
say_hello (VjReader *reader, const char *before)
{
  g_autoptr (GString) out = g_string_new (before);
  guint64 random;

  /* Not GLib's generator: a virtual machine reverted to a snapshot would repeat its numbers. */
  if (getrandom (&random, sizeof random, GRND_NONBLOCK) != sizeof random)
    random = vj_clock_monotonic_us ();
  vj_session_hello (&reader->session, random, vj_clock_monotonic_us (), out);
  vj_port_send (reader->port, out->str, out->len);
}

static gboolean
timer_due (gpointer user_data)
{
  VjReader *reader = user_data;

  reader->timer = 0;
  if (vj_clock_monotonic_us () >= reader->session.deadline_us)
    say_hello (reader, NULL);
  arm_timer (reader);
  return G_SOURCE_REMOVE;
}

/* Frames move the deadline without touching the timer, which looks again when it fires: one wake in three intervals. */
static void
arm_timer (VjReader *reader)
{
  const guint64 now_us = vj_clock_monotonic_us ();
  const guint64 wait_us = MAX (reader->session.deadline_us, now_us) - now_us;

  g_clear_handle_id (&reader->timer, g_source_remove);
  reader->timer_us = reader->session.deadline_us;
  reader->timer = g_timeout_add ((guint)(wait_us / 1000 + 1), timer_due, reader);
}

static void
port_state (VjPortState state, const char *detail, gpointer user_data)
{
  VjReader *reader = user_data;

  switch (state)
    {
    case VJ_PORT_WAITING:
      report (reader, "waiting for %s", detail);
      break;
    case VJ_PORT_CONNECTED:
      report (reader, "connected to the host through %s", detail);
      /* Not skipping to the first newline: what is left of an older line is no frame, while a host that saw no new connection (we
       * restarted) may answer with a frame at once. */
      vj_line_buffer_init (&reader->lines, VJ_FRAME_MAX, FALSE);
      reader->first_line = TRUE;
      reader->told_garbage = FALSE;
      vj_session_connect (&reader->session);
      say_hello (reader, "\n"); /* ends what a predecessor left half-written */
      arm_timer (reader);
      break;
    case VJ_PORT_DISCONNECTED:
      report (reader, "the host closed %s; values stand still until it is back", detail);
      g_clear_handle_id (&reader->timer, g_source_remove);
      break;
    }
}

static void
port_bytes (const char *bytes, gsize length, gpointer user_data)
{
  VjReader *reader = user_data;

  vj_line_buffer_feed (&reader->lines, bytes, length, line_received, reader);
}

/* --- life --------------------------------------------------------------------------------------------------- */

/* On the directory itself, so that no file is left behind. */
static gboolean
take_lock (VjReader *reader, GError **error)
{
  if (g_mkdir_with_parents (reader->parent, 0755) == 0)
    reader->lock = open (reader->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (reader->lock < 0)
    {
      vj_error_set_errno (error, errno,
                          "cannot build the tree in %s (--tree must be in a writable directory)",
                          reader->parent);
      return FALSE;
    }
  if (flock (reader->lock, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  g_set_error (error, VJ_ERROR, VJ_ERROR_BUSY,
               "another reader writes in %s: end it, or give another --tree in a directory of its own",
               reader->parent);
  return FALSE;
}

static gboolean
prepare (VjReader *reader, GError **error)
{
  static const VjPortFuncs funcs = { .state = port_state, .bytes = port_bytes };
  const VjReaderOptions *options = reader->options;

  if (!take_lock (reader, error))
    return FALSE;
  reader->tree = vj_tree_new (options->backend, options->tree, options->mode, error);
  if (reader->tree == NULL)
    return FALSE;
  load_state (reader);
  /* What was shown before is shown again at once, frozen until the host speaks. */
  if (!save_state (reader, error) || !update_tree (reader, error))
    return FALSE;
  tell_complete (reader);
  reader->poll = vj_poll_new (NULL, error);
  if (reader->poll == NULL)
    return FALSE;
  reader->port = vj_port_new (reader->poll, &options->port, &funcs, reader);
  return TRUE;
}

VjReader *
vj_reader_new (const VjReaderOptions *options, GError **error)
{
  VjReader *reader = g_new0 (VjReader, 1);

  reader->options = options;
  reader->lock = -1;
  reader->parent = g_path_get_dirname (options->tree);
  reader->zones = g_array_new (FALSE, FALSE, sizeof (VjTreeZone));
  if (prepare (reader, error))
    return reader;
  vj_reader_free (reader);
  return NULL;
}

void
vj_reader_free (VjReader *reader)
{
  if (reader == NULL)
    return;
  g_clear_handle_id (&reader->timer, g_source_remove);
  vj_port_free (reader->port);
  vj_poll_free (reader->poll);
  vj_tree_free (reader->tree);
  if (reader->lock >= 0)
    close (reader->lock);
  g_clear_pointer (&reader->zones, g_array_unref);
  g_free (reader->parent);
  g_free (reader);
}
