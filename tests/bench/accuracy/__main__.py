#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How accurate attribution is: real guests under real load, and a simulated energy counter that follows the real CPU time
of the machine, so that it is known what each guest has used.

usage: sudo python3 tests/bench/accuracy [--quick] [--csv FILE] [--plot FILE.svg] ...      (docs/accuracy.md)

All intervals are measured at once, by one agent each, so that they see the same load. The truth for a VM is its QEMU's
process CPU clock x the simulator's watts per busy CPU; the agent reads cpu.stat and the simulated counter.
"""
import argparse
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../e2e")]
import vjtest  # noqa: E402
from measure import Truth, account, conserved, cpu_ticks, machine, machine_load, read_ledger  # noqa: E402
from report import HEADER, cells, line, write_csv, write_plot  # noqa: E402
from scenarios import QUICK, SCENARIOS  # noqa: E402
from vjtest.agent import Agent  # noqa: E402
from vjtest.guest import Guest  # noqa: E402
from vjtest.libvirt import Libvirtd  # noqa: E402
from vjtest.simulator import Simulator  # noqa: E402

WATTS_PER_CPU = 20
STATIC_WATTS = 10
SETTLE_S = 3
SAMPLE_S = 1
QUICK_BAND = (0.95, 1.05)
QUICK_CPU_S = 1  # with less, a band of 5 % says nothing


def guest_load(guest, load):
    guest.check(f"stress-ng --cpu {load.workers} --cpu-load {load.percent} --cpu-method int64 >/tmp/stress.log 2>&1 & "
                "echo $! >/tmp/stress.pid")


def guest_rest(guest):
    guest.check("kill $(cat /tmp/stress.pid); while pidof stress-ng >/dev/null; do sleep 0.1; done")


class Blinking:
    """Starts and stops a load in turns, in a thread of its own, until the block ends."""

    def __init__(self, load, start, stop):
        self.load, self.start, self.stop = load, start, stop
        self.leave = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.blink, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leave.set()
        self.thread.join()
        if self.error:
            raise self.error

    def blink(self):
        try:
            while not self.leave.is_set():
                self.start()
                self.leave.wait(self.load.blink)
                self.stop()
                self.leave.wait(self.load.blink)
        except Exception as error:  # for the thread that waits
            self.error = error


class HostLoad:
    """The host's own process."""

    def __init__(self, load):
        self.load = load
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["stress-ng", "--cpu", str(self.load.workers), "--cpu-load", str(self.load.percent),
                                         "--cpu-method", "int64"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@contextlib.contextmanager
def loaded(scenario, guests):
    """The scenario's load, while the block runs."""
    with contextlib.ExitStack() as stack:
        for guest, load in zip(guests, scenario.loads):
            if load and load.blink:
                stack.enter_context(Blinking(load, lambda guest=guest, load=load: guest_load(guest, load),
                                             lambda guest=guest: guest_rest(guest)))
            elif load:
                guest_load(guest, load)
                stack.callback(guest_rest, guest)
        if scenario.host:
            host = HostLoad(scenario.host)
            stack.enter_context(Blinking(scenario.host, host.start, host.stop))
        yield


class Bench:
    """One simulated machine, one agent per interval, and as many guests as were needed so far."""

    def __init__(self, stack, work, intervals, load):
        self.stack, self.work = stack, work
        stack.enter_context(Libvirtd())
        self.simulator = stack.enter_context(Simulator(work, *load, "--static-watts", str(STATIC_WATTS),
                                                       "--watts-per-cpu", str(WATTS_PER_CPU)))
        self.agents = {interval: stack.enter_context(self.agent(interval)) for interval in intervals}
        self.image = vjtest.image("load", work)
        self.guests = []

    def agent(self, interval):
        directory = os.path.join(self.work, interval)
        os.mkdir(directory)
        procfs = [] if "--machine" in self.simulator.options else ["--procfs", os.path.join(self.simulator.root, "proc")]
        return Agent(directory, "--interval", interval, *procfs, sysfs=self.simulator.root,
                     config=f"[static-watts]\npackage-0 = {STATIC_WATTS}\n")

    def need_guests(self, count):
        while len(self.guests) < count:
            guest = self.stack.enter_context(Guest(self.image, self.work, f"accuracy-{len(self.guests)}", memory=256, vcpus=2))
            self.guests.append(guest)
            guest.wait_up()
            for agent in self.agents.values():
                vjtest.wait_until(lambda agent=agent, guest=guest: agent.domain(guest), f"the agent sees {guest.name}")

    def pids(self):
        domains = next(iter(self.agents.values())).list()
        return {guest.uuid: domains[guest.uuid]["pid"] for guest in self.guests}

    def run(self, scenario):
        """Rows per interval: {"1s": [of one VM each]}"""
        self.need_guests(len(scenario.loads))
        series = {interval: [] for interval in self.agents}
        with Truth(self.pids()) as truth, loaded(scenario, self.guests):
            time.sleep(SETTLE_S)
            begin = cpu_ticks()
            deadline = time.monotonic() + scenario.seconds
            while time.monotonic() < deadline:
                self.sample(truth, series)
                time.sleep(SAMPLE_S)
            self.sample(truth, series)
            end = cpu_ticks()
        total, idle, steal = (after - before for before, after in zip(begin, end))
        return {interval: [{**self.row(scenario, interval, number, points), "host_idle": idle / total, "host_steal": steal / total}
                           for number in range(len(scenario.loads))]
                for interval, points in series.items()}

    def sample(self, truth, series):
        for interval, agent in self.agents.items():
            at_us, energies, status = read_ledger(agent)
            if not conserved(status):
                raise RuntimeError(f"with {interval} energy is not conserved: {status['zones']}")
            uuids = [guest.uuid for guest in self.guests]
            series[interval].append((at_us, [energies[uuid] for uuid in uuids], [truth.cpu_us(uuid, at_us) for uuid in uuids],
                                     machine(status)))

    def row(self, scenario, interval, number, points):
        series = [(at_us, energies[number], busy[number]) for at_us, energies, busy, _ in points]
        dynamic_uj, busy_us = (after - before for before, after in zip(points[0][3], points[-1][3]))
        load = scenario.loads[number]
        thesis = scenario.thesis
        return {"scenario": scenario.name, "interval": interval, "vm": number + 1,
                "load": load.workers * load.percent if load else 0, **account(series, WATTS_PER_CPU, dynamic_uj / busy_us),
                "thesis": thesis.label if thesis else None,
                "thesis_ratio": thesis.ratio / 100 if thesis else None,
                "thesis_sigma": thesis.sigma / 100 if thesis and thesis.sigma else None}

    def show_guest_counter(self):
        """The guest's own counter is the ledger's, of the one agent that has the channel."""
        interval, agent = next((interval, agent) for interval, agent in self.agents.items()
                               if agent.domain(self.guests[0])["channel"]["state"] == "open")
        inside = agent.wait_same(self.guests[0])
        print(f"in the guest: {inside['package-0']} µJ, as in the ledger of one tick of {interval} (in steps of 1 mJ)", flush=True)


def check_quick(rows):
    """Loose on purpose: that the benchmark works, and that nothing is badly wrong. Of its share, because where a hypervisor
    steals time from this machine the meter and /proc/stat disagree on how much of it was used."""
    for row in rows:
        if row["cpu_s"] < QUICK_CPU_S:
            raise RuntimeError(f"too little load to tell anything: {row}")
        if not QUICK_BAND[0] <= row["of_share"] <= QUICK_BAND[1]:
            raise RuntimeError(f"outside of {QUICK_BAND}: {row}")


def measure(stack, arguments, scenarios):
    bench = Bench(stack, stack.enter_context(vjtest.work_directory()), arguments.interval, machine_load(arguments.stat))
    table = []
    print(line(HEADER), flush=True)
    for number, scenario in enumerate(scenarios):
        for interval, rows in bench.run(scenario).items():
            table.append((scenario, interval, rows))
            print(line(cells(scenario, interval, rows)), flush=True)
        if number == 0:
            bench.show_guest_counter()
    for interval, agent in bench.agents.items():
        ticks = agent.status()["ticks"]
        print(f"{interval}: {ticks['count']} ticks, {ticks['late']} late, {ticks['skipped']} skipped; every snapshot conserved "
              "energy to the microjoule")
    return table


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interval", action="append", help="of an agent, such as 1s; may be repeated (default: 1s and 100ms)")
    parser.add_argument("--scale", type=float, default=1, help="makes all scenarios so much longer (default: 1)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this scenario only; may be repeated")
    parser.add_argument("--quick", action="store_true", help="two short scenarios, which must stay within 95 to 105 %%")
    parser.add_argument("--stat", action="store_true", help="the machine's load, for meter and agents, is that of /proc/stat")
    parser.add_argument("--csv", metavar="FILE", help="one line per VM, scenario and interval")
    parser.add_argument("--plot", metavar="FILE", help="SVG or PNG, by its name; needs gnuplot")
    arguments = parser.parse_args()
    arguments.interval = arguments.interval or ["1s", "100ms"]
    return arguments


def choose(arguments):
    scenarios = [scenario for scenario in (QUICK if arguments.quick else SCENARIOS)
                 if not arguments.only or scenario.name in arguments.only]
    return [dataclasses.replace(scenario, seconds=scenario.seconds * arguments.scale) for scenario in scenarios]


def main():
    arguments = parse()
    reason = vjtest.missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(vjtest.SKIP)
    vjtest.interrupt_on(signal.SIGTERM, signal.SIGHUP)
    with contextlib.ExitStack() as stack:
        table = measure(stack, arguments, choose(arguments))
    rows = [row for _, _, rows in table for row in rows]
    if arguments.csv:
        write_csv(arguments.csv, rows)
    if arguments.plot:
        write_plot(arguments.plot, table)
    if arguments.quick:
        check_quick(rows)


if __name__ == "__main__":
    main()
