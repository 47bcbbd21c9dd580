#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole path: a simulated powercap root driven from real CPU time, the agent, real libvirt, two real guests, and in
them real consumers. To one guest's QEMU the agent connects, the other's connects to the agent. Everything that may restart
restarts; no counter goes back."""
import contextlib
import os
import re
import socket
import unittest

import vjtest
from vjtest.agent import Agent, share_bounds
from vjtest.guest import CHANNEL, PORT, TREE, Guest, connect_channel
from vjtest.libvirt import Libvirtd, virsh
from vjtest.simulator import Simulator

WATTS_PER_CPU = 20
WATCH = """
(while :; do
  for zone in intel-rapl:0 intel-rapl:0:0; do
    [ ! -e {tree}/$zone ] || cat {tree}/$zone/energy_uj >>/tmp/seen-$zone 2>>/tmp/seen-errors || echo unreadable >>/tmp/seen-errors
  done
  sleep 0.05
done) >/dev/null 2>&1 &
"""


def cpu_ticks():
    with open("/proc/stat", encoding="ascii") as stat:
        return [int(word) for word in stat.readline().split()[1:9]]


def stolen_share():
    """Returns a function that tells the share of the CPUs' time that was stolen since."""
    begin = cpu_ticks()

    def share():
        passed = [end - start for start, end in zip(begin, cpu_ticks())]
        return passed[7] / max(1, sum(passed))
    return share


