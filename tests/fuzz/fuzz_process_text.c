/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "guest/attributor/process_text.h"

#include <string.h>

static void
check_pids (const char *text, gsize size)
{
  g_autoptr (GArray) pids = g_array_new (FALSE, FALSE, sizeof (int));
  if (!vj_process_text_parse_pids (text, size, pids))
    FUZZ_CHECK (pids->len == 0);
  FUZZ_CHECK (pids->len <= (size + 1) / 2); /* a digit and a newline each */
  for (guint i = 0; i < pids->len; i++)
    FUZZ_CHECK (g_array_index (pids, int, i) > 0);
}

static void
check_command (const char *text, gsize size)
{
  char command[VJ_COMMAND_MAX + 1];
  memset (command, FUZZ_UNTOUCHED, sizeof command);
  if (!vj_process_text_parse_command (text, size, command))
    {
      FUZZ_CHECK (fuzz_is_untouched (command, sizeof command));
      return;
    }
  const char *end = memchr (command, '\0', sizeof command);
  FUZZ_CHECK (end != NULL && memmem (text, size, command, (gsize)(end - command)) != NULL);
}

static void
check_statm (const char *text, gsize size)
{
  guint64 pages = 77;
  if (!vj_process_text_parse_statm (text, size, &pages))
    FUZZ_CHECK (pages == 77);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  check_pids ((const char *)data, size);
  check_command ((const char *)data, size);
  check_statm ((const char *)data, size);
  return 0;
}
