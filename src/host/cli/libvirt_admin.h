/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cli/definition.h"

/* What the command line asks of libvirt, and lets it change in a domain: the one module of the command line that includes
 * libvirt's headers (design law 3). Every call blocks until libvirt has answered. A call that changes something is one
 * request to libvirt, which it carries out as a whole whether or not the caller still waits. */
typedef struct VjLibvirtAdmin VjLibvirtAdmin;
typedef struct VjLibvirtDomain VjLibvirtDomain;

/* uri NULL: qemu:///system. A read-only connection is enough for looking, and needs fewer rights. */
VjLibvirtAdmin *vj_libvirt_admin_open (const char *uri, gboolean read_only, GError **error);
void vj_libvirt_admin_close (VjLibvirtAdmin *admin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLibvirtAdmin, vj_libvirt_admin_close)
/* What the user calls a domain, as virsh(1) resolves it: the id of its run, else its UUID, else its name. GONE: there is no
 * such domain. */
VjLibvirtDomain *vj_libvirt_admin_find (const VjLibvirtAdmin *admin, const char *domain, GError **error);
/* All domains, running or not, sorted by name: VjLibvirtDomain *, freed with the array. */
GPtrArray *vj_libvirt_admin_list (const VjLibvirtAdmin *admin, GError **error);

/* As it was when it was looked up. */
const char *vj_libvirt_domain_name (const VjLibvirtDomain *domain);
const char *vj_libvirt_domain_uuid (const VjLibvirtDomain *domain);
gboolean vj_libvirt_domain_is_active (const VjLibvirtDomain *domain);     /* has a live definition */
gboolean vj_libvirt_domain_is_persistent (const VjLibvirtDomain *domain); /* has a persistent definition */
/* It has a state saved by virsh managedsave, with the definition of that time, from which its next start goes on. */
gboolean vj_libvirt_domain_has_saved_state (const VjLibvirtDomain *domain);
void vj_libvirt_domain_free (VjLibvirtDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjLibvirtDomain, vj_libvirt_domain_free)

/* The XML of one definition; the caller's. */
char *vj_libvirt_domain_xml (const VjLibvirtDomain *domain, VjDefinition one, GError **error);
/* definitions: one or both. A detached device is gone from the live definition when the guest has let go of it, for which
 * libvirt waits a few seconds only. */
gboolean vj_libvirt_domain_attach (const VjLibvirtDomain *domain, const char *device,
                                   VjDefinition definitions, GError **error);
gboolean vj_libvirt_domain_detach (const VjLibvirtDomain *domain, const char *device,
                                   VjDefinition definitions, GError **error);
/* The metadata element of a namespace in one definition; the caller's. TRUE and NULL: there is none. */
gboolean vj_libvirt_domain_metadata (const VjLibvirtDomain *domain, const char *namespace_uri,
                                     VjDefinition one, char **ret_xml, GError **error);
/* xml NULL removes it. */
gboolean vj_libvirt_domain_set_metadata (const VjLibvirtDomain *domain, const char *prefix,
                                         const char *namespace_uri, const char *xml, VjDefinition definitions,
                                         GError **error);