class FirstJoules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.work = stack.enter_context(vjtest.work_directory())
            cls.daemon = stack.enter_context(Libvirtd())
            simulator = stack.enter_context(Simulator(cls.work, "--machine", "--static-watts", "5", "--watts-per-cpu",
                                                      str(WATTS_PER_CPU), "--core-fraction", "0.6"))
            cls.agent = Agent(cls.work, "--interval", "500ms", sysfs=simulator.root,
                              config="[static-watts]\npackage-0 = 5\n")
            image = vjtest.image("small", cls.work)
            cls.connecting = connect_channel(cls.agent.runtime)
            cls.two = stack.enter_context(Guest(image, cls.work, "two", channel=cls.connecting))
            cls.two.wait_up()  # without an agent
            stack.enter_context(cls.agent)
            cls.one = stack.enter_context(Guest(image, cls.work, "one"))
            for guest in (cls.one, cls.two):
                guest.wait_up()
                cls.agent.wait_for(guest)
                vjtest.wait_until(guest.energy, f"{guest.name} has a tree")
                guest.check(WATCH.format(tree=TREE))
            cls.addClassCleanup(stack.pop_all().close)

    def tearDown(self):
        """After whatever happened: conservation is exact, and no guest saw a counter go back, empty or torn."""
        for zone in self.agent.status()["zones"]:
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
        for guest in (self.one, self.two):
            guest.check("for f in /tmp/seen-intel*; do grep -vE '^[0-9]+$' $f && exit 1; sort -nc $f || exit 1; done")
            self.assertEqual(guest.run("cat /tmp/seen-errors 2>/dev/null")[1], "")
            self.assertGreater(int(guest.check("cat /tmp/seen-intel-rapl:0 | wc -l")), 0)

    def assert_goes_on(self):
        """Both guests show what the ledger has, and it grows."""
        for guest in (self.one, self.two):
            self.agent.wait_for(guest)
            before = self.agent.wait_same(guest)["package-0"]
            vjtest.wait_until(lambda: self.agent.wait_same(guest)["package-0"] > before, f"{guest.name} goes on")

    def test_guest_shows_the_ledger(self):
        self.assert_goes_on()
        self.assertIn("package-0/core", self.agent.wait_same(self.one))

    def libvirts_word(self):
        """CPU time of each guest so far, in ns."""
        said = dict(re.findall(r"Domain: '(\S+)'\s+cpu.time=(\d+)", virsh("domstats", "--cpu-total", self.one.name, self.two.name)))
        return [int(said[guest.name]) for guest in (self.one, self.two)]

    def assert_within(self, value, least, most):
        """And 8 % beyond: the share of an interval's energy is not that of the whole time's where both vary."""
        self.assertGreater(value * 100, least * 92)
        self.assertLess(value * 100, most * 108)

    def test_neighbour_does_not_move_energy(self):
        """A guest's energy is its own CPU time's, measured by libvirt, whether or not its neighbour works. Where another
        hypervisor steals time from this machine, its meter and its tasks' times disagree: then only the shares count."""
        self.one.load()
        for neighbour_works in (False, True):
            if neighbour_works:
                self.two.load()
            stolen = stolen_share()
            spans = self.agent.measure((self.one, self.two), self.libvirts_word, 5 * 10**9)
            one = spans[0]
            self.assert_within(one.energy_uj / sum(span.energy_uj for span in spans), *share_bounds(spans))
            if stolen() < 0.02:
                self.assert_within(one.energy_uj * 1000, one.least_ns * WATTS_PER_CPU, one.most_ns * WATTS_PER_CPU)
            else:
                print(f"{stolen():.0%} of the time was stolen: only the guests' shares were compared")
        self.two.unload()
        self.one.unload()

    def test_consumers(self):
        self.one.check(f"mount --bind {TREE} /sys/class/powercap")
        shown = self.one.check("powercap-info -p intel-rapl")
        self.assertIn("package-0", shown)
        self.assertIn("core", shown)
        self.one.check("prometheus-node-exporter --collector.disable-defaults --collector.rapl >/tmp/exporter.log 2>&1 & "
                       "echo $! >/tmp/exporter.pid")
        metrics = vjtest.wait_until(lambda: self.one.run("wget -qO- http://127.0.0.1:9100/metrics 2>/dev/null")[1],
                                    "node_exporter answers")
        self.one.check("kill $(cat /tmp/exporter.pid); umount /sys/class/powercap")
        self.assertIn('node_scrape_collector_success{collector="rapl"} 1', metrics)
        self.assertIn("node_rapl_package_joules_total", metrics)
        self.assertIn("node_rapl_core_joules_total", metrics)

    def test_agent_killed(self):
        self.agent.kill()
        self.agent.start()
        self.assert_goes_on()

    def test_agent_restarted(self):
        self.assertEqual(self.agent.stop(), 0)
        self.agent.start()
        self.assert_goes_on()

    def test_libvirtd_restarted(self):
        if not self.daemon.can_restart():
            self.skipTest("libvirtd was running before, and is not systemd's to restart")
        before = self.agent.domain(self.one)["energy_uj"]["package-0"]
        self.daemon.restart()
        vjtest.wait_until(lambda: self.agent.status()["libvirt"]["connected"], "the agent is connected again")
        self.assertGreaterEqual(self.agent.domain(self.one)["energy_uj"]["package-0"], before)
        self.assert_goes_on()

    def test_reader_restarted(self):
        self.one.stop_reader("KILL")
        self.one.start_reader()
        self.assert_goes_on()

    def test_channel_unplugged(self):
        """And plugged in again, the one way and the other: for a while both guests use the agent's one socket. (With a port
        that was hot-plugged libvirt's QEMU connects to it only once.)"""
        for channel in (self.connecting, CHANNEL):
            self.one.unplug()
            vjtest.wait_until(lambda: self.one.channel(PORT) is None, "the port is gone")
            vjtest.wait_until(lambda: not self.is_open(self.one), "the agent sees it")
            self.one.plug(channel)
            self.assert_goes_on()

    def is_open(self, guest):
        channel = self.agent.domain(guest)["channel"]
        return channel and channel["state"] == "open"

    def test_stranger_connects(self):
        """Whoever is no domain's QEMU, be it root, is hung up on and counted; nobody else notices."""
        before = self.agent.status()["guest_socket"]
        for _ in range(20):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
                stranger.connect(os.path.join(self.agent.runtime, "guest.sock"))
                stranger.settimeout(vjtest.DEADLINE_S)
                self.assertEqual(stranger.recv(1), b"")
        after = self.agent.status()["guest_socket"]
        self.assertEqual(after["refused"] - before["refused"], 20)
        self.assertEqual(after["accepted"], before["accepted"])
        self.assert_goes_on()


if __name__ == "__main__":
    vjtest.main()
