/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/qemu_argv.h"

#include "common/scan.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define PORT_NAME "org.virtjoule.energy.0"

#define VMID_MAX      999999999
#define VCPUS_MAX     65535
#define JSON_TEXT_MAX 4096

typedef struct
{
  char *path;
  gboolean is_unix_socket;
  gboolean listens;
} Chardev;

typedef struct
{
  VjQemuArgv *argv;
  GHashTable *chardevs; /* id -> Chardev */
  char *port_chardev;   /* id */
  guint cpu_devices;
} Parse;

typedef void (*PairFunc) (const char *key, const char *value, gpointer data);

static void
chardev_free (gpointer data)
{
  Chardev *chardev = data;

  g_free (chardev->path);
  g_free (chardev);
}

/* --- the syntax of option arguments --- */

/* Up to the next single comma; two stand for one. */
static const char *
read_value (const char *at, GString *value)
{
  for (; *at != '\0' && (*at != ',' || at[1] == ','); at++)
    {
      g_string_append_c (value, *at);
      if (*at == ',')
        at++;
    }
  return at;
}

/* "KEY=VALUE", or "VALUE" of the implied key, or "FLAG", or "noFLAG". */
static const char *
read_pair (const char *at, const char *implied, GString *key, GString *value)
{
  const gsize length = strcspn (at, "=,");

  if (at[length] != '=' && implied != NULL)
    {
      g_string_assign (key, implied);
      return read_value (at, value);
    }
  g_string_append_len (key, at, (gssize)length);
  if (at[length] == '=')
    return read_value (at + length + 1, value);
  const gboolean negated = g_str_has_prefix (key->str, "no");
  if (negated)
    g_string_erase (key, 0, 2);
  g_string_assign (value, negated ? "off" : "on");
  return at + length;
}

/* As QEMU's util/qemu-option.c reads it. The first may lack its key, which is then implied. */
static void
each_pair (const char *text, const char *implied, PairFunc func, gpointer data)
{
  g_autoptr (GString) key = g_string_new (NULL);
  g_autoptr (GString) value = g_string_new (NULL);

  while (*text != '\0')
    {
      g_string_truncate (key, 0);
      g_string_truncate (value, 0);
      text = read_pair (text, implied, key, value);
      func (key->str, value->str, data);
      implied = NULL;
      if (*text == ',')
        text++;
    }
}

static gboolean
is_on (const char *value)
{
  return g_str_equal (value, "on") || g_str_equal (value, "yes") || g_str_equal (value, "true")
         || g_str_equal (value, "y");
}

/* 0 for what is no count. */
static guint
read_count (const char *text, guint max)
{
  VjScan scan = vj_scan_init (text, strlen (text));
  guint64 count = 0;

  if (!vj_scan_u64 (&scan, &count) || vj_scan_left (&scan) > 0 || count > max)
    return 0;
  return (guint)count;
}

/* --- names --- */

