/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "common/exit_record.h"

#include <string.h>

/* A copy that ends where the memory does, at the alignment that the input happens to have or at an odd one. */
static void
check (const uint8_t *data, size_t size, size_t shift)
{
  g_autofree char *memory = g_malloc (shift + size + 1);
  char *message = memory + shift;
  VjExitRecord record;
  guint16 family = 0xaaaa;

  if (size > 0)
    memcpy (message, data, size);
  memset (&record, FUZZ_UNTOUCHED, sizeof record);
  if (vj_exit_record_parse (message, size, &record))
    {
      FUZZ_CHECK (record.stats_offset >= 28 && record.stats_offset < size);
      FUZZ_CHECK (record.process > 0 && record.pid >= 0 && record.version >= VJ_EXIT_RECORD_VERSION);
      FUZZ_CHECK (record.has_group || record.group_cpu_ns == 0);
    }
  else
    FUZZ_CHECK (fuzz_is_untouched (&record, sizeof record));
  if (!vj_exit_record_parse_family (message, size, &family))
    FUZZ_CHECK (family == 0xaaaa);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  check (data, size, 0);
  check (data, size, 1);
  return 0;
}
