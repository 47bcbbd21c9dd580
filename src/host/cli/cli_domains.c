/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cli/cli_domains.h"

#include <signal.h>
#include <stdio.h>

#include "common/error.h"
#include "common/cli_table.h"

typedef struct
{
  guint done;
  guint skipped;
  guint failed;
} Sums;

VjLibvirtAdmin *
vj_cli_libvirt_open (const char *uri, gboolean read_only, GError **error)
{
  return vj_libvirt_admin_open (uri != NULL ? uri : g_getenv ("LIBVIRT_DEFAULT_URI"), read_only, error);
}

int
vj_cli_refuse (const char *verb, const char *problem)
{
  g_printerr ("virtjoule %s: %s; virtjoule %s --help lists what is allowed\n", verb, problem, verb);
  return VJ_EXIT_USAGE;
}

static void
tell (const char *name, const char *line, const GError *problem, gboolean all, Sums *sums)
{
  const gboolean skipped =
      all && (g_error_matches (problem, VJ_ERROR, VJ_ERROR_UNAVAILABLE) || vj_error_is_gone (problem));
  g_autofree char *printable = vj_cli_printable (name);
  if (line != NULL)
    (void)printf ("%s: %s\n", printable, line);
  else if (skipped)
    (void)printf ("%s: skipped: %s\n", printable, problem->message);
  else
    g_printerr ("virtjoule: %s: %s\n", printable, problem->message);
  sums->done += line != NULL ? 1 : 0;
  sums->skipped += skipped ? 1 : 0;
  sums->failed += line == NULL && !skipped ? 1 : 0;
  (void)fflush (stdout); /* an interrupted run has said how far it came */
}

static void
each_named (const VjLibvirtAdmin *admin, char *const *names, VjCliDomainFunc func, gpointer user_data,
            Sums *sums)
{
  for (; *names != NULL; names++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VjLibvirtDomain) domain = vj_libvirt_admin_find (admin, *names, &error);
      g_autofree char *line = domain != NULL ? func (domain, user_data, &error) : NULL;
      tell (domain != NULL ? vj_libvirt_domain_name (domain) : *names, line, error, FALSE, sums);
    }
}

static void
each_listed (const GPtrArray *domains, VjCliDomainFunc func, gpointer user_data, Sums *sums)
{
  for (guint i = 0; i < domains->len; i++)
    {
      const VjLibvirtDomain *domain = g_ptr_array_index (domains, i);
      g_autoptr (GError) error = NULL;
      g_autofree char *line = func (domain, user_data, &error);
      tell (vj_libvirt_domain_name (domain), line, error, TRUE, sums);
    }
  (void)printf ("Of %u: %u done, %u skipped, %u failed\n", domains->len, sums->done, sums->skipped,
                sums->failed);
}

int
vj_cli_each_domain (const VjLibvirtAdmin *admin, char *const *names, gboolean all, VjCliDomainFunc func,
                    gpointer user_data)
{
  Sums sums = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) domains = all ? vj_libvirt_admin_list (admin, &error) : NULL;
  if (all && domains == NULL)
    {
      g_printerr ("virtjoule: %s\n", error->message);
      return VJ_EXIT_FAILED;
    }
  if (all)
    each_listed (domains, func, user_data, &sums);
  else
    each_named (admin, names, func, user_data, &sums);
  if (fflush (stdout) != 0)
    {
      g_printerr ("virtjoule: standard output cannot be written\n");
      return VJ_EXIT_FAILED;
    }
  return sums.failed > 0 ? VJ_EXIT_FAILED : VJ_EXIT_OK;
}

static void
set_mask (int how)
{
  sigset_t signals;
  (void)sigemptyset (&signals);
  (void)sigaddset (&signals, SIGINT);
  (void)sigaddset (&signals, SIGTERM);
  (void)sigaddset (&signals, SIGHUP);
  (void)sigprocmask (how, &signals, NULL);
}

void
vj_cli_hold_signals (void)
{
  set_mask (SIG_BLOCK);
}

void
vj_cli_release_signals (void)
{
  set_mask (SIG_UNBLOCK);
}
