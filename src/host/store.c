/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/store.h"

#include <glib/gstdio.h>
#include <string.h>

#include "common/decimal.h"
#include "common/error.h"
#include "common/file.h"

#define STORE_NAME   "ledger"
#define STORE_HEADER "virtjoule-store 1"
#define STORE_LIMIT  ((gsize)64 * 1024 * 1024)
#define LEDGER_LINE  "ledger\n"
#define LEDGER_MARK  "\n" LEDGER_LINE

void
vj_stored_domain_free (VjStoredDomain *domain)
{
  if (domain == NULL)
    return;
  g_free (domain->name);
  g_free (domain->channel);
  vj_lifetime_free ((VjLifetime *)domain->base);
  g_free (domain);
}

VjStored *
vj_stored_new (void)
{
  VjStored *stored = g_new0 (VjStored, 1);
  stored->marks = g_array_new (FALSE, TRUE, sizeof (VjSourceMark));
  stored->domains = g_ptr_array_new ();
  return stored;
}

void
vj_stored_free (VjStored *stored)
{
  if (stored == NULL)
    return;
  g_array_unref (stored->marks);
  g_ptr_array_unref (stored->domains);
  g_free (stored);
}

static void
encode_settings (const VjDomainSettings *settings, GString *out)
{
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    if (settings->said[i])
      {
        g_autofree char *value = vj_domain_settings_text (settings, (VjSetting)i);
        g_string_append_printf (out, "set %s %s\n", vj_setting_name ((VjSetting)i), value);
      }
}

static void
encode_base (const VjLifetime *base, const VjLedger *ledger, GString *out)
{
  g_string_append_printf (out, "base-cpu %" G_GUINT64_FORMAT "\n", base->cpu_ns);
  for (guint zone = 0; zone < vj_ledger_n_zones (ledger); zone++)
    g_string_append_printf (out, "base %s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n",
                            vj_ledger_zone (ledger, zone)->id, base->energy_uj[zone], base->static_uj[zone]);
}

static void
put_word (GString *out, const char *word)
{
  g_string_append_c (out, ' ');
  g_string_append (out, word);
}

static gboolean
is_plain (const char *text)
{
  while (g_ascii_isalnum (*text) || *text == '/' || *text == '-' || *text == '.' || *text == '_'
         || *text == '~')
    text++;
  return *text == '\0';
}

/* Any bytes as one word. Most need no escape. */
static void
put_escaped (GString *out, const char *text)
{
  g_string_append_c (out, ' ');
  if (is_plain (text))
    g_string_append (out, text);
  else
    g_string_append_uri_escaped (out, text, "/", FALSE);
}

static void
put_u64 (GString *out, guint64 value)
{
  char text[1 + VJ_DECIMAL_MAX] = " ";
  g_string_append_len (out, text, vj_decimal_put (text + 1, value) - text);
}

/* What is said of a domain in further lines follows its own. */
static void
encode_domain (const VjStoredDomain *domain, const VjLedger *ledger, GString *out)
{
  g_string_append (out, "domain");
  put_word (out, domain->id);
  put_word (out, domain->mark.epoch);
  put_u64 (out, (guint64)domain->pid);
  put_u64 (out, domain->start_us);
  put_u64 (out, domain->mark.usage_ns);
  put_u64 (out, domain->mark.usage_kind);
  put_escaped (out, domain->name);
  put_escaped (out, domain->channel != NULL ? domain->channel : "-");
  put_word (out, domain->manager);
  put_word (out, domain->uuid[0] != '\0' ? domain->uuid : "-");
  put_u64 (out, domain->vmid);
  g_string_append_c (out, '\n');
  encode_settings (&domain->settings, out);
  if (domain->base != NULL)
    encode_base (domain->base, ledger, out);
}

gboolean
vj_store_save (const char *runtime_dir, const VjStored *stored, const VjLedger *ledger, GError **error)
{
  g_autoptr (GString) out = g_string_sized_new (1024 + stored->domains->len * 400);
  g_string_append_printf (out,
                          STORE_HEADER "\nboot %s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                                       " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u\n",
                          stored->context, stored->monotonic_us, stored->boottime_us, stored->busy_idle_ticks,
                          stored->busy_monotonic_us, stored->cpus);
  for (guint i = 0; i < stored->marks->len; i++)
    {
      const VjSourceMark *mark = &g_array_index (stored->marks, VjSourceMark, i);
      g_string_append_printf (out, "mark %s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n", mark->id,
                              mark->raw_uj, mark->monotonic_us);
    }
  for (guint i = 0; i < stored->domains->len; i++)
    encode_domain (g_ptr_array_index (stored->domains, i), ledger, out);
  g_string_append (out, LEDGER_LINE);
  vj_ledger_encode (ledger, out);
  if (vj_file_replace (runtime_dir, STORE_NAME, out->str, out->len, 0600, error))
    return TRUE;
  g_autofree char *path = g_build_filename (runtime_dir, STORE_NAME, NULL);
  g_unlink (path);
  return FALSE;
}

