#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever happens to agent, domains and zones, in whatever order, the accounts hold. VJ_CHURN_SEED and VJ_CHURN_SECONDS
repeat a run, or make a longer one."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import TIMEOUT, Host, TestDriver  # noqa: E402

SEED = int(os.environ.get("VJ_CHURN_SEED", "1"))
SECONDS = float(os.environ.get("VJ_CHURN_SECONDS", "15"))
ZONES = {
    "intel-rapl:0": ("package-0", 9), "intel-rapl:0:0": ("core", 5), "intel-rapl:0:1": ("uncore", 3),
    "intel-rapl:0:2": ("dram", 2), "intel-rapl:1": ("package-1", 7), "intel-rapl:1:0": ("core", 6),
    "intel-rapl:2": ("psys", 20), "intel-rapl:3": ("storage", 4),
}  # fmt: skip
POLICIES = ("separate", "even", "proportional", "allocation")
CONFIG = """[attribution]
curve = %s
stacking = %s
[static-watts]
default = %s
package-0 = %d
package-0/core = %d
psys/rest = 1
"""
CALIBRATION = """[hardware]
fingerprint=%s
""" + "".join(
    "[zone %s]\nstatic-uw=%%d\nerror-uw=0\nsigma-uw=0\n" % zone for zone in ("package-1", "package-0/dram", "psys")
)


