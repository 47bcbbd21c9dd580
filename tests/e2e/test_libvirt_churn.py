#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dozens of real QEMU processes of a real libvirt start and die at once, round after round: the agent keeps no descriptor,
no watch and no entry of any, and no joule is lost. (Two hundred domains at once: tests/integration/test_churn_libvirt.py.)"""
import concurrent.futures
import contextlib
import os
import sys
import unittest

import vjtest
from test_libvirt_watch import Domain
from vjtest.agent import Agent
from vjtest.libvirt import Libvirtd
from vjtest.simulator import Simulator

sys.path.insert(0, os.path.join(vjtest.TOP, "tests/integration"))
import resources  # noqa: E402

ROUNDS = 3
AT_ONCE = 10
RSS_SLACK_KB = 1024


class LibvirtChurn(unittest.TestCase):
    def setUp(self):
        self.work = self.enterContext(vjtest.work_directory())
        self.enterContext(Libvirtd())
        simulator = self.enterContext(Simulator(self.work, "--machine", "--static-watts", "5", "--watts-per-cpu", "20",
                                                "--core-fraction", "0.6"))
        self.agent = self.enterContext(Agent(self.work, "--interval", "250ms", sysfs=simulator.root,
                                             config="[static-watts]\npackage-0 = 5\n"))
        self.pool = self.enterContext(concurrent.futures.ThreadPoolExecutor(4))
        self.seen, self.closed = {}, {}
        vjtest.wait_until(lambda: self.agent.status()["libvirt"]["connected"], "the agent is connected")
        self.agent.wait_ticks(5)  # domains of others are known
        self.others = set(self.agent.list())

    def check(self):
        """Of one tick: those that run + those that have ended + the host + static == measured."""
        status, domains = self.agent.at_one_tick()
        domains = [domain for domain in domains.values() if domain["pid"]]
        for domain in domains:
            self.seen[domain["epoch"]] = domain["energy_uj"]
        running = {domain["epoch"] for domain in domains}
        for zone in status["zones"]:
            name = zone["id"]
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
            closed = zone["attributed_uj"] - sum(domain["energy_uj"][name] for domain in domains)
            known = sum(energy[name] for epoch, energy in self.seen.items() if epoch not in running)
            self.assertGreaterEqual(closed, max(known, self.closed.get(name, 0)), (name, zone))
            self.closed[name] = closed

    def running(self):
        return {uuid for uuid, domain in self.agent.list().items() if domain["pid"]} - self.others

    def at_once(self, function, things):
        """While the agent is watched."""
        futures = [self.pool.submit(function, thing) for thing in things]
        while not all(future.done() for future in futures):
            self.check()
        for future in futures:
            future.result()

    def round(self, number):
        with contextlib.ExitStack() as stack:
            domains = [Domain(self.work, f"churn-{number}-{i}") for i in range(AT_ONCE)]
            self.at_once(lambda domain: stack.enter_context(domain), domains)
            vjtest.wait_until(lambda: self.running() == {domain.uuid for domain in domains}, "all are known")
            self.check()
            for domain in domains[:AT_ONCE // 2]:
                domain.kill()
            self.at_once(lambda domain: domain("destroy"), domains[AT_ONCE // 2:])
            vjtest.wait_until(lambda: set(self.agent.list()) == self.others, "none is left")
            self.check()

    def test_no_leak_and_no_lost_joule(self):
        levels = []
        for number in range(ROUNDS):
            self.round(number)
            levels.append(resources.steady(self.agent.process.pid, *levels[:1]))
            print(f"round {number}: {levels[-1]}", flush=True)
        for level in levels[1:]:
            self.assertEqual(level.held, levels[0].held)
            self.assertLess(level.rss_kb - levels[0].rss_kb, RSS_SLACK_KB + resources.threads_kb(levels[0], level))
        self.assertEqual(len(self.seen), ROUNDS * AT_ONCE + len(self.others))
        self.assertGreater(self.closed["package-0"], 0)
        with open(os.path.join(self.agent.runtime, "ledger"), encoding="ascii") as store:
            words = [line.split()[0] for line in store if line.strip()]
        self.assertEqual([words.count(word) for word in ("domain", "account", "closed")],
                         [len(self.others), len(self.others), 0])


if __name__ == "__main__":
    vjtest.main()
