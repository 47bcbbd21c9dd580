/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/frame.h"

#include "common/decimal.h"
#include "common/scan.h"

#include <string.h>

#define UUID_LENGTH 36

const char *
vj_quality_name (VjQuality quality)
{
  return quality == VJ_QUALITY_MEASURED ? "measured" : "estimated";
}

/* Without a branch per digit, as every frame of a tick comes by here. */
static inline gboolean
is_hex (const char *text, gsize length)
{
  gboolean ok = TRUE;

  for (gsize i = 0; i < length; i++)
    ok &= (guchar)(text[i] - '0') < 10 || (guchar)(text[i] - 'a') < 6;
  return ok;
}

static gboolean
is_session (const char *text, gsize length)
{
  return length == VJ_SESSION_LENGTH && is_hex (text, VJ_SESSION_LENGTH);
}

static gboolean
is_uuid (const char *text)
{
  return is_hex (text, 8) && text[8] == '-' && is_hex (text + 9, 4) && text[13] == '-'
         && is_hex (text + 14, 4) && text[18] == '-' && is_hex (text + 19, 4) && text[23] == '-'
         && is_hex (text + 24, 12) && text[UUID_LENGTH] == '\0';
}

/* A word that needs no escaping in JSON. */
static gboolean
is_word (const char *text, gsize size)
{
  gsize length = strnlen (text, size);

  for (gsize i = 0; i < length; i++)
    {
      char c = text[i];

      if (!g_ascii_isalnum (c) && c != '_' && c != '.' && c != '-')
        return FALSE;
    }
  return length > 0 && length < size;
}

static gboolean
is_number (guint64 value, guint64 lowest, guint64 highest)
{
  return value >= lowest && value <= highest;
}

const char *
vj_frame_bad_member (const VjFrame *frame)
{
  const struct
  {
    const char *member;
    gboolean ok;
  } members[] = {
    { "session", is_session (frame->session, strnlen (frame->session, sizeof frame->session)) },
    { "host", is_uuid (frame->host) },
    { "epoch", is_session (frame->epoch, strnlen (frame->epoch, sizeof frame->epoch)) },
    { "seq", is_number (frame->sequence, 1, G_MAXINT64) },
    { "mono_us", is_number (frame->monotonic_us, 0, G_MAXINT64) },
    { "interval_us", is_number (frame->interval_us, 1, VJ_FRAME_INTERVAL_MAX_US) },
    { "age_us", is_number (frame->age_us, 0, G_MAXINT64) },
    { "source", is_word (frame->source, sizeof frame->source) },
    { "static", is_word (frame->static_policy, sizeof frame->static_policy) },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (members); i++)
    {
      if (!members[i].ok)
        return members[i].member;
    }
  return NULL;
}

/* One line in the making: a thousand of them are made in a tick, so there is no printf and no allocation here. */
typedef struct
{
  char *text;
  gsize length;
  gboolean full;
} Writer;

static void
put_bytes (Writer *writer, const char *text, gsize length)
{
  if (writer->full || length > VJ_FRAME_MAX - writer->length)
    {
      writer->full = TRUE;
      return;
    }
  memcpy (writer->text + writer->length, text, length);
  writer->length += length;
}

/* Inline, so that the compiler measures the literals. */
static inline void
put (Writer *writer, const char *text)
{
  put_bytes (writer, text, strlen (text));
}

static void
put_u64 (Writer *writer, guint64 value)
{
  char digits[VJ_DECIMAL_MAX];

  put_bytes (writer, digits, (gsize)(vj_decimal_put (digits, value) - digits));
}

static inline void
put_text_member (Writer *writer, const char *opening, const char *value)
{
  put (writer, opening);
  put (writer, value);
}

static inline void
put_u64_member (Writer *writer, const char *opening, guint64 value)
{
  put (writer, opening);
  put_u64 (writer, value);
}

static gboolean
put_zones (Writer *writer, const VjFrame *frame)
{
  put (writer, "\",\"zones\":{");
  for (gsize i = 0; i < frame->n_zones; i++)
    {
      if (frame->energy_uj[i] > G_MAXINT64)
        return FALSE;
      put (writer, i > 0 ? ",\"" : "\"");
      put (writer, frame->zones[i].id);
      put (writer, "\":");
      put_u64 (writer, frame->energy_uj[i]);
    }
  put (writer, "}}\n");
  return !writer->full;
}

