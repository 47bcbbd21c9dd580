/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>

#include "common/error.h"
#include "host/store.h"

#define CONTEXT "5f5b3c0e-1c3c-4c3e-9d57-0d8c3d6d7f10/powercap"
#define EPOCH   "00112233445566aa"

static int
make_dir (void **state)
{
  *state = g_dir_make_tmp ("vj-store-XXXXXX", NULL);
  return *state == NULL;
}

static int
remove_dir (void **state)
{
  const char *names[] = { "ledger", "ledger.bad" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (*state, names[i], NULL);
      g_unlink (path);
    }
  g_rmdir (*state);
  g_free (*state);
  return 0;
}

static VjLedger *
new_ledger (void)
{
  VjZone zone;
  VjLedger *ledger = vj_ledger_new ();
  assert_true (vj_zone_init (&zone, "package-0", NULL, -1));
  vj_ledger_add_zone (ledger, &zone, 0);
  return ledger;
}

static void
bill (VjLedger *ledger, VjAccount *account)
{
  vj_account_add_usage (account, VJ_RESOURCE_CPU, 600);
  vj_ledger_add_busy (ledger, VJ_RESOURCE_CPU, 1000);
  vj_ledger_measure (ledger, 0, 1000000, 1000000, FALSE);
  vj_ledger_settle (ledger);
}

static VjStored *
new_stored (VjStoredDomain *domain)
{
  VjStored *stored = vj_stored_new ();
  VjSourceMark mark = { .id = "package-0", .raw_uj = 77, .monotonic_us = 88 };
  g_strlcpy (stored->context, CONTEXT, sizeof stored->context);
  stored->monotonic_us = 100;
  stored->boottime_us = 200;
  stored->busy_idle_ticks = 300;
  stored->busy_monotonic_us = 400;
  stored->cpus = 2;
  g_array_append_val (stored->marks, mark);
  g_ptr_array_add (stored->domains, domain);
  return stored;
}

static VjStoredDomain
a_domain (void)
{
  return (VjStoredDomain){ .id = "01234567-89ab-cdef-0123-456789abcdef",
                           .uuid = "01234567-89ab-cdef-0123-456789abcdef",
                           .manager = "proxmox",
                           .vmid = 100,
                           .mark = { .epoch = EPOCH, .usage_ns = G_MAXUINT64, .usage_kind = 1 },
                           .settings = { .said = { [VJ_SETTING_INTERVAL] = TRUE }, .interval_us = 5000000 },
                           .pid = 4711,
                           .start_us = 123456,
                           .name = (char *)"a \nb",
                           .channel = (char *)"/a/b c" };
}

static void
save_one (const char *directory)
{
  VjStoredDomain domain = a_domain ();
  g_autoptr (VjLedger) ledger = new_ledger ();
  bill (ledger, vj_ledger_open (ledger, EPOCH));
  g_autoptr (VjStored) stored = new_stored (&domain);
  assert_true (vj_store_save (directory, stored, ledger, NULL));
}

static void
what_was_saved_is_loaded (void **state)
{
  save_one (*state);
  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VjStored) stored = vj_store_load (*state, CONTEXT, ledger, &error);
  assert_null (error);
  assert_non_null (stored);
  assert_int_equal (stored->monotonic_us, 100);
  assert_int_equal (stored->boottime_us, 200);
  assert_int_equal (stored->busy_idle_ticks, 300);
  assert_int_equal (stored->busy_monotonic_us, 400);
  assert_int_equal (stored->cpus, 2);
  assert_int_equal (stored->marks->len, 1);
  assert_int_equal (g_array_index (stored->marks, VjSourceMark, 0).raw_uj, 77);
  assert_int_equal (stored->domains->len, 1);
  const VjStoredDomain *domain = g_ptr_array_index (stored->domains, 0);
  assert_string_equal (domain->name, "a \nb");
  assert_string_equal (domain->channel, "/a/b c");
  assert_int_equal (domain->pid, 4711);
  assert_true (domain->mark.usage_ns == G_MAXUINT64);
  assert_string_equal (domain->manager, "proxmox");
  assert_string_equal (domain->uuid, domain->id);
  assert_int_equal (domain->vmid, 100);
  assert_null (domain->base);
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    assert_int_equal (domain->settings.said[i], i == VJ_SETTING_INTERVAL);
  assert_int_equal (domain->settings.interval_us, 5000000);
  VjAccount *account = vj_ledger_find (ledger, EPOCH);
  assert_non_null (account);
  assert_int_equal (vj_account_energy_uj (account, 0), 600000);
  assert_int_equal (vj_ledger_totals (ledger, 0)->measured_uj, 1000000);
}

