/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "common/memory_text.h"

#include <string.h>

static void
check_meminfo (const char *text, gsize size)
{
  VjMeminfo meminfo;

  memset (&meminfo, FUZZ_UNTOUCHED, sizeof meminfo);
  if (!vj_memory_text_parse_meminfo (text, size, &meminfo))
    {
      FUZZ_CHECK (fuzz_is_untouched (&meminfo, sizeof meminfo));
      return;
    }
  FUZZ_CHECK (text[size - 1] == '\n' && memmem (text, size, "MemTotal:", 9) != NULL);
  FUZZ_CHECK (vj_meminfo_in_use (&meminfo, 0) <= meminfo.total);
  FUZZ_CHECK (vj_meminfo_in_use (&meminfo, meminfo.hugepage_size) <= vj_meminfo_in_use (&meminfo, 0));
}

typedef gboolean (*Parse) (const char *text, gsize length, VjMemoryParts *ret_parts);

static void
check_parts (Parse parse, const char *text, gsize size)
{
  VjMemoryParts parts;

  memset (&parts, FUZZ_UNTOUCHED, sizeof parts);
  if (parse (text, size, &parts))
    FUZZ_CHECK (text[size - 1] == '\n' && (parts.knows_hugetlb || parts.hugetlb == 0));
  else
    FUZZ_CHECK (fuzz_is_untouched (&parts, sizeof parts));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;

  check_meminfo (text, size);
  check_parts (vj_memory_text_parse_status, text, size);
  check_parts (vj_memory_text_parse_stat_v2, text, size);
  check_parts (vj_memory_text_parse_stat_v1, text, size);
  return 0;
}
