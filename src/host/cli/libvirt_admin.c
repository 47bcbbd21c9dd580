/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/libvirt_admin.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define DEFAULT_URI "qemu:///system"

struct VjLibvirtAdmin
{
  virConnectPtr handle;
  char *uri;
};

struct VjLibvirtDomain
{
  virDomainPtr handle;
  char uuid[VIR_UUID_STRING_BUFLEN];
  gboolean active;
  gboolean persistent;
};

static void
ignore (void *user_data, virErrorPtr problem)
{
}

static int
code_of (int libvirt_code)
{
  switch (libvirt_code)
    {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_DOMAIN_METADATA:
      return VJ_ERROR_GONE;
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_UNAVAILABLE:
      return VJ_ERROR_DENIED;
    case VIR_ERR_NO_SUPPORT:
      return VJ_ERROR_UNAVAILABLE;
    default:
      return VJ_ERROR_FAILED;
    }
}

/* libvirt's last error: what was tried, why it failed, and what to do if that is known. Returns FALSE. */
static gboolean
fail (GError **error, const char *tried)
{
  const virError *last = virGetLastError ();
  const int code = last != NULL ? code_of (last->code) : VJ_ERROR_FAILED;
  const char *reason = last != NULL && last->message != NULL ? last->message : "no reason was given";
  g_set_error (error, VJ_ERROR, code, "%s: %s%s", tried, reason,
               code == VJ_ERROR_DENIED ? "; run this as root, or as a member of group libvirt" : "");
  return FALSE;
}

VjLibvirtAdmin *
vj_libvirt_admin_open (const char *uri, gboolean read_only, GError **error)
{
  const char *name = uri != NULL ? uri : DEFAULT_URI;
  virSetErrorFunc (NULL, ignore); /* else libvirt prints every error by itself */
  virConnectPtr handle = read_only ? virConnectOpenReadOnly (name) : virConnectOpen (name);
  if (handle == NULL)
    {
      g_set_error (
          error, VJ_ERROR, code_of (virGetLastErrorCode ()),
          "libvirt cannot be reached at %s: %s; does libvirtd run, and are you root or in group libvirt?",
          name, virGetLastErrorMessage ());
      return NULL;
    }
  VjLibvirtAdmin *admin = g_new0 (VjLibvirtAdmin, 1);
  admin->handle = handle;
  admin->uri = g_strdup (name);
  return admin;
}

void
vj_libvirt_admin_close (VjLibvirtAdmin *admin)
{
  if (admin == NULL)
    return;
  virConnectClose (admin->handle);
  g_free (admin->uri);
  g_free (admin);
}

/* Takes handle over. */
static VjLibvirtDomain *
domain_new (virDomainPtr handle, GError **error)
{
  g_autoptr (VjLibvirtDomain) domain = g_new0 (VjLibvirtDomain, 1);
  domain->handle = handle;
  const int active = virDomainIsActive (handle);
  const int persistent = virDomainIsPersistent (handle);
  if (active < 0 || persistent < 0 || virDomainGetUUIDString (handle, domain->uuid) < 0)
    {
      fail (error, virDomainGetName (handle));
      return NULL;
    }
  domain->active = active == 1;
  domain->persistent = persistent == 1;
  return g_steal_pointer (&domain);
}

void
vj_libvirt_domain_free (VjLibvirtDomain *domain)
{
  if (domain == NULL)
    return;
  virDomainFree (domain->handle);
  g_free (domain);
}

static virDomainPtr
look_up (virConnectPtr handle, const char *domain)
{
  guint64 id = 0;
  virDomainPtr found = NULL;
  if (g_ascii_string_to_unsigned (domain, 10, 0, G_MAXINT, &id, NULL))
    found = virDomainLookupByID (handle, (int)id);
  if (found == NULL && strlen (domain) == VIR_UUID_STRING_BUFLEN - 1)
    found = virDomainLookupByUUIDString (handle, domain);
  return found != NULL ? found : virDomainLookupByName (handle, domain);
}

