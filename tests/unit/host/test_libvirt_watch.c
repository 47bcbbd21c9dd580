/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/libvirt_watch.h"

#include "tempdir.h"
#include "test_child.h"

#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 60
#define UUID_A     "aaaaaaaa-0000-4000-8000-00000000000a"
#define UUID_B     "bbbbbbbb-0000-4000-8000-00000000000b"

/* libvirt's test driver lives in the process: test:///default is one hypervisor for all connections of a process. */
#define DOMAIN_XML(name, uuid)                                                                               \
  "<domain type='test'><name>" name "</name><uuid>" uuid                                                     \
  "</uuid><memory>1024</memory><os><type>hvm</type></os>"                                                    \
  "</domain>"

typedef struct
{
  GPtrArray *events; /* strings, oldest first */
  char *root;
  VjRoots roots;
  VjLibvirtWatch *watch;
  virConnectPtr control;
} Fixture;

static void
record (Fixture *fixture, char *event)
{
  g_ptr_array_add (fixture->events, event);
}

static const char *
channel_of (const VjDomainInfo *info)
{
  if (info->channel_connects)
    return "connects";
  return info->channel_path ? info->channel_path : "none";
}

static void
on_present (const VjDomainInfo *info, gpointer user_data)
{
  GString *event = g_string_new (NULL);

  assert_string_equal (info->id, info->uuid);
  g_string_printf (event, "present %s %s %s pid=%d channel=%s", info->name, info->manager,
                   vj_domain_state_name (info->state), info->pid, channel_of (info));
  for (guint i = 0; i < VJ_N_SETTINGS; i++)
    {
      g_autofree char *value = vj_domain_settings_text (&info->settings, (VjSetting)i);

      if (info->settings.said[i])
        g_string_append_printf (event, " %s=%s", vj_setting_name ((VjSetting)i), value);
    }
  if (info->settings_problem)
    g_string_append_printf (event, " (%s)", info->settings_problem);
  record (user_data, g_string_free (event, FALSE));
}

static void
on_forgotten (const char *id, gpointer user_data)
{
  record (user_data, g_strdup_printf ("forgotten %s", id));
}

static void
on_absent (const char *uuid, gpointer user_data)
{
  record (user_data, g_strdup_printf ("absent %s", uuid));
}

static void
on_listed (gpointer user_data)
{
  record (user_data, g_strdup ("listed"));
}

static void
on_connection (gboolean connected, const char *message, gpointer user_data)
{
  record (user_data, g_strdup_printf ("%s %s", connected ? "up" : "down", message));
}

static const VjDomainListener listener = {
  .present = on_present,
  .absent = on_absent,
  .forgotten = on_forgotten,
  .listed = on_listed,
  .connection = on_connection,
};

static int
setup (void **state)
{
  Fixture *fixture;
  void *root = NULL;

  if (tempdir_setup (&root) != 0)
    return -1;
  fixture = g_new0 (Fixture, 1);
  fixture->events = g_ptr_array_new_with_free_func (g_free);
  fixture->root = root;
  fixture->roots = (VjRoots){ .procfs = (char *)"/proc", .libvirt_rundir = root };
  fixture->control = virConnectOpen ("test:///default");
  *state = fixture;
  return fixture->control ? 0 : -1;
}

static int
teardown (void **state)
{
  Fixture *fixture = *state;
  void *root = fixture->root;

  vj_libvirt_watch_free (fixture->watch);
  virConnectClose (fixture->control);
  g_ptr_array_unref (fixture->events);
  g_free (fixture);
  return tempdir_teardown (&root);
}

static gboolean
on_deadline (gpointer user_data)
{
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_CONTINUE;
}

/* Runs the main loop until an event that starts so has come since the last call, and forgets what came before it. */
static void
wait_for (Fixture *fixture, const char *start)
{
  gboolean late = FALSE;
  const guint deadline = g_timeout_add_seconds (DEADLINE_S, on_deadline, &late);

  for (guint at = 0; !late;)
    {
      if (at == fixture->events->len)
        {
          g_main_context_iteration (NULL, TRUE);
          continue;
        }
      if (g_str_has_prefix (g_ptr_array_index (fixture->events, at++), start))
        {
          g_ptr_array_remove_range (fixture->events, 0, at);
          break;
        }
    }
  g_source_remove (deadline);
  if (!late)
    return;
  for (guint i = 0; i < fixture->events->len; i++)
    print_message ("  %s\n", (const char *)g_ptr_array_index (fixture->events, i));
  fail_msg ("no event \"%s\"", start);
}

