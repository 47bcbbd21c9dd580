/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/attributor/process_text.h"

#include <string.h>

/* A decimal number at *text, which moves behind it. */
static gboolean
take_number (const char **text, const char *end, guint64 *ret_value)
{
  const char *p = *text;
  guint64 value = 0;
  for (; p < end && g_ascii_isdigit (*p); p++)
    if (!g_uint64_checked_mul (&value, value, 10)
        || !g_uint64_checked_add (&value, value, (guint64)(*p - '0')))
      return FALSE;
  if (p == *text)
    return FALSE;
  *text = p;
  *ret_value = value;
  return TRUE;
}

static gboolean
take_pid (const char **text, const char *end, GArray *pids)
{
  guint64 pid = 0;
  if (!take_number (text, end, &pid) || pid > G_MAXINT || (*text < end && **text != '\n'))
    return FALSE;
  int value = (int)pid;
  if (value > 0)
    g_array_append_val (pids, value);
  *text += *text < end ? 1 : 0;
  return TRUE;
}

gboolean
vj_process_text_parse_pids (const char *text, gsize length, GArray *ret_pids)
{
  const char *end = text + length;
  while (text < end)
    if (!take_pid (&text, end, ret_pids))
      {
        g_array_set_size (ret_pids, 0);
        return FALSE;
      }
  return TRUE;
}

gboolean
vj_process_text_parse_command (const char *text, gsize length, char ret_command[VJ_COMMAND_MAX + 1])
{
  const char *begin = memchr (text, '(', length);
  const char *end = memrchr (text, ')', length);
  if (begin == NULL || end == NULL || end < begin)
    return FALSE;
  gsize size = MIN ((gsize)(end - begin) - 1, (gsize)VJ_COMMAND_MAX);
  memcpy (ret_command, begin + 1, size);
  ret_command[size] = '\0';
  return TRUE;
}

gboolean
vj_process_text_parse_statm (const char *text, gsize length, guint64 *ret_pages)
{
  const char *end = text + length;
  guint64 pages[3]; /* size, resident, shared */
  for (guint i = 0; i < G_N_ELEMENTS (pages); i++)
    {
      if (!take_number (&text, end, &pages[i]) || (i < 2 && (text == end || *text != ' ')))
        return FALSE;
      text += i < 2 ? 1 : 0;
    }
  *ret_pages = pages[1] - MIN (pages[2], pages[1]);
  return TRUE;
}