static void
what_earlier_runs_used_is_kept (void **state)
{
  guint64 energy_uj[] = { 42000000 }, static_uj[] = { 7 };
  const VjLifetime base = { .epoch = EPOCH, .cpu_ns = 99, .energy_uj = energy_uj, .static_uj = static_uj };
  VjStoredDomain domain = a_domain ();
  domain.base = &base;
  g_autoptr (VjLedger) saved = new_ledger ();
  bill (saved, vj_ledger_open (saved, EPOCH));
  g_autoptr (VjStored) stored = new_stored (&domain);
  assert_true (vj_store_save (*state, stored, saved, NULL));

  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (VjStored) loaded = vj_store_load (*state, CONTEXT, ledger, NULL);
  assert_non_null (loaded);
  const VjStoredDomain *back = g_ptr_array_index (loaded->domains, 0);
  assert_non_null (back->base);
  assert_string_equal (back->base->epoch, EPOCH);
  assert_int_equal (back->base->cpu_ns, 99);
  assert_int_equal (back->base->energy_uj[0], 42000000);
  assert_int_equal (back->base->static_uj[0], 7);
}

/* An agent of the same boot is replaced by this one: its counters go on. */
static void
a_store_of_before_there_were_managers_is_read (void **state)
{
  g_autofree char *path = g_build_filename (*state, "ledger", NULL);
  g_autofree char *text = NULL;
  save_one (*state);
  assert_true (g_file_get_contents (path, &text, NULL, NULL));
  char *rest = strstr (text, " proxmox ");
  const char *after = strstr (rest, "\nledger\n");
  g_autofree char *old = g_strdup_printf ("%.*s%s", (int)(rest - text), text, after);
  assert_true (g_file_set_contents (path, old, -1, NULL));

  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (VjStored) stored = vj_store_load (*state, CONTEXT, ledger, NULL);
  assert_non_null (stored);
  const VjStoredDomain *domain = g_ptr_array_index (stored->domains, 0);
  assert_string_equal (domain->manager, "libvirt");
  assert_string_equal (domain->uuid, domain->id);
  assert_int_equal (vj_account_energy_uj (vj_ledger_find (ledger, EPOCH), 0), 600000);
}

static void
another_boot_begins_anew (void **state)
{
  save_one (*state);
  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (GError) error = NULL;
  assert_null (vj_store_load (*state, "another-boot/powercap", ledger, &error));
  assert_null (error);
  assert_null (vj_ledger_find (ledger, EPOCH));
}

static void
nothing_stored_is_no_error (void **state)
{
  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (GError) error = NULL;
  assert_null (vj_store_load (*state, CONTEXT, ledger, &error));
  assert_null (error);
}

/* Two domains on one account, or one domain twice: each would free what the other holds. */
static void
a_store_that_names_a_domain_or_an_epoch_twice_is_refused (void **state)
{
  VjStoredDomain first = a_domain (), second = a_domain ();
  g_autoptr (VjLedger) ledger = new_ledger ();
  g_autoptr (VjStored) stored = vj_stored_new ();
  g_strlcpy (stored->context, CONTEXT, sizeof stored->context);
  g_ptr_array_add (stored->domains, &first);
  g_ptr_array_add (stored->domains, &second);
  for (int same = 0; same < 3; same++)
    {
      g_autoptr (GError) error = NULL;
      second = a_domain ();
      second.id[0] ^= same == 1;         /* one epoch, two domains */
      second.mark.epoch[0] ^= same == 2; /* one domain, two epochs */
      assert_true (vj_store_save (*state, stored, ledger, NULL));
      assert_null (vj_store_load (*state, CONTEXT, ledger, &error));
      assert_true (g_error_matches (error, VJ_ERROR, VJ_ERROR_INVALID));
    }
}

/* Every prefix and every single-byte damage either loads or is refused whole: never a crash, never half a ledger. */
static void
a_damaged_store_is_kept_aside (void **state)
{
  save_one (*state);
  gsize length = 0;
  g_autofree char *text = NULL;
  g_autofree char *path = g_build_filename (*state, "ledger", NULL);
  assert_true (g_file_get_contents (path, &text, &length, NULL));
  guint refused = 0;
  for (gsize cut = 0; cut < length; cut++)
    {
      g_autoptr (VjLedger) ledger = new_ledger ();
      g_autoptr (GError) error = NULL;
      assert_true (g_file_set_contents (path, text, (gssize)cut, NULL));
      g_autoptr (VjStored) stored = vj_store_load (*state, CONTEXT, ledger, &error);
      if (error == NULL)
        continue;
      assert_null (stored);
      assert_null (vj_ledger_find (ledger, EPOCH));
      assert_int_equal (vj_ledger_totals (ledger, 0)->measured_uj, 0);
      assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
      refused++;
    }
  assert_true (refused > length / 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (what_was_saved_is_loaded, make_dir, remove_dir),
    cmocka_unit_test_setup_teardown (what_earlier_runs_used_is_kept, make_dir, remove_dir),
    cmocka_unit_test_setup_teardown (a_store_of_before_there_were_managers_is_read, make_dir, remove_dir),
    cmocka_unit_test_setup_teardown (another_boot_begins_anew, make_dir, remove_dir),
    cmocka_unit_test_setup_teardown (nothing_stored_is_no_error, make_dir, remove_dir),
    cmocka_unit_test_setup_teardown (a_store_that_names_a_domain_or_an_epoch_twice_is_refused, make_dir,
                                     remove_dir),
    cmocka_unit_test_setup_teardown (a_damaged_store_is_kept_aside, make_dir, remove_dir),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