static void
watch (Fixture *fixture, const char *uri)
{
  fixture->watch = vj_libvirt_watch_new (uri, &fixture->roots, &listener, fixture);
  assert_false (vj_libvirt_watch_is_connected (fixture->watch));
}

static virDomainPtr
start_domain (Fixture *fixture, const char *xml)
{
  virDomainPtr domain = virDomainCreateXML (fixture->control, xml, 0);

  assert_non_null (domain);
  return domain;
}

static void
stop_domain (virDomainPtr domain)
{
  assert_int_equal (virDomainDestroy (domain), 0);
  virDomainFree (domain);
}

static virDomainPtr
define_domain (Fixture *fixture, const char *xml)
{
  virDomainPtr domain = virDomainDefineXML (fixture->control, xml);

  assert_non_null (domain);
  return domain;
}

/* No event since the last wait begins so. */
static void
assert_none (const Fixture *fixture, const char *start)
{
  for (guint i = 0; i < fixture->events->len; i++)
    if (g_str_has_prefix (g_ptr_array_index (fixture->events, i), start))
      fail_msg ("event \"%s\"", (const char *)g_ptr_array_index (fixture->events, i));
}

/* Everything that was to be told is among the events: what comes of another domain comes after it. */
static void
settle (Fixture *fixture)
{
  guint at = fixture->events->len;
  virDomainPtr domain = start_domain (fixture, DOMAIN_XML ("b", UUID_B));

  for (gboolean told = FALSE; !told;)
    {
      if (at == fixture->events->len)
        g_main_context_iteration (NULL, TRUE);
      else
        told = g_str_has_prefix (g_ptr_array_index (fixture->events, at++), "present b");
    }
  stop_domain (domain);
}

/* A hypervisor of its own, with domain "named" that has an energy channel. */
static char *
write_hypervisor (Fixture *fixture)
{
  static const char xml[] =
      "<node><domain type='test'><name>named</name><uuid>" UUID_A "</uuid><memory>1024</memory>"
      "<os><type>hvm</type></os><devices>"
      "<channel type='unix'><source mode='bind' path='/run/agent.sock'/>"
      "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
      "<channel type='unix'><source mode='bind' path='/run/energy.sock'/>"
      "<target type='virtio' name='org.virtjoule.energy.0'/></channel>"
      "</devices></domain></node>";

  tempdir_write (fixture->root, "node.xml", xml);
  return g_strdup_printf ("test://%s/node.xml", fixture->root);
}

static void
running_domains_are_told_then_listed (void **state)
{
  Fixture *fixture = *state;

  watch (fixture, "test:///default");
  wait_for (fixture, "up connected to test:///default");
  wait_for (fixture, "present test libvirt running pid=0 channel=none");
  assert_true (vj_libvirt_watch_is_connected (fixture->watch));
  wait_for (fixture, "listed");
  assert_int_equal (fixture->events->len, 0);
}

static void
life_of_a_domain_is_followed (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = start_domain (fixture, DOMAIN_XML ("a", UUID_A));
  wait_for (fixture, "present a libvirt running");
  assert_int_equal (virDomainSuspend (domain), 0);
  wait_for (fixture, "present a libvirt paused");
  assert_int_equal (virDomainResume (domain), 0);
  wait_for (fixture, "present a libvirt running");
  stop_domain (domain);
  wait_for (fixture, "absent " UUID_A);
}

static void
stop_is_told_once (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  domain = start_domain (fixture, DOMAIN_XML ("a", UUID_A));
  wait_for (fixture, "present a");
  stop_domain (domain);
  wait_for (fixture, "absent " UUID_A);
  domain = start_domain (fixture, DOMAIN_XML ("b", UUID_B));
  wait_for (fixture, "present b");
  for (guint i = 0; i < fixture->events->len; i++)
    assert_string_not_equal (g_ptr_array_index (fixture->events, i), "absent " UUID_A);
  stop_domain (domain);
}

