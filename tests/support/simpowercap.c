/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A powercap class whose counters are computed, at the moment they are read, from the real CPU time of real processes:
 * the ground truth against which attribution is measured. A program of the tests: it shares no code with the product,
 * so that an error there cannot cancel out here. */

#define FUSE_USE_VERSION 31

#include "sim_energy.h"

#include <errno.h>
#include <fuse.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS       "/class/powercap"
#define PROC        "/proc"
#define TEXT_MAX    4096
#define TRUTHS_KEPT 64

typedef enum
{
  DIRECTORY,
  LINK,
  NAME,
  ENERGY,
  RANGE,
  ENABLED,
  CONTROL,
  TRUTH,
  STAT
} NodeKind;
typedef struct
{
  NodeKind kind;
  char path[128];
  char target[128];
  size_t zone;
} Node;

/* FUSE's callbacks have no better place for it. */
static Sim sim = { .range_uj = 262143328850u, .packages = 1 };
static Node nodes[6 * SIM_ZONES_MAX + 8];
static size_t n_nodes;
static unsigned energy_mode = 0400;
static uint64_t n_dies;
static char *truths[TRUTHS_KEPT];
static size_t n_truths;

static const char help[] =
    "Usage: simpowercap [OPTION]... MOUNTPOINT\n"
    "Serves MOUNTPOINT/class/powercap (use MOUNTPOINT as the sysfs root) until SIGTERM; prints \"ready\" "
    "when it is there.\n"
    "Each package uses S + K x CPU time, computed at every read:\n"
    "  --static-watts S      of each package, at all times (default 0)\n"
    "  --watts-per-cpu K     of each CPU kept busy, shared evenly by the packages (default 0)\n"
    "  --core-fraction F     a core zone per package, with F of its load-dependent energy (0 to 1; default "
    "0: no zone)\n"
    "  --dram-watts W        a dram zone per package, constant power (default 0: no zone)\n"
    "  --packages N          (default 1)\n"
    "  --mirrored-dies N     each package appears as N dies with one counter\n"
    "  --range-uj R          counters wrap at R (default 262143328850)\n"
    "  --update-us U         counters change every U microseconds only (default 0: at every read)\n"
    "  --energy-mode OCTAL   mode of the energy_uj files (default 400, as in Linux)\n"
    "What counts as busy (each may be repeated; @P: on package P alone):\n"
    "  --pid PID[@P]         a process with all its threads, from now on, until it ends\n"
    "  --cgroup DIR[@P]      a cgroup, by its cpu.stat (v2) or cpuacct.usage (v1)\n"
    "  --machine             all CPUs, by the idle time in /proc/stat\n"
    "MOUNTPOINT/control takes one command per write; an unknown one fails with EINVAL:\n"
    "  add-pid PID[@P]   remove-pid PID   add-cgroup DIR[@P]   static-watts S   watts-per-cpu K\n"
    "  reset ZONE        the counter restarts at 0          jump ZONE UJ   it leaps ahead\n"
    "  error ZONE ERR    EIO, EACCES, ENODEV or a number    clear          no more errors\n"
    "  (ZONE is package-0, package-0/core, package-0-die-1, ...)\n"
    "MOUNTPOINT/proc is a root of procfs whose stat tells that CPU time, and the rest of it idle, in ticks; "
    "all "
    "else there is /proc's.\n"
    "MOUNTPOINT/truth lists, all of one instant, \"zone ID UJ\" (what was used since the start, untouched by "
    "wraps, resets\n"
    "and jumps), \"pid PID NS\", \"cgroup DIR NS\" and \"machine NS\" (CPU time), \"busy NS\" (their sum) "
    "and \"elapsed NS\".\n";

/* --- the tree ------------------------------------------------------------------------------------------------------ */

static void
add_node (NodeKind kind, size_t zone, const char *target, const char *directory, const char *name)
{
  Node *node = &nodes[n_nodes++];

  if (n_nodes == sizeof nodes / sizeof nodes[0])
    abort ();
  *node = (Node){ .kind = kind, .zone = zone };
  (void)snprintf (node->target, sizeof node->target, "%s", target);
  (void)snprintf (node->path, sizeof node->path, "%s%s", directory, name);
}

static const Node *
find_node (const char *path)
{
  for (size_t i = 0; i < n_nodes; i++)
    if (strcmp (nodes[i].path, path) == 0)
      return &nodes[i];
  return NULL;
}

