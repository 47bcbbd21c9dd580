/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/watchers.h"

#include <string.h>
#include <unistd.h>

#include "host/channel/guest_socket.h"
#include "host/libvirt/libvirt_watch.h"
#include "host/notes.h"
#include "host/qemu/qemu_watch.h"

#define QEMU_RESCAN_S   10
#define QEMU_DEADLINE_S 30

/* One of those who tell. */
typedef struct
{
  VjWatchers *watchers;
  const char *manager;
  gboolean asked;
  gboolean answered; /* it has told everything once, or has said that it cannot */
} Teller;

enum
{
  LIBVIRT,
  PROXMOX,
  QEMU,
  N_TELLERS
};

struct VjWatchers
{
  const VjConfig *config;
  VjDomains *domains;
  void (*ready) (gpointer user_data);
  gpointer user_data;
  gboolean is_ready;
  Teller tellers[N_TELLERS];
  VjLibvirtWatch *libvirt;
  VjQemuWatch *proxmox;
  VjQemuWatch *qemu;
  VjNotes *notes;
  guint64 n_notes;
};

static void
note_answer (Teller *teller)
{
  VjWatchers *watchers = teller->watchers;
  gboolean all = TRUE;
  teller->answered = TRUE;
  for (guint i = 0; i < N_TELLERS; i++)
    all = all && (watchers->tellers[i].answered || !watchers->tellers[i].asked);
  if (!all || watchers->is_ready)
    return;
  watchers->is_ready = TRUE;
  watchers->ready (watchers->user_data);
}

/* --- what they tell --- */

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  const Teller *teller = user_data;
  vj_domains_present (teller->watchers->domains, info);
}

static void
on_absent (const char *id, gpointer user_data)
{
  const Teller *teller = user_data;
  vj_domains_absent (teller->watchers->domains, id);
}

static void
on_ending (const char *id, gpointer user_data)
{
  const Teller *teller = user_data;
  vj_domains_ending (teller->watchers->domains, id);
}

static void
on_forgotten (const char *id, gpointer user_data)
{
  const Teller *teller = user_data;
  vj_domains_forgotten (teller->watchers->domains, id);
}

static void
on_listed (gpointer user_data)
{
  Teller *teller = user_data;
  vj_domains_listed (teller->watchers->domains, teller->manager);
  note_answer (teller);
}

static gboolean
is_proxmox_host (const VjConfig *config)
{
  return access (config->proxmox_rundir, F_OK) == 0 || access (config->pve_dir, F_OK) == 0;
}

/* A host of Proxmox VE has no libvirt, as a rule, and that nobody was asked to name it is no fault. */
static gboolean
is_libvirt_expected (const VjConfig *config)
{
  return config->managers != 0 || !is_proxmox_host (config);
}

/* Where nobody asked for it, and there is no trace of it, its watch is nobody's concern. */
static gboolean
is_silent (const Teller *teller)
{
  const VjConfig *config = teller->watchers->config;
  return config->managers == 0 && teller->manager == teller->watchers->tellers[PROXMOX].manager
         && !is_proxmox_host (config);
}

static void
on_connection (gboolean connected, const char *message, gpointer user_data)
{
  Teller *teller = user_data;
  const gboolean expected = teller->manager != teller->watchers->tellers[LIBVIRT].manager
                            || is_libvirt_expected (teller->watchers->config);
  if (connected && is_silent (teller))
    g_debug ("%s", message);
  else if (connected || !expected)
    g_message ("%s", message);
  else
    g_warning ("%s", message);
  if (!connected)
    note_answer (teller);
}

static const VjDomainListener listener = { .present = on_present,
                                           .absent = on_absent,
                                           .ending = on_ending,
                                           .forgotten = on_forgotten,
                                           .listed = on_listed,
                                           .connection = on_connection };

/* A hook says that something happens: whatever it was, a look at what its manager has now tells. Plain QEMU has no hooks, and
 * is looked at by the way. However many notes come, a watcher looks five times a second at most. */
static void
on_note (const char *manager, guint notes, gpointer user_data)
{
  VjWatchers *watchers = user_data;
  const gboolean is_libvirts = strcmp (manager, watchers->tellers[LIBVIRT].manager) == 0;
  watchers->n_notes += notes;
  if (is_libvirts && watchers->libvirt != NULL)
    vj_libvirt_watch_poke (watchers->libvirt);
  if (!is_libvirts && watchers->proxmox != NULL)
    vj_qemu_watch_poke (watchers->proxmox, 0);
  if (watchers->qemu != NULL)
    vj_qemu_watch_poke (watchers->qemu, 0);
}

/* --- opening --- */