/* The watch may catch any of these runs or none; what counts is where it ends. */
static void
quick_lives_leave_the_last_state (void **state)
{
  Fixture *fixture = *state;
  gboolean alive = FALSE;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  for (int i = 0; i < 50; i++)
    {
      stop_domain (start_domain (fixture, DOMAIN_XML ("a", UUID_A)));
      g_main_context_iteration (NULL, FALSE);
    }
  settle (fixture);
  for (guint i = 0; i < fixture->events->len; i++)
    {
      const char *event = g_ptr_array_index (fixture->events, i);

      alive = g_str_has_prefix (event, "present a") || (alive && !g_str_equal (event, "absent " UUID_A));
    }
  assert_false (alive);
}

static void
many_domains_are_told_before_listed (void **state)
{
  enum
  {
    N_DOMAINS = 100
  };
  Fixture *fixture = *state;
  virDomainPtr domains[N_DOMAINS];

  for (int i = 0; i < N_DOMAINS; i++)
    {
      g_autofree char *xml = g_strdup_printf ("<domain type='test'><name>many-%d</name><memory>1024</memory>"
                                              "<os><type>hvm</type></os></domain>",
                                              i);
      domains[i] = start_domain (fixture, xml);
    }
  watch (fixture, "test:///default");
  wait_for (fixture, "up");
  while (fixture->events->len == 0
         || !g_str_equal (g_ptr_array_index (fixture->events, fixture->events->len - 1), "listed"))
    g_main_context_iteration (NULL, TRUE);
  assert_int_equal (fixture->events->len, N_DOMAINS + 2); /* with "test" and "listed" */
  for (int i = 0; i < N_DOMAINS; i++)
    stop_domain (domains[i]);
}

static void
undefined_domain_is_forgotten (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = define_domain (fixture, DOMAIN_XML ("a", UUID_A));
  assert_int_equal (virDomainUndefine (domain), 0);
  wait_for (fixture, "forgotten " UUID_A);
  virDomainFree (domain);
}

static void
domain_undefined_while_it_runs_is_forgotten_at_its_end (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = define_domain (fixture, DOMAIN_XML ("a", UUID_A));
  assert_int_equal (virDomainCreate (domain), 0);
  wait_for (fixture, "present a");
  assert_int_equal (virDomainUndefine (domain), 0);
  wait_for (fixture, "present a");
  assert_none (fixture, "absent");
  assert_none (fixture, "forgotten");
  stop_domain (domain);
  wait_for (fixture, "absent " UUID_A);
  wait_for (fixture, "forgotten " UUID_A);
}

static void
domain_defined_again_is_not_forgotten (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = define_domain (fixture, DOMAIN_XML ("a", UUID_A));
  assert_int_equal (virDomainCreate (domain), 0);
  wait_for (fixture, "present a");
  assert_int_equal (virDomainUndefine (domain), 0);
  virDomainFree (define_domain (fixture, DOMAIN_XML ("a", UUID_A)));
  assert_int_equal (virDomainDestroy (domain), 0);
  wait_for (fixture, "absent " UUID_A);
  settle (fixture);
  assert_none (fixture, "forgotten");
  assert_int_equal (virDomainUndefine (domain), 0);
  wait_for (fixture, "forgotten " UUID_A);
  virDomainFree (domain);
}

/* Who made it may make it again, as restoring it from a file does. */
static void
transient_domain_is_not_forgotten (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = start_domain (fixture, DOMAIN_XML ("a", UUID_A));
  wait_for (fixture, "present a");
  stop_domain (domain);
  wait_for (fixture, "absent " UUID_A);
  settle (fixture);
  assert_none (fixture, "forgotten");
}

static void
renamed_domain_keeps_its_identity (void **state)
{
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = define_domain (fixture, DOMAIN_XML ("before", UUID_A));
  assert_int_equal (virDomainCreate (domain), 0);
  wait_for (fixture, "present before");
  assert_int_equal (virDomainDestroy (domain), 0);
  wait_for (fixture, "absent " UUID_A);
  assert_int_equal (virDomainRename (domain, "after", 0), 0);
  assert_int_equal (virDomainCreate (domain), 0);
  wait_for (fixture, "present after");
  assert_none (fixture, "forgotten");
  assert_none (fixture, "present before");
  assert_int_equal (virDomainDestroy (domain), 0);
  assert_int_equal (virDomainUndefine (domain), 0);
  wait_for (fixture, "forgotten " UUID_A);
  virDomainFree (domain);
}

