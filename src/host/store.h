/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "host/domains/domain.h"
#include "host/domains/domain_run.h"
#include "common/source.h"

/* What survives the agent within one boot: <runtime-dir>/ledger, replaced as a whole at every tick before
 * frames go out, so that no guest has ever been told more than a restarted agent remembers. */

/* One running domain. */
typedef struct
{
  char id[VJ_DOMAIN_ID_SIZE];
  char uuid[37]; /* may be empty */
  char manager[16];
  guint vmid;
  char *name;
  char *channel; /* path; NULL: QEMU listens nowhere */
  VjDomainSettings settings;
  int pid;
  guint64 start_us; /* process start, CLOCK_BOOTTIME */
  VjRunMark mark;   /* its epoch is the key of its account in the ledger */
  const VjLifetime
      *base; /* what earlier runs used, told under the same epoch; NULL: counters began with this run */
} VjStoredDomain;

void vj_stored_domain_free (VjStoredDomain *domain);

typedef struct
{
  char context[80];        /* what the counters are bound to: boot id and source, as one word */
  guint64 monotonic_us;    /* of the tick */
  guint64 boottime_us;     /* the same moment on CLOCK_BOOTTIME */
  guint64 busy_idle_ticks; /* vj_busy_get_mark () */
  guint64 busy_monotonic_us;
  guint cpus;
  GArray *marks;      /* of VjSourceMark */
  GPtrArray *domains; /* of VjStoredDomain; borrowed when saving, owned (their bases too) after loading */
} VjStored;

VjStored *vj_stored_new (void);
void vj_stored_free (VjStored *stored);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjStored, vj_stored_free)

/* The ledger's accounts have the epoch as their key. On failure nothing is left that could be loaded: whoever went on from
 * an older state would take back what guests have been told since. */
gboolean vj_store_save (const char *runtime_dir, const VjStored *stored, const VjLedger *ledger,
                        GError **error);
/* NULL and no error: nothing stored, or in another context. INVALID: not readable as a store; the file is
 * moved aside to ledger.bad and the ledger is unchanged. */
VjStored *vj_store_load (const char *runtime_dir, const char *context, VjLedger *ledger, GError **error);
