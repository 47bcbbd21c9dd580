/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_connection.h"

#include "host/libvirt/libvirt_metadata.h"
#include "host/libvirt/libvirt_xml.h"
#include "host/qemu/pidfile.h"

#include <gio/gio.h>
#include <libvirt-glib/libvirt-glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>

#define PORT_NAME        "org.virtjoule.energy.0"
#define KEEPALIVE_S      5
#define KEEPALIVE_MISSES 3

enum
{
  LIFECYCLE,
  REBOOT,
  DEVICE_ADDED,
  DEVICE_REMOVED,
  METADATA_CHANGE,
  N_EVENTS
};

/* Referred to by its owner, by a running worker and by each of libvirt's event registrations. */
struct VjLibvirtConnection
{
  gatomicrefcount references;
  const VjLibvirtConnectionFuncs *funcs; /* main thread only; NULL once closed */
  gpointer user_data;
  char *uri;
  char *procfs;
  char *rundir;
  virConnectPtr handle; /* written by the opening and the closing worker, beside which no other runs */
  int events[N_EVENTS];
  int close_reason; /* set before tell_loss () is scheduled */
  gboolean busy;
};

typedef struct Job Job;
struct Job
{
  VjLibvirtConnection *connection;
  void (*run) (Job *job);        /* in a worker thread */
  void (*done) (const Job *job); /* in the main thread, unless the connection was closed meanwhile */
  GPtrArray *keys;
  GArray *findings;
  char *error;
};

static VjLibvirtConnection *
connection_ref (VjLibvirtConnection *connection)
{
  g_atomic_ref_count_inc (&connection->references);
  return connection;
}

/* In any thread: libvirt drops its references where it pleases. */
static void
connection_unref (gpointer data)
{
  VjLibvirtConnection *connection = data;

  if (!g_atomic_ref_count_dec (&connection->references))
    return;
  g_free (connection->uri);
  g_free (connection->procfs);
  g_free (connection->rundir);
  g_free (connection);
}

/* --- jobs --- */

static void
finding_clear (gpointer data)
{
  VjLibvirtFinding *finding = data;

  vj_domain_info_clear (&finding->info);
}

static void
job_free (gpointer data)
{
  Job *job = data;

  g_clear_pointer (&job->keys, g_ptr_array_unref);
  g_array_unref (job->findings);
  g_free (job->error);
  connection_unref (job->connection);
  g_free (job);
}

static void
run_job (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Job *job = data;

  job->run (job);
  g_task_return_boolean (task, TRUE);
}

static void start_job (VjLibvirtConnection *connection, void (*run) (Job *), void (*done) (const Job *),
                       GPtrArray *keys);

static void run_close (Job *job);

static void
job_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  const Job *job = g_task_get_task_data (G_TASK (result));
  VjLibvirtConnection *connection = job->connection;

  connection->busy = FALSE;
  if (connection->funcs)
    job->done (job);
  else if (connection->handle)
    start_job (connection, run_close, NULL, NULL);
}

static void
start_job (VjLibvirtConnection *connection, void (*run) (Job *), void (*done) (const Job *), GPtrArray *keys)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, job_done, NULL);
  Job *job = g_new0 (Job, 1);

  job->connection = connection_ref (connection);
  job->run = run;
  job->done = done;
  job->keys = keys;
  job->findings = g_array_new (FALSE, TRUE, sizeof (VjLibvirtFinding));
  g_array_set_clear_func (job->findings, finding_clear);
  connection->busy = TRUE;
  g_task_set_task_data (task, job, job_free);
  g_task_run_in_thread (task, run_job);
}

/* --- events --- */

/* On the main thread, since libvirt's event loop runs there. */
static void
tell (const VjLibvirtConnection *connection, virDomainPtr domain, VjLibvirtEvent event)
{
  char uuid[VIR_UUID_STRING_BUFLEN];

  if (connection->funcs && virDomainGetUUIDString (domain, uuid) == 0)
    connection->funcs->happened (uuid, event, connection->user_data);
}

/* A renamed domain is said to be undefined by its old name and defined by its new one. */
static VjLibvirtEvent
event_of (int event, int detail)
{
  switch (event)
    {
    case VIR_DOMAIN_EVENT_STOPPED:
      return VJ_LIBVIRT_STOPPED;
    case VIR_DOMAIN_EVENT_SHUTDOWN:
      return VJ_LIBVIRT_ENDING;
    case VIR_DOMAIN_EVENT_DEFINED:
      return VJ_LIBVIRT_DEFINED;
    case VIR_DOMAIN_EVENT_UNDEFINED:
      return detail == VIR_DOMAIN_EVENT_UNDEFINED_RENAMED ? VJ_LIBVIRT_CHANGED : VJ_LIBVIRT_UNDEFINED;
    default:
      return VJ_LIBVIRT_CHANGED;
    }
}

static int
on_lifecycle (virConnectPtr handle, virDomainPtr domain, int event, int detail, void *connection)
{
  tell (connection, domain, event_of (event, detail));
  return 0;
}

