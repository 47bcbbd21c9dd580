/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domains/domain_run.h"

#include <sys/epoll.h>
#include <sys/random.h>

#include "common/process.h"
#include "host/usage/consumption.h"

struct VjDomainRun
{
  const VjRunContext *context;
  VjProcess *process;
  VjPollWatch *exit_watch;
  VjConsumption *consumption; /* NULL: not measured, or not readable for once */
  VjAccount *account;
  VjLifetime *base;
  VjRunMark mark;
  gboolean alone; /* the process is read, whatever scope it is in */
  guint64 scope;
};

const char *
vj_ending_name (VjEnding ending)
{
  static const char *const names[VJ_N_ENDINGS] = {
    [VJ_ENDING_EXACT] = "exact",
    [VJ_ENDING_COMPLETED] = "completed",
    [VJ_ENDING_UNKNOWN] = "unknown",
  };
  return names[ending];
}

/* --- what earlier runs used --- */

VjLifetime *
vj_lifetime_copy (const VjLifetime *lifetime, guint n_zones)
{
  VjLifetime *copy = g_memdup2 (lifetime, sizeof *lifetime);
  copy->energy_uj = g_memdup2 (lifetime->energy_uj, n_zones * sizeof *copy->energy_uj);
  copy->static_uj = g_memdup2 (lifetime->static_uj, n_zones * sizeof *copy->static_uj);
  return copy;
}

void
vj_lifetime_free (VjLifetime *lifetime)
{
  if (lifetime == NULL)
    return;
  g_free (lifetime->energy_uj);
  g_free (lifetime->static_uj);
  g_free (lifetime);
}

VjLifetime *
vj_lifetime_sum (const VjLedger *ledger, const VjLifetime *base, const VjAccount *account)
{
  VjLifetime *sum = vj_lifetime_copy (base, vj_ledger_n_zones (ledger));
  sum->cpu_ns += vj_account_usage_ns (account);
  for (guint zone = 0; zone < vj_ledger_n_zones (ledger); zone++)
    {
      sum->energy_uj[zone] += vj_account_energy_uj (account, zone);
      sum->static_uj[zone] += vj_account_static_uj (account, zone);
    }
  return sum;
}

/* --- the process --- */

VjDomainRun *
vj_domain_run_new (const VjRunContext *context, int pid, guint64 start_us, VjPollFunc func,
                   gpointer user_data)
{
  g_autoptr (VjDomainRun) run = g_new0 (VjDomainRun, 1);
  run->context = context;
  run->process = vj_process_open (context->roots->procfs, pid, NULL);
  if (run->process == NULL || (start_us != 0 && run->process->start_us != start_us))
    return NULL;
  run->exit_watch = vj_poll_add (context->poll, run->process->pidfd, EPOLLIN, func, user_data, NULL);
  if (run->exit_watch == NULL)
    return NULL;
  return g_steal_pointer (&run);
}

void
vj_domain_run_free (VjDomainRun *run)
{
  VjLifetime *base = NULL;
  if (run == NULL)
    return;
  VjAccount *account = vj_domain_run_stop (run, &base);
  if (account != NULL)
    vj_ledger_close (run->context->ledger, account);
  vj_lifetime_free (base);
  g_clear_pointer (&run->exit_watch, vj_poll_remove);
  g_clear_pointer (&run->process, vj_process_free);
  g_free (run);
}

int
vj_domain_run_pid (const VjDomainRun *run)
{
  return run->process->pid;
}

guint64
vj_domain_run_start_us (const VjDomainRun *run)
{
  return run->process->start_us;
}

gboolean
vj_domain_run_is_alive (const VjDomainRun *run)
{
  return vj_process_is_alive (run->process);
}

/* --- its account --- */

/* Names a new run of counters. An id that repeated would add two runs up in the guest. */
static void
new_epoch (char epoch[VJ_SESSION_LENGTH + 1])
{
  guint64 bits = 0;
  if (getrandom (&bits, sizeof bits, 0) != (gssize)sizeof bits)
    bits = ((guint64)g_random_int () << 32) | g_random_int ();
  g_snprintf (epoch, VJ_SESSION_LENGTH + 1, "%016" G_GINT64_MODIFIER "x", bits);
}

static gboolean
open_consumption (VjDomainRun *run)
{
  VjRoots roots = *run->context->roots;
  if (run->alone)
    roots.cgroupfs = NULL;
  run->consumption = vj_consumption_open (&roots, run->context->machine, run->process->pid, NULL);
  if (run->consumption == NULL)
    return FALSE;
  if (!run->alone)
    run->scope = vj_consumption_scope (run->consumption);
  run->mark.usage_kind = vj_consumption_kind (run->consumption);
  run->mark.usage_ns = vj_consumption_cpu_ns (run->consumption);
  return TRUE;
}

/* Counting goes on from this reading instead of from the one at opening. */
static void
count_from (VjDomainRun *run, guint64 usage_ns)
{
  run->mark.usage_ns = usage_ns;
  vj_consumption_set_cpu_ns (run->consumption, usage_ns);
}

static void
take_account (VjDomainRun *run, VjAccount *account, VjLifetime *base)
{
  run->account = account;
  run->base = base;
  if (run->context->exits != NULL)
    vj_exit_records_follow (run->context->exits, run->process->pid);
}

