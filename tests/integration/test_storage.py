#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A storage zone, which no machine of today has and the test makes, is shared by what processes in control groups really
read from a disk and write to it: by domains on the host, by services and processes in a guest."""
import contextlib
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import BIN, Host, TestDriver, wait_for  # noqa: E402
from attributor_node import Node  # noqa: E402
from test_churn import Guest  # noqa: E402

MIB = 1 << 20
MOVED = {"much": 48 * MIB, "little": 16 * MIB}
ENERGY_UJ = 10000000
HIERARCHIES = ("", "unified", "cpuacct", "blkio")
# Direct I/O, past the page cache: half of it written, the same half read back.
MOVER = f"""
import mmap, os, sys
block = mmap.mmap(-1, {MIB})
fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR | os.O_DIRECT, 0o600)
print("ready", flush=True)
for line in sys.stdin:
    blocks = int(line) // 2 // {MIB}
    for at in range(blocks):
        assert os.pwrite(fd, block, at * {MIB}) == {MIB}
    for at in range(blocks):
        assert os.preadv(fd, [block], at * {MIB}) == {MIB}
    print("done", flush=True)
"""


def disk_name(directory):
    """Of the disk that a directory is on, where that is one which /proc/diskstats has; or None."""
    device = os.stat(directory).st_dev
    link = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
    if not os.path.exists(link):
        return None
    path = os.path.realpath(link)
    whole = os.path.dirname(path) if os.path.exists(path + "/partition") else path
    return os.path.basename(whole) if os.path.exists(whole + "/device") else None


def directory_on_disk():
    """One that takes direct I/O; or None."""
    for directory in (os.path.abspath(BIN), "/var/tmp"):
        if disk_name(directory) is None:
            continue
        with contextlib.suppress(OSError):
            os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_DIRECT, 0o600))
            return directory
    return None


def moved_by(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        fields = dict(line.split(": ") for line in file)
    return int(fields["read_bytes"]) + int(fields["write_bytes"])


def moved_by_disks():
    """Of all disks that are somebody's: at least what the agents count."""
    total = 0
    with open("/proc/diskstats", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if os.path.exists(f"/sys/block/{fields[2]}/device"):
                total += 512 * (int(fields[5]) + int(fields[9]))
    return total


class StorageCase(unittest.TestCase):
    def setUp(self):
        self.directory = directory_on_disk()
        if self.directory is None:
            self.skipTest("no directory here is on a disk that takes direct I/O")

    def group(self, name):
        """A control group of that name in every hierarchy that counts something for this."""
        made = []
        for hierarchy in HIERARCHIES:
            base = os.path.join("/sys/fs/cgroup", hierarchy)
            if not os.path.exists(base + "/cgroup.procs"):
                continue
            try:
                os.mkdir(os.path.join(base, name))
            except OSError as error:
                self.skipTest(f"no control group can be made here: {error}")
            made.append(os.path.join(base, name))
            self.addCleanup(self.remove, made[-1])
        if not made:
            self.skipTest("no control groups are mounted here")
        return made

    @staticmethod
    def remove(path):
        def gone():
            with contextlib.suppress(OSError):
                os.rmdir(path)
            return not os.path.exists(path)
        wait_for(gone, "the group's end")

    def mover(self, groups):
        process = subprocess.Popen([sys.executable, "-c", MOVER, self.directory],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for cleanup in (process.stdout.close, process.stdin.close, process.wait, process.kill):
            self.addCleanup(cleanup)
        self.assertEqual(process.stdout.readline(), "ready\n")
        for group in groups:
            with open(group + "/cgroup.procs", "w", encoding="ascii") as procs:
                procs.write(str(process.pid))
        return process

    def told(self):
        """What the kernel says that each mover has moved so far: what it has made dirty and no disk has seen yet, too."""
        return {name: moved_by(process.pid) for name, process in self.movers.items()}

    def move(self, movers):
        """All of them at once. Returns what each of them has moved, and the whole machine meanwhile."""
        before = self.told()
        machine = moved_by_disks()
        for name, process in movers.items():
            process.stdin.write(f"{MOVED[name]}\n")
            process.stdin.flush()
        for process in movers.values():
            self.assertEqual(process.stdout.readline(), "done\n")
        moved = {name: now - before[name] for name, now in self.told().items()}
        return moved, moved_by_disks() - machine

    def assert_shared(self, given, moved, most_moved, least_machine):
        for name, uj in given.items():
            self.assertGreaterEqual(moved[name], MOVED[name])
            self.assertLessEqual(uj, ENERGY_UJ * most_moved[name] // least_machine + 2)
        # Whatever else the machine did: as one is to the other.
        unsure = sum(most_moved.values()) - sum(moved.values())
        self.assertLessEqual(abs(given["much"] * moved["little"] - given["little"] * moved["much"]),
                             2 * sum(moved.values()) + ENERGY_UJ * unsure)


class OnTheHost(StorageCase):
    ZONE = "intel-rapl:1"

    def setUp(self):
        super().setUp()
        self.host = Host()
        self.addCleanup(self.host.close)
        os.symlink("/sys/block", os.path.join(self.host.sys, "block"))
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.powercap.add(self.ZONE, "storage")
        self.driver = TestDriver(self.host)
        self.movers, self.guests = {}, {}
        for number, name in enumerate(MOVED, 1):
            groups = self.group(f"qemu-{number}-vj{os.getpid()}{name}.libvirt-qemu")
            self.movers[name] = self.mover(groups)
            channel = os.path.join(self.host.root, name + ".sock")
            self.guests[name] = Guest(channel)
            self.addCleanup(self.guests[name].close)
            self.driver.add(name, self.movers[name], channel)
        self.start()

    def start(self):
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: len(self.host.list()) == len(MOVED), "the domains")
        self.host.after_ticks(2)

    def given(self):
        return {name: domain["energy_uj"]["storage"] for name, domain in self.host.list().items()}

    def assert_conserved(self):
        for zone in self.host.status()["zones"]:
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)

    def test_domains_by_their_bytes(self):
        before, began = moved_by_disks(), self.told()
        self.host.after_ticks(1)
        self.host.powercap.hide(self.ZONE)  # so that all of it is one interval
        self.host.after_ticks(2)
        moved, least = self.move(self.movers)
        self.host.after_ticks(2)
        self.host.powercap.show(self.ZONE, 1000000 + ENERGY_UJ)
        wait_for(lambda: self.host.zone("storage")["measured_uj"] == ENERGY_UJ, "the energy")
        given = self.given()
        most_moved = {name: now - began[name] for name, now in self.told().items()}
        most = max(moved_by_disks() - before, sum(most_moved.values()))
        zone = self.host.zone("storage")
        self.assert_shared(given, moved, most_moved, least)
        for name, uj in given.items():
            self.assertGreaterEqual(uj, ENERGY_UJ * moved[name] // most - 2)
        self.assertEqual(zone["attributed_uj"], sum(given.values()))
        self.assertEqual(zone["gap_uj"], 0)
        self.assert_conserved()
        for name, guest in self.guests.items():  # in whole millijoules
            told = given[name] // 1000 * 1000
            wait_for(lambda guest=guest, told=told: guest.last.get("storage") == told, "a frame")

        # Nobody knows what was moved while the agent was down.
        self.host.end()
        self.host.powercap.set(self.ZONE, 1000000 + ENERGY_UJ + 5000)
        self.host.powercap.set("intel-rapl:0", 1000000 + 5000)
        self.start()
        zone = self.host.zone("storage")
        self.assertEqual(zone["measured_uj"], ENERGY_UJ + 5000)
        self.assertEqual(zone["gap_uj"], 5000)
        self.assertEqual(self.host.zone("package-0")["gap_uj"], 0)
        self.assertEqual(self.given(), given)
        self.assert_conserved()


class InAGuest(StorageCase):
    def setUp(self):
        super().setUp()

        class RealNode(Node):
            def command(self, program, *more):
                return [*super().command(program, *more), "--cgroupfs=/sys/fs/cgroup", "--procfs=/proc"]

        self.node = RealNode()
        self.addCleanup(self.node.close)
        self.node.energy = {"intel-rapl:0": ["package-0", 0], "intel-rapl:1": ["storage", 0]}
        self.paths = {name: f"vj-storage-{os.getpid()}-{name}.service" for name in MOVED}
        self.movers = {name: self.mover(self.group(path)) for name, path in self.paths.items()}
        self.node.update()
        self.node.start(os.path.join(BIN, "virtjoule-attributor"), "--levels=unit,process")

    def groups(self):
        groups = {group["cgroup"]: group for group in self.node.document()["groups"]}
        return {name: groups["/" + path] for name, path in self.paths.items()}

    def test_services_and_processes_by_their_bytes(self):
        self.node.attribute()
        began = self.told()
        self.node.attribute()
        moved, least = self.move(self.movers)
        self.node.attribute(2 * ENERGY_UJ)  # half of it the second zone's
        groups = self.groups()
        most_moved = {name: now - began[name] for name, now in self.told().items()}
        # Everything that runs here counts, and may have told of more than disks have seen: there is no least share.
        self.assert_shared({name: group["energy_uj"]["storage"] for name, group in groups.items()}, moved, most_moved, least)
        for name, group in groups.items():
            (process,) = [one for one in group["processes"] if one["pid"] == self.movers[name].pid]
            given = process["energy_uj"]["storage"]
            self.assertEqual(given + group["exited_uj"]["storage"], group["own_uj"]["storage"])
            self.assertGreater(given * 100, group["own_uj"]["storage"] * 99)
        document = self.node.document()
        (zone,) = [zone for zone in document["zones"] if zone["id"] == "storage"]
        depths = [group for group in document["groups"] if group["cgroup"].count("/") == 1]
        outermost = sum(group["energy_uj"]["storage"] for group in depths)
        self.assertEqual(zone["measured_uj"], ENERGY_UJ)
        self.assertEqual(zone["kernel_uj"] + zone["folded_uj"] + outermost, ENERGY_UJ)
        self.assertEqual(zone["gap_uj"], 0)


if __name__ == "__main__":
    OUTCOME = unittest.main(exit=False).result
    if OUTCOME.wasSuccessful():
        sys.exit(77 if OUTCOME.skipped else 0)
    sys.exit(1)