static void
on_reboot (virConnectPtr handle, virDomainPtr domain, void *connection)
{
  tell (connection, domain, VJ_LIBVIRT_CHANGED);
}

static void
on_device (virConnectPtr handle, virDomainPtr domain, const char *alias, void *connection)
{
  tell (connection, domain, VJ_LIBVIRT_CHANGED);
}

static void
on_metadata (virConnectPtr handle, virDomainPtr domain, int type, const char *namespace, void *connection)
{
  if (type == VIR_DOMAIN_METADATA_ELEMENT && g_strcmp0 (namespace, VJ_SETTINGS_NAMESPACE) == 0)
    tell (connection, domain, VJ_LIBVIRT_CHANGED);
}

static const char *
loss_reason (int reason)
{
  switch (reason)
    {
    case VIR_CONNECT_CLOSE_REASON_EOF:
      return "closed by the other side";
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
      return "no answer to keepalive";
    default:
      return "input/output error";
    }
}

static gboolean
tell_loss (gpointer data)
{
  const VjLibvirtConnection *connection = data;

  if (connection->funcs)
    connection->funcs->lost (loss_reason (connection->close_reason), connection->user_data);
  return G_SOURCE_REMOVE;
}

/* Once, in whichever thread notices first, so it is passed on to the main loop. */
static void
on_closed (virConnectPtr handle, int reason, void *data)
{
  VjLibvirtConnection *connection = data;

  connection->close_reason = reason;
  g_idle_add_full (G_PRIORITY_DEFAULT, tell_loss, connection_ref (connection), connection_unref);
}

/* --- opening and closing --- */

static const struct
{
  int id;
  virConnectDomainEventGenericCallback callback;
} events[N_EVENTS] = {
  [LIFECYCLE] = { VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle) },
  [REBOOT] = { VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK (on_reboot) },
  [DEVICE_ADDED] = { VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK (on_device) },
  [DEVICE_REMOVED] = { VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK (on_device) },
  [METADATA_CHANGE] = { VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK (on_metadata) },
};

/* Gives libvirt a reference of its own for each, which it drops when the registration ends: not before it is ended here.
 * Only life itself must be told; what a driver does not offer is -1. */
static gboolean
register_events (VjLibvirtConnection *connection)
{
  for (gsize i = 0; i < N_EVENTS; i++)
    {
      connection->events[i] = virConnectDomainEventRegisterAny (
          connection->handle, NULL, events[i].id, events[i].callback, connection, connection_unref);
      if (connection->events[i] >= 0)
        connection_ref (connection);
      else if (i == LIFECYCLE)
        return FALSE;
    }
  return TRUE;
}

/* Best effort: drivers without a connection to lose (test:///) offer neither. They also say that they registered the
 * callback, and never free it: so it takes no reference, and is unregistered before the last one can go. */
static void
register_loss (VjLibvirtConnection *connection)
{
  virConnectRegisterCloseCallback (connection->handle, on_closed, connection, NULL);
  virConnectSetKeepAlive (connection->handle, KEEPALIVE_S, KEEPALIVE_MISSES);
}

static void
run_open (Job *job)
{
  VjLibvirtConnection *connection = job->connection;

  connection->handle = virConnectOpenReadOnly (connection->uri);
  if (connection->handle)
    register_loss (connection);
  if (!connection->handle || !register_events (connection))
    job->error = g_strdup (virGetLastErrorMessage ());
}

static void
done_open (const Job *job)
{
  const VjLibvirtConnection *connection = job->connection;

  connection->funcs->opened (job->error, connection->user_data);
}

/* Registrations refer to the handle: without ending them, closing it would leave it open. */
static void
run_close (Job *job)
{
  VjLibvirtConnection *connection = job->connection;

  for (gsize i = 0; i < N_EVENTS; i++)
    if (connection->events[i] >= 0)
      virConnectDomainEventDeregisterAny (connection->handle, connection->events[i]);
  virConnectUnregisterCloseCallback (connection->handle, on_closed);
  virConnectClose (connection->handle);
  connection->handle = NULL;
}

/* --- questions --- */

