#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an interval costs virtjoule-attributor: real control groups and processes of this machine, a tree that is updated.

attributor.py [--containers N] [--processes N] [--intervals N] [--cgroupfs DIRECTORY] [--bin DIRECTORY]
(root, for control groups; --cgroupfs /sys/fs/cgroup/unified measures v2 on a hybrid machine, without memory)
Prints, for the container level and for the process level: CPU time an interval, system calls an interval, memory."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

LISTEN = "127.0.0.1:19178"
TRACED = 20  # intervals under strace


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--containers", type=int, default=500)
    parser.add_argument("--processes", type=int, default=5000)
    parser.add_argument("--intervals", type=int, default=100)
    parser.add_argument("--cgroupfs", default="/sys/fs/cgroup")
    parser.add_argument("--bin", default=os.environ.get("VJ_BIN", "build/bin"))
    return parser.parse_args()


class Groups:
    """Containers in pods of two, as kubelet makes them, in every hierarchy that counts; sleepers in them."""

    def __init__(self, cgroupfs, containers, processes):
        v2 = os.path.exists(os.path.join(cgroupfs, "cgroup.controllers"))
        roots = [cgroupfs] if v2 else [os.path.join(cgroupfs, name) for name in ("cpuacct", "memory")]
        self.tops = [os.path.join(root, "kubepods-bench") for root in roots]
        self.paths = []
        for i in range(containers):
            pod = "podaaaaaaaa-bbbb-cccc-dddd-%012x" % (i // 2)
            self.paths.append("kubepods/%s/%064x" % (pod, i))
        for top in self.tops:
            for path in self.paths:
                os.makedirs(os.path.join(top, path), exist_ok=True)
        self.families = [self.start(path, processes // containers) for path in self.paths if processes >= containers]
        for path in self.paths:
            self.wait_for(path, processes // containers)

    def start(self, path, n):
        """A family of sleepers; moving each by itself would take the kernel minutes."""
        files = [os.path.join(top, path, "cgroup.procs") for top in self.tops]
        move = "".join("echo $$ > '%s'; " % file for file in files)
        script = move + "i=1; while [ $i -lt %d ]; do sleep 100000 & i=$((i+1)); done; exec sleep 100000" % n
        return subprocess.Popen(["sh", "-c", script], stdin=subprocess.DEVNULL, start_new_session=True)

    def wait_for(self, path, n):
        while True:
            with open(os.path.join(self.tops[0], path, "cgroup.procs")) as procs:
                if len(procs.readlines()) >= n:
                    return
            time.sleep(0.05)

    def close(self):
        for family in self.families:
            os.killpg(family.pid, signal.SIGKILL)
        for family in self.families:
            family.wait()
        time.sleep(1)  # those whose parent has gone are reaped by another
        for top in self.tops:
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


class Tree:
    """A reader's tree: package, core and dram, each value a new file, then the generation."""

    def __init__(self, root):
        self.directory = os.path.join(root, "class", "powercap")
        self.zones = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram"}
        self.energy_uj = 0
        for zone, name in self.zones.items():
            os.makedirs(os.path.join(self.directory, zone))
            self.replace(zone + "/name", name)
            self.replace(zone + "/max_energy_range_uj", str(1 << 62))
        self.update()

    def replace(self, path, text):
        path = os.path.join(self.directory, path)
        with open(path + ".new", "w") as out:
            out.write(text + "\n")
        os.rename(path + ".new", path)

    def update(self):
        self.energy_uj += 10000000
        for zone in self.zones:
            self.replace(zone + "/energy_uj", str(self.energy_uj))
        self.replace("../generation", "{}")


class Attributor:
    def __init__(self, options, sysfs, levels):
        command = [os.path.join(options.bin, "virtjoule-attributor"), "--sysfs", sysfs, "--levels", levels]
        command += ["--cgroupfs", options.cgroupfs, "--listen", LISTEN, "--log-dir", "none", "--runtime-root", "none"]
        self.process = subprocess.Popen(command)

    def value(self, name):
        """Of a metric without labels; -1 while nothing answers."""
        with contextlib.suppress(OSError), urllib.request.urlopen("http://%s/metrics" % LISTEN, timeout=60) as reply:
            for line in reply.read().decode().splitlines():
                if line.startswith(name + " "):
                    return int(line.split()[1])
        return -1

    def intervals(self):
        return self.value("virtjoule_attributor_intervals_total")

    def wait_for(self, intervals):
        while self.intervals() < intervals:
            time.sleep(0.05)

    def cpu_s(self):
        """Of all its threads; schedstat counts nanoseconds."""
        used = 0
        for thread in os.listdir("/proc/%d/task" % self.process.pid):
            with open("/proc/%d/task/%s/schedstat" % (self.process.pid, thread)) as schedstat:
                used += int(schedstat.read().split()[0])
        return used / 1e9

    def calls(self, tree):
        """System calls of an interval, by strace, which slows it: not while its time is taken."""
        with tempfile.NamedTemporaryFile("r") as log:
            command = ["strace", "-f", "-c", "-o", log.name, "-p", str(self.process.pid)]
            try:
                tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            except FileNotFoundError:
                return float("nan")
            tracer.stderr.readline()
            for _ in range(TRACED):
                tree.update()
                time.sleep(0.5)
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            tracer.stderr.close()
            total = [line.split() for line in log if line.rstrip().endswith("total")]
        return int(total[0][3]) / TRACED if total else float("nan")

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def close(self):
        self.process.terminate()
        self.process.wait()


def measure(options, levels):
    root = tempfile.mkdtemp(prefix="vj-bench-", dir="/dev/shm" if os.path.ismount("/dev/shm") else None)
    tree = Tree(root)
    attributor = Attributor(options, root, levels)
    try:
        attributor.wait_for(1)
        for i in range(20):  # everything has been seen, and memory read
            tree.update()
            time.sleep(0.02)
        begin = attributor.intervals()
        before = attributor.cpu_s()
        for i in range(options.intervals):
            tree.update()
            time.sleep(0.1)
        used = attributor.cpu_s() - before  # before the question, which costs more than an interval
        rss = attributor.rss_kib()
        done = attributor.intervals() - begin
        count = attributor.value("virtjoule_attributor_groups")
        scraped = attributor.rss_kib()
        calls = attributor.calls(tree)
    finally:
        attributor.close()
        shutil.rmtree(root)
    print(
        "%-22s %5d groups %4d intervals %7.2f ms CPU and %7.0f system calls each, %6d KiB RSS, %6d after a scrape"
        % (levels, count, done, 1000 * used / max(done, 1), calls, rss, scraped)
    )


def main():
    options = arguments()
    groups = Groups(options.cgroupfs, options.containers, options.processes)
    try:
        print("load average before: %.1f" % os.getloadavg()[0])
        measure(options, "container,pod")
        measure(options, "container,pod,process")
    finally:
        groups.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
