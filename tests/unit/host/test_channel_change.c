/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/channel_change.h"

#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define N       VJ_DEFINITION_NONE
#define L       VJ_DEFINITION_LIVE
#define C       VJ_DEFINITION_CONFIG
#define B       VJ_DEFINITION_BOTH
#define REFUSED (-1)

/* --- which definitions the flags mean --- */

typedef struct
{
  VjDefinitionFlags flags;
  int running, stopped,
      transient; /* what they mean for a persistent domain, and for one without a definition */
} Flags;

static const Flags flag_cases[] = {
  { { 0 }, L, C, L },
  { { .current = TRUE }, L, C, L },
  { { .live = TRUE }, L, REFUSED, L },
  { { .config = TRUE }, C, C, REFUSED },
  { { .live = TRUE, .config = TRUE }, B, REFUSED, REFUSED },
  { { .persistent = TRUE }, B, C, REFUSED },
  { { .persistent = TRUE, .live = TRUE }, B, REFUSED, REFUSED },
  { { .persistent = TRUE, .config = TRUE }, B, C, REFUSED },
};

static int
choose (const VjDefinitionFlags *flags, gboolean active, gboolean persistent)
{
  VjDefinition chosen = VJ_DEFINITION_NONE;
  g_autoptr (GError) error = NULL;
  if (vj_definition_choose (flags, active, persistent, &chosen, &error))
    return (int)chosen;
  assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_UNAVAILABLE));
  return REFUSED;
}

static void
test_flags (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (flag_cases); i++)
    {
      const Flags *one = &flag_cases[i];
      print_message ("case %zu\n", i);
      assert_true (vj_definition_check (&one->flags, NULL));
      assert_int_equal (choose (&one->flags, TRUE, TRUE), one->running);
      assert_int_equal (choose (&one->flags, FALSE, TRUE), one->stopped);
      assert_int_equal (choose (&one->flags, TRUE, FALSE), one->transient);
    }
}

