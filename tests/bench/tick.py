#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a tick costs: CPU time and system calls per tick, and resident memory, by number of domains.

usage: tests/bench/tick.py [--bin build/bin] [--domains 1,10,100,1000] [--ticks 20] [--bystanders 0,1000]
       [--stir]

Every domain is a real process in a cgroup of its own with a real unix socket as its channel; the domains themselves
come from libvirt's test driver. Energy is a static powercap tree of four zones in tmpfs: its cost is that of the reads.
The processes sleep; with --stir every one is woken once a second, so that the CPU time of every domain moves.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hosts import Domains  # noqa: E402

ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "uncore", "intel-rapl:0:2": "dram"}


def memory_directory():
    """A tmpfs, as /run is on a host: the store is written there at every tick."""
    return "/dev/shm" if os.path.ismount("/dev/shm") else None


def make_powercap(root):
    for entry, name in ZONES.items():
        zone = os.path.join(root, "class/powercap", entry)
        os.makedirs(zone)
        for filename, text in (("name", name), ("energy_uj", "1000000"), ("max_energy_range_uj", "262143328850")):
            with open(os.path.join(zone, filename), "w") as out:
                out.write(text + "\n")


def cpu_ns(pid):
    """The process CPU clock, all threads, exited ones included (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def resident_kib(pid):
    with open("/proc/%d/status" % pid) as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


class Agent:
    def __init__(self, binaries, root, domains, wrapper=()):
        run = os.path.join(root, "run")
        self.cli = [os.path.join(binaries, "virtjoule"), "--runtime-dir", run]
        command = [os.path.join(binaries, "virtjouled"), "--sysfs", os.path.join(root, "sys"), "--runtime-dir", run]
        command += ["--state-dir", os.path.join(root, "state"), "--libvirt-uri", domains.uri]
        command += ["--libvirt-rundir", domains.rundir, "--interval", "1s"]
        self.process = subprocess.Popen([*wrapper, *command], stderr=subprocess.DEVNULL)
        self.pid = self.process.pid

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def wait_for_frames(domains, count, rounds):
    """Until every guest has had that many frames on average; the agent's own tick is the clock."""
    target = domains.guests.frames + count * rounds
    deadline = time.monotonic() + 60 + 3 * rounds
    while domains.guests.frames < target:
        if time.monotonic() > deadline:
            raise SystemExit("tick.py: the guests got %d of %d frames" % (domains.guests.frames, target))
        time.sleep(0.05)


def stir(domains, stopping):
    while not stopping.wait(1):
        for child in domains.children:
            os.kill(child.pid, signal.SIGSTOP)
            os.kill(child.pid, signal.SIGCONT)


def measure(arguments, count, bystanders):
    others = [subprocess.Popen(["sleep", "infinity"]) for _ in range(bystanders)]
    with tempfile.TemporaryDirectory(prefix="vj-bench-", dir=memory_directory()) as root:
        make_powercap(os.path.join(root, "sys"))
        domains = Domains(root, count)
        stopping = threading.Event()
        stirrer = threading.Thread(target=stir, args=(domains, stopping))
        if arguments.stir:
            stirrer.start()
        try:
            agent = Agent(arguments.bin, root, domains)
            wait_for_frames(domains, count, 3)
            before = cpu_ns(agent.pid)
            wait_for_frames(domains, count, arguments.ticks)
            spent = cpu_ns(agent.pid) - before
            rss = resident_kib(agent.pid)
            agent.close()
            calls = count_calls(arguments, root, domains, count)
        finally:
            stopping.set()
            if arguments.stir:
                stirrer.join()
            domains.close()
            for other in others:
                other.kill()
                other.wait()
    per_tick_us = spent / 1000 / arguments.ticks
    print(
        "%7d %10d %14.0f %16.2f %14.1f %18.2f %9d"
        % (count, bystanders, per_tick_us, per_tick_us / count, calls, calls / count, rss)
    )


def count_calls(arguments, root, domains, count):
    """System calls per tick, from strace -c over a run of its own (it slows the agent, so time is taken without it)."""
    log = os.path.join(root, "strace")
    agent = Agent(arguments.bin, root, domains)
    wait_for_frames(domains, count, 2)
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", log, "-p", str(agent.pid)], stderr=subprocess.PIPE, text=True
    )
    tracer.stderr.readline()
    rounds = max(5, arguments.ticks // 2)
    wait_for_frames(domains, count, rounds)
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    tracer.stderr.close()
    agent.close()
    with open(log) as lines:
        total = [line.split() for line in lines if line.rstrip().endswith("total")]
    return int(total[0][3]) / rounds if total else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--domains", default="1,10,100,1000")
    parser.add_argument("--bystanders", default="0,1000")
    parser.add_argument("--ticks", type=int, default=20)
    parser.add_argument("--stir", action="store_true", help="let every domain use CPU time")
    arguments = parser.parse_args()
    print(
        "%7s %10s %14s %16s %14s %18s %9s"
        % ("domains", "bystanders", "cpu us/tick", "cpu us/tick/dom", "calls/tick", "calls/tick/domain", "rss KiB")
    )
    for bystanders in map(int, arguments.bystanders.split(",")):
        for count in map(int, arguments.domains.split(",")):
            measure(arguments, count, bystanders)


if __name__ == "__main__":
    main()
