/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What libvirt's live domain XML (https://libvirt.org/formatdomain.html#channel) says of the unix channel that is the
 * virtio port called port_name: domain/devices/channel only, since <metadata> may hold anything. Pure.
 *   channel_path      the absolute path of the socket on which QEMU listens (mode='bind'): the caller's (g_free); NULL if
 *                     there is no such channel or no such XML
 *   channel_connects  QEMU connects that port to somebody's socket (mode='connect') */
char *vj_libvirt_xml_channel_path (const char *xml, const char *port_name);
gboolean vj_libvirt_xml_channel_connects (const char *xml, const char *port_name);

/* How many vCPUs the domain has now (https://libvirt.org/formatdomain.html#cpu-allocation): domain/vcpu, its attribute
 * "current" where only a part of them is in use. 0 if the XML does not say. Pure. */
guint vj_libvirt_xml_vcpus (const char *xml);
