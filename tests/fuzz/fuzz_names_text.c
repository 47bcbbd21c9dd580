/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "guest/names/names_text.h"

#include <string.h>

/* Put together again, the parts are the name: nothing was guessed. */
static void
check_parts (char **parts, guint n, const char *format, const char *name)
{
  g_autofree char *again = NULL;
  FUZZ_CHECK (g_strv_length (parts) == n);
  for (guint i = 0; i < n; i++)
    FUZZ_CHECK (*parts[i] != '\0' && strpbrk (parts[i], "_/ \n\"\\") == NULL);
  if (n == 3)
    again = g_strjoin ("_", parts[0], parts[1], parts[2], NULL);
  else
    again = g_strconcat (parts[0], "_", parts[1], "_", parts[2], "-", parts[3], format, NULL);
  FUZZ_CHECK (strcmp (again, name) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *name = g_strndup ((const char *)data, size);
  g_auto (GStrv) pod = vj_names_parse_pod_directory (name);
  g_auto (GStrv) link = vj_names_parse_log_link (name);
  if (pod != NULL)
    check_parts (pod, 3, "", name);
  if (link != NULL)
    check_parts (link, 4, ".log", name);
  FUZZ_CHECK (pod == NULL || link == NULL);
  return 0;
}