static gboolean
is_control (gunichar c)
{
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

char *
vj_qemu_name (const char *bytes, gsize length)
{
  g_autofree char *valid = g_utf8_make_valid (bytes, (gssize)MIN (length, VJ_QEMU_NAME_MAX * 4UL));
  g_autoptr (GString) name = g_string_new (NULL);
  guint n_characters = 0;

  for (const char *at = valid; *at != '\0' && n_characters < VJ_QEMU_NAME_MAX; at = g_utf8_next_char (at))
    {
      const gunichar c = g_utf8_get_char (at);

      g_string_append_unichar (name, is_control (c) ? 0xfffd : c);
      n_characters++;
    }
  return name->len > 0 ? g_strdup (name->str) : NULL;
}

gboolean
vj_qemu_uuid (const char *text, char ret_uuid[37])
{
  static const char none[] = "00000000-0000-0000-0000-000000000000";

  ret_uuid[0] = '\0';
  if (!g_uuid_string_is_valid (text) || g_str_equal (text, none))
    return FALSE;
  for (gsize i = 0; i < sizeof none; i++)
    ret_uuid[i] = g_ascii_tolower (text[i]);
  return TRUE;
}

guint
vj_qemu_vmid (const char *text, gsize length)
{
  VjScan scan = vj_scan_init (text, length);
  guint64 vmid = 0;

  if (length == 0 || text[0] == '0' || !vj_scan_u64 (&scan, &vmid) || vj_scan_left (&scan) > 0)
    return 0;
  return vmid <= VMID_MAX ? (guint)vmid : 0;
}

/* --- the options --- */

static void
take_id (Parse *parse, const char *argument)
{
  parse->argv->vmid = vj_qemu_vmid (argument, strlen (argument));
}

static void
name_pair (const char *key, const char *value, gpointer data)
{
  VjQemuArgv *argv = data;

  if (!g_str_equal (key, "guest"))
    return;
  g_free (argv->name);
  argv->name = vj_qemu_name (value, strlen (value));
}

static void
take_name (Parse *parse, const char *argument)
{
  each_pair (argument, "guest", name_pair, parse->argv);
}

/* That of -smbios is what the guest sees, and counts more. */
static void
take_uuid (Parse *parse, const char *argument)
{
  if (parse->argv->uuid[0] == '\0')
    vj_qemu_uuid (argument, parse->argv->uuid);
}

typedef struct
{
  gboolean is_system;
  char uuid[37];
} Smbios;

static void
smbios_pair (const char *key, const char *value, gpointer data)
{
  Smbios *smbios = data;

  if (g_str_equal (key, "type"))
    smbios->is_system = g_str_equal (value, "1");
  else if (g_str_equal (key, "uuid"))
    vj_qemu_uuid (value, smbios->uuid);
}

static void
take_smbios (Parse *parse, const char *argument)
{
  Smbios smbios = { 0 };

  each_pair (argument, NULL, smbios_pair, &smbios);
  if (smbios.is_system && smbios.uuid[0] != '\0')
    memcpy (parse->argv->uuid, smbios.uuid, sizeof smbios.uuid);
}

typedef struct
{
  guint cpus;
  guint max;
  guint64 product; /* of sockets, cores, threads and whatever else multiplies */
} Smp;

static void
smp_pair (const char *key, const char *value, gpointer data)
{
  Smp *smp = data;
  const guint count = read_count (value, VCPUS_MAX);

  if (g_str_equal (key, "cpus"))
    smp->cpus = count;
  else if (g_str_equal (key, "maxcpus"))
    smp->max = count;
  else if (count > 0)
    smp->product = MIN (smp->product * count, VCPUS_MAX);
}

/* hw/core/machine-smp.c: what is not said follows from the rest. */
static void
take_smp (Parse *parse, const char *argument)
{
  Smp smp = { .product = 1 };

  each_pair (argument, "cpus", smp_pair, &smp);
  if (smp.cpus == 0)
    smp.cpus = smp.max > 0 ? smp.max : (guint)smp.product;
  parse->argv->vcpus = smp.cpus;
}

static void
assign (char **field, const char *value)
{
  g_free (*field);
  *field = g_strdup (value);
}

typedef struct
{
  Chardev chardev;
  gboolean is_socket;
  gboolean is_abstract;
  char *id;
} Backend;

static void
chardev_pair (const char *key, const char *value, gpointer data)
{
  Backend *backend = data;

  if (g_str_equal (key, "backend"))
    backend->is_socket = g_str_equal (value, "socket");
  else if (g_str_equal (key, "server"))
    backend->chardev.listens = is_on (value);
  else if (g_str_equal (key, "abstract"))
    backend->is_abstract = is_on (value);
  else if (g_str_equal (key, "id"))
    assign (&backend->id, value);
  else if (g_str_equal (key, "path"))
    assign (&backend->chardev.path, value);
}

/* A relative path is relative to a directory that nobody tells; an abstract one is no file. */
static void
take_chardev (Parse *parse, const char *argument)
{
  Backend backend = { 0 };

  each_pair (argument, "backend", chardev_pair, &backend);
  backend.chardev.is_unix_socket = backend.is_socket && backend.chardev.path != NULL && !backend.is_abstract
                                   && backend.chardev.path[0] == '/';
  if (backend.id != NULL)
    g_hash_table_replace (parse->chardevs, g_steal_pointer (&backend.id),
                          g_memdup2 (&backend.chardev, sizeof backend.chardev));
  else
    g_free (backend.chardev.path);
}

typedef struct
{
  char *driver;
  char *name;
  char *chardev;
} Device;

static void
device_pair (const char *key, const char *value, gpointer data)
{
  Device *device = data;
  char **field = g_str_equal (key, "driver")    ? &device->driver
                 : g_str_equal (key, "name")    ? &device->name
                 : g_str_equal (key, "chardev") ? &device->chardev
                                                : NULL;
  if (field != NULL)
    assign (field, value);
}

static void
json_member (JsonObject *object, const char *key, JsonNode *node, gpointer data)
{
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    device_pair (key, json_node_get_string (node), data);
}

/* A port is one flat object. Nothing else is handed to the parser, which nests as deep as its input does. */
static void
read_json (const char *text, Device *device)
{
  if (strlen (text) > JSON_TEXT_MAX || strpbrk (text + 1, "{[") != NULL || !g_utf8_validate (text, -1, NULL))
    return;
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!json_parser_load_from_data (parser, text, -1, NULL))
    return;
  JsonNode *root = json_parser_get_root (parser);
  if (root != NULL && JSON_NODE_HOLDS_OBJECT (root))
    json_object_foreach_member (json_node_get_object (root), json_member, device);
}

