/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/proxmox_args.h"

#include <string.h>

#include "common/error.h"

/* Where the port's controller sits. Proxmox gives every device of its own a fixed address, by which a guest knows it, and
 * which live migration depends on (qemu-server, src/PVE/QemuServer/PCI.pm, get_pci_addr_map () and get_pcie_addr_map ()).
 * As of qemu-server 9.2.6 and 8.4.10: pci.0 has one slot for each of 1 to 31; pci.1 is used up to 30; pci.2 has virtio6 to
 * hostpci15 in 1 to 24 and nothing above; the q35 map names pcie.0 and its root ports only. The bridge pci.2 is always
 * there: on i440fx from machine version 2.3 (config_to_command ()), on q35 by pve-q35.cfg and pve-q35-4.0.cfg.
 * So its last slot it is, which Proxmox, counting upwards, would take last. Debian's QEMU 7.2 was tried with such bridges on
 * pc and q35; a Proxmox node, machine versions below 2.3, and aarch64 were not. */
#define ADDRESS "bus=pci.2,addr=0x1f"
#define PORT    "org.virtjoule.energy.0"

/* One word of args: the bytes it stands in, and what QEMU gets to see. */
typedef struct
{
  gsize start;
  gsize end;
  char *text;
  gboolean ours;
} Word;

static void
word_clear (gpointer data)
{
  g_free (((Word *)data)->text);
}

/* What Perl's \s matches in a text of bytes. */
static gboolean
is_space (char c)
{
  return c != '\0' && strchr (" \t\n\v\f\r", c) != NULL;
}

/* Takes one unit of a word, a character or two with a backslash, at text. Returns how many bytes it had; 0 at a backslash
 * with nothing behind it. In single quotes, other than in a shell, a backslash keeps the next character from ending the
 * quote, and stays. */
static gsize
take_unit (const char *text, char *quote, GString *word)
{
  gboolean ends = *quote != '\0' && *text == *quote;
  gboolean begins = *quote == '\0' && (*text == '"' || *text == '\'');
  if (*text == '\\' && text[1] == '\0')
    return 0;
  if (*text == '\\')
    {
      g_string_append_len (word, *quote == '\'' ? text : text + 1, *quote == '\'' ? 2 : 1);
      return 2;
    }
  if (ends)
    *quote = '\0';
  else if (begins)
    *quote = *text;
  else
    g_string_append_c (word, *text);
  return 1;
}

/* One word that begins at args[start]. FALSE: it does not end. */
static gboolean
take_word (const char *args, gsize start, Word *ret_word)
{
  GString *word = g_string_new (NULL);
  char quote = '\0';
  gsize length = 1;
  gsize i = start;
  for (; length > 0 && args[i] != '\0' && (quote != '\0' || !is_space (args[i])); i += length)
    length = take_unit (args + i, &quote, word);
  *ret_word = (Word){ .start = start, .end = i, .text = g_string_free (word, FALSE) };
  return length > 0 && quote == '\0';
}

static GArray *
split (const char *args, GError **error)
{
  g_autoptr (GArray) words = g_array_new (FALSE, TRUE, sizeof (Word));
  g_array_set_clear_func (words, word_clear);
  gsize at = 0;
  while (args != NULL && args[at] != '\0')
    {
      Word word;
      if (is_space (args[at]))
        {
          at++;
          continue;
        }
      gboolean whole = take_word (args, at, &word);
      g_array_append_val (words, word);
      at = word.end;
      if (whole)
        continue;
      g_set_error_literal (
          error, VJ_ERROR, VJ_ERROR_INVALID,
          "args ends within a quote or with a backslash, so that Proxmox passes none of it to QEMU; "
          "correct that first");
      return NULL;
    }
  return g_steal_pointer (&words);
}

/* Whether property, such as "id=virtjoule", is one of the list that a value is. A comma within a property is doubled. */
static gboolean
has_property (const char *list, const char *property)
{
  gsize length = strlen (property);
  for (const char *item = list; *item != '\0';)
    {
      gsize n = strcspn (item, ",");
      while (item[n] == ',' && item[n + 1] == ',')
        n += 2 + strcspn (item + n + 2, ",");
      if (n == length && strncmp (item, property, n) == 0)
        return TRUE;
      item += n + (item[n] != '\0');
    }
  return FALSE;
}

static gboolean
is_option (const char *word, const char *name)
{
  return word[0] == '-' && g_str_equal (word + 1 + (word[1] == '-'), name);
}

static gboolean
is_ours (const char *option, const char *value)
{
  if (has_property (value, "id=virtjoule"))
    return TRUE;
  return is_option (option, "device") && has_property (value, "chardev=virtjoule");
}

