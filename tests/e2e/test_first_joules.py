#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole path: a simulated powercap root driven from real CPU time, the agent, real libvirt, two real guests, and in
them real consumers. Everything that may restart restarts; no counter goes back."""
import contextlib
import time
import unittest

import vjtest
from vjtest.agent import Agent
from vjtest.guest import PORT, TREE, Guest
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


class FirstJoules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.work = stack.enter_context(vjtest.work_directory())
            cls.daemon = stack.enter_context(Libvirtd())
            simulator = stack.enter_context(Simulator(cls.work, "--machine", "--static-watts", "5", "--watts-per-cpu",
                                                      str(WATTS_PER_CPU), "--core-fraction", "0.6"))
            cls.agent = stack.enter_context(Agent(cls.work, "--interval", "500ms", sysfs=simulator.root,
                                                  config="[static-watts]\npackage-0 = 5\n"))
            image = vjtest.image("small", cls.work)
            cls.one = stack.enter_context(Guest(image, cls.work, "one"))
            cls.two = stack.enter_context(Guest(image, cls.work, "two"))
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

    def account(self, guest):
        domain = self.agent.domain(guest)
        return domain["energy_uj"]["package-0"], int(virsh("domstats", "--cpu-total", guest.name).split(
            "cpu.time=")[1].split()[0])

    def test_guest_shows_the_ledger(self):
        self.assert_goes_on()
        self.assertIn("package-0/core", self.agent.wait_same(self.one))

    def test_neighbour_does_not_move_energy(self):
        """A guest's energy is its own CPU time's, measured by libvirt, whether or not its neighbour works."""
        self.one.load()
        for neighbour_works in (False, True):
            if neighbour_works:
                self.two.load()
            energy, cpu_ns = self.account(self.one)
            time.sleep(12)  # the length of the measurement
            energy_end, cpu_end_ns = self.account(self.one)
            truth_uj = (cpu_end_ns - cpu_ns) * WATTS_PER_CPU // 1000
            # The two ends are read some tens of ms apart from the agent's tick, which is every 500 ms.
            self.assertGreater(truth_uj, 10_000_000)
            self.assertLess(abs(energy_end - energy - truth_uj) * 100, truth_uj * 8)
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
                                    "node_exporter answers", 120)
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
        vjtest.wait_until(lambda: self.agent.status()["libvirt"]["connected"], "the agent is connected again", 120)
        self.assertGreaterEqual(self.agent.domain(self.one)["energy_uj"]["package-0"], before)
        self.assert_goes_on()

    def test_reader_restarted(self):
        self.one.stop_reader("KILL")
        self.one.start_reader()
        self.assert_goes_on()

    def test_channel_unplugged(self):
        self.one.unplug()
        vjtest.wait_until(lambda: self.one.channel(PORT) is None, "the port is gone")
        vjtest.wait_until(lambda: self.agent.domain(self.one)["channel"]["state"] != "open", "the agent sees it")
        self.one.plug()
        self.assert_goes_on()


if __name__ == "__main__":
    vjtest.main(seconds=580)