static void
settings_follow_the_metadata (void **state)
{
  static const struct
  {
    const char *metadata;
    const char *told;
  } changes[] = {
    { "<settings interval='5s' resolution='10mJ'/>", " interval=5s resolution=10mJ" },
    { "<settings measure='no' colour='red'/>", " measure=no (\"colour\" is not allowed" },
    { NULL, "" },
  };
  Fixture *fixture = *state;
  virDomainPtr domain;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  domain = start_domain (fixture, DOMAIN_XML ("a", UUID_A));
  wait_for (fixture, "present a libvirt running pid=0 channel=none");
  for (gsize i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      g_autofree char *told =
          g_strdup_printf ("present a libvirt running pid=0 channel=none%s", changes[i].told);

      assert_int_equal (virDomainSetMetadata (domain, VIR_DOMAIN_METADATA_ELEMENT, changes[i].metadata,
                                              VJ_SETTINGS_PREFIX, VJ_SETTINGS_NAMESPACE,
                                              VIR_DOMAIN_AFFECT_LIVE),
                        0);
      wait_for (fixture, told);
    }
  stop_domain (domain);
}

static void
poke_is_a_look_without_an_event (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *uri = g_strdup_printf ("test://%s/node.xml", fixture->root);

  watch (fixture, uri);
  vj_libvirt_watch_poke (fixture->watch); /* while it is being opened */
  wait_for (fixture, "down cannot connect");
  g_free (write_hypervisor (fixture));
  for (int i = 0; i < 100; i++)
    vj_libvirt_watch_poke (fixture->watch); /* while it waits to try again */
  wait_for (fixture, "listed");
  vj_libvirt_watch_poke (fixture->watch);
}

static void
channel_and_pid_are_told (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *uri = write_hypervisor (fixture);
  g_autofree char *text = NULL;
  g_autofree char *event = NULL;
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);

  text = g_strdup_printf ("%d", pid);
  tempdir_write (fixture->root, "named.pid", text);
  watch (fixture, uri);
  event = g_strdup_printf ("present named libvirt running pid=%d channel=/run/energy.sock", pid);
  wait_for (fixture, event);
  test_child_stop (pid, socket);
}

/* The domain ran before, and nothing else happens to it. */
static void
await_pid_file (Fixture *fixture, const char *file)
{
  g_autofree char *text = NULL;
  g_autofree char *event = NULL;
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);

  text = g_strdup_printf ("%d", pid);
  event = g_strdup_printf ("present named libvirt running pid=%d", pid);
  tempdir_write (fixture->root, file, text);
  wait_for (fixture, event);
  test_child_stop (pid, socket);
}

static void
pid_file_is_a_look_without_an_event (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *uri = write_hypervisor (fixture);

  watch (fixture, uri);
  wait_for (fixture, "present named libvirt running pid=0");
  wait_for (fixture, "listed");
  await_pid_file (fixture, "named.pid");
}

/* It could not be read when the domain was told of, and nothing happens to either: the next look asks again. */
static void
process_that_is_not_known_is_asked_for_again (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *uri = write_hypervisor (fixture);
  g_autofree char *path = g_build_filename (fixture->root, "named.pid", NULL);
  const struct timespec then = { .tv_sec = g_get_real_time () / G_USEC_PER_SEC - 3600 };
  int socket = -1;
  const int pid = test_child_start (NULL, NULL, &socket);
  g_autofree char *text = g_strdup_printf ("%d", pid);
  g_autofree char *event = g_strdup_printf ("present named libvirt running pid=%d", pid);

  tempdir_write (fixture->root, "named.pid", text);
  assert_int_equal (utimensat (AT_FDCWD, path, (const struct timespec[]){ then, then }, 0), 0);
  watch (fixture, uri);
  wait_for (fixture, "present named libvirt running pid=0");
  wait_for (fixture, "listed");
  assert_int_equal (utimensat (AT_FDCWD, path, NULL, 0), 0);
  vj_libvirt_watch_poke (fixture->watch);
  wait_for (fixture, event);
  test_child_stop (pid, socket);
}

