/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "common/zone.h"

/* Lines of the guest channel; docs/protocol.md is the contract. Pure. */

#define VJ_FRAME_VERSION     1
#define VJ_FRAME_MAX         4096 /* bytes of a host line, newline included */
#define VJ_FRAME_LINE_MAX    128  /* bytes of a guest line, newline included */
#define VJ_FRAME_ZONES_MAX   64
#define VJ_SESSION_LENGTH    16   /* lower-case hexadecimal digits of a session id or an epoch */

typedef enum { VJ_QUALITY_MEASURED, VJ_QUALITY_ESTIMATED } VjQuality;
const char *vj_quality_name (VjQuality quality);              /* "measured", "estimated" */

typedef struct
{
  char session[VJ_SESSION_LENGTH + 1]; /* the guest's, from its hello */
  char host[37];                       /* host id: a UUID in lower case */
  char epoch[VJ_SESSION_LENGTH + 1];   /* names one run of counters that starts at zero */
  guint64 sequence;                    /* 1, 2, ... within a session; gaps are allowed */
  guint64 monotonic_us;                /* host CLOCK_MONOTONIC of the reading */
  guint64 interval_us;                 /* the host's nominal interval: when to expect the next frame */
  guint64 age_us;                      /* how old the oldest zone reading is */
  VjQuality quality;
  char source[32];                     /* "powercap", "model" */
  char static_policy[16];              /* "separate": static energy is not in these figures */
  gsize n_zones;
  VjZone zones[VJ_FRAME_ZONES_MAX];    /* parents before children */
  guint64 energy_uj[VJ_FRAME_ZONES_MAX]; /* cumulative within the epoch */
} VjFrame;

/* Appends one line, newline included, to out. FALSE, and out unchanged, if it would exceed VJ_FRAME_MAX. */
gboolean vj_frame_encode (const VjFrame *frame, GString *out);
/* Parses one host line (newline stripped or not). INVALID if malformed, too long, or of another version. Unknown members are ignored. */
gboolean vj_frame_decode (const char *line, gsize length, VjFrame *ret_frame, GError **error);

typedef enum { VJ_GUEST_HELLO, VJ_GUEST_ACK } VjGuestKind;
typedef struct
{
  VjGuestKind kind;
  char session[VJ_SESSION_LENGTH + 1];
  guint64 sequence; /* ack only */
} VjGuestLine;

/* The guest's two lines, of exactly this form (no other spacing or order):
 *   {"v":1,"hello":"0123456789abcdef"}          {"v":1,"ack":"0123456789abcdef","seq":42} */
void vj_guest_line_encode (const VjGuestLine *line, GString *out);
gboolean vj_guest_line_decode (const char *text, gsize length, VjGuestLine *ret_line);

/* Splits a byte stream into lines of bounded length, in constant memory. A longer line is dropped whole and counted. */
typedef struct
{
  gsize limit;        /* newline included; at most VJ_FRAME_MAX */
  gsize length;
  gboolean dropping;  /* inside an over-long line, or before the first newline */
  guint64 dropped;    /* lines dropped so far */
  char buffer[VJ_FRAME_MAX];
} VjLineBuffer;

typedef void (*VjLineFunc) (const char *line, gsize length, gpointer user_data);

/* skip_first: discard up to the first newline, as a reader of frames does on a fresh connection. */
void vj_line_buffer_init (VjLineBuffer *lines, gsize limit, gboolean skip_first);
void vj_line_buffer_feed (VjLineBuffer *lines, const char *bytes, gsize length, VjLineFunc func, gpointer user_data);