VjLibvirtDomain *
vj_libvirt_admin_find (const VjLibvirtAdmin *admin, const char *domain, GError **error)
{
  virDomainPtr handle = look_up (admin->handle, domain);
  if (handle != NULL)
    return domain_new (handle, error);
  if (virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
    g_set_error (error, VJ_ERROR, VJ_ERROR_GONE,
                 "there is no such domain; virsh -c %s list --all shows those there are", admin->uri);
  else
    fail (error, "libvirt cannot look it up");
  return NULL;
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  const VjLibvirtDomain *const *left = a;
  const VjLibvirtDomain *const *right = b;
  return strcmp (vj_libvirt_domain_name (*left), vj_libvirt_domain_name (*right));
}

GPtrArray *
vj_libvirt_admin_list (const VjLibvirtAdmin *admin, GError **error)
{
  virDomainPtr *handles = NULL;
  const int n_handles = virConnectListAllDomains (admin->handle, &handles, 0);
  if (n_handles < 0)
    {
      fail (error, "libvirt cannot list its domains");
      return NULL;
    }
  GPtrArray *domains = g_ptr_array_new_with_free_func ((GDestroyNotify)vj_libvirt_domain_free);
  for (int i = 0; i < n_handles; i++)
    {
      VjLibvirtDomain *domain = domain_new (handles[i], NULL);
      if (domain != NULL) /* else it has gone meanwhile */
        g_ptr_array_add (domains, domain);
    }
  free (handles); /* libvirt's own, by malloc () */
  g_ptr_array_sort (domains, by_name);
  return domains;
}

const char *
vj_libvirt_domain_name (const VjLibvirtDomain *domain)
{
  return virDomainGetName (domain->handle);
}

const char *
vj_libvirt_domain_uuid (const VjLibvirtDomain *domain)
{
  return domain->uuid;
}

gboolean
vj_libvirt_domain_is_active (const VjLibvirtDomain *domain)
{
  return domain->active;
}

gboolean
vj_libvirt_domain_is_persistent (const VjLibvirtDomain *domain)
{
  return domain->persistent;
}

gboolean
vj_libvirt_domain_has_saved_state (const VjLibvirtDomain *domain)
{
  return virDomainHasManagedSaveImage (domain->handle, 0) == 1;
}

static char *
take (char *text)
{
  char *copy = g_strdup (text);
  free (text);
  return copy;
}

char *
vj_libvirt_domain_xml (const VjLibvirtDomain *domain, VjDefinition one, GError **error)
{
  char *xml = virDomainGetXMLDesc (domain->handle, one == VJ_DEFINITION_CONFIG ? VIR_DOMAIN_XML_INACTIVE : 0);
  if (xml == NULL)
    fail (error, "libvirt cannot show its definition");
  return take (xml);
}

/* virDomainModificationImpact; the same bits serve all calls. */
static unsigned int
impact (VjDefinition definitions)
{
  return ((definitions & VJ_DEFINITION_LIVE) != 0 ? VIR_DOMAIN_AFFECT_LIVE : 0U)
         | ((definitions & VJ_DEFINITION_CONFIG) != 0 ? VIR_DOMAIN_AFFECT_CONFIG : 0U);
}

gboolean
vj_libvirt_domain_attach (const VjLibvirtDomain *domain, const char *device, VjDefinition definitions,
                          GError **error)
{
  return virDomainAttachDeviceFlags (domain->handle, device, impact (definitions)) == 0
         || fail (error, "libvirt refuses to attach the channel");
}

gboolean
vj_libvirt_domain_detach (const VjLibvirtDomain *domain, const char *device, VjDefinition definitions,
                          GError **error)
{
  return virDomainDetachDeviceFlags (domain->handle, device, impact (definitions)) == 0
         || fail (error, "libvirt refuses to detach the channel");
}

gboolean
vj_libvirt_domain_metadata (const VjLibvirtDomain *domain, const char *namespace_uri, VjDefinition one,
                            char **ret_xml, GError **error)
{
  char *xml = virDomainGetMetadata (domain->handle, VIR_DOMAIN_METADATA_ELEMENT, namespace_uri, impact (one));
  if (xml == NULL && virGetLastErrorCode () != VIR_ERR_NO_DOMAIN_METADATA)
    return fail (error, "libvirt cannot show its metadata");
  *ret_xml = take (xml);
  return TRUE;
}

gboolean
vj_libvirt_domain_set_metadata (const VjLibvirtDomain *domain, const char *prefix, const char *namespace_uri,
                                const char *xml, VjDefinition definitions, GError **error)
{
  return virDomainSetMetadata (domain->handle, VIR_DOMAIN_METADATA_ELEMENT, xml, prefix, namespace_uri,
                               impact (definitions))
             == 0
         || fail (error, "libvirt refuses to change its metadata");
}