static void
note_device (Parse *parse, const Device *device)
{
  if (device->driver == NULL)
    return;
  if (g_str_has_suffix (device->driver, "-x86_64-cpu") || g_str_has_suffix (device->driver, "-s390x-cpu"))
    parse->cpu_devices++;
  if (!g_str_equal (device->driver, "virtserialport") || g_strcmp0 (device->name, PORT_NAME) != 0)
    return;
  parse->argv->has_channel = TRUE;
  assign (&parse->port_chardev, device->chardev);
}

static void
take_device (Parse *parse, const char *argument)
{
  Device device = { 0 };

  if (argument[0] == '{')
    read_json (argument, &device);
  else
    each_pair (argument, "driver", device_pair, &device);
  note_device (parse, &device);
  g_free (device.driver);
  g_free (device.name);
  g_free (device.chardev);
}

/* Its argument is the guest's, whatever it looks like. */
static void
take_append (Parse *parse, const char *argument)
{
}

static const struct
{
  const char *option;
  void (*take) (Parse *parse, const char *argument);
} options[] = {
  { "append", take_append }, { "chardev", take_chardev }, { "device", take_device }, { "id", take_id },
  { "name", take_name },     { "smbios", take_smbios },   { "smp", take_smp },       { "uuid", take_uuid },
};

/* --- the whole --- */

/* TRUE if argument is an option's. An option that is not known here takes none that looks like an option. */
static gboolean
take_option (Parse *parse, const char *option, const char *argument)
{
  if (option[0] != '-')
    return FALSE;
  option += option[1] == '-' ? 2 : 1;
  for (gsize i = 0; i < G_N_ELEMENTS (options); i++)
    {
      if (!g_str_equal (option, options[i].option))
        continue;
      options[i].take (parse, argument);
      return TRUE;
    }
  return FALSE;
}

static void
take_all (Parse *parse, const char *text, const char *end)
{
  const char *previous = NULL;

  for (const char *nul; text < end && (nul = memchr (text, '\0', (gsize)(end - text))) != NULL;
       text = nul + 1)
    previous = previous != NULL && take_option (parse, previous, text) ? NULL : text;
}

/* QEMU makes character devices first, so that a device may stand before its own. */
static void
find_channel (Parse *parse)
{
  const Chardev *chardev =
      parse->port_chardev != NULL ? g_hash_table_lookup (parse->chardevs, parse->port_chardev) : NULL;

  if (chardev == NULL)
    return;
  parse->argv->channel_listens = chardev->listens;
  if (chardev->is_unix_socket)
    parse->argv->channel_path = g_strdup (chardev->path);
}

void
vj_qemu_argv_parse (const char *text, gsize length, VjQemuArgv *ret_argv)
{
  Parse parse = { .argv = ret_argv };

  memset (ret_argv, 0, sizeof *ret_argv);
  ret_argv->vcpus = 1;
  parse.chardevs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, chardev_free);
  take_all (&parse, text, text + length);
  find_channel (&parse);
  ret_argv->vcpus = MIN (ret_argv->vcpus + parse.cpu_devices, VCPUS_MAX);
  g_hash_table_unref (parse.chardevs);
  g_free (parse.port_chardev);
}

void
vj_qemu_argv_clear (VjQemuArgv *argv)
{
  g_clear_pointer (&argv->name, g_free);
  g_clear_pointer (&argv->channel_path, g_free);
}
