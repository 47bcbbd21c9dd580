/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cli/libvirt_admin.h"

/* What the verbs that change domains of libvirt share. */

#define VJ_CLI_URI_ENTRY(uri)                                                                                \
  {                                                                                                          \
    "uri", 0, 0, G_OPTION_ARG_STRING, uri, "libvirt connection (LIBVIRT_DEFAULT_URI, else qemu:///system)",  \
        "URI"                                                                                                \
  }
#define VJ_CLI_DEFINITION_ENTRIES(flags)                                                                     \
  { "live", 0, 0, G_OPTION_ARG_NONE, &(flags)->live, "Change the running domain", NULL },                    \
      { "config",                                                                                            \
        0,                                                                                                   \
        0,                                                                                                   \
        G_OPTION_ARG_NONE,                                                                                   \
        &(flags)->config,                                                                                    \
        "Change the persistent definition, for later starts",                                                \
        NULL },                                                                                              \
      { "current",                                                                                           \
        0,                                                                                                   \
        0,                                                                                                   \
        G_OPTION_ARG_NONE,                                                                                   \
        &(flags)->current,                                                                                   \
        "The running domain, or the definition of one that does not run (default)",                          \
        NULL },                                                                                              \
  {                                                                                                          \
    "persistent", 0, 0, G_OPTION_ARG_NONE, &(flags)->persistent,                                             \
        "The persistent definition, and the running domain if it runs", NULL                                 \
  }

VjLibvirtAdmin *vj_cli_libvirt_open (const char *uri, gboolean read_only, GError **error);
/* Shows an error of a verb's arguments; returns VJ_EXIT_USAGE. */
int vj_cli_refuse (const char *verb, const char *problem);

/* Deals with one domain; what there is to say of it in one line is the caller's, NULL on error. */
typedef char *(*VjCliDomainFunc) (const VjLibvirtDomain *domain, gpointer user_data, GError **error);
/* For each of names, or with all for every domain there is: calls func and prints its line or its error, and goes on.
 * Of all domains, those that it does not apply to (UNAVAILABLE) and those that have vanished meanwhile (GONE) are skipped, and a sum is printed. Returns the exit status. */
int vj_cli_each_domain (const VjLibvirtAdmin *admin, char *const *names, gboolean all, VjCliDomainFunc func,
                        gpointer user_data);

/* Between these, signals that would end the process wait: for what takes two requests to libvirt. */
void vj_cli_hold_signals (void);
void vj_cli_release_signals (void);