gboolean
vj_domain_run_measure (VjDomainRun *run, const VjRunMark *from, VjLifetime *base, VjAccount *account)
{
  if (!open_consumption (run))
    return FALSE;
  if (from != NULL && (from->usage_kind == run->mark.usage_kind || from->usage_kind == VJ_RUN_ANY_KIND))
    count_from (run, from->usage_ns);
  if (base != NULL && base->epoch[0] == '\0')
    new_epoch (base->epoch);
  if (base != NULL)
    g_strlcpy (run->mark.epoch, base->epoch, sizeof run->mark.epoch);
  else
    new_epoch (run->mark.epoch);
  if (account == NULL)
    account = vj_ledger_open (run->context->ledger, run->mark.epoch);
  take_account (run, account, base);
  return TRUE;
}

/* Whoever joins it there must know. */
static void
find_scope (VjDomainRun *run)
{
  g_autoptr (VjUsage) usage = vj_usage_open (run->context->roots, run->process->pid, NULL);
  run->scope = usage != NULL ? vj_usage_scope (usage) : 0;
}

gboolean
vj_domain_run_resume (VjDomainRun *run, const VjRunMark *mark, VjLifetime *base)
{
  VjAccount *account = vj_ledger_find (run->context->ledger, mark->epoch);
  run->alone = mark->usage_kind == VJ_SCOPE_PROCESS;
  if (run->alone)
    find_scope (run);
  if (account == NULL || !open_consumption (run) || run->mark.usage_kind != mark->usage_kind)
    return FALSE;
  count_from (run, mark->usage_ns);
  g_strlcpy (run->mark.epoch, mark->epoch, sizeof run->mark.epoch);
  take_account (run, account, base);
  return TRUE;
}

void
vj_domain_run_renew (VjDomainRun *run)
{
  vj_ledger_close (run->context->ledger, run->account);
  g_clear_pointer (&run->base, vj_lifetime_free);
  new_epoch (run->mark.epoch);
  run->account = vj_ledger_open (run->context->ledger, run->mark.epoch);
}

VjAccount *
vj_domain_run_stop (VjDomainRun *run, VjLifetime **ret_base)
{
  g_clear_pointer (&run->consumption, vj_consumption_free);
  if (run->account != NULL && run->context->exits != NULL)
    vj_exit_records_unfollow (run->context->exits, run->process->pid);
  *ret_base = g_steal_pointer (&run->base);
  return g_steal_pointer (&run->account);
}

VjAccount *
vj_domain_run_account (const VjDomainRun *run)
{
  return run->account;
}

const VjRunMark *
vj_domain_run_mark (const VjDomainRun *run)
{
  return &run->mark;
}

const VjLifetime *
vj_domain_run_base (const VjDomainRun *run)
{
  return run->base;
}

const char *
vj_domain_run_usage (const VjDomainRun *run)
{
  return run->consumption != NULL ? vj_scope_kind_name (vj_consumption_kind (run->consumption)) : NULL;
}

const char *
vj_domain_run_package_split (const VjDomainRun *run)
{
  return run->consumption != NULL ? vj_consumption_split (run->consumption) : NULL;
}

guint64
vj_domain_run_energy_uj (const VjDomainRun *run, guint zone)
{
  return vj_account_energy_uj (run->account, zone) + (run->base != NULL ? run->base->energy_uj[zone] : 0);
}

guint64
vj_domain_run_static_uj (const VjDomainRun *run, guint zone)
{
  return vj_account_static_uj (run->account, zone) + (run->base != NULL ? run->base->static_uj[zone] : 0);
}

guint64
vj_domain_run_cpu_ns (const VjDomainRun *run)
{
  return vj_account_usage_ns (run->account) + (run->base != NULL ? run->base->cpu_ns : 0);
}

/* --- what it consumes --- */

static gboolean
try_to_sample (VjDomainRun *run, guint64 elapsed_us)
{
  if (run->consumption == NULL || !vj_consumption_sample (run->consumption, run->account, elapsed_us))
    return FALSE;
  run->mark.usage_ns = vj_consumption_cpu_ns (run->consumption);
  return TRUE;
}

/* Its scope may have vanished while the process lives (moved by hand): counting goes on from what is found then. Of a
 * process that has exited the end is to be told any moment, and what is known so far is wanted there. */
void
vj_domain_run_sample (VjDomainRun *run, guint64 elapsed_us)
{
  if (run->account == NULL)
    return;
  if (run->consumption == NULL)
    open_consumption (run);
  if (!try_to_sample (run, elapsed_us) && vj_domain_run_is_alive (run))
    g_clear_pointer (&run->consumption, vj_consumption_free);
}

VjEnding
vj_domain_run_sample_last (VjDomainRun *run, guint64 elapsed_us)
{
  guint64 cpu_ns = 0;
  if (try_to_sample (run, elapsed_us))
    return VJ_ENDING_EXACT;
  const gboolean recorded =
      run->context->exits != NULL && vj_exit_records_get (run->context->exits, run->process->pid, &cpu_ns);
  if (!recorded || run->consumption == NULL)
    return VJ_ENDING_UNKNOWN;
  return vj_consumption_complete (run->consumption, run->account, cpu_ns) ? VJ_ENDING_COMPLETED
                                                                          : VJ_ENDING_UNKNOWN;
}

guint64
vj_domain_run_scope (const VjDomainRun *run)
{
  return run->account != NULL ? run->scope : 0;
}

void
vj_domain_run_leave_scope (VjDomainRun *run, guint64 elapsed_us)
{
  if (run->alone)
    return;
  try_to_sample (run, elapsed_us);
  g_clear_pointer (&run->consumption, vj_consumption_free);
  run->alone = TRUE;
  open_consumption (run);
}
