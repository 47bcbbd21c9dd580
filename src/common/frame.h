/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/zone.h"

/* Lines of the guest channel; docs/protocol.md is the contract. Pure. */

#define VJ_FRAME_VERSION         1
#define VJ_FRAME_MAX             4096 /* bytes of a host line, newline included */
#define VJ_FRAME_LINE_MAX        128  /* bytes of a guest line, newline included */
#define VJ_FRAME_DEPTH_MAX       16   /* nesting of a host line */
#define VJ_FRAME_ZONES_MAX       64
#define VJ_FRAME_INTERVAL_MAX_US G_GUINT64_CONSTANT (3600000000)
#define VJ_SESSION_LENGTH        16 /* lower-case hexadecimal digits of a session id or an epoch */

typedef enum
{
  VJ_QUALITY_MEASURED,
  VJ_QUALITY_ESTIMATED
} VjQuality;
const char *vj_quality_name (VjQuality quality); /* "measured", "estimated" */

/* Integers are at most 2^63 - 1; source and static_policy hold [A-Za-z0-9_.-] only. */
typedef struct
{
  char session[VJ_SESSION_LENGTH + 1]; /* the guest's, from its hello */
  char host[37];                       /* host id: a UUID in lower case */
  char epoch[VJ_SESSION_LENGTH + 1];   /* names one run of counters that starts at zero */
  guint64 sequence;                    /* 1, 2, ... within a session; gaps are allowed */
  guint64 monotonic_us;                /* host CLOCK_MONOTONIC of the reading */
  guint64 interval_us;                 /* the host's nominal interval, not 0: when to expect the next frame */
  guint64 age_us;                      /* how old the oldest zone reading is */
  VjQuality quality;
  char source[32];        /* "powercap", "model" */
  char static_policy[16]; /* "separate": static energy is not in these figures */
  gsize n_zones;
  VjZone zones[VJ_FRAME_ZONES_MAX];      /* parents before children */
  guint64 energy_uj[VJ_FRAME_ZONES_MAX]; /* cumulative within the epoch */
} VjFrame;

/* The JSON name of the first member that has no allowed value, zones aside; NULL if there is none. */
const char *vj_frame_bad_member (const VjFrame *frame);
/* Writes one line, newline included, and returns its length; 0 if it would exceed VJ_FRAME_MAX or a reader would refuse
 * it. The zones are as vj_zone_init () makes them, each id once. */
gsize vj_frame_write (const VjFrame *frame, char ret_line[VJ_FRAME_MAX]);
/* The same, appended to out. FALSE, and out unchanged: there is none. */
gboolean vj_frame_encode (const VjFrame *frame, GString *out);
/* Parses one host line (newline stripped or not). INVALID if malformed, too long, or of another version; the message names
 * the member. *ret_frame is then untouched. Unknown members are ignored; a member that stands twice is not. */
gboolean vj_frame_decode (const char *line, gsize length, VjFrame *ret_frame, GError **error);

typedef enum
{
  VJ_GUEST_HELLO,
  VJ_GUEST_ACK
} VjGuestKind;

typedef struct
{
  VjGuestKind kind;
  char session[VJ_SESSION_LENGTH + 1];
  guint64 sequence; /* ack only */
} VjGuestLine;

/* The guest's two lines, of exactly this form (no other spacing or order):
 *   {"v":1,"hello":"0123456789abcdef"}          {"v":1,"ack":"0123456789abcdef","seq":42} */
void vj_guest_line_encode (const VjGuestLine *line, GString *out); /* appends, newline included */
/* Newline stripped or not. FALSE, and *ret_line untouched, for any other text. */
gboolean vj_guest_line_decode (const char *text, gsize length, VjGuestLine *ret_line);

/* Splits a byte stream into lines of bounded length, in constant memory. A longer line is dropped whole and counted once;
 * empty lines are passed over. */
typedef struct
{
  gsize limit; /* newline included; at most VJ_FRAME_MAX */
  gsize length;
  gboolean dropping; /* inside an over-long line, or before the first newline */
  guint64 dropped;   /* over-long lines so far */
  char buffer[VJ_FRAME_MAX];
} VjLineBuffer;

/* line is without its newline, not NUL-terminated, and may hold any bytes. The function must not feed the same buffer. */
typedef void (*VjLineFunc) (const char *line, gsize length, gpointer user_data);

/* skip_first: discard up to the first newline, as a reader of frames does on a fresh connection (not counted). */
void vj_line_buffer_init (VjLineBuffer *lines, gsize limit, gboolean skip_first);
void vj_line_buffer_feed (VjLineBuffer *lines, const char *bytes, gsize length, VjLineFunc func,
                          gpointer user_data);