/* directory: below the class, as the kernel nests it; entry: its flat name. */
static void
add_zone (size_t account, const char *parent_id, const char *name, const char *directory, const char *entry)
{
  const size_t index = sim.n_zones++;
  Zone *zone = &sim.zones[index];
  char path[112];

  zone->account = account;
  (void)snprintf (zone->id, sizeof zone->id, "%s%s%s", parent_id, *parent_id != '\0' ? "/" : "", name);
  (void)snprintf (zone->name, sizeof zone->name, "%s", name);
  (void)snprintf (path, sizeof path, CLASS "/%s", directory);
  add_node (DIRECTORY, index, "", path, "");
  add_node (NAME, index, "", path, "/name");
  add_node (ENERGY, index, "", path, "/energy_uj");
  add_node (RANGE, index, "", path, "/max_energy_range_uj");
  add_node (ENABLED, index, "", path, "/enabled");
  add_node (LINK, index, directory, CLASS "/", entry);
}

static size_t
add_account (AccountKind kind, int package)
{
  sim.accounts[sim.n_accounts] = (Account){ .kind = kind, .package = package };
  return sim.n_accounts++;
}

static void
add_sub_zone (size_t account, int above, int number, const char *parent_id, const char *name)
{
  char directory[96], entry[32];

  (void)snprintf (entry, sizeof entry, "intel-rapl:%d:%d", above, number);
  (void)snprintf (directory, sizeof directory, "intel-rapl/intel-rapl:%d/%s", above, entry);
  add_zone (account, parent_id, name, directory, entry);
}

/* number: of the zone; a package has several where it is mirrored. */
static void
add_package (size_t account, int number, int package, int die)
{
  char directory[96], entry[32], name[32];
  int below = 0;

  (void)snprintf (name, sizeof name, die < 0 ? "package-%d" : "package-%d-die-%d", package, die);
  (void)snprintf (entry, sizeof entry, "intel-rapl:%d", number);
  (void)snprintf (directory, sizeof directory, "intel-rapl/%s", entry);
  add_zone (account, "", name, directory, entry);
  if (sim.core_permille > 0)
    add_sub_zone (add_account (CORE, package), number, below++, name, "core");
  if (sim.dram_uw > 0)
    add_sub_zone (add_account (DRAM, package), number, below++, name, "dram");
}

static void
build_tree (void)
{
  add_node (DIRECTORY, 0, "", "/", "");
  add_node (DIRECTORY, 0, "", "/class", "");
  add_node (DIRECTORY, 0, "", CLASS, "");
  add_node (DIRECTORY, 0, "", CLASS "/intel-rapl", "");
  add_node (DIRECTORY, 0, "", PROC, "");
  add_node (STAT, 0, "", PROC, "/stat");
  add_node (CONTROL, 0, "", "/control", "");
  add_node (TRUTH, 0, "", "/truth", "");
  for (int package = 0; package < sim.packages; package++)
    {
      const size_t account = add_account (PACKAGE, package);

      if (n_dies == 0)
        add_package (account, package, package, -1);
      for (int die = 0; die < (int)n_dies; die++)
        add_package (account, package * (int)n_dies + die, package, die);
    }
}

/* --- FUSE ---------------------------------------------------------------------------------------------------------- */

static void *
sim_init (struct fuse_conn_info *connection, struct fuse_config *config)
{
  (void)connection;
  config->direct_io = 1; /* every read(2) comes here, that of an fd kept open too */
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  (void)puts ("ready");
  (void)fflush (stdout);
  return NULL;
}

/* What is in PROC by no node of its own is a link to what /proc has by that name. */
static bool
is_link_to_proc (const char *path)
{
  return strncmp (path, PROC "/", strlen (PROC "/")) == 0 && find_node (path) == NULL;
}

static int
sim_getattr (const char *path, struct stat *ret_status, struct fuse_file_info *info)
{
  const Node *node = find_node (path);

  (void)info;
  if (is_link_to_proc (path))
    {
      *ret_status = (struct stat){ .st_nlink = 1, .st_mode = S_IFLNK | 0777 };
      return 0;
    }
  if (node == NULL)
    return -ENOENT;
  *ret_status = (struct stat){ .st_nlink = 1, .st_mode = S_IFREG | 0444, .st_size = TEXT_MAX };
  if (node->kind == DIRECTORY)
    ret_status->st_mode = S_IFDIR | 0755;
  else if (node->kind == LINK)
    ret_status->st_mode = S_IFLNK | 0777;
  else if (node->kind == CONTROL)
    ret_status->st_mode = S_IFREG | 0600;
  else if (node->kind == ENERGY)
    ret_status->st_mode = S_IFREG | energy_mode;
  return 0;
}

