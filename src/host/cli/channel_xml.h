/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The port org.virtjoule.energy.0 in libvirt's domain XML (https://libvirt.org/formatdomain.html#channel). Pure. */
typedef enum
{
  VJ_CHANNEL_WAY_NONE,    /* no such port */
  VJ_CHANNEL_WAY_BIND,    /* QEMU listens, the agent connects */
  VJ_CHANNEL_WAY_CONNECT, /* QEMU connects to the agent's guest socket */
  VJ_CHANNEL_WAY_OTHER,   /* of a kind that the agent cannot use */
} VjChannelWay;

const char *vj_channel_way_name (VjChannelWay way); /* "none", "bind", "connect", "other" */

typedef struct
{
  VjChannelWay way;
  char *element;      /* the whole channel, as libvirt needs it to detach it; NULL if there is none */
  gboolean port_free; /* a virtio-serial controller has room for one more port */
} VjChannelXml;

/* INVALID: not a domain's XML. */
gboolean vj_channel_xml_read (const char *xml, VjChannelXml *ret_channel, GError **error);
void vj_channel_xml_clear (VjChannelXml *channel);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VjChannelXml, vj_channel_xml_clear)
/* The channel to attach, which is the one of data/channel.xml; with the agent's socket, the one that connects to it. The
 * caller's. */
char *vj_channel_xml_new (const char *guest_socket);