/* The words of one line, and how many of them have been taken. */
typedef struct
{
  char **words;
  guint next;
  gboolean ok;
} Words;

static const char *
take_word (Words *words)
{
  const char *word = words->words[words->next];
  if (word == NULL)
    {
      words->ok = FALSE;
      return "";
    }
  words->next++;
  return word;
}

static guint64
take_u64 (Words *words, guint64 limit)
{
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned (take_word (words), 10, 0, limit, &value, NULL))
    words->ok = FALSE;
  return value;
}

static void
take_text (Words *words, char *ret_text, gsize size)
{
  if (g_strlcpy (ret_text, take_word (words), size) >= size)
    words->ok = FALSE;
}

static char *
take_escaped (Words *words)
{
  g_autoptr (GBytes) bytes = g_uri_unescape_bytes (take_word (words), -1, NULL, NULL);
  return bytes == NULL ? g_strdup ("") : g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

static void
decode_boot (Words *words, VjStored *stored)
{
  take_text (words, stored->context, sizeof stored->context);
  stored->monotonic_us = take_u64 (words, G_MAXINT64);
  stored->boottime_us = take_u64 (words, G_MAXINT64);
  stored->busy_idle_ticks = take_u64 (words, G_MAXUINT64);
  stored->busy_monotonic_us = take_u64 (words, G_MAXINT64);
  stored->cpus = (guint)take_u64 (words, 1 << 20);
}

static void
decode_mark (Words *words, VjStored *stored)
{
  VjSourceMark mark = { 0 };
  take_text (words, mark.id, sizeof mark.id);
  mark.raw_uj = take_u64 (words, G_MAXUINT64);
  mark.monotonic_us = take_u64 (words, G_MAXINT64);
  g_array_append_val (stored->marks, mark);
}

/* Two runs on one account would each close it. */
static gboolean
has_domain_like (const VjStored *stored, const VjStoredDomain *domain)
{
  for (guint i = 0; i < stored->domains->len; i++)
    {
      const VjStoredDomain *other = g_ptr_array_index (stored->domains, i);
      if (strcmp (other->id, domain->id) == 0 || strcmp (other->mark.epoch, domain->mark.epoch) == 0)
        return TRUE;
    }
  return FALSE;
}

/* An agent from before there were several managers does not tell them; its ids are libvirt's UUIDs. */
static void
decode_manager (Words *words, VjStoredDomain *domain)
{
  if (words->words[words->next] == NULL)
    {
      g_strlcpy (domain->manager, "libvirt", sizeof domain->manager);
      g_strlcpy (domain->uuid, domain->id, sizeof domain->uuid);
      return;
    }
  take_text (words, domain->manager, sizeof domain->manager);
  take_text (words, domain->uuid, sizeof domain->uuid);
  if (strcmp (domain->uuid, "-") == 0)
    domain->uuid[0] = '\0';
  domain->vmid = (guint)take_u64 (words, G_MAXUINT);
}

static void
decode_domain (Words *words, VjStored *stored)
{
  VjStoredDomain *domain = g_new0 (VjStoredDomain, 1);
  take_text (words, domain->id, sizeof domain->id);
  take_text (words, domain->mark.epoch, sizeof domain->mark.epoch);
  domain->pid = (int)take_u64 (words, G_MAXINT);
  domain->start_us = take_u64 (words, G_MAXINT64);
  domain->mark.usage_ns = take_u64 (words, G_MAXUINT64);
  domain->mark.usage_kind = (guint)take_u64 (words, G_MAXUINT);
  domain->name = take_escaped (words);
  domain->channel = take_escaped (words);
  if (strcmp (domain->channel, "-") == 0)
    g_clear_pointer (&domain->channel, g_free);
  decode_manager (words, domain);
  words->ok = words->ok && !has_domain_like (stored, domain);
  g_ptr_array_add (stored->domains, domain);
}

static void
decode_setting (Words *words, VjStoredDomain *domain)
{
  const char *name = take_word (words);
  const char *value = take_word (words);
  words->ok = words->ok && vj_domain_settings_set (&domain->settings, name, value, NULL);
}

static void
decode_base_cpu (Words *words, VjStoredDomain *domain, const VjLedger *ledger)
{
  const guint n_zones = vj_ledger_n_zones (ledger);
  VjLifetime *base = g_new0 (VjLifetime, 1);
  base->energy_uj = g_new0 (guint64, n_zones);
  base->static_uj = g_new0 (guint64, n_zones);
  base->cpu_ns = take_u64 (words, G_MAXUINT64);
  g_strlcpy (base->epoch, domain->mark.epoch, sizeof base->epoch);
  words->ok = words->ok && domain->base == NULL;
  vj_lifetime_free ((VjLifetime *)domain->base);
  domain->base = base;
}

/* What is stored of a zone that there is no more is dropped. */
static void
decode_base (Words *words, const VjStoredDomain *domain, const VjLedger *ledger)
{
  const char *id = take_word (words);
  const guint64 energy_uj = take_u64 (words, G_MAXINT64);
  const guint64 static_uj = take_u64 (words, G_MAXINT64);
  words->ok = words->ok && domain->base != NULL && static_uj <= energy_uj;
  for (guint zone = 0; words->ok && zone < vj_ledger_n_zones (ledger); zone++)
    if (strcmp (vj_ledger_zone (ledger, zone)->id, id) == 0)
      {
        domain->base->energy_uj[zone] = energy_uj;
        domain->base->static_uj[zone] = static_uj;
      }
}

/* FALSE: such a line does not follow a domain's. */
static gboolean
decode_detail (const char *kind, Words *words, const VjStored *stored, const VjLedger *ledger)
{
  const guint n = stored->domains->len;
  VjStoredDomain *domain = n > 0 ? g_ptr_array_index (stored->domains, n - 1) : NULL;
  if (domain == NULL)
    return FALSE;
  if (strcmp (kind, "set") == 0)
    decode_setting (words, domain);
  else if (strcmp (kind, "base-cpu") == 0)
    decode_base_cpu (words, domain, ledger);
  else if (strcmp (kind, "base") == 0)
    decode_base (words, domain, ledger);
  else
    return FALSE;
  return TRUE;
}

static gboolean
decode_line (const char *line, VjStored *stored, const VjLedger *ledger)
{
  g_auto (GStrv) split = g_strsplit (line, " ", 16);
  Words words = { .words = split, .ok = TRUE };
  const char *kind = take_word (&words);
  if (strcmp (kind, "boot") == 0)
    decode_boot (&words, stored);
  else if (strcmp (kind, "mark") == 0)
    decode_mark (&words, stored);
  else if (strcmp (kind, "domain") == 0)
    decode_domain (&words, stored);
  else if (!decode_detail (kind, &words, stored, ledger))
    return FALSE;
  return words.ok && words.words[words.next] == NULL;
}

static VjStored *
decode_head (const char *head, const VjLedger *ledger)
{
  g_auto (GStrv) lines = g_strsplit (head, "\n", -1);
  if (g_strcmp0 (lines[0], STORE_HEADER) != 0)
    return NULL;
  g_autoptr (VjStored) stored = vj_stored_new ();
  g_ptr_array_set_free_func (stored->domains, (GDestroyNotify)vj_stored_domain_free);
  for (guint i = 1; lines[i] != NULL; i++)
    if (!decode_line (lines[i], stored, ledger))
      return NULL;
  return stored->context[0] != '\0' ? g_steal_pointer (&stored) : NULL;
}

static VjStored *
decode_store (char *text, gsize length, const char *context, VjLedger *ledger, GError **error)
{
  char *mark = strlen (text) == length ? strstr (text, LEDGER_MARK) : NULL;
  if (mark != NULL)
    *mark = '\0';
  g_autoptr (VjStored) stored = mark != NULL ? decode_head (text, ledger) : NULL;
  if (stored == NULL)
    {
      g_set_error_literal (error, VJ_ERROR, VJ_ERROR_INVALID, "it does not have the form of a store");
      return NULL;
    }
  if (strcmp (stored->context, context) != 0)
    return NULL;
  const char *body = mark + strlen (LEDGER_MARK);
  if (!vj_ledger_decode (ledger, body, length - (gsize)(body - text), error))
    return NULL;
  return g_steal_pointer (&stored);
}

VjStored *
vj_store_load (const char *runtime_dir, const char *context, VjLedger *ledger, GError **error)
{
  g_autoptr (GError) local = NULL;
  gsize length = 0;
  g_autofree char *text = vj_file_read (runtime_dir, STORE_NAME, STORE_LIMIT, &length, &local);
  if (text == NULL)
    {
      if (!vj_error_is_gone (local))
        g_propagate_error (error, g_steal_pointer (&local));
      return NULL;
    }
  VjStored *stored = decode_store (text, length, context, ledger, &local);
  if (local == NULL)
    return stored;

  g_autofree char *path = g_build_filename (runtime_dir, STORE_NAME, NULL);
  g_autofree char *aside = g_strconcat (path, ".bad", NULL);
  g_rename (path, aside);
  g_set_error (error, VJ_ERROR, VJ_ERROR_INVALID,
               "%s cannot be continued (%s); it is kept as %s and counters start anew", path, local->message,
               aside);
  return NULL;
}
