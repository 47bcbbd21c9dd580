/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qemu/proxmox_conf.h"

#include "common/scan.h"
#include "host/qemu/qemu_argv.h"

#include <string.h>

#define UUID_LENGTH 36

static gboolean
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static VjScan
trim (VjScan scan)
{
  while (scan.at < scan.end && is_blank (*scan.at))
    scan.at++;
  while (scan.at < scan.end && is_blank (scan.end[-1]))
    scan.end--;
  return scan;
}

/* Leaves line at what stands behind "key:". */
static gboolean
take_key (VjScan *line, const char *key)
{
  VjScan scan = *line;

  if (!vj_scan_literal (&scan, key) || !vj_scan_literal (&scan, ":"))
    return FALSE;
  *line = trim (scan);
  return TRUE;
}

static void
take_name (VjProxmoxConf *conf, VjScan value)
{
  g_free (conf->name);
  conf->name = vj_qemu_name (value.at, vj_scan_left (&value));
}

/* One "key=value" of a comma-separated list. Whatever base64=1 says beside it, a UUID is written as it is. */
static void
take_property (VjProxmoxConf *conf, VjScan property)
{
  char text[UUID_LENGTH + 1] = "";

  property = trim (property);
  if (!vj_scan_literal (&property, "uuid=") || vj_scan_left (&property) != UUID_LENGTH)
    return;
  memcpy (text, property.at, UUID_LENGTH);
  vj_qemu_uuid (text, conf->uuid);
}

static void
take_smbios (VjProxmoxConf *conf, VjScan value)
{
  conf->uuid[0] = '\0';
  while (vj_scan_left (&value) > 0)
    {
      const char *comma = memchr (value.at, ',', vj_scan_left (&value));
      const char *end = comma != NULL ? comma : value.end;

      take_property (conf, (VjScan){ .at = value.at, .end = end });
      value.at = comma != NULL ? comma + 1 : end;
    }
}

void
vj_proxmox_conf_parse (const char *text, gsize length, VjProxmoxConf *ret_conf)
{
  VjScan scan = vj_scan_init (text, length);
  VjScan line;

  memset (ret_conf, 0, sizeof *ret_conf);
  while (vj_scan_line (&scan, &line))
    {
      if (vj_scan_left (&line) > 0 && line.at[0] == '[')
        return;
      if (take_key (&line, "name"))
        take_name (ret_conf, line);
      else if (take_key (&line, "smbios1"))
        take_smbios (ret_conf, line);
    }
}

void
vj_proxmox_conf_clear (VjProxmoxConf *conf)
{
  g_clear_pointer (&conf->name, g_free);
}
