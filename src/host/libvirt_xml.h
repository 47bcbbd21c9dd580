/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Finds, in libvirt's live domain XML (https://libvirt.org/formatdomain.html#channel), the unix socket on which QEMU
 * listens (mode='bind') for the virtio port called port_name: domain/devices/channel only, since <metadata> may hold
 * anything. Pure. The absolute path is the caller's (g_free); NULL if there is no such channel or no such XML. */
char *vj_libvirt_xml_channel_path (const char *xml, const char *port_name);
