#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two small guests under libvirt, one of them at work: the host's table and the guests' own readings side by side, and at
the end the proof that each guest's counter is what the host's ledger has for it. ./setup demo runs it."""
import argparse
import contextlib
import os
import signal
import sys
import time

import vjtest
from vjtest.agent import Agent
from vjtest.guest import TREE, Guest
from vjtest.libvirt import Libvirtd, daemon_pid, virsh

ROUNDS = 6
ROUND_S = 2
NAMES = ("busy", "quiet")
ENERGY = "/sys/class/powercap/intel-rapl:0/energy_uj"


def joules(energy_uj):
    return f"{energy_uj // 1000000}.{energy_uj % 1000000 // 1000:03} J"


def boot(stack, work):
    image = vjtest.image("small", work)
    guests = [stack.enter_context(Guest(image, work, name, prefix="demo-")) for name in NAMES]
    for guest in guests:
        guest.wait_up()
        print(f"{guest.name} is up", flush=True)
    return guests


def show_tree(agent, guest):
    """Waits for the tree, then puts it where every tool looks, as sys-class-powercap.mount does."""
    agent.wait_for(guest)
    vjtest.wait_until(guest.energy, f"{guest.name} has a powercap tree")
    guest.check(f"mount --bind {TREE} /sys/class/powercap")


def show_round(number, agent, guests, last):
    """One look from both sides. last: each guest's previous (time, µJ)."""
    print(f"\n--- {number} of {ROUNDS}\nThe host (virtjoule list):\n{agent.table()}")
    for guest in guests:
        now, energy = time.monotonic(), int(guest.check(f"cat {ENERGY}"))
        before, energy_before = last.get(guest.name, (now, energy))
        watts = (energy - energy_before) / 1e6 / (now - before) if now > before else 0
        print(f"Inside {guest.name}: {ENERGY} = {energy}" + (f" ({watts:.1f} W)" if before < now else ""), flush=True)
        last[guest.name] = now, energy


def show(agent, guests):
    last = {}
    for number in range(1, ROUNDS + 1):
        if number == 2:
            guests[0].load()
            print(f"\n{guests[0].name} now works on one vCPU")
        show_round(number, agent, guests, last)
        if number < ROUNDS:
            time.sleep(ROUND_S)
    guests[0].unload()


def prove(agent, guests):
    print("\n--- Each guest's counters and the host's ledger for it")
    for guest in guests:
        for zone, energy in agent.wait_same(guest).items():
            print(f"OK: {guest.name} {zone}: {energy} µJ inside the guest, {energy} µJ in the ledger of one tick "
                  "(in steps of 1 mJ)", flush=True)
    for zone in agent.status()["zones"]:
        parts = zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"]
        if parts != zone["measured_uj"]:
            raise RuntimeError(f"{zone['id']}: guests + host + static is {parts} µJ, measured {zone['measured_uj']} µJ")
        print(f"OK: {zone['id']}: guests {joules(zone['attributed_uj'])} + host {joules(zone['host_uj'])} + static "
              f"{joules(zone['static_uj'])} = {zone['quality']} {joules(zone['measured_uj'])}, to the microjoule")


def keep(work, daemon, agent, guests):
    """Leaves everything running, with a script that ends it."""
    stop = os.path.join(work, "stop")
    lines = [f"virsh -c qemu:///system destroy {guest.name}" for guest in guests]
    lines += [f"kill {agent.process.pid}"] + [f"kill {daemon_pid(name)}" for name in reversed(daemon.started)]
    with open(stop, "w", encoding="utf-8") as out:
        out.write("\n".join(["#!/bin/sh", *lines, f"rm -r {work}", ""]))
    os.chmod(stop, 0o755)
    client = os.path.join(vjtest.BUILD, "bin/virtjoule")
    print(f"""
Left running. As root:
  {client} --runtime-dir {agent.runtime} list
  {vjtest.TOP}/tests/e2e/in-guest {guests[0].name} 'powercap-info -p intel-rapl'
  {stop}    # ends everything that the demo started""")


def refuse_second():
    running = [name for name in NAMES if virsh("domstate", f"demo-{name}", check=False).strip()]
    if running:
        sys.exit(f"demo: demo-{running[0]} is there already: end the demo that was kept, or virsh destroy demo-{running[0]}")


def run(arguments, stack, work):
    daemon = stack.enter_context(Libvirtd())
    refuse_second()
    agent = stack.enter_context(Agent(work, *(["--sysfs", arguments.sysfs] if arguments.sysfs else [])))
    guests = boot(stack, work)
    for guest in guests:
        show_tree(agent, guest)
    show(agent, guests)
    prove(agent, guests)
    if arguments.keep:
        keep(work, daemon, agent, guests)
        stack.pop_all()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--sysfs", help="sysfs root to read energy from")
    arguments = parser.parse_args()
    reason = vjtest.missing()
    if reason:
        sys.exit(f"demo: {reason}")
    vjtest.interrupt_on(signal.SIGTERM, signal.SIGHUP)
    try:
        with contextlib.ExitStack() as stack:
            work = stack.enter_context(vjtest.work_directory())
            run(arguments, stack, work)
    except (RuntimeError, vjtest.Timeout) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted; everything it started is stopped")


if __name__ == "__main__":
    main()