gsize
vj_frame_write (const VjFrame *frame, char ret_line[VJ_FRAME_MAX])
{
  Writer writer = { .text = ret_line };

  if (frame->n_zones > VJ_FRAME_ZONES_MAX || vj_frame_bad_member (frame) != NULL)
    return 0;
  put_u64_member (&writer, "{\"v\":", VJ_FRAME_VERSION);
  put_text_member (&writer, ",\"session\":\"", frame->session);
  put_text_member (&writer, "\",\"host\":\"", frame->host);
  put_text_member (&writer, "\",\"epoch\":\"", frame->epoch);
  put_u64_member (&writer, "\",\"seq\":", frame->sequence);
  put_u64_member (&writer, ",\"mono_us\":", frame->monotonic_us);
  put_u64_member (&writer, ",\"interval_us\":", frame->interval_us);
  put_u64_member (&writer, ",\"age_us\":", frame->age_us);
  put_text_member (&writer, ",\"quality\":\"", vj_quality_name (frame->quality));
  put_text_member (&writer, "\",\"source\":\"", frame->source);
  put_text_member (&writer, "\",\"static\":\"", frame->static_policy);
  return put_zones (&writer, frame) ? writer.length : 0;
}

gboolean
vj_frame_encode (const VjFrame *frame, GString *out)
{
  char line[VJ_FRAME_MAX];
  const gsize length = vj_frame_write (frame, line);

  g_string_append_len (out, line, (gssize)length);
  return length > 0;
}

#define HELLO_OPENING "{\"v\":1,\"hello\":\""
#define ACK_OPENING   "{\"v\":1,\"ack\":\""
G_STATIC_ASSERT (VJ_FRAME_VERSION == 1);

void
vj_guest_line_encode (const VjGuestLine *line, GString *out)
{
  if (line->kind == VJ_GUEST_HELLO)
    g_string_append_printf (out, HELLO_OPENING "%s\"}\n", line->session);
  else
    g_string_append_printf (out, ACK_OPENING "%s\",\"seq\":%" G_GUINT64_FORMAT "}\n", line->session,
                            line->sequence);
}

static gboolean
scan_session (VjScan *scan, char *ret_session)
{
  if (vj_scan_left (scan) < VJ_SESSION_LENGTH || !is_session (scan->at, VJ_SESSION_LENGTH))
    return FALSE;
  memcpy (ret_session, scan->at, VJ_SESSION_LENGTH);
  scan->at += VJ_SESSION_LENGTH;
  return TRUE;
}

/* 1 to 2^64 - 1 as the one text that each number has. */
static gboolean
scan_sequence (VjScan *scan, guint64 *ret_sequence)
{
  return vj_scan_left (scan) > 0 && *scan->at != '0' && vj_scan_u64 (scan, ret_sequence);
}

gboolean
vj_guest_line_decode (const char *text, gsize length, VjGuestLine *ret_line)
{
  VjScan scan = vj_scan_init (text, length);
  VjGuestLine line = { .kind = VJ_GUEST_HELLO };

  if (vj_scan_literal (&scan, ACK_OPENING))
    line.kind = VJ_GUEST_ACK;
  else if (!vj_scan_literal (&scan, HELLO_OPENING))
    return FALSE;
  if (!scan_session (&scan, line.session) || !vj_scan_literal (&scan, "\""))
    return FALSE;
  if (line.kind == VJ_GUEST_ACK
      && (!vj_scan_literal (&scan, ",\"seq\":") || !scan_sequence (&scan, &line.sequence)))
    return FALSE;
  if (!vj_scan_literal (&scan, "}"))
    return FALSE;
  vj_scan_literal (&scan, "\n");
  if (scan.at != scan.end)
    return FALSE;
  *ret_line = line;
  return TRUE;
}

void
vj_line_buffer_init (VjLineBuffer *lines, gsize limit, gboolean skip_first)
{
  lines->limit = MIN (limit, sizeof lines->buffer);
  lines->length = 0;
  lines->dropping = skip_first;
  lines->dropped = 0;
}

static void
keep_bytes (VjLineBuffer *lines, const char *bytes, gsize length)
{
  if (lines->dropping)
    return;
  /* The newline counts, and needs no place. */
  if (length >= lines->limit - lines->length)
    {
      lines->dropping = TRUE;
      lines->dropped++;
      return;
    }
  memcpy (lines->buffer + lines->length, bytes, length);
  lines->length += length;
}

static void
end_line (VjLineBuffer *lines, VjLineFunc func, gpointer user_data)
{
  gsize length = lines->dropping ? 0 : lines->length;

  lines->dropping = FALSE;
  lines->length = 0;
  if (length > 0)
    func (lines->buffer, length, user_data);
}

void
vj_line_buffer_feed (VjLineBuffer *lines, const char *bytes, gsize length, VjLineFunc func,
                     gpointer user_data)
{
  while (length > 0)
    {
      const char *newline = memchr (bytes, '\n', length);
      gsize part = newline != NULL ? (gsize)(newline - bytes) : length;

      keep_bytes (lines, bytes, part);
      if (newline != NULL)
        {
          end_line (lines, func, user_data);
          part++;
        }
      bytes += part;
      length -= part;
    }
}
