/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "common/units.h"
#include "guest/attributor/attributor.h"

/* What the attributor's tests share. */
#define NEVER_US (3600 * VJ_US_PER_S)
#define ID       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD      "/kubepods/burstable/pod6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"
#define CTR      POD "/" ID
#define STORAGE  2 /* among the zones that are shown, after add_storage () */

/* A machine of files: a reader's tree with two zones, control groups, /proc/stat. Busy time is real time's: what the test gives
 * to groups is far below it, so nothing is owed. */
typedef struct
{
  const char *root;
  VjNames *names;
  VjAttributorOptions options;
  VjAttributor *attributor;
  guint updates;
  guint64 package_uj;
  guint64 dram_uj;
  gboolean dram_is_odd; /* its file says nothing that can be read */
  gboolean has_storage;
  guint64 storage_uj;
  guint64 disk_bytes;   /* of the machine */
  GHashTable *io_bytes; /* group -> moved */
  GHashTable *cpu_us;   /* group -> usage */
  GString *said;
} Machine;

void write_zone (const Machine *machine, const char *zone, const char *name, guint64 energy_uj);
void write_tree (const Machine *machine);
void write_generation (const Machine *machine);
void use (Machine *machine, const char *path, guint64 us, guint64 memory);
void make_group (Machine *machine, const char *path);
void remove_group (Machine *machine, const char *path);
/* What a group moved, all above it moved too. */
void move (Machine *machine, const char *path, guint64 bytes);
void move_disk (Machine *machine, guint64 bytes);
/* A disk of files; everything else in /proc is this machine's. */
void add_storage (Machine *machine);
void start (Machine *machine);
void update (Machine *machine, guint64 package_uj, guint64 dram_uj);
int setup (void **state);
int teardown (void **state);
/* What must hold in every snapshot has been looked at. */
VjAttributorSnapshot *checked_snapshot (const Machine *machine);
const VjGroupSnapshot *find (const VjAttributorSnapshot *snapshot, const char *path);
/* Where a test has no use for its absence. */
const VjGroupSnapshot *group_of (const VjAttributorSnapshot *snapshot, const char *path);