static int
sim_readdir (const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
             enum fuse_readdir_flags flags)
{
  const size_t length = strcmp (path, "/") == 0 ? 0 : strlen (path);

  (void)offset, (void)info, (void)flags;
  for (size_t i = 1; i < n_nodes; i++)
    if (strncmp (nodes[i].path, path, length) == 0 && nodes[i].path[length] == '/'
        && strchr (nodes[i].path + length + 1, '/') == NULL)
      fill (buffer, nodes[i].path + length + 1, NULL, 0, 0);
  return 0;
}

static int
sim_readlink (const char *path, char *buffer, size_t size)
{
  const Node *node = find_node (path);

  if (!is_link_to_proc (path) && (node == NULL || node->kind != LINK))
    return -EINVAL;
  (void)snprintf (buffer, size, "%s", node == NULL ? path : node->target);
  return 0;
}

/* Whoever opens the truth sees one instant of it, however many reads it takes; the last few are kept. */
static size_t
keep_truth (void)
{
  const size_t slot = n_truths++ % TRUTHS_KEPT;

  free (truths[slot]);
  truths[slot] = sim_truth (&sim);
  return slot;
}

static int
sim_open (const char *path, struct fuse_file_info *info)
{
  const Node *node = find_node (path);

  if (node == NULL)
    return -ENOENT;
  if (node->kind == TRUTH)
    info->fh = keep_truth ();
  return node->kind == ENERGY ? -sim.zones[node->zone].error : 0;
}

/* Returns the file's text; the caller's (free). */
static char *
read_node (const Node *node, const struct fuse_file_info *info)
{
  const Zone *zone = &sim.zones[node->zone];
  char *text = NULL;
  int length = 0;

  switch (node->kind)
    {
    case NAME:
      length = asprintf (&text, "%s\n", zone->name);
      break;
    case ENERGY:
      sim_update (&sim);
      length = asprintf (&text, "%" PRIu64 "\n", sim_counter_uj (&sim, zone));
      break;
    case RANGE:
      length = asprintf (&text, "%" PRIu64 "\n", sim.range_uj);
      break;
    case ENABLED:
      length = asprintf (&text, "1\n");
      break;
    case STAT:
      return sim_stat (&sim);
    case TRUTH:
      return strdup (truths[info->fh]);
    default:
      return strdup ("");
    }
  return length < 0 ? NULL : text;
}

static int
sim_read (const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
  const Node *node = find_node (path);

  if (node == NULL)
    return -ENOENT;
  if (node->kind == ENERGY && sim.zones[node->zone].error != 0)
    return -sim.zones[node->zone].error;

  char *text = read_node (node, info);
  const size_t length = text == NULL ? 0 : strlen (text);
  size_t count = (size_t)offset < length ? length - (size_t)offset : 0;

  if (count > size)
    count = size;
  if (count > 0)
    memcpy (buffer, text + offset, count);
  free (text);
  return (int)count;
}

static int
sim_write (const char *path, const char *bytes, size_t size, off_t offset, struct fuse_file_info *info)
{
  const Node *node = find_node (path);
  char line[TEXT_MAX];

  (void)offset, (void)info;
  if (node == NULL || node->kind != CONTROL)
    return -EACCES;
  if (size >= sizeof line)
    return -EINVAL;
  memcpy (line, bytes, size);
  line[size] = '\0';
  return sim_run (&sim, line) ? (int)size : -EINVAL;
}

static int
sim_truncate (const char *path, off_t size, struct fuse_file_info *info)
{
  (void)path, (void)size, (void)info;
  return 0; /* what a shell's > asks for */
}

static const struct fuse_operations operations = {
  .init = sim_init,
  .getattr = sim_getattr,
  .readdir = sim_readdir,
  .readlink = sim_readlink,
  .open = sim_open,
  .read = sim_read,
  .write = sim_write,
  .truncate = sim_truncate,
};

