#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulator is what attribution is measured against, so its arithmetic is checked first."""
import os
import subprocess
import sys
import tempfile
import unittest

SIMULATOR = sys.argv.pop(1)
STATIC_W, PER_CPU_W, DRAM_W, CORE = 10, 20.5, 2, 0.6
RANGE_UJ = 3_000_000


class Simulator:
    def __init__(self, *options):
        self.root = tempfile.mkdtemp(prefix="virtjoule-sim-")
        self.process = subprocess.Popen([SIMULATOR, *options, self.root], stdout=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline() == "ready\n"

    def close(self):
        self.process.terminate()
        status = self.process.wait()
        self.process.stdout.close()
        os.rmdir(self.root)  # fails unless it is unmounted
        return status

    def path(self, zone, file="energy_uj"):
        return f"{self.root}/class/powercap/{zone}/{file}"

    def truth(self):
        with open(f"{self.root}/truth", encoding="ascii") as file:
            lines = [line.split() for line in file]
        return {" ".join(words[:-1]): int(words[-1]) for words in lines}

    def energy(self, zone):
        with open(self.path(zone), encoding="ascii") as file:
            return int(file.read())

    def command(self, text):
        with open(f"{self.root}/control", "w", encoding="ascii") as file:
            file.write(text + "\n")


def burn_until(simulator, key, least_ns):
    while simulator.truth()[key] < least_ns:
        sum(range(10000))


class TestSimulator(unittest.TestCase):
    def start(self, *options):
        simulator = Simulator(*options)
        self.addCleanup(lambda: self.assertEqual(simulator.close(), 0))
        self.assertTrue(simulator.ready)
        return simulator

    def check_energy(self, truth, zone, elapsed_w, busy_w, busy):
        expected = truth["elapsed"] * elapsed_w / 1000 + busy * busy_w / 1000
        self.assertAlmostEqual(truth[f"zone {zone}"], expected, delta=2)

    def test_energy_is_power_times_time(self):
        me = os.getpid()
        simulator = self.start("--packages=2", f"--static-watts={STATIC_W}", f"--watts-per-cpu={PER_CPU_W}",
                               f"--core-fraction={CORE}", f"--dram-watts={DRAM_W}", f"--pid={me}@1")
        burn_until(simulator, f"pid {me}", 200_000_000)
        truth = simulator.truth()
        self.assertEqual(truth["busy"], truth[f"pid {me}"])
        self.check_energy(truth, "package-0", STATIC_W, 0, truth["busy"])
        self.check_energy(truth, "package-1", STATIC_W, PER_CPU_W, truth["busy"])
        self.check_energy(truth, "package-1/core", 0, PER_CPU_W * CORE, truth["busy"])
        self.check_energy(truth, "package-0/dram", DRAM_W, 0, truth["busy"])

    def test_cpu_time_is_the_process_own(self):
        simulator = self.start("--watts-per-cpu=10")
        before = os.times()
        simulator.command(f"add-pid {os.getpid()}")
        burn_until(simulator, f"pid {os.getpid()}", 300_000_000)
        after = os.times()
        own_ns = (after.user + after.system - before.user - before.system) * 1e9
        self.assertAlmostEqual(simulator.truth()["busy"], own_ns, delta=50_000_000)
        simulator.command(f"remove-pid {os.getpid()}")
        self.assertEqual(simulator.truth()["busy"], simulator.truth()["busy"])

    def test_counters_wrap_and_both_layouts_agree(self):
        simulator = self.start("--static-watts=1000", f"--range-uj={RANGE_UJ}", "--update-us=50000000")
        self.assertEqual(simulator.energy("intel-rapl:0"), simulator.energy("intel-rapl/intel-rapl:0"))
        simulator.command("static-watts 0")
        used = simulator.truth()["zone package-0"]
        simulator.command(f"jump package-0 {RANGE_UJ - 1}")
        self.assertEqual(simulator.energy("intel-rapl:0"), (used + RANGE_UJ - 1) % RANGE_UJ)
        simulator.command("reset package-0")
        self.assertEqual(simulator.energy("intel-rapl:0"), 0)
        self.assertEqual(simulator.truth()["zone package-0"], used)

    def test_an_open_file_is_fresh_and_fails_on_demand(self):
        simulator = self.start("--static-watts=100", "--mirrored-dies=2")
        with open(simulator.path("intel-rapl:1"), "rb", buffering=0) as file:
            first = int(os.pread(file.fileno(), 64, 0))
            self.assertGreater(int(os.pread(file.fileno(), 64, 0)), first)
            simulator.command("error package-0-die-1 EIO")
            with self.assertRaises(OSError):
                os.pread(file.fileno(), 64, 0)
            simulator.energy("intel-rapl:0")
            simulator.command("clear")
            os.pread(file.fileno(), 64, 0)
        with self.assertRaises(OSError):
            simulator.command("no such command")

    def test_stat_tells_the_same_cpu_time(self):
        """In whole ticks: idle is what the busy processes leave of all CPUs; all else in proc is /proc's."""
        simulator = self.start("--pid", str(os.getpid()))
        burn_until(simulator, f"pid {os.getpid()}", 100_000_000)
        before = simulator.truth()
        with open(f"{simulator.root}/proc/stat", encoding="ascii") as file:
            lines = [line.split() for line in file]
        after = simulator.truth()
        tick_ns, cpus = 10**9 // os.sysconf("SC_CLK_TCK"), os.sysconf("SC_NPROCESSORS_ONLN")
        self.assertEqual([line[0] for line in lines], ["cpu", *(f"cpu{i}" for i in range(cpus)), "intr"])
        used, idle = int(lines[0][1]), int(lines[0][4])
        self.assertTrue(before["busy"] // tick_ns <= used <= after["busy"] // tick_ns)
        least, most = (truth["elapsed"] * cpus - truth["busy"] for truth in (before, after))
        self.assertTrue(least // tick_ns <= idle <= most // tick_ns)
        with open(f"{simulator.root}/proc/{os.getpid()}/comm", encoding="ascii") as file:
            self.assertTrue(file.read())


if __name__ == "__main__":
    if not os.access("/dev/fuse", os.W_OK):
        print("skipped: /dev/fuse cannot be used here")
        sys.exit(77)
    unittest.main()
