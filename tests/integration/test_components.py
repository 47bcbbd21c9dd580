#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each component of the machine is shared by its own use: dram by memory, each package by the CPU time on it."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import Host, TestDriver, wait_for  # noqa: E402


class ComponentCase(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        self.driver = TestDriver(self.host)
        self.addCleanup(self.driver.close)
        self.energy_uj = 1000000

    def spawn(self, *command):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start(self):
        """Until all domains are known: an agent begins without those that libvirt is slow to tell of."""
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: len(self.host.list()) == len(self.driver.domains), "the domains")

    def move(self, *zones, rounds=4):
        for _ in range(rounds):
            self.energy_uj += 1000003
            for zone in zones:
                self.host.powercap.set(zone, self.energy_uj)
            self.host.after_ticks(1)
        self.host.after_ticks(2)

    def assert_conserved(self):
        for zone in self.host.status()["zones"]:
            given = zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"]
            self.assertEqual(given, zone["measured_uj"], zone)


class Memory(ComponentCase):
    def holder(self, mebibytes, shared):
        """A process that has that much memory in use, its own or in a memfd as virtiofs and vhost-user need it."""
        ram = "bytearray(size)"
        if shared:
            ram = "(lambda fd: os.ftruncate(fd, size) or mmap.mmap(fd, size))(os.memfd_create('ram'))"
        script = (
            f"import mmap, os, sys; size = {mebibytes} << 20; ram = {ram}\n"
            "for i in range(0, size, 4096): ram[i] = 1\n"
            "print('ready', flush=True); sys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for cleanup in (process.stdout.close, process.stdin.close, process.wait, process.kill):
            self.addCleanup(cleanup)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def test_dram_goes_by_memory_whether_shared_or_not(self):
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.powercap.add("intel-rapl:0:0", "dram")
        self.driver.add("own", self.holder(192, shared=False))
        self.driver.add("memfd", self.holder(192, shared=True))
        self.driver.add("small", self.holder(1, shared=False))
        self.start()
        self.move("intel-rapl:0", "intel-rapl:0:0", rounds=6)
        given = {name: domain["energy_uj"]["package-0/dram"] for name, domain in self.host.list().items()}
        self.assertGreater(given["small"], 0)
        self.assertGreater(given["own"], 5 * given["small"])
        self.assertLess(abs(given["own"] - given["memfd"]) * 20, given["own"])
        self.assertGreater(self.host.zone("package-0/dram")["host_uj"], 0)
        self.assert_conserved()


@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two CPUs")
class Packages(ComponentCase):
    def setUp(self):
        super().setUp()
        cpus = sorted(os.sched_getaffinity(0))[:2]
        for number, cpu in enumerate(cpus):
            topology = os.path.join(self.host.sys, "devices/system/cpu/cpu%d/topology" % cpu)
            os.makedirs(topology)
            with open(os.path.join(topology, "physical_package_id"), "w") as out:
                out.write("%d\n" % number)
            self.host.powercap.add("intel-rapl:%d" % number, "package-%d" % number)
        with open(os.path.join(self.host.sys, "devices/system/cpu/present"), "w") as out:
            out.write("%s\n" % ",".join(map(str, cpus)))
        self.cpus = cpus

    def burner(self, cpu):
        process = self.spawn("taskset", "-c", str(cpu), "sh", "-c", "while :; do :; done")
        wait_for(lambda: os.sched_getaffinity(process.pid) == {cpu}, "the process to be where it stays")
        return process

    def test_each_package_goes_by_the_time_on_it(self):
        for number, cpu in enumerate(self.cpus):
            self.driver.add("on-%d" % number, self.burner(cpu))
        self.start()
        wait_for(lambda: all(domain["cpu_ns"] > 0 for domain in self.host.list().values()), "first samples")
        self.move("intel-rapl:0", "intel-rapl:1", rounds=8)
        domains = self.host.list()
        for number in (0, 1):
            own, other = "package-%d" % number, "package-%d" % (1 - number)
            energy = domains["on-%d" % number]["energy_uj"]
            self.assertGreater(energy[own], 0)
            self.assertEqual(energy[other], 0)
        # A machine whose own time is stolen may be late in one interval to bring a thread's time up to date.
        wait_for(lambda: {domain["package_split"] for domain in self.host.list().values()} == {"exact"}, "exact splits")
        self.assert_conserved()


if __name__ == "__main__":
    unittest.main()
