#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that libvirt may do to one domain in its life, told by a real libvirtd of a real guest: the agent follows, what
it attributes stays conserved, it keeps no stale entry, and the guest's counter never goes back."""
import base64
import contextlib
import os
import subprocess
import unittest

import vjtest
from vjtest.agent import Agent
from vjtest.guest import PORT, TREE, Guest
from vjtest.libvirt import Libvirtd, virsh
from vjtest.simulator import Simulator

NAMESPACE = "urn:virtjoule:domain:1"
# What the guest sees of its counter, from the first tree to the last.
WATCH = """
(while :; do
  [ ! -e {tree}/intel-rapl:0 ] || cat {tree}/intel-rapl:0/energy_uj >>/tmp/seen 2>>/tmp/errors || echo unreadable >>/tmp/errors
  sleep 0.05
done) >/dev/null 2>&1 &
"""


class PersistentGuest(Guest):
    """Defined, with a disk that snapshots can be kept in."""

    def __init__(self, image, work, name):
        super().__init__(image, work, name)
        disk = os.path.join(work, f"{name}.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
        self.definition = self.definition.replace(
            "<devices>", f"<devices><disk type='file'><driver name='qemu' type='qcow2'/><source file='{disk}'/>"
            "<target dev='vda' bus='virtio'/></disk>")

    def start(self):
        self.define()
        self.boot()

    def define(self):
        virsh("define", self.write("domain.xml", self.definition))

    def boot(self):
        virsh("start", self.name)
        self.connect()

    def destroy(self):
        super().destroy()
        virsh("undefine", self.name, "--managed-save", "--snapshots-metadata", check=False)

    def __call__(self, verb, *arguments):
        return virsh(verb, self.name, *arguments)

    def order(self, command):
        """What ends the guest's system before it could answer."""
        self.socket.sendall(b"0 %s\n" % base64.b64encode(command.encode()))

    def rename(self, name):
        self("domrename", name)
        self.definition = self.definition.replace(f"<name>{self.name}</name>", f"<name>{name}</name>")
        self.name = name

    def set(self, settings):
        """As documented for virsh alone."""
        self("metadata", NAMESPACE, "--live", "--key", "virtjoule", "--set", f"<settings {settings}/>")


class LifeEvents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.work = stack.enter_context(vjtest.work_directory())
            cls.daemon = stack.enter_context(Libvirtd())
            simulator = stack.enter_context(Simulator(cls.work, "--machine", "--static-watts", "5", "--watts-per-cpu", "20"))
            cls.agent = stack.enter_context(Agent(cls.work, "--interval", "200ms", sysfs=simulator.root,
                                                  config="[static-watts]\npackage-0 = 5\n"))
            cls.guest = stack.enter_context(PersistentGuest(vjtest.image("small", cls.work), cls.work, "life"))
            cls.watch_from_inside()
            cls.prefix = cls.guest.name  # other domains of this machine are not ours
            cls.addClassCleanup(stack.pop_all().close)

    @classmethod
    def watch_from_inside(cls):
        """Of each boot."""
        cls.guest.wait_up()
        vjtest.wait_until(cls.guest.energy, "the guest has a tree")
        cls.guest.check(WATCH.format(tree=TREE))

    def tearDown(self):
        """After whatever happened: conservation is exact, and the guest's counter never went back."""
        for zone in self.agent.status()["zones"]:
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
        names = [domain["name"] for domain in self.agent.list().values()]
        self.assertEqual([name for name in names if name.startswith(self.prefix)], [self.guest.name])
        self.assert_seen()

    def assert_seen(self):
        self.guest.check("! grep -vE '^[0-9]+$' /tmp/seen && sort -nc /tmp/seen && ! [ -s /tmp/errors ]")
        self.assertGreater(int(self.guest.check("wc -l </tmp/seen")), 0)

    def wait_state(self, state):
        vjtest.wait_until(lambda: (self.agent.domain(self.guest) or {}).get("state") == state, f"the guest is {state}")

    def wait_gone(self):
        vjtest.wait_until(lambda: not self.agent.domain(self.guest), "the agent does not know it any more")

    def assert_goes_on(self, least=0):
        """The guest shows what it had at least, and more and more."""
        self.agent.wait_for(self.guest)
        before = max(least, self.guest.energy()["package-0"])
        vjtest.wait_until(lambda: self.guest.energy()["package-0"] > before, "the guest's counter grows")

    def energy(self):
        return self.guest.energy()["package-0"]

    def test_suspend(self):
        self.guest("suspend")
        self.wait_state("paused")
        self.guest("resume")
        self.wait_state("running")
        self.assert_goes_on()

    def test_sleep(self):
        """Of the guest's own accord (ACPI S3), until somebody wakes it."""
        self.guest.order("echo mem >/sys/power/state")
        self.wait_state("paused")
        self.guest("dompmwakeup")
        self.wait_state("running")
        self.assert_goes_on()

    def test_channel_comes_and_goes(self):
        self.guest.unplug()
        vjtest.wait_until(lambda: self.guest.channel(PORT) is None, "the port is gone")
        vjtest.wait_until(lambda: not (self.agent.domain(self.guest)["channel"] or {}).get("state") == "open",
                          "the agent sees it")
        self.guest.plug()
        self.assert_goes_on()

    def test_save(self):
        """Restoring makes another QEMU: another id, another socket path, another epoch; the guest adds up."""
        before, path, pid = self.energy(), self.guest.channel_path(PORT), self.agent.domain(self.guest)["pid"]
        file = os.path.join(self.work, "saved")
        self.guest("save", file)
        self.wait_gone()
        virsh("restore", file)
        self.guest.connect()
        self.assert_goes_on(before)
        self.assertNotEqual(self.guest.channel_path(PORT), path)
        self.assertNotEqual(self.agent.domain(self.guest)["pid"], pid)

    def test_managed_save(self):
        before = self.energy()
        self.guest("managedsave")
        self.wait_gone()
        self.guest.boot()
        self.assert_goes_on(before)

    def test_snapshot(self):
        self.guest("snapshot-create-as", "one")
        before = self.energy()
        self.guest("snapshot-revert", "one")
        self.guest.connect()
        self.assert_goes_on(before)
        self.guest("snapshot-delete", "one")

    def test_libvirtd_restarts_in_between(self):
        if not self.daemon.can_restart():
            self.skipTest("libvirtd was running before, and is not systemd's to restart")
        before = self.energy()
        self.guest("suspend")
        self.daemon.restart()
        self.guest("resume")
        vjtest.wait_until(lambda: self.agent.status()["libvirt"]["connected"], "the agent is connected again")
        self.wait_state("running")
        self.assert_goes_on(before)

    def settings(self):
        """What holds for the guest and is its own, and what of it is not understood."""
        domain = self.agent.domain(self.guest)
        own = {name: one["value"] for name, one in domain["settings"].items() if one["origin"] == "domain"}
        return own, domain["settings_problem"]

    def test_settings(self):
        """Each change applies at once, without a restart of anything."""
        before = self.energy()
        self.guest.set("interval='400ms' resolution='10mJ' colour='red'")
        vjtest.wait_until(lambda: self.settings()[0] == {"interval": "400ms", "resolution": "10mJ"}, "they hold")
        self.assertIn('"colour" is not allowed', self.settings()[1])
        self.assert_goes_on(before)
        before = self.energy()
        self.guest.set("measure='no'")
        vjtest.wait_until(lambda: self.settings() == ({"measure": "no"}, None), "the guest is not measured")
        sent = self.agent.domain(self.guest)["channel"]["frames_sent"]
        self.agent.wait_ticks(6)
        self.assertEqual(self.agent.domain(self.guest)["channel"]["frames_sent"], sent)
        self.guest("metadata", NAMESPACE, "--live", "--remove")
        vjtest.wait_until(lambda: self.settings() == ({}, None), "nothing is set")
        self.assert_goes_on(before)

    def test_reboot(self):
        """The same QEMU: the counter of the next boot starts with what this run has used."""
        before = self.agent.domain(self.guest)
        boots = self.guest.console().count("guest is up")
        self.guest.order("reboot -f")
        vjtest.wait_until(lambda: self.guest.console().count("guest is up") > boots, "the guest is up again")
        self.guest.connect()
        self.watch_from_inside()
        self.assert_goes_on(before["energy_uj"]["package-0"])
        self.assertEqual(self.agent.domain(self.guest)["pid"], before["pid"])

    def test_undefine_while_it_runs(self):
        self.guest("undefine")
        self.assert_goes_on()
        self.guest.define()
        self.assert_goes_on()

    def test_rename(self):
        self.guest.order("poweroff -f")
        self.wait_gone()
        vjtest.wait_until(lambda: self.guest("domstate").strip() == "shut off", "libvirt is through with it")
        self.guest.rename(self.guest.name + "-renamed")
        self.guest.boot()
        self.watch_from_inside()
        self.assert_goes_on()


if __name__ == "__main__":
    vjtest.main()
