#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How accurate attribution is inside of a guest: a real node with real pods, under a host whose energy counter follows real CPU
time, so that it is known what the guest was to be given, and what its kernel says was used.

usage: sudo python3 tests/bench/workloads [--only WORD] [--scale F] [--csv FILE]                   (docs/accuracy.md)
"""
import argparse
import contextlib
import csv
import dataclasses
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../accuracy"), os.path.join(HERE, "../../e2e")]
import vjtest  # noqa: E402
import yardsticks  # noqa: E402
from measure import Truth, cpu_ticks, machine_load, read_ledger  # noqa: E402
from shapes import NOTHING, SHAPES, STORM  # noqa: E402
from vjtest.agent import Agent  # noqa: E402
from vjtest.guest import TREE, Guest  # noqa: E402
from vjtest.libvirt import Libvirtd  # noqa: E402
from vjtest.node import PORT, Attributor, Container, Pod, prepare  # noqa: E402
from vjtest.simulator import Simulator  # noqa: E402

WATTS_PER_CPU = 20
STATIC_WATTS = 10
SETTLE_S = 3
GUEST_COLUMNS = ("shape", "seconds", "vm_w", "vm_ratio", "busy", "kernel", "host_idle", "host_steal")
POD_COLUMNS = ("pod", "cpu", "expected_w", "given_w", "arithmetic", "by_interval", "sigma", "physical", "thesis", "ceiling", "live", "ratio",
               "analogue")


def command(load):
    if load.storm:
        return f"/bin.d/{STORM}"
    stress = f"stress-ng --cpu {load.workers} --cpu-load {load.percent} --cpu-method int64 --temp-path /tmp"
    if load.slice_ms:
        stress += f" --cpu-load-slice {load.slice_ms}"
    if not load.blink:
        return f"/usr/bin/{stress}"
    return f"/bin.d/sh -c 'while :; do {stress} --timeout {load.blink}; /bin.d/sleep {load.blink}; done'"


class Bench:
    def __init__(self, stack, work, notes):
        self.work, self.notes = work, notes
        stack.enter_context(Libvirtd())
        meter = machine_load()
        simulator = stack.enter_context(Simulator(work, *meter, "--static-watts", str(STATIC_WATTS),
                                                  "--watts-per-cpu", str(WATTS_PER_CPU)))
        procfs = [] if "--machine" in meter else ["--procfs", os.path.join(simulator.root, "proc")]
        self.agent = stack.enter_context(Agent(work, "--interval", "1s", *procfs, sysfs=simulator.root,
                                               config=f"[static-watts]\npackage-0 = {STATIC_WATTS}\n"))
        self.node = stack.enter_context(Guest(vjtest.image("node", work), work, "node", memory=2048, vcpus=yardsticks.VCPUS))
        self.node.wait_up(240)
        self.agent.wait_for(self.node)
        vjtest.wait_until(self.node.energy, "the tree is there", 120)
        prepare(self.node)
        Attributor(self.node).start("--keep 1s")
        with open(os.path.join(HERE, "sampler.pl"), encoding="utf-8") as text:
            self.node.write_file("/run/sampler.pl", text.read())
        self.idle_w = None

    @contextlib.contextmanager
    def beside(self, load):
        """Another guest that comes and goes. None of it is there without load."""
        if load is None:
            yield
            return
        with Guest(vjtest.image("load", self.work), self.work, "beside", memory=256, vcpus=2) as guest:
            guest.wait_up()
            guest.check(f"(while :; do stress-ng --cpu {load.workers} --cpu-load {load.percent} --cpu-method int64 "
                        f"--timeout {load.blink}; sleep {load.blink}; done) >/dev/null 2>&1 &")
            yield

    @contextlib.contextmanager
    def pods(self, shape):
        containers = []
        for number, load in enumerate(shape.pods):
            pod = Pod(self.node, "bench", f"pod-{number}")
            containers.append(Container(pod, "load", command(load), usr=True))
        yield [container.pod for container in containers]
        for container in containers:
            container.end()
            container.pod.end()

    @contextlib.contextmanager
    def sampled(self, pods, samples):
        groups = " ".join(pod.cgroup for pod in pods) or "/system.slice"
        self.node.check(f"perl /run/sampler.pl {TREE} {PORT} {groups} >/run/samples 2>/run/sampler.errors & "
                        "echo $! >/run/sampler.pid")
        yield
        self.node.check("kill $(cat /run/sampler.pid)")
        notes = self.node.check("cat /run/sampler.errors >&2; cat /run/samples")
        if self.notes:
            with open(os.path.join(self.notes, f"{len(os.listdir(self.notes))}.txt"), "w", encoding="ascii") as out:
                out.write(notes)
        samples += yardsticks.parse(notes)

    def run(self, shape):
        """Rows: of the guest, and of each pod in it that is no noise."""
        samples = []
        pid = self.agent.domain(self.node)["pid"]
        with self.beside(shape.beside), self.pods(shape) as pods, Truth({self.node.uuid: pid}) as truth:
            time.sleep(SETTLE_S)
            with self.sampled(pods, samples):
                begin, ticks = self.ledger(truth), cpu_ticks()
                time.sleep(shape.seconds)
                end, ticks = self.ledger(truth), [now - then for now, then in zip(cpu_ticks(), ticks)]
        if len(samples) < 2:
            raise RuntimeError(f"{shape.title}: the guest was too slow to be sampled")
        (given, used), (total, idle, steal) = [now - then for now, then in zip(end, begin)], ticks
        guest = {"shape": shape.title, **yardsticks.of_guest(samples), "vm_ratio": given / (used * WATTS_PER_CPU),
                 "host_idle": idle / total, "host_steal": steal / total}
        if not shape.pods:
            self.idle_w = guest["vm_w"]
        return guest, [self.pod_row(shape, number, guest, samples, pod) for number, pod in enumerate(pods)
                       if not shape.pods[number].noise]

    def ledger(self, truth):
        """(µJ that the host has given to the guest, µs that its QEMU has used), of one tick."""
        at_us, energies, _ = read_ledger(self.agent)
        return energies[self.node.uuid], truth.cpu_us(self.node.uuid, at_us)

    def pod_row(self, shape, number, guest, samples, pod):
        row = yardsticks.of_group(samples, pod.cgroup, self.idle_w)
        alone = len(shape.pods) == 1 and row["above_uj"]
        return {"pod": number + 1, **row, "analogue": shape.thesis,
                "physical": row["given_uj"] / row["above_uj"] if alone else None,
                "thesis": row["given_uj"] / guest["vm_uj"] if alone else None,
                "ceiling": row["above_uj"] / guest["vm_uj"] if alone else None}


def shown(value, digits=0):
    return "-" if value is None else f"{value * 100:.{digits}f} %"


HEADER = ("shape | VM | VM ratio | kernel | stolen | pod's CPUs | attributable | attributed | arithmetic | by interval | σ | physical | "
          "thesis | live processes | usage ratio | in the thesis")


def print_rows(guest, rows):
    head = (f"{guest['shape']} | {guest['vm_w']:.2f} W | {shown(guest['vm_ratio'], 1)} | {shown(guest['kernel'])} | "
            f"{shown(guest['host_steal'])}")
    for row in rows or [None]:
        cells = ("-",) * 11 if row is None else (
            f"{row['cpu']:.3f}", f"{row['expected_w']:.2f} W", f"{row['given_w']:.2f} W", shown(row["arithmetic"], 1),
            shown(row["by_interval"], 1), shown(row["sigma"], 2), shown(row["physical"]), f"{shown(row['thesis'])} of {shown(row['ceiling'])}" if row["thesis"] else "-",
            shown(row["live"]), shown(row["ratio"]), row["analogue"])
        print(f"| {head} | {' | '.join(cells)} |", flush=True)


def write_csv(path, table):
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, GUEST_COLUMNS + POD_COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for guest, rows in table:
            for row in rows or [{}]:
                writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in {**guest, **row}.items()})


def choose(words):
    """The idle guest comes first: others are compared with it."""
    return SHAPES if not words else (NOTHING, *(shape for word in words for shape in SHAPES if word in shape.title))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="WORD", help="shapes with this in their title; may be repeated")
    parser.add_argument("--scale", type=float, default=1, help="makes all shapes so much longer (default: 1)")
    parser.add_argument("--csv", metavar="FILE", help="one line per pod")
    parser.add_argument("--notes", metavar="DIRECTORY", help="keeps there what the sampler noted, one file per shape")
    arguments = parser.parse_args()
    reason = vjtest.missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(vjtest.SKIP)
    vjtest.interrupt_on(signal.SIGTERM, signal.SIGHUP)
    table = []
    print(f"| {HEADER} |\n{'|---' * len(HEADER.split(' | '))}|")
    with contextlib.ExitStack() as stack:
        bench = Bench(stack, stack.enter_context(vjtest.work_directory()), arguments.notes)
        for shape in choose(arguments.only):
            table.append(bench.run(dataclasses.replace(shape, seconds=shape.seconds * arguments.scale)))
            print_rows(*table[-1])
            if arguments.csv:
                write_csv(arguments.csv, table)


if __name__ == "__main__":
    main()