static void
run_list (Job *job)
{
  virDomainPtr *domains = NULL;
  const int n_domains =
      virConnectListAllDomains (job->connection->handle, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

  if (n_domains < 0)
    job->error = g_strdup (virGetLastErrorMessage ());
  for (int i = 0; i < n_domains; i++)
    {
      VjLibvirtFinding finding = { .id = (int)virDomainGetID (domains[i]) };

      finding.known = virDomainGetUUIDString (domains[i], finding.info.uuid) == 0;
      g_array_append_val (job->findings, finding);
      virDomainFree (domains[i]);
    }
  free (domains);
}

static void
done_list (const Job *job)
{
  const VjLibvirtConnection *connection = job->connection;

  connection->funcs->listed ((const VjLibvirtFinding *)(const void *)job->findings->data, job->findings->len,
                             job->error, connection->user_data);
}

/* Asked of a domain that has an ID, so "crashed" is one whose process was preserved. */
static VjDomainState
state_of (int state)
{
  switch (state)
    {
    case VIR_DOMAIN_SHUTOFF:
      return VJ_DOMAIN_STOPPED;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
    case VIR_DOMAIN_CRASHED:
      return VJ_DOMAIN_PAUSED;
    default:
      return VJ_DOMAIN_RUNNING;
    }
}

static void
read_xml (VjDomainInfo *info, const char *xml)
{
  info->channel_path = vj_libvirt_xml_channel_path (xml, PORT_NAME);
  info->channel_connects = !info->channel_path && vj_libvirt_xml_channel_connects (xml, PORT_NAME);
  info->vcpus = vj_libvirt_xml_vcpus (xml);
  vj_libvirt_metadata_read (xml, &info->settings, &info->settings_problem);
}

/* A domain may vanish between two calls; its end then comes as an event. Where it runs but its XML cannot be had, what it
 * says is unknown, and so is the domain: settings must not come and go. */
static void
describe (const VjLibvirtConnection *connection, virDomainPtr domain, VjLibvirtFinding *finding)
{
  VjDomainInfo *info = &finding->info;
  int state = VIR_DOMAIN_SHUTOFF;
  char *xml;

  finding->known = virDomainGetState (domain, &state, NULL, 0) == 0;
  g_strlcpy (info->id, info->uuid, sizeof info->id);
  info->name = g_strdup (virDomainGetName (domain));
  info->manager = "libvirt";
  info->state = state_of (state);
  finding->id = info->state == VJ_DOMAIN_STOPPED ? -1 : (int)virDomainGetID (domain);
  if (finding->id < 0)
    return;

  info->pid = vj_pidfile_read (connection->procfs, connection->rundir, info->name);
  xml = virDomainGetXMLDesc (domain, 0);
  if (xml)
    read_xml (info, xml);
  else
    finding->known = FALSE;
  free (xml);
}

static void
run_fetch (Job *job)
{
  for (guint i = 0; i < job->keys->len; i++)
    {
      const char *key = g_ptr_array_index (job->keys, i);
      const gboolean named = key[0] == ':';
      virDomainPtr domain = named ? virDomainLookupByName (job->connection->handle, key + 1)
                                  : virDomainLookupByUUIDString (job->connection->handle, key);
      VjLibvirtFinding finding = { .id = -1 };

      finding.known = !named && !domain && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN;
      g_strlcpy (finding.info.uuid, named ? "" : key, sizeof finding.info.uuid);
      if (domain && virDomainGetUUIDString (domain, finding.info.uuid) == 0)
        describe (job->connection, domain, &finding);
      if (domain)
        virDomainFree (domain);
      g_array_append_val (job->findings, finding);
    }
}

static void
done_fetch (const Job *job)
{
  const VjLibvirtConnection *connection = job->connection;

  connection->funcs->fetched ((const VjLibvirtFinding *)(const void *)job->findings->data, job->findings->len,
                              connection->user_data);
}

/* --- what the header promises --- */

static void
ignore_error (void *user_data, virErrorPtr error)
{
}

void
vj_libvirt_connection_init (void)
{
  gvir_event_register ();
  virSetErrorFunc (NULL, ignore_error);
}

VjLibvirtConnection *
vj_libvirt_connection_open (const char *uri, const VjRoots *roots, const VjLibvirtConnectionFuncs *funcs,
                            gpointer user_data)
{
  VjLibvirtConnection *connection = g_new0 (VjLibvirtConnection, 1);

  g_atomic_ref_count_init (&connection->references);
  connection->funcs = funcs;
  connection->user_data = user_data;
  connection->uri = g_strdup (uri);
  connection->procfs = g_strdup (roots->procfs);
  connection->rundir = g_strdup (roots->libvirt_rundir);
  for (gsize i = 0; i < N_EVENTS; i++)
    connection->events[i] = -1;
  start_job (connection, run_open, done_open, NULL);
  return connection;
}

void
vj_libvirt_connection_close (VjLibvirtConnection *connection)
{
  connection->funcs = NULL;
  if (!connection->busy && connection->handle)
    start_job (connection, run_close, NULL, NULL);
  connection_unref (connection);
}

static gboolean
on_waited (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

void
vj_libvirt_connection_close_and_wait (VjLibvirtConnection *connection, guint wait_ms)
{
  gboolean over = FALSE;
  const guint timeout = g_timeout_add (wait_ms, on_waited, &over);

  connection_ref (connection);
  vj_libvirt_connection_close (connection);
  while (connection->busy && !over)
    g_main_context_iteration (NULL, TRUE);
  if (!over)
    g_source_remove (timeout);
  connection_unref (connection);
}

gboolean
vj_libvirt_connection_is_busy (const VjLibvirtConnection *connection)
{
  return connection->busy;
}

void
vj_libvirt_connection_list (VjLibvirtConnection *connection)
{
  start_job (connection, run_list, done_list, NULL);
}

void
vj_libvirt_connection_fetch (VjLibvirtConnection *connection, GPtrArray *keys)
{
  start_job (connection, run_fetch, done_fetch, keys);
}
