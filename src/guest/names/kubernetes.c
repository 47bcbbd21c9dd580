/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/names/kubernetes.h"

#include <string.h>

#include "guest/names/kubernetes_owners.h"
#include "guest/names/kubernetes_pod.h"

#define LIST_MAX         (16 << 20) /* bytes: kubelet's 110 pods are 1 to 3 MB, and a node may have 500 */
#define EVENT_MAX        (4 << 20)  /* etcd takes objects of 1.5 MB */
#define LIST_DEADLINE_S  60
#define WATCH_S          300
#define WATCH_DEADLINE_S (WATCH_S + 60) /* a server that has vanished says nothing */
#define PAUSE_MS         1000           /* between two watches, even where all is well */
#define BACKOFF_MAX_MS   60000
#define POLL_MS          60000
#define POLL_SOON_MS     3000
#define POLLS_SOON       3 /* a container's id is in its status some seconds after it began */
#define HASH_LENGTH      32
#define HASHED_MAX       1000

struct VjKubernetes
{
  const VjKubernetesOptions *options;
  VjNames *names;
  void (*report) (const char *line, gpointer user_data);
  gpointer user_data;
  VjKubernetesHttp *http;
  VjKubernetesOwners *owners;
  GHashTable *
      hashed; /* id of a static pod's container -> the hash that its control group has in the place of a UID */
  guint timer;      /* of the next step; 0: one is under way */
  gboolean resting; /* it is the next poll, and that far away */
  guint polls_soon;
  guint backoff_ms;
  gboolean expired; /* what the server has cached is too old: the next list is not from there */
  char *version;    /* to watch from; NULL: list first */
  char *complaint;  /* each is made once */
};

void
vj_kubernetes_options_clear (VjKubernetesOptions *options)
{
  vj_kubernetes_server_clear (&options->server);
  g_clear_pointer (&options->node, g_free);
  vj_label_rules_clear (&options->labels);
}

/* --- what is told --- */

static void
complain (VjKubernetes *kubernetes, const char *text)
{
  if (g_strcmp0 (text, kubernetes->complaint) == 0)
    return;
  g_free (kubernetes->complaint);
  kubernetes->complaint = g_strdup (text);
  g_autofree char *line = g_strdup_printf ("names from Kubernetes: %s; trying again", text);
  kubernetes->report (line, kubernetes->user_data);
}

static void
be_content (VjKubernetes *kubernetes)
{
  if (kubernetes->complaint == NULL)
    return;
  g_clear_pointer (&kubernetes->complaint, g_free);
  kubernetes->report ("names from Kubernetes: they come again", kubernetes->user_data);
}

static void
on_refused (const char *what, guint status, gpointer user_data)
{
  VjKubernetes *kubernetes = user_data;
  g_autofree char *line = g_strdup_printf ("names from Kubernetes: %s cannot be read (HTTP status %u): allow "
                                           "\"get\" of them, or pods are shown under "
                                           "their ReplicaSets and Jobs instead of Deployments and CronJobs",
                                           what, status);
  kubernetes->report (line, kubernetes->user_data);
}

/* --- pods --- */

static void
name_pod (VjKubernetes *kubernetes, const VjKubernetesPod *pod)
{
  gboolean of_api = kubernetes->options->mode == VJ_KUBERNETES_API;
  VjPodName name = { .namespace_ = pod->namespace_,
                     .name = pod->name,
                     .labels = (const char *const *)pod->labels };
  if (pod->owner.kind != NULL && (!of_api || !vj_kubernetes_owners_knows (&pod->owner)))
    {
      name.workload_kind = pod->owner.kind;
      name.workload = pod->owner.name;
    }
  vj_names_put_pod (kubernetes->names, VJ_NAMES_API, pod->uid, &name);
  if (pod->owner.kind != NULL && name.workload == NULL)
    vj_kubernetes_owners_name (kubernetes->owners, pod->uid, pod->namespace_, &pod->owner);
}

/* A static pod's control group has the hash of its manifest, and its mirror in the API another UID. The mirror's annotations
 * say the hash, as those of any pod may; its status has a container of the group, as it is kubelet that writes it. Others who may
 * write it are not believed where kubelet's logs say something else. */
static void
name_static_pod (VjKubernetes *kubernetes, const char *container_id)
{
  const char *hash = g_hash_table_lookup (kubernetes->hashed, container_id);
  const VjContainerName *container =
      hash != NULL ? vj_names_container (kubernetes->names, container_id) : NULL;
  const VjPodName *pod = container != NULL && container->pod_uid != NULL
                             ? vj_names_pod (kubernetes->names, container->pod_uid)
                             : NULL;
  if (pod == NULL)
    return;
  vj_names_put_pod (kubernetes->names, VJ_NAMES_CLAIM, hash,
                    &(VjPodName){ .namespace_ = pod->namespace_, .name = pod->name });
  if (vj_pod_name_equal (pod, vj_names_pod (kubernetes->names, hash)))
    vj_names_put_pod (kubernetes->names, VJ_NAMES_CLAIM, hash, pod);
}

