/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/energy/hardware.h"

#include <string.h>

#include "host/energy/static_file.h"

#define KIB_PER_GIB (G_GUINT64_CONSTANT (1024) * 1024)

/* Some kernels make these files a page at a time, so they are read to their end. */
static GStrv
read_lines (const char *procfs, const char *name)
{
  g_autofree char *path = g_build_filename (procfs, name, NULL);
  g_autofree char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_new0 (char *, 1);
  return g_strsplit (text, "\n", -1);
}

static void
put_cpus (const char *procfs, GString *text)
{
  GStrv lines = read_lines (procfs, "cpuinfo");
  const char *model = "";
  guint cpus = 0;
  for (guint i = 0; lines[i] != NULL; i++)
    {
      cpus += g_str_has_prefix (lines[i], "processor") ? 1 : 0;
      if (g_str_has_prefix (lines[i], "model name"))
        model = lines[i];
    }
  g_string_append_printf (text, "%u CPUs\n%s\n", cpus, model);
  g_strfreev (lines);
}

/* What the kernel keeps for itself differs from one to the next, by less than a GiB. */
static void
put_memory (const char *procfs, GString *text)
{
  static const char key[] = "MemTotal:";
  GStrv lines = read_lines (procfs, "meminfo");
  guint64 kib = 0;
  for (guint i = 0; lines[i] != NULL; i++)
    if (g_str_has_prefix (lines[i], key))
      kib = g_ascii_strtoull (lines[i] + strlen (key), NULL, 10);
  g_string_append_printf (text, "%" G_GUINT64_FORMAT " GiB\n", (kib + KIB_PER_GIB - 1) / KIB_PER_GIB);
  g_strfreev (lines);
}

char *
vj_hardware_fingerprint (const char *procfs, const VjSource *source)
{
  g_autoptr (GString) text = g_string_new (NULL);
  put_cpus (procfs, text);
  put_memory (procfs, text);
  for (guint i = 0; i < vj_source_n_zones (source); i++)
    g_string_append_printf (text, "%s\n", vj_source_zone (source, i)->id);
  char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text->str, (gssize)text->len);
  hash[VJ_FINGERPRINT_LENGTH] = '\0';
  return hash;
}
