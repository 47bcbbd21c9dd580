/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/ledger.h"
#include "host/source.h"

/* What survives the agent within one boot: <runtime-dir>/ledger, replaced as a whole at every tick before frames go
 * out, so that no guest has ever been told more than a restarted agent remembers. */
typedef struct
{
  char boot_id[37];
  guint64 monotonic_us;      /* of the tick */
  guint64 busy_idle_ticks;   /* vj_busy_get_mark () */
  guint64 busy_monotonic_us;
  guint cpus;
  GArray *marks;             /* of VjSourceMark */
  GPtrArray *domains;        /* of VjStoredDomain */
} VjStored;

typedef struct
{
  char uuid[37];
  char epoch[VJ_SESSION_LENGTH + 1];
  int pid;
  guint64 start_us;          /* process start, CLOCK_BOOTTIME */
  guint64 usage_ns;          /* raw reading at the tick */
  guint usage_kind;
} VjStoredDomain;

VjStored *vj_stored_new (void);
void vj_stored_free (VjStored *stored);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VjStored, vj_stored_free)

/* The ledger's accounts have the epoch as their key. */
gboolean vj_store_save (const char *runtime_dir, const VjStored *stored, const VjLedger *ledger, GError **error);
/* NULL and no error: nothing stored, or by another boot. INVALID: not readable as a store (the file is moved aside to ledger.bad). */
VjStored *vj_store_load (const char *runtime_dir, const char *boot_id, VjLedger *ledger, GError **error);