/* Proxmox VE runs its machines as root; whom plain QEMU belongs to is anybody's guess. */
static VjQemuWatch *
open_qemu (VjWatchers *watchers, VjPoll *poll, Teller *teller, gboolean proxmox)
{
  static const guint root[] = { 0 };
  const VjConfig *config = watchers->config;
  const GArray *uids = config->qemu_uids;
  g_autofree char *guest_socket = g_build_filename (config->roots.runtime_dir, VJ_GUEST_SOCKET, NULL);
  g_autoptr (GError) error = NULL;
  VjQemuWatchOptions options = { .proxmox = proxmox,
                                 .plain = !proxmox,
                                 .rundir = config->proxmox_rundir,
                                 .pve_dir = config->pve_dir,
                                 .guest_socket = guest_socket,
                                 .rescan_s = QEMU_RESCAN_S,
                                 .deadline_s = QEMU_DEADLINE_S,
                                 .executables = (const char *const *)config->qemu_executables };
  if (uids != NULL && uids->len > 0)
    {
      options.uids = (const guint *)(gpointer)uids->data;
      options.n_uids = uids->len;
    }
  else if (uids == NULL && proxmox)
    {
      options.uids = root;
      options.n_uids = G_N_ELEMENTS (root);
    }
  VjQemuWatch *watch = vj_qemu_watch_new (&options, &config->roots, poll, &listener, teller, &error);
  if (watch == NULL)
    {
      g_warning ("machines of %s cannot be followed: %s", teller->manager, error->message);
      teller->asked = FALSE;
    }
  return watch;
}

static void
open_notes (VjWatchers *watchers)
{
  g_autoptr (GError) error = NULL;
  watchers->notes = vj_notes_open (watchers->config->roots.runtime_dir, on_note, watchers, &error);
  if (watchers->notes == NULL)
    g_warning ("hooks are not heard: %s", error->message);
}

/* What an earlier agent knew by the word of somebody who is not asked any more is let go. */
static void
open_tellers (VjWatchers *watchers, VjPoll *poll)
{
  const VjConfig *config = watchers->config;
  static const struct
  {
    const char *name;
    VjManager manager;
  } known[N_TELLERS] = { [LIBVIRT] = { "libvirt", VJ_MANAGER_LIBVIRT },
                         [PROXMOX] = { "proxmox", VJ_MANAGER_PROXMOX },
                         [QEMU] = { "qemu", VJ_MANAGER_QEMU } };
  for (guint i = 0; i < N_TELLERS; i++)
    {
      Teller *teller = &watchers->tellers[i];
      teller->watchers = watchers;
      teller->manager = known[i].name;
      teller->asked = vj_config_follows (config, known[i].manager);
      if (!teller->asked)
        vj_domains_listed (watchers->domains, known[i].name);
    }
  if (watchers->tellers[LIBVIRT].asked)
    watchers->libvirt =
        vj_libvirt_watch_new (config->libvirt_uri, &config->roots, &listener, &watchers->tellers[LIBVIRT]);
  if (watchers->tellers[PROXMOX].asked)
    watchers->proxmox = open_qemu (watchers, poll, &watchers->tellers[PROXMOX], TRUE);
  if (watchers->tellers[QEMU].asked)
    watchers->qemu = open_qemu (watchers, poll, &watchers->tellers[QEMU], FALSE);
}

VjWatchers *
vj_watchers_new (const VjConfig *config, VjPoll *poll, VjDomains *domains, void (*ready) (gpointer user_data),
                 gpointer user_data)
{
  VjWatchers *watchers = g_new0 (VjWatchers, 1);
  watchers->config = config;
  watchers->domains = domains;
  watchers->ready = ready;
  watchers->user_data = user_data;
  open_tellers (watchers, poll);
  open_notes (watchers);
  if (watchers->libvirt == NULL && watchers->proxmox == NULL && watchers->qemu == NULL)
    note_answer (&watchers->tellers[LIBVIRT]);
  return watchers;
}

void
vj_watchers_free (VjWatchers *watchers)
{
  if (watchers == NULL)
    return;
  g_clear_pointer (&watchers->notes, vj_notes_free);
  g_clear_pointer (&watchers->proxmox, vj_qemu_watch_free);
  g_clear_pointer (&watchers->qemu, vj_qemu_watch_free);
  g_clear_pointer (&watchers->libvirt, vj_libvirt_watch_free);
  g_free (watchers);
}

void
vj_watchers_poke (VjWatchers *watchers, int pid)
{
  if (watchers->proxmox != NULL)
    vj_qemu_watch_poke (watchers->proxmox, pid);
  if (watchers->qemu != NULL)
    vj_qemu_watch_poke (watchers->qemu, pid);
}

guint64
vj_watchers_notes (const VjWatchers *watchers)
{
  return watchers->n_notes;
}

gboolean
vj_watchers_libvirt_connected (const VjWatchers *watchers)
{
  return watchers->libvirt != NULL && vj_libvirt_watch_is_connected (watchers->libvirt);
}