/* --- options ------------------------------------------------------------------------------------------------------- */

static const struct option options[] = {
  { "help", no_argument, NULL, 'h' },
  { "static-watts", required_argument, NULL, 's' },
  { "watts-per-cpu", required_argument, NULL, 'k' },
  { "core-fraction", required_argument, NULL, 'f' },
  { "dram-watts", required_argument, NULL, 'd' },
  { "packages", required_argument, NULL, 'n' },
  { "mirrored-dies", required_argument, NULL, 'i' },
  { "range-uj", required_argument, NULL, 'r' },
  { "update-us", required_argument, NULL, 'u' },
  { "energy-mode", required_argument, NULL, 'e' },
  { "pid", required_argument, NULL, 'p' },
  { "cgroup", required_argument, NULL, 'c' },
  { "machine", no_argument, NULL, 'm' },
  { NULL, 0, NULL, 0 },
};

static bool
set_number (const char *text, uint64_t factor, uint64_t least, uint64_t most, uint64_t *ret_value)
{
  uint64_t number;

  if (!sim_parse_number (text, &number) || number < least || number > most)
    return false;
  *ret_value = number * factor;
  return true;
}

static bool
set_packages (const char *text)
{
  uint64_t packages;

  if (!set_number (text, 1, 1, SIM_PACKAGES_MAX, &packages))
    return false;
  sim.packages = (int)packages;
  return true;
}

static bool
set_core_fraction (const char *text)
{
  uint64_t millionths;

  if (!sim_parse_watts (text, &millionths) || millionths > 1000000)
    return false;
  sim.core_permille = millionths / 1000;
  return true;
}

static bool
set_option (int option, const char *text)
{
  switch (option)
    {
    case 's':
      return sim_parse_watts (text, &sim.static_uw);
    case 'k':
      return sim_parse_watts (text, &sim.per_cpu_uw);
    case 'd':
      return sim_parse_watts (text, &sim.dram_uw);
    case 'f':
      return set_core_fraction (text);
    case 'n':
      return set_packages (text);
    case 'i':
      return set_number (text, 1, 1, SIM_DIES_MAX, &n_dies);
    case 'r':
      return set_number (text, 1, 1, UINT64_MAX / 2, &sim.range_uj);
    case 'u':
      return set_number (text, 1000, 0, 60000000, &sim.update_ns);
    case 'e':
      energy_mode = (unsigned)strtoul (text, NULL, 8) & 0777;
      return true;
    default:
      return true;
    }
}

/* In a pass of its own, because @PACKAGE needs the number of packages. */
static bool
set_busy (int option, const char *text)
{
  switch (option)
    {
    case 'p':
      return sim_add_busy (&sim, PID, text);
    case 'c':
      return sim_add_busy (&sim, CGROUP, text);
    case 'm':
      return sim_add_busy (&sim, MACHINE, "");
    default:
      return true;
    }
}

static void
parse_options (int argc, char **argv, bool (*set) (int option, const char *text))
{
  int option;

  optind = 1;
  while ((option = getopt_long (argc, argv, "", options, NULL)) != -1)
    {
      if (option == 'h')
        {
          (void)fputs (help, stdout);
          exit (0);
        }
      if (option == '?' || !set (option, optarg))
        {
          (void)fprintf (stderr, "simpowercap: option refused%s%s; see --help\n", option == '?' ? "" : ": ",
                         option == '?' || optarg == NULL ? "" : optarg);
          exit (2);
        }
    }
  if (optind != argc - 1)
    {
      (void)fputs ("simpowercap: one MOUNTPOINT, please; see --help\n", stderr);
      exit (2);
    }
}

int
main (int argc, char **argv)
{
  const bool is_root = geteuid () == 0;

  parse_options (argc, argv, set_option);
  build_tree ();
  sim_start (&sim);
  parse_options (argc, argv, set_busy);

  /* Single-threaded, in the foreground; libfuse unmounts on SIGTERM, SIGINT and SIGHUP. */
  char foreground[] = "-f", single[] = "-s", user[] = "-odefault_permissions",
       root[] = "-odefault_permissions,allow_other";
  char *arguments[] = { argv[0], foreground, single, is_root ? root : user, argv[optind], NULL };
  const int result = fuse_main (5, arguments, &operations, NULL);

  return result == 8 ? 0 : result; /* 8: the loop was ended, by a signal */
}
