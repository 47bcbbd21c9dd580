/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/reader/session.h"

#include <string.h>

void
vj_session_connect (VjSession *session)
{
  session->delay_us = VJ_SESSION_HELLO_MIN_US;
}

void
vj_session_hello (VjSession *session, guint64 random, guint64 now_us, GString *out)
{
  VjGuestLine line = { .kind = VJ_GUEST_HELLO };

  /* A fresh id each time: whatever the host still sends to the old one cannot be mistaken for an answer. */
  g_snprintf (session->id, sizeof session->id, "%016" G_GINT64_MODIFIER "x", random);
  session->sequence = 0;
  session->deadline_us = now_us + session->delay_us;
  session->delay_us = MIN (session->delay_us * 2, MAX (VJ_SESSION_HELLO_MAX_US, 3 * session->interval_us));

  memcpy (line.session, session->id, sizeof line.session);
  vj_guest_line_encode (&line, out);
}

VjSessionVerdict
vj_session_take (VjSession *session, const VjFrame *frame, guint64 now_us)
{
  if (strcmp (frame->session, session->id) != 0)
    {
      session->foreign++;
      return VJ_SESSION_FOREIGN;
    }
  if (frame->sequence <= session->sequence)
    {
      session->old++;
      return VJ_SESSION_OLD;
    }
  session->sequence = frame->sequence;
  session->interval_us = MAX (frame->interval_us, VJ_SESSION_INTERVAL_MIN_US);
  session->delay_us = 3 * session->interval_us;
  session->deadline_us = now_us + session->delay_us;
  return VJ_SESSION_ACCEPTED;
}

void
vj_session_ack (const VjSession *session, GString *out)
{
  VjGuestLine line = { .kind = VJ_GUEST_ACK, .sequence = session->sequence };

  memcpy (line.session, session->id, sizeof line.session);
  vj_guest_line_encode (&line, out);
}