/* The words of args with ours marked, option and value. A last option without its value would take ours for it. */
static GArray *
parse (const char *args, GError **error)
{
  g_autoptr (GArray) words = split (args, error);
  for (guint i = 0; words != NULL && i < words->len; i++)
    {
      Word *option = &g_array_index (words, Word, i);
      if (!is_option (option->text, "device") && !is_option (option->text, "chardev"))
        continue;
      if (++i == words->len)
        {
          g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
                       "args ends with %s, whose value is missing; correct that first", option->text);
          return NULL;
        }
      option[0].ours = option[1].ours = is_ours (option[0].text, option[1].text);
    }
  return g_steal_pointer (&words);
}

/* QEMU 9.2 brought milliseconds and deprecated seconds, which 10.2 no longer takes (its docs/about/removed-features.rst). So
 * seconds are replaced as soon as milliseconds are understood, before an upgrade makes them keep a VM from starting. */
static gboolean
takes_milliseconds (VjQemuVersion version)
{
  return version.major > 9 || (version.major == 9 && version.minor >= 2);
}

/* Our words. A socket path of odd characters is refused where it comes from, so none needs quotes. */
static char *
ours (const char *socket_path, VjQemuVersion version)
{
  return g_strdup_printf ("-device virtio-serial,id=virtjoule," ADDRESS
                          " -chardev socket,id=virtjoule,path=%s,reconnect%s"
                          " -device virtserialport,bus=virtjoule.0,chardev=virtjoule,name=" PORT,
                          socket_path, takes_milliseconds (version) ? "-ms=2000" : "=2");
}

/* Our words of args, joined; NULL if there are none. */
static char *
ours_of (const GArray *words)
{
  GString *text = g_string_new (NULL);
  for (guint i = 0; i < words->len; i++)
    {
      const Word *word = &g_array_index (words, Word, i);
      if (word->ours)
        g_string_append_printf (text, "%s%s", text->len > 0 ? " " : "", word->text);
    }
  return g_string_free (text, text->len == 0);
}

static gboolean
has_own_port (const GArray *words)
{
  for (guint i = 0; i < words->len; i++)
    {
      const Word *word = &g_array_index (words, Word, i);
      if (!word->ours && strstr (word->text, PORT) != NULL)
        return TRUE;
    }
  return FALSE;
}

gboolean
vj_proxmox_args_get_state (const char *args, const char *socket_path, VjQemuVersion version,
                           VjProxmoxArgsState *ret_state, GError **error)
{
  g_autoptr (GArray) words = parse (args, error);
  if (words == NULL)
    return FALSE;
  g_autofree char *found = ours_of (words);
  g_autofree char *wanted = ours (socket_path, version);
  if (has_own_port (words))
    *ret_state = VJ_PROXMOX_ARGS_OWN;
  else if (found == NULL)
    *ret_state = VJ_PROXMOX_ARGS_DISABLED;
  else if (g_str_equal (found, wanted))
    *ret_state = VJ_PROXMOX_ARGS_ENABLED;
  else
    *ret_state = VJ_PROXMOX_ARGS_OUTDATED;
  return TRUE;
}

/* The blanks between words stay with the word behind them; at both ends there are none, nor does qm.conf(5) keep any. */
char *
vj_proxmox_args_without (const char *args, GError **error)
{
  g_autoptr (GArray) words = parse (args, error);
  if (words == NULL)
    return NULL;
  GString *rest = g_string_new (NULL);
  gsize done = 0; /* up to where args is copied or left out */
  for (guint i = 0; i < words->len; i++)
    {
      const Word *word = &g_array_index (words, Word, i);
      gsize from = rest->len == 0 ? word->start : done;
      if (!word->ours)
        g_string_append_len (rest, args + from, (gssize)(word->end - from));
      done = word->end;
    }
  return g_string_free (rest, FALSE);
}

char *
vj_proxmox_args_with (const char *args, const char *socket_path, VjQemuVersion version, GError **error)
{
  g_autofree char *rest = vj_proxmox_args_without (args, error);
  g_autofree char *addition = ours (socket_path, version);
  if (rest == NULL)
    return NULL;
  return g_strconcat (rest, *rest != '\0' ? " " : "", addition, NULL);
}

const char *
vj_proxmox_args_state_name (VjProxmoxArgsState state)
{
  static const char *const names[] = { "disabled", "enabled", "outdated", "own" };
  return names[state];
}

gboolean
vj_qemu_version_parse (const char *text, VjQemuVersion *ret_version)
{
  static const char lead[] = "QEMU emulator version ";
  char *end = NULL;
  if (!g_str_has_prefix (text, lead) || !g_ascii_isdigit (text[strlen (lead)]))
    return FALSE;
  guint64 major = g_ascii_strtoull (text + strlen (lead), &end, 10);
  if (*end != '.' || !g_ascii_isdigit (end[1]))
    return FALSE;
  guint64 minor = g_ascii_strtoull (end + 1, NULL, 10);
  *ret_version = (VjQemuVersion){ (guint)MIN (major, 1000), (guint)MIN (minor, 1000) };
  return TRUE;
}
