# SPDX-License-Identifier: LGPL-2.1-or-later
"""A node of files, and virtjoule-attributor on it: a reader's powercap tree, control groups of version 2, /proc/stat."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

DEADLINE_S = 120  # for events that come in milliseconds, on a machine that is busy
ID = "0123456789abcdef" * 4
POD = "kubepods.slice/kubepods-pod6f2c3c1e_5b1a_4e0f_9c55_0a1b2c3d4e5f.slice"
SERIES = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([0-9.]+)$')
LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)",?')


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE_S
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.005)


def micro(text):
    whole, _, fraction = text.partition(".")
    return int(whole) * 1000000 + int((fraction + "000000")[:6])


def parse(text):
    """{(name, ((label, value), ..)): value in millionths}; a series that is there twice is an error."""
    series = {}
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        name, labels, value = SERIES.match(line).groups()
        key = name, tuple(sorted(LABEL.findall(labels or "")))
        assert key not in series, f"twice: {line}"
        series[key] = micro(value)
    return series


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Node:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="vj-node-")
        self.energy = {"intel-rapl:0": ["package-0", 0], "intel-rapl:0:0": ["core", 0], "intel-rapl:0:1": ["dram", 0]}
        self.cpu_us = {}
        self.busy_ticks = 1000
        self.generation = 0
        self.process = None
        self.port = None
        self.log = os.path.join(self.root, "said")
        self.write("cgroup/cgroup.controllers", "cpu memory\n")
        self.write("proc/meminfo", "MemTotal: 4000000 kB\nMemFree: 1000000 kB\nBuffers: 0 kB\nCached: 0 kB\nShmem: 0 kB\n")
        self.write_stat()

    # --- files ---

    def path(self, name):
        return os.path.join(os.fsencode(self.root), os.fsencode(name))

    def rewrite(self, name, text):
        """In place and at once, as the kernel's files change: whoever has it open sees it. Its length stays."""
        path = self.path(name)
        if not os.path.exists(path):
            self.write(name, text)
            return
        with open(path, "r+b", buffering=0) as file:
            file.write(text.encode())

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        aside = self.path("aside")
        with open(aside, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(aside, path)

    def write_stat(self):
        cpu = f"{self.busy_ticks:010} 0 0 100000 0 0 0 0 0 0"
        self.rewrite("proc/stat", f"cpu  {cpu}\ncpu0 {cpu}\n")

    def use(self, group, us, memory=1 << 20):
        """A group of cgroup version 2: what it used, all above it used too."""
        parts = os.fsencode(group).split(b"/")
        for depth in range(len(parts)):
            path = b"/".join(parts[: depth + 1])
            self.cpu_us[path] = self.cpu_us.get(path, 0) + us
            self.rewrite(b"cgroup/" + path + b"/cpu.stat", f"usage_usec {self.cpu_us[path]:015}\n")
            self.rewrite(b"cgroup/" + path + b"/memory.stat", f"anon {memory:015}\nfile 0\nshmem 0\n")

    def end(self, group):
        path = os.fsencode(group)
        shutil.rmtree(self.path(b"cgroup/" + path))
        for known in [known for known in self.cpu_us if known == path or known.startswith(path + b"/")]:
            del self.cpu_us[known]

    def update(self, uj=0, busy_ticks=1):
        """One interval's energy, as the reader shows it."""
        self.busy_ticks += busy_ticks
        self.write_stat()
        for part, (zone, values) in enumerate(self.energy.items()):
            values[1] += uj // (part + 1)
            for name, value in (("name", values[0]), ("max_energy_range_uj", 1 << 62), ("energy_uj", values[1])):
                self.write(f"sys/class/powercap/{zone}/{name}", f"{value}\n")
        self.generation += 1
        self.write("sys/class/generation", json.dumps(
            {"generation": self.generation, "quality": "measured", "source": "powercap"}) + "\n")

    def take_tree_away(self):
        shutil.rmtree(self.path("sys"))

    # --- the program ---

    def command(self, program, *more):
        roots = [f"--{name}={self.root}/{place}" for name, place in (
            ("sysfs", "sys"), ("procfs", "proc"), ("cgroupfs", "cgroup"), ("log-dir", "log"), ("runtime-root", "runtimes"))]
        return [program, *roots, *more]

    def start(self, program, *more):
        self.port = free_port()
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command(program, f"--listen=127.0.0.1:{self.port}", *more), stderr=log)
        wait_for(self.answers, "the attributor's port")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.said()}")
        try:
            return self.get("/metrics") is not None
        except OSError:
            return False

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE_S) as answer:
            return answer.read().decode()

    def said(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def document(self):
        return json.loads(self.get("/v1/energy"))

    def attribute(self, uj=0, busy_ticks=1):
        """Updates the tree, and returns when that interval has been attributed."""
        before = self.document()["intervals"]
        self.update(uj, busy_ticks)
        wait_for(lambda: self.document()["intervals"] > before, "an interval")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(timeout=DEADLINE_S)
        self.process = None
        return code

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.root)
