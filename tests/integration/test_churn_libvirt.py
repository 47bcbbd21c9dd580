#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""200 domains are defined, started, stopped, renamed and undefined, round after round, all at once: nothing leaks, no
joule is lost, and nothing is left of them in the end. VJ_CHURN_SEED and VJ_CHURN_ROUNDS repeat a run, or make a longer
one."""

import json
import os
import random
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import resources  # noqa: E402
from agent_harness import TIMEOUT, Host, wait_for  # noqa: E402

SEED = int(os.environ.get("VJ_CHURN_SEED", "1"))
ROUNDS = int(os.environ.get("VJ_CHURN_ROUNDS", "3"))
WARM_UP = 1
DOMAINS = 200
WORKERS = 6
RSS_SLACK_KB = 1024  # of hundreds of lives and deaths, where a leaked channel's buffers alone would be ten times that
PROGRAM = os.environ.get("VJ_AGENT_WITH_TEST_DRIVER", "build/tests/agent_with_test_driver")
ZONES = {"intel-rapl:0": ("package-0", 9), "intel-rapl:0:0": ("core", 5), "intel-rapl:0:1": ("dram", 2)}
WORK = "while :; do i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; sleep 0.05; done"


class LivingHost(Host):
    """An agent whose hypervisor of libvirt's test driver does as it is told."""

    def start(self):
        self.log = open(os.path.join(self.root, "log"), "a+")
        command = [PROGRAM, *self.command(uri="test:///default")[1:]]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        wait_for(self.answers, "the agent's first tick; it says: " + self.said())

    def tell(self, *commands):
        """All at once; the agent's main loop sees the events in whatever order they come."""
        self.process.stdin.write("".join(command + "\n" for command in commands))
        self.process.stdin.flush()
        for command in commands:
            answer = self.process.stdout.readline().strip()
            assert answer == "ok", (command, answer)

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(TIMEOUT)
            self.process.stdout.close()
            self.process = None
            self.log.close()
        super().close()