static void
take_pod (const VjKubernetesPod *pod, gpointer user_data)
{
  VjKubernetes *kubernetes = user_data;
  name_pod (kubernetes, pod);
  for (guint i = 0; i < pod->containers->len; i++)
    {
      const VjKubernetesContainer *container = g_ptr_array_index (pod->containers, i);
      vj_names_put_container (
          kubernetes->names, VJ_NAMES_API, container->id,
          &(VjContainerName){ .name = container->name, .image = container->image, .pod_uid = pod->uid });
      name_static_pod (kubernetes, container->id);
    }
}

/* --- one step after the other --- */

static gboolean on_step (gpointer user_data);

static void
step_in (VjKubernetes *kubernetes, guint ms)
{
  g_clear_handle_id (&kubernetes->timer, g_source_remove);
  kubernetes->timer = g_timeout_add (ms, on_step, kubernetes);
}

/* Not in step with all other nodes, which had to wait for the same server. */
static void
back_off (VjKubernetes *kubernetes)
{
  kubernetes->backoff_ms = CLAMP (2 * kubernetes->backoff_ms, PAUSE_MS, BACKOFF_MAX_MS);
  step_in (kubernetes,
           kubernetes->backoff_ms + (guint)g_random_int_range (0, (gint32)kubernetes->backoff_ms / 2));
}

static void
step_after_failure (VjKubernetes *kubernetes, const char *text)
{
  complain (kubernetes, text);
  back_off (kubernetes);
}

static char *
describe_status (guint status)
{
  if (status == 401)
    return g_strdup ("the token is not accepted (HTTP status 401): see --kubernetes-token");
  if (status == 403)
    return g_strdup (
        "not allowed (HTTP status 403): allow \"list\" and \"watch\" of pods, or with --kubernetes "
        "kubelet \"get\" of nodes/proxy");
  return g_strdup_printf ("HTTP status %u", status);
}

static void
step_after_refusal (VjKubernetes *kubernetes, guint status, const char *failure)
{
  g_autofree char *text = failure != NULL ? g_strdup (failure) : describe_status (status);
  step_after_failure (kubernetes, text);
}

/* The watch is to be begun with a list again. */
static void
forget_version (VjKubernetes *kubernetes, gboolean expired)
{
  g_clear_pointer (&kubernetes->version, g_free);
  kubernetes->expired = expired;
}

static void
set_version (VjKubernetes *kubernetes, char **version)
{
  if (*version == NULL)
    return;
  g_free (kubernetes->version);
  kubernetes->version = g_steal_pointer (version);
}

/* --- list --- */

static guint
next_poll_ms (VjKubernetes *kubernetes)
{
  kubernetes->resting = kubernetes->polls_soon == 0;
  if (kubernetes->resting)
    return POLL_MS;
  kubernetes->polls_soon--;
  return POLL_SOON_MS;
}

static void
on_list (guint status, const char *text, gsize length, const char *failure, gpointer user_data)
{
  VjKubernetes *kubernetes = user_data;
  g_autofree char *version = NULL;
  gboolean is_kubelet = kubernetes->options->mode == VJ_KUBERNETES_KUBELET;
  if (text == NULL)
    {
      kubernetes->expired = kubernetes->expired || status == 410;
      step_after_refusal (kubernetes, status, failure);
      return;
    }
  if (!vj_kubernetes_list_parse (text, length, &kubernetes->options->labels, take_pod, kubernetes, &version)
      || (!is_kubelet && version == NULL))
    {
      step_after_failure (kubernetes, "the answer is no list of pods");
      return;
    }
  be_content (kubernetes);
  kubernetes->expired = FALSE;
  if (is_kubelet)
    kubernetes->backoff_ms = 0;
  else
    set_version (kubernetes, &version);
  step_in (kubernetes, is_kubelet ? next_poll_ms (kubernetes) : 0);
}

/* resourceVersion=0: from the server's cache, which has pods by node; kubelets do it so too. */
static void
list (VjKubernetes *kubernetes)
{
  const VjKubernetesRequest request = { .accept = "application/json",
                                        .limit = LIST_MAX,
                                        .deadline_s = LIST_DEADLINE_S,
                                        .done = on_list,
                                        .user_data = kubernetes };
  g_autofree char *path = NULL;
  if (kubernetes->options->mode == VJ_KUBERNETES_KUBELET)
    path = g_strdup ("/pods");
  else
    path = g_strdup_printf ("/api/v1/pods?fieldSelector=spec.nodeName%%3D%s%s", kubernetes->options->node,
                            kubernetes->expired ? "" : "&resourceVersion=0");
  vj_kubernetes_http_get (kubernetes->http, path, &request);
}

/* --- watch --- */