static void
test_flags_that_exclude (void **state)
{
  static const VjDefinitionFlags bad[] = { { .current = TRUE, .live = TRUE },
                                           { .current = TRUE, .config = TRUE },
                                           { .current = TRUE, .persistent = TRUE } };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      assert_false (vj_definition_check (&bad[i], &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
    }
}

/* --- what is done, and what is said of it --- */

typedef struct
{
  const char *title;
  VjChannelFacts facts;
  VjDefinition wanted;
  gboolean strict;
  gboolean connect;
  int change; /* or REFUSED */
  const char *words;
} Add;

#define NONE    VJ_CHANNEL_WAY_NONE
#define BOUND   VJ_CHANNEL_WAY_BIND
#define CONNECT VJ_CHANNEL_WAY_CONNECT
#define OTHER   VJ_CHANNEL_WAY_OTHER
#define RUNNING(live_way, room, config_way)                                                                  \
  {                                                                                                          \
    .active = TRUE, .persistent = TRUE, .live = { .way = (live_way), .port_free = (room) }, .config = {      \
      .way = (config_way)                                                                                    \
    }                                                                                                        \
  }
#define STOPPED(config_way)                                                                                  \
  {                                                                                                          \
    .persistent = TRUE, .config = {.way = (config_way) }                                                     \
  }
#define TRANSIENT(live_way, room)                                                                            \
  {                                                                                                          \
    .active = TRUE, .live = {.way = (live_way), .port_free = (room) }                                        \
  }

static const Add adds[] = {
  { "live and config", RUNNING (NONE, TRUE, NONE), B, FALSE, FALSE, B,
    "channel added to the running domain and the persistent definition" },
  { "live alone", RUNNING (NONE, TRUE, NONE), L, TRUE, FALSE, L, "until it stops; --config" },
  { "live where config has it", RUNNING (NONE, TRUE, BOUND), L, TRUE, FALSE, L,
    "channel added to the running domain" },
  { "config of what runs", RUNNING (NONE, TRUE, NONE), C, FALSE, FALSE, C, "a reboot is not enough" },
  { "config of what runs with it", RUNNING (BOUND, TRUE, NONE), B, FALSE, FALSE, C,
    "channel added to the persistent definition" },
  { "stopped", STOPPED (NONE), C, FALSE, FALSE, C, "channel added to the persistent definition" },
  { "stopped, with a saved state",
    { .persistent = TRUE, .saved = TRUE },
    C,
    FALSE,
    FALSE,
    C,
    "may go on without it" },
  { "has it", RUNNING (BOUND, TRUE, BOUND), B, FALSE, FALSE, N, "already has the channel" },
  { "has it, connecting", RUNNING (CONNECT, TRUE, CONNECT), B, FALSE, FALSE, N, "already has the channel" },
  { "no room, lenient", RUNNING (NONE, FALSE, NONE), L, FALSE, FALSE, C, "cannot be hot-plugged" },
  { "no room, both", RUNNING (NONE, FALSE, NONE), B, FALSE, FALSE, C, "full stop and start" },
  { "no room, in config already", RUNNING (NONE, FALSE, BOUND), B, FALSE, FALSE, N,
    "already has the channel, there after" },
  { "no room, strict", RUNNING (NONE, FALSE, NONE), L, TRUE, FALSE, REFUSED, "--config adds it" },
  { "no room, transient", TRANSIENT (NONE, FALSE), L, FALSE, FALSE, REFUSED, "created from" },
  { "no room needed", RUNNING (BOUND, FALSE, NONE), L, TRUE, FALSE, N, "already has the channel, until" },
  { "transient", TRANSIENT (NONE, TRUE), L, FALSE, FALSE, L, "channel added to the running domain" },
  { "connect, live", RUNNING (NONE, TRUE, NONE), L, TRUE, TRUE, REFUSED, "hot-plugs no channel" },
  { "connect, both", RUNNING (NONE, TRUE, NONE), B, FALSE, TRUE, C, "hot-plugs no channel" },
  { "connect, stopped", STOPPED (NONE), C, FALSE, TRUE, C, "channel added to the persistent definition" },
  { "connect, and bound", STOPPED (BOUND), C, FALSE, TRUE, REFUSED, "remove that first" },
  { "connect, and bound live", RUNNING (BOUND, TRUE, NONE), B, FALSE, TRUE, REFUSED, "remove that first" },
  { "of another kind", STOPPED (OTHER), C, FALSE, FALSE, REFUSED, "cannot use" },
};

static void
test_add (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (adds); i++)
    {
      const Add *one = &adds[i];
      VjChannelPlan plan = { 0 };
      g_autoptr (GError) error = NULL;
      print_message ("%s\n", one->title);
      const gboolean done =
          vj_channel_change_add (&one->facts, one->wanted, one->strict, one->connect, &plan, &error);
      assert_int_equal (done ? (int)plan.change : REFUSED, one->change);
      g_autofree char *said = done ? vj_channel_change_added (&one->facts, &plan) : g_strdup (error->message);
      print_message ("  %s\n", said);
      assert_non_null (strstr (said, one->words));
    }
}

typedef struct
{
  const char *title;
  VjChannelFacts facts;
  VjDefinition wanted;
  gboolean still_there;
  VjDefinition change;
  const char *words;
} Remove;

static const Remove removes[] = {
  { "both", RUNNING (BOUND, TRUE, BOUND), B, FALSE, B, "the virtio-serial controller stays" },
  { "live alone", RUNNING (BOUND, TRUE, BOUND), L, FALSE, L,
    "the persistent definition still has it (--config)" },
  { "config alone", RUNNING (BOUND, TRUE, BOUND), C, FALSE, C, "the running domain still has it (--live)" },
  { "live, which lacks it", RUNNING (NONE, TRUE, BOUND), L, FALSE, N,
    "the persistent definition has it (--config)" },
  { "of another kind", STOPPED (OTHER), C, FALSE, C, "channel removed from the persistent definition" },
  { "from a saved state",
    { .persistent = TRUE, .saved = TRUE, .config = { .way = BOUND } },
    C,
    FALSE,
    C,
    "may have it" },
  { "nowhere", RUNNING (NONE, TRUE, NONE), B, FALSE, N, "does not have the channel" },
  { "held by the guest", RUNNING (BOUND, TRUE, NONE), L, TRUE, L, "still to let go" },
};

static void
test_remove (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (removes); i++)
    {
      const Remove *one = &removes[i];
      print_message ("%s\n", one->title);
      const VjDefinition change = vj_channel_change_remove (&one->facts, one->wanted);
      assert_int_equal (change, one->change);
      g_autofree char *said = vj_channel_change_removed (&one->facts, change, one->still_there);
      assert_non_null (strstr (said, one->words));
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_flags),
    cmocka_unit_test (test_flags_that_exclude),
    cmocka_unit_test (test_add),
    cmocka_unit_test (test_remove),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