class Domain:
    def __init__(self, test, number):
        self.test, self.number = test, number
        self.uuid = "%08x-0000-4000-8000-%012x" % (number, number)
        self.name = "churn-%d" % number
        self.process = None
        self.defined = False

    def define(self):
        self.defined = True
        return (
            "define <domain type='test'><name>%s</name><uuid>%s</uuid><memory>1024</memory><os><type>hvm</type></os>"
            "<devices><channel type='unix'><source mode='bind' path='%s'/>"
            "<target type='virtio' name='org.virtjoule.energy.0'/></channel></devices></domain>"
            % (self.name, self.uuid, self.test.channel(self.number))
        )

    def start(self):
        self.end_process()
        command = ["sh", "-c", WORK] if self.number < WORKERS else ["sleep", "1000"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.pidfile(), "w") as pidfile:
            pidfile.write("%d\n" % self.process.pid)
        return "start " + self.name

    def pidfile(self):
        return os.path.join(self.test.host.rundir, self.name + ".pid")

    def end_process(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        os.unlink(self.pidfile())
        return "destroy " + self.name

    def rename(self, name):
        command = "rename %s %s" % (self.name, name)
        self.name = name
        return command

    def undefine(self):
        self.defined = False
        return "undefine " + self.name


class ChurnLibvirt(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.host = LivingHost()
        self.addCleanup(self.host.close)
        self.moved = dict.fromkeys(ZONES, 0)
        for zone, (name, _) in ZONES.items():
            self.host.powercap.add(zone, name, energy_uj=0)
        self.listeners = []
        self.domains = [Domain(self, number) for number in range(DOMAINS)]
        self.addCleanup(self.close_listeners)
        self.addCleanup(self.end_processes)
        self.seen, self.closed_uj = {}, {}

    def end_processes(self):
        for domain in self.domains:
            domain.end_process()

    def close_listeners(self):
        for listener in self.listeners:
            listener.close()

    def channel(self, number):
        """The path of a channel: every other has a QEMU behind it, which has no guest that answers."""
        path = os.path.join(self.host.root, "channel-%d" % number)
        if number % 2 == 0 and not os.path.exists(path):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(64)
            self.listeners.append(listener)
        return path

    def move(self):
        for zone, (_, weight) in ZONES.items():
            self.moved[zone] += self.random.randrange(weight * 300000)
            self.host.powercap.set(zone, self.moved[zone])

    def snapshot(self):
        """Domains and zones of one tick."""
        while True:
            before, domains, after = (self.host.get("/v1/" + what) for what in ("status", "domains", "status"))
            status = json.loads(after)
            if json.loads(before)["ticks"]["count"] == status["ticks"]["count"]:
                running = [domain for domain in json.loads(domains) if domain["pid"]]
                return running, {zone["id"]: zone for zone in status["zones"]}

    def check(self):
        """Domains that run + those that have ended + the host + static == measured, and what those that have ended
        were given is at least what was last seen of them, and never less than before."""
        domains, zones = self.snapshot()
        running = {domain["epoch"] for domain in domains}
        for name, zone in zones.items():
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
            closed_uj = zone["attributed_uj"] - sum(domain["energy_uj"][name] for domain in domains)
            known_uj = sum(energy[name] for epoch, energy in self.seen.items() if epoch not in running)
            self.assertGreaterEqual(closed_uj, max(known_uj, self.closed_uj.get(name, 0)), (name, zone))
            self.closed_uj[name] = closed_uj
        for domain in domains:
            for name, energy_uj in domain["energy_uj"].items():
                self.assertGreaterEqual(energy_uj, self.seen.get(domain["epoch"], {}).get(name, 0), domain)
            self.seen[domain["epoch"]] = domain["energy_uj"]

    def go_on(self, ticks=2):
        self.move()
        self.host.after_ticks(ticks)
        self.check()

    def in_batches(self, domains, *steps):
        """steps: of one domain, each a command; a part of them at once, the rest at once, whatever ran meanwhile."""
        domains = list(domains)
        self.random.shuffle(domains)
        while domains:
            n = self.random.randrange(1, DOMAINS)
            batch, domains = domains[:n], domains[n:]
            for step in steps:
                self.host.tell(*(step(domain) for domain in batch))
            self.go_on(1)

    def running(self):
        return {name for name, domain in self.host.list().items() if domain["pid"] is not None}

    def round(self, number):
        self.in_batches((domain for domain in self.domains if not domain.defined), Domain.define)
        self.in_batches(self.domains, Domain.start)
        expected = {domain.name for domain in self.domains}
        wait_for(lambda: self.running() == expected, "all domains run")
        for _ in range(3):
            self.go_on()
        for domain in self.random.sample(self.domains, DOMAINS // 3):
            domain.end_process()
        self.go_on(1)
        brief = self.random.sample(self.domains, DOMAINS // 10)
        self.in_batches(brief, Domain.stop, Domain.start)
        self.in_batches(self.domains, Domain.stop)
        self.end_processes()
        self.in_batches(
            self.random.sample(self.domains, DOMAINS // 4),
            lambda domain: domain.rename("renamed-%d-%d" % (domain.number, number)),
        )
        self.in_batches(self.random.sample(self.domains, DOMAINS // 4), Domain.undefine)
        wait_for(lambda: not self.running(), "no domain runs")
        self.go_on()

    def test_no_leak_and_no_lost_joule(self):
        self.host.start()
        first_uj = {zone: self.host.zone(zone)["measured_uj"] for zone in ("package-0", "package-0/core")}
        self.assertEqual(set(first_uj.values()), {0})
        self.host.tell("destroy test", "undefine test")
        levels = []
        for number in range(ROUNDS):
            self.round(number)
            levels.append(resources.steady(self.host.process.pid, *levels[WARM_UP - 1 : WARM_UP]))
            print("round %d: %s" % (number, levels[-1]), file=sys.stderr)
        warm = levels[WARM_UP - 1]
        self.assertLess(levels[-1].rss_kb - warm.rss_kb, RSS_SLACK_KB + resources.threads_kb(warm, levels[-1]))
        for level in levels[WARM_UP:]:
            self.assertEqual(level.held, warm.held)
        self.host.tell(*(domain.undefine() for domain in self.domains if domain.defined))
        wait_for(lambda: not self.host.list(), "no domain is known")
        self.go_on()
        for zone, (name, _) in ZONES.items():
            zone_id = name if name == "package-0" else "package-0/" + name
            self.assertEqual(self.host.zone(zone_id)["measured_uj"], self.moved[zone])
        with open(os.path.join(self.host.run, "ledger")) as store:
            left = [line for line in store if line.startswith(("domain ", "account ", "closed "))]
        self.assertEqual(left, [])
        self.assertGreater(self.closed_uj["package-0"], 0)


if __name__ == "__main__":
    unittest.main()
