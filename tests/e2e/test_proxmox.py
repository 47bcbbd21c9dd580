#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests as Proxmox VE starts them, on a simulated machine, without libvirt until the last test: found by their pid
files, measured, and wired to the agent's one socket."""
import contextlib
import os
import signal
import subprocess
import unittest
import uuid

import vjtest
from vjtest.agent import Agent, share_bounds
from vjtest.guest import Guest
from vjtest.libvirt import URI, Libvirtd
from vjtest.proxmox import Node, ProxmoxGuest
from vjtest.simulator import Simulator

WATTS_PER_CPU = 20
VMID = 900_000 + os.getpid() % 90_000 * 2


class Proxmox(unittest.TestCase):
    """One story, told in the order of the alphabet: each part goes on where the last one ended."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.work = stack.enter_context(vjtest.work_directory())
            cls.simulator = stack.enter_context(Simulator(cls.work, "--machine", "--static-watts", "5",
                                                          "--watts-per-cpu", str(WATTS_PER_CPU)))
            cls.image = vjtest.image("small", cls.work)
            cls.node = Node(cls.work, os.path.join(cls.work, "run"))
            # Both start and run without an agent.
            cls.web = stack.enter_context(ProxmoxGuest(cls.node, cls.image, cls.work, VMID, "web"))
            cls.mail = stack.enter_context(ProxmoxGuest(cls.node, cls.image, cls.work, VMID + 1, "mail", listens=True))
            cls.web.wait_up()
            cls.agent = stack.enter_context(cls.make_agent("proxmox", "none"))
            cls.addClassCleanup(stack.pop_all().close)

    @classmethod
    def make_agent(cls, manager, uri):
        return Agent(cls.work, "--interval", "500ms", sysfs=cls.simulator.root, uri=uri,
                     config=cls.node.config(manager) + "[static-watts]\npackage-0 = 5\n")

    def tearDown(self):
        """Whatever happened: conservation is exact, and no process is counted twice."""
        for zone in self.agent.status()["zones"]:
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
        pids = [domain["pid"] for domain in self.agent.list().values() if domain["pid"]]
        self.assertEqual(len(pids), len(set(pids)))

    def epoch(self, guest):
        return self.agent.domain(guest)["epoch"]

    def assert_measured(self, guest):
        """The channel is open, the account is its process's, and the guest shows what the ledger has: something, if not at once,
        as a guest at rest needs a while for a thousandth of a joule."""
        domain = self.agent.wait_for(guest)
        self.assertEqual(domain["pid"], guest.pid)
        self.assertEqual(domain["manager"], "proxmox")
        self.assertEqual(domain["name"], guest.name)
        self.assertEqual(domain["vmid"], guest.vmid)
        if guest.scope.exists:
            self.assertTrue(domain["usage"].startswith("cgroup"), domain)
        return vjtest.wait_until(lambda: self.agent.wait_same(guest)["package-0"], f"{guest.name} has used energy")

    def test_a_agent_comes_later(self):
        for guest in (self.web, self.mail):
            guest.wait_up()
            self.assert_measured(guest)

    def test_b_energy_is_its_own(self):
        """The load of a machine, and that of a helper in the scope of another one."""
        guests = (self.web, self.mail)
        self.web.load()
        with self.mail.scope.helper():
            spans = self.agent.measure(guests, lambda: [guest.cpu_us() * 1000 for guest in guests], 4 * 10**9)
        self.web.unload()
        if self.mail.scope.exists:
            self.assertGreater(spans[1].least_ns, 10**9)
        # Where another hypervisor steals time the meter and the tasks' times disagree; the shares do not.
        least, most = share_bounds(spans)
        share = spans[0].energy_uj / sum(span.energy_uj for span in spans)
        self.assertGreater(share, 0.92 * least)
        self.assertLess(share, 1.08 * most)

    def test_c_agent_restarted(self):
        epoch, before = self.epoch(self.web), self.assert_measured(self.web)
        self.agent.kill()
        self.agent.start()
        self.assertGreaterEqual(self.assert_measured(self.web), before)
        self.assertEqual(self.epoch(self.web), epoch)

    def test_d_started_again(self):
        """The same VMID and the same machine: another run, another account."""
        epoch, pid = self.epoch(self.web), self.web.pid
        before = self.agent.domain(self.web)["energy_uj"]["package-0"]
        self.web.stop()
        vjtest.wait_until(lambda: (self.agent.domain(self.web) or {}).get("pid") != pid, "the run has ended")
        self.web.start()
        vjtest.wait_until(lambda: (self.agent.domain(self.web) or {}).get("pid") == self.web.pid, "the next run is found")
        begun = self.agent.domain(self.web)["energy_uj"]["package-0"]
        self.assertLess(begun - self.web.cpu_us() * WATTS_PER_CPU, before // 2)
        self.web.wait_up()
        self.assert_measured(self.web)
        self.assertNotEqual(self.epoch(self.web), epoch)

    def test_e_vmid_is_reused(self):
        """Another machine under the VMID of one that is no more."""
        epoch = self.epoch(self.mail)
        self.mail.stop()
        with ProxmoxGuest(self.node, self.image, self.work, self.mail.vmid, "other") as other:
            other.wait_up()
            self.assert_measured(other)
            self.assertNotEqual(self.epoch(other), epoch)
            vjtest.wait_until(lambda: self.agent.domain(self.mail) is None, "the one before has gone")
        vjtest.wait_until(lambda: self.agent.domain(other) is None, "it has gone")

    def test_f_libvirt_beside(self):
        """libvirt's, Proxmox's and nobody's machines on one host, each once."""
        epoch = self.epoch(self.web)
        self.agent.stop()
        with contextlib.ExitStack() as stack:
            stack.enter_context(Libvirtd())
            lonely = stack.enter_context(self.lonely())
            of_libvirt = stack.enter_context(Guest(self.image, self.work, "libvirts"))
            agent = stack.enter_context(self.make_agent("libvirt, proxmox, qemu", URI))
            of_libvirt.wait_up()
            agent.wait_for(of_libvirt)
            vjtest.wait_until(lambda: lonely in agent.list(), "the plain QEMU is found")
            agent.wait_for(self.web)
            found = agent.list()
            self.assertEqual([found[one]["manager"] for one in (of_libvirt.uuid, self.web.uuid, lonely)],
                             ["libvirt", "proxmox", "qemu"])
            self.assertEqual(found[self.web.uuid]["epoch"], epoch)
            type(self).agent, first = agent, self.agent
            self.tearDown()
            type(self).agent = first
        self.agent.start()

    @contextlib.contextmanager
    def lonely(self):
        """A QEMU without manager and without guest; yields its UUID."""
        name = str(uuid.uuid4())
        process = subprocess.Popen([self.node.qemu, "-nodefaults", "-display", "none", "-S", "-uuid", name, "-name", "lonely"],
                                   stdin=subprocess.DEVNULL)
        try:
            yield name
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(vjtest.DEADLINE_S)


if __name__ == "__main__":
    vjtest.main()