/* FALSE ends the watch. */
static gboolean
on_event (const char *line, gsize length, gpointer user_data)
{
  VjKubernetes *kubernetes = user_data;
  g_auto (VjKubernetesEvent) event = { 0 };
  if (!vj_kubernetes_event_parse (line, length, &kubernetes->options->labels, &event))
    {
      forget_version (kubernetes, FALSE);
      complain (kubernetes, "the watch says what is no event");
      return FALSE;
    }
  if (event.type == VJ_KUBERNETES_ERROR)
    {
      forget_version (kubernetes, event.code == 410);
      if (event.code != 410)
        complain (kubernetes, event.message != NULL ? event.message : "the watch has failed");
      return FALSE;
    }
  if (event.pod != NULL)
    take_pod (event.pod, kubernetes);
  set_version (kubernetes, &event.version);
  kubernetes->backoff_ms = 0;
  be_content (kubernetes);
  return TRUE;
}

/* Ends are ordinary: the server sets a limit to each watch, and restarts. What came meanwhile follows from the version. */
static void
on_watch_end (guint status, const char *text, gsize length, const char *failure, gpointer user_data)
{
  VjKubernetes *kubernetes = user_data;
  if (status == 410)
    forget_version (kubernetes, TRUE);
  if (failure != NULL || (status != 200 && status != 410))
    step_after_refusal (kubernetes, status, failure);
  else if (kubernetes->version == NULL)
    back_off (kubernetes); /* a list that succeeds is no sign that the next watch does */
  else
    {
      kubernetes->backoff_ms = 0;
      step_in (kubernetes, PAUSE_MS + (guint)g_random_int_range (0, PAUSE_MS));
    }
}

static void
watch (VjKubernetes *kubernetes)
{
  const VjKubernetesRequest request = { .accept = "application/json",
                                        .limit = EVENT_MAX,
                                        .deadline_s = WATCH_DEADLINE_S,
                                        .line = on_event,
                                        .done = on_watch_end,
                                        .user_data = kubernetes };
  g_autofree char *path = g_strdup_printf ("/api/v1/pods?fieldSelector=spec.nodeName%%3D%s&watch=true"
                                           "&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s",
                                           kubernetes->options->node, WATCH_S, kubernetes->version);
  vj_kubernetes_http_get (kubernetes->http, path, &request);
  vj_kubernetes_owners_ask_again (kubernetes->owners);
}

static gboolean
on_step (gpointer user_data)
{
  VjKubernetes *kubernetes = user_data;
  kubernetes->timer = 0;
  kubernetes->resting = FALSE;
  if (kubernetes->version != NULL)
    watch (kubernetes);
  else
    list (kubernetes);
  return G_SOURCE_REMOVE;
}

/* --- what the header promises --- */

VjKubernetes *
vj_kubernetes_new (const VjKubernetesOptions *options, VjNames *names,
                   void (*report) (const char *line, gpointer user_data), gpointer user_data)
{
  VjKubernetes *kubernetes = g_new0 (VjKubernetes, 1);
  kubernetes->options = options;
  kubernetes->names = names;
  kubernetes->report = report;
  kubernetes->user_data = user_data;
  kubernetes->http = vj_kubernetes_http_new (&options->server);
  kubernetes->owners = vj_kubernetes_owners_new (kubernetes->http, names, on_refused, kubernetes);
  kubernetes->hashed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  step_in (kubernetes, 0);
  return kubernetes;
}

void
vj_kubernetes_free (VjKubernetes *kubernetes)
{
  if (kubernetes == NULL)
    return;
  g_clear_handle_id (&kubernetes->timer, g_source_remove);
  g_clear_pointer (&kubernetes->http, vj_kubernetes_http_free);
  g_clear_pointer (&kubernetes->owners, vj_kubernetes_owners_free);
  g_hash_table_unref (kubernetes->hashed);
  g_free (kubernetes->version);
  g_free (kubernetes->complaint);
  g_free (kubernetes);
}

static void
note_static_pod (VjKubernetes *kubernetes, const VjCgroupClass *class)
{
  if (class->kind != VJ_CGROUP_CONTAINER || strlen (class->pod_uid) != HASH_LENGTH)
    return;
  if (g_hash_table_size (kubernetes->hashed) >= HASHED_MAX)
    g_hash_table_remove_all (kubernetes->hashed);
  g_hash_table_replace (kubernetes->hashed, g_strdup (class->id), g_strdup (class->pod_uid));
  name_static_pod (kubernetes, class->id);
}

/* While it fails, its own pace goes on. */
void
vj_kubernetes_appeared (VjKubernetes *kubernetes, const VjCgroupClass *class)
{
  if (class->delegated || *class->pod_uid == '\0'
      || (class->kind != VJ_CGROUP_POD && class->kind != VJ_CGROUP_CONTAINER))
    return;
  note_static_pod (kubernetes, class);
  if (kubernetes->options->mode != VJ_KUBERNETES_KUBELET)
    return;
  kubernetes->polls_soon = POLLS_SOON;
  if (!kubernetes->resting)
    return;
  kubernetes->resting = FALSE;
  step_in (kubernetes, POLL_SOON_MS);
}