class Guest(threading.Thread):
    """The guest's end of one channel for as long as the test runs: shows base + E, as docs/protocol.md says."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.frames = 0
        self.epoch = None
        self.base, self.last = {}, {}
        self.wrong = []
        self.connection = None
        self.ended = False
        self.start()

    def run(self):
        number = 0
        while not self.ended:
            with contextlib.suppress(OSError):
                self.connection, _ = self.listener.accept()
                number += 1
                self.serve(self.connection, "%016x" % number)

    def serve(self, connection, session):
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b'\n{"v":1,"hello":"%s"}\n' % session.encode())
            for line in lines:
                if line.strip():
                    frame = json.loads(line)
                    self.take(frame)
                    connection.sendall(b'{"v":1,"ack":"%s","seq":%d}\n' % (session.encode(), frame["seq"]))

    def take(self, frame):
        self.frames += 1
        if frame["epoch"] != self.epoch:
            for zone, last in self.last.items():
                self.base[zone] = self.base.get(zone, 0) + last
            self.epoch, self.last = frame["epoch"], {}
        for zone, energy in frame["zones"].items():
            if energy < self.last.get(zone, 0):
                self.wrong.append((zone, self.last[zone], frame))
            self.last[zone] = energy
        shown = {zone: self.base.get(zone, 0) + self.last.get(zone, 0) for zone in {*self.base, *self.last}}
        for package in ("package-0", "package-1"):
            parts = shown.get(package + "/core", 0) + shown.get(package + "/uncore", 0)
            if parts > shown.get(package, 0):
                self.wrong.append((package, shown, frame))

    def close(self):
        self.ended = True
        for end in (self.listener, self.connection):
            with contextlib.suppress(OSError, AttributeError):
                end.shutdown(socket.SHUT_RDWR)
        self.join(TIMEOUT)
        self.listener.close()


class Churn(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.host = Host()
        self.addCleanup(self.host.close)
        self.driver = TestDriver(self.host)
        self.addCleanup(self.driver.close)
        self.raw, self.hidden, self.away = {}, set(), set()
        self.seen, self.totals, self.history = {}, {}, []
        self.guests, self.born = [], 0
        self.fake_topology()
        os.symlink("/sys/block", os.path.join(self.host.sys, "block"))
        for zone, (name, _) in ZONES.items():
            self.raw[zone] = 1000000
            self.host.powercap.add(zone, name)
        for _ in range(3):
            self.add_domain()

    def fake_topology(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        for number, cpu in enumerate(cpus):
            topology = os.path.join(self.host.sys, "devices/system/cpu/cpu%d/topology" % cpu)
            os.makedirs(topology)
            with open(os.path.join(topology, "physical_package_id"), "w") as out:
                out.write("%d\n" % number)
        with open(os.path.join(self.host.sys, "devices/system/cpu/present"), "w") as out:
            out.write("%s\n" % ",".join(map(str, cpus)))

    def add_domain(self):
        """Works a little and sleeps a little, so that several are no load for the machine."""
        script = "while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 0.02; done"
        process = subprocess.Popen(["sh", "-c", script])
        self.driver.processes.append(process)
        self.born += 1
        path = os.path.join(self.host.root, "channel-%d" % self.born)
        self.guests.append(Guest(path))
        self.addCleanup(self.guests[-1].close)
        self.driver.add("domain-%d" % self.born, process, channel=path)

    # What may happen.

    def move(self):
        for zone, (_, weight) in ZONES.items():
            self.raw[zone] += self.random.randrange(weight * 200000)
            if zone not in self.hidden | self.away:
                self.host.powercap.set(zone, self.raw[zone])

    def reset_counter(self):
        zone = self.random.choice(list(ZONES))
        self.raw[zone] = self.random.randrange(1000)
        self.move()

    def hide_zone(self):
        zone = self.random.choice(list(ZONES))
        if zone not in self.hidden | self.away:
            self.host.powercap.hide(zone)
            self.hidden.add(zone)

    def show_zones(self):
        for zone in self.hidden - self.away:
            self.host.powercap.show(zone, self.raw[zone])
        self.hidden &= self.away

    def end_process(self):
        process = self.random.choice(self.driver.processes)
        process.kill()
        process.wait()

    def stop_or_go_on(self):
        self.random.choice(self.driver.processes).send_signal(self.random.choice((signal.SIGSTOP, signal.SIGCONT)))

    def calibrate(self):
        """A calibration appears, changes, is spoilt or goes while the agent runs."""
        path = os.path.join(self.host.root, "state", "static-power")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        text = self.random.choice(("", "no form at all\n", CALIBRATION, CALIBRATION))
        if text == CALIBRATION:
            text %= (self.host.status()["hardware"], *(self.random.randrange(40) * 1000000 for _ in range(3)))
        if text:
            with open(path + ".aside", "w") as out:
                out.write(text)
            os.rename(path + ".aside", path)

    def take_zone_away(self):
        """Only while no agent runs: hardware does not lose zones."""
        zone = self.random.choice([zone for zone in ZONES if zone.count(":") == 2 or zone == "intel-rapl:2"])
        directory, aside = (os.path.join(root, zone) for root in (self.host.powercap.directory, self.host.root))
        if zone in self.away:
            os.rename(aside, directory)
            self.away.remove(zone)
        else:
            os.rename(directory, aside)
            self.away.add(zone)

    def replace_domain(self):
        if len(self.driver.domains) > 2 and self.random.random() < 0.5:
            self.driver.domains.pop(self.random.randrange(len(self.driver.domains)))
        if self.born < 6:
            self.add_domain()

    def restart(self):
        how = self.random.choice((signal.SIGTERM, signal.SIGKILL))
        self.assertEqual(self.host.end(how), 0 if how == signal.SIGTERM else -how, self.host.said())
        self.totals = {}
        for event in (self.move, self.take_zone_away, self.replace_domain, self.end_process, self.reset_counter):
            if self.random.random() < 0.25:
                event()
        if self.hidden >= set(ZONES) - self.away:  # which is refused
            self.show_zones()
        self.start()

    def start(self):
        config = os.path.join(self.host.root, "config")
        with open(config, "w") as out:
            pick = self.random.choice
            out.write(
                CONFIG % (pick(("linear", "gamma")), pick(("largest", "longest-lived")), pick(("none", "auto")),
                          pick((0, 2, 40)), pick((0, 3, 60)))
            )  # fmt: skip
        self.host.start(
            "--config", config, "--static-policy", self.random.choice(POLICIES), uri=self.driver.uri,
            interval=self.random.choice(("100ms", "150ms")),
        )  # fmt: skip

    # What must hold.

    def check_zones(self, zones):
        for zone in zones.values():
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
            self.assertLessEqual(zone["gap_uj"], zone["host_uj"], zone)
            self.assertLessEqual(zone["attributed_static_uj"], zone["attributed_uj"], zone)
            figures = {name: value for name, value in zone.items() if name.endswith("_uj") and name != "static_owed_uj"}
            for name, value in self.totals.get(zone["id"], {}).items():
                self.assertGreaterEqual(figures[name], value, (name, zone))
            self.totals[zone["id"]] = figures

    def check_domain(self, domain):
        energy = domain["energy_uj"]
        for zone, value in energy.items():
            key = (domain["epoch"], zone)
            self.assertGreaterEqual(value, self.seen.get(key, 0), (zone, domain))
            self.assertLessEqual(domain["static_uj"][zone], value, domain)
            self.seen[key] = value
        for package in ("package-0", "package-1"):
            parts = energy.get(package + "/core", 0) + energy.get(package + "/uncore", 0)
            self.assertLessEqual(parts, energy[package], domain)

    def check(self):
        """The list first: what is attributed then can only be more."""
        domains = [domain for domain in self.host.list().values() if domain["pid"] is not None]
        zones = {zone["id"]: zone for zone in self.host.status()["zones"]}
        self.check_zones(zones)
        for domain in domains:
            self.check_domain(domain)
        for name, zone in zones.items():
            given = sum(domain["energy_uj"][name] for domain in domains)
            self.assertLessEqual(given, zone["attributed_uj"], (zone, domains))
        for guest in self.guests:
            self.assertEqual(guest.wrong, [])

    def has_happened(self):
        """Readings of guests, epochs, and joules given to domains, once there are some of each; on a machine that is slow it may
        take more than the time given."""
        figures = (sum(guest.frames for guest in self.guests), len({epoch for epoch, _ in self.seen}),
                   sum(self.seen.values()) / 1e6)  # fmt: skip
        return figures if min(figures) > 0 else None

    def test_the_accounts_hold(self):
        self.start()
        events = (
            [self.move] * 12 + [self.restart] * 3 + [self.hide_zone] * 2 + [self.show_zones] * 2
            + [self.stop_or_go_on] * 2 + [self.reset_counter, self.end_process] + [self.calibrate] * 2
        )  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline or not self.has_happened():
            event = self.random.choice(events)
            self.history.append(event.__name__)
            with self.subTest(seed=SEED, after=self.history[-8:]):
                event()
                self.host.after_ticks(1)
                self.check()
        frames, epochs, joules = self.has_happened()
        print(
            "seed %d: %d events, %d readings of guests, %d epochs, %d J given to domains"
            % (SEED, len(self.history), frames, epochs, joules), file=sys.stderr
        )  # fmt: skip


if __name__ == "__main__":
    unittest.main()