static void
rundir_may_come_later_and_be_replaced (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *uri = write_hypervisor (fixture);
  g_autofree char *rundir = g_build_filename (fixture->root, "run", NULL);
  g_autofree char *away = g_build_filename (fixture->root, "away", NULL);

  fixture->roots.libvirt_rundir = rundir;
  watch (fixture, uri);
  wait_for (fixture, "present named libvirt running pid=0");
  wait_for (fixture, "listed");
  await_pid_file (fixture, "run/named.pid");
  assert_int_equal (rename (rundir, away), 0);
  await_pid_file (fixture, "run/named.pid");
}

static void
pid_files_of_no_domain_are_nothing (void **state)
{
  static const char *const odd[] = { ".pid", "pid", "a.pid.new", ":.pid", UUID_A ".pid", "a .pid" };
  Fixture *fixture = *state;

  watch (fixture, "test:///default");
  wait_for (fixture, "listed");
  for (gsize i = 0; i < G_N_ELEMENTS (odd); i++)
    tempdir_write (fixture->root, odd[i], "1");
  for (guint i = 0; i < 1500; i++)
    {
      g_autofree char *name = g_strdup_printf ("start-%u.pid", i);

      tempdir_write (fixture->root, name, "1");
    }
  settle (fixture);
  assert_none (fixture, "present start");
  assert_none (fixture, "present a");
  assert_none (fixture, "absent");
}

static void
connecting_is_tried_again (void **state)
{
  Fixture *fixture = *state;
  g_autofree char *uri = g_strdup_printf ("test://%s/node.xml", fixture->root);
  g_autofree char *complaint = g_strdup_printf ("down cannot connect to %s: ", uri);

  watch (fixture, uri);
  wait_for (fixture, complaint);
  assert_false (vj_libvirt_watch_is_connected (fixture->watch));
  g_free (write_hypervisor (fixture));
  wait_for (fixture, "up");
  wait_for (fixture, "present named");
  wait_for (fixture, "listed");
}

static void
freed_watch_is_silent (void **state)
{
  Fixture *fixture = *state;
  Fixture other = *fixture;

  other.events = g_ptr_array_new_with_free_func (g_free);
  watch (&other, "test:///default");
  vj_libvirt_watch_free (other.watch); /* while its worker opens the connection */
  watch (&other, "test:///default");
  wait_for (&other, "up");
  vj_libvirt_watch_free (other.watch); /* while its worker asks for the domains */
  watch (&other, "test:///default");
  wait_for (&other, "listed");
  vj_libvirt_watch_free (other.watch); /* with nothing under way */
  g_ptr_array_set_size (other.events, 0);

  watch (fixture, "test:///default");
  stop_domain (start_domain (fixture, DOMAIN_XML ("a", UUID_A)));
  wait_for (fixture, "listed");
  assert_int_equal (other.events->len, 0);
  g_ptr_array_unref (other.events);
}

#define watch_test(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    watch_test (running_domains_are_told_then_listed),
    watch_test (life_of_a_domain_is_followed),
    watch_test (stop_is_told_once),
    watch_test (quick_lives_leave_the_last_state),
    watch_test (many_domains_are_told_before_listed),
    watch_test (undefined_domain_is_forgotten),
    watch_test (domain_undefined_while_it_runs_is_forgotten_at_its_end),
    watch_test (domain_defined_again_is_not_forgotten),
    watch_test (transient_domain_is_not_forgotten),
    watch_test (renamed_domain_keeps_its_identity),
    watch_test (settings_follow_the_metadata),
    watch_test (poke_is_a_look_without_an_event),
    watch_test (channel_and_pid_are_told),
    watch_test (pid_file_is_a_look_without_an_event),
    watch_test (process_that_is_not_known_is_asked_for_again),
    watch_test (rundir_may_come_later_and_be_replaced),
    watch_test (pid_files_of_no_domain_are_nothing),
    watch_test (connecting_is_tried_again),
    watch_test (freed_watch_is_silent),
  };

  vj_libvirt_watch_init ();
  return cmocka_run_group_tests (tests, NULL, NULL);
}
