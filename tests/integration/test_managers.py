#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several managers on one host, guests that connect, settings of single domains, endings, counters that last."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import Host, TestDriver, wait_for  # noqa: E402

# Uses one CPU; if it is told a socket, plays QEMU and a guest behind it, which writes what it is told into a file.
MACHINE = r"""
import contextlib, os, select, socket, sys, time
path, heard = sys.argv[1:3]
connection, rest, number = None, b"", 0
while True:
    if path and connection is None:
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            number += 1
            connection.sendall(b'\n{"v":1,"hello":"%016x"}\n' % number)
        except OSError:
            connection = None
            time.sleep(0.05)
    elif connection is not None and select.select([connection], [], [], 0)[0]:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            connection, rest = None, b""
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in filter(None, lines):
            with open(heard, "ab") as out:
                out.write(line + b"\n")
            sequence = line.split(b'"seq":')[1].split(b",")[0]
            with contextlib.suppress(OSError):
                connection.sendall(b'{"v":1,"ack":"%016x","seq":%s}\n' % (number, sequence))
"""


def settings(**attributes):
    words = " ".join("%s='%s'" % (name.replace("_", "-"), value) for name, value in attributes.items())
    return "<metadata><virtjoule:settings xmlns:virtjoule='urn:virtjoule:domain:1' %s/></metadata>" % words


class ManagersCase(unittest.TestCase):
    managers = "qemu"

    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        self.driver = TestDriver(self.host)
        self.addCleanup(self.driver.close)
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.energy_uj = 1000000
        self.qemu = os.path.join(self.host.root, "qemu-system-test")
        shutil.copy(os.path.realpath(sys.executable), self.qemu)
        self.script = os.path.join(self.host.root, "machine.py")
        with open(self.script, "w") as out:
            out.write(MACHINE)
        self.guest_socket = os.path.join(self.host.run, "guest.sock")

    def start(self, *options, uri="none", **keywords):
        self.host.start("--manager", self.managers, "--qemu-executables", self.qemu, "--qemu-users", "any",
                        *options, uri=uri, **keywords)

    def machine(self, name, identity=None, connects=False):
        """A process that looks like QEMU from outside."""
        arguments = ["-name", name + ",debug-threads=on", "-uuid", identity or str(uuid.uuid4())]
        process = subprocess.Popen(
            [self.qemu, self.script, self.guest_socket if connects else "", self.heard_file(name), *arguments],
            env=dict(os.environ, PYTHONHOME=sys.base_prefix))
        self.driver.processes.append(process)
        return process

    def heard_file(self, name):
        return os.path.join(self.host.root, name + ".heard")

    def heard(self, name):
        if not os.path.exists(self.heard_file(name)):
            return []
        with open(self.heard_file(name)) as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]

    def note(self, name="libvirt.started.x"):
        """As a hook does: look now."""
        with open(os.path.join(self.host.run, "notes", name), "w"):
            pass

    def stop(self, process):
        process.kill()
        process.wait()

    def burn_once(self):
        self.energy_uj += 1000003
        self.host.powercap.set("intel-rapl:0", self.energy_uj)
        self.host.after_ticks(1)

    def energy(self, name):
        """0 also for a domain that is not known, or has no process yet."""
        domain = self.host.list().get(name, {})
        return domain["energy_uj"]["package-0"] if domain.get("pid") else 0

    def burn_until(self, condition, what):
        """Energy is used until then: on a crowded machine not everybody gets a CPU in each interval."""
        def burn_and_look():
            self.burn_once()
            return condition()
        return wait_for(burn_and_look, what)

    def wait_until_billed(self, *names):
        self.burn_until(lambda: all(self.energy(name) > 0 for name in names), "energy for " + ", ".join(names))

    def assert_conserved(self):
        for zone in self.host.status()["zones"]:
            given = zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"]
            self.assertEqual(given, zone["measured_uj"], zone)


class SideBySide(ManagersCase):
    managers = "libvirt,qemu"

    def test_a_process_that_two_tell_of_is_counted_once(self):
        both = self.machine("as-qemu")
        self.machine("alone")
        self.driver.add("as-libvirt", both)
        self.start(uri=self.driver.uri)
        wait_for(lambda: set(self.host.list()) == {"as-libvirt", "alone"}, "both machines")
        self.wait_until_billed("as-libvirt", "alone")
        self.host.after_ticks(2)
        domains = self.host.list()
        self.assertEqual((domains["as-libvirt"]["manager"], domains["alone"]["manager"]), ("libvirt", "qemu"))
        self.assertEqual(domains["as-libvirt"]["pid"], both.pid)
        self.assertEqual(domains["as-libvirt"]["id"], domains["as-libvirt"]["uuid"])
        self.assertEqual(domains["alone"]["id"], "qemu-" + domains["alone"]["uuid"])
        self.assertEqual(self.host.status()["managers"], ["libvirt", "qemu"])
        self.assert_conserved()

    def test_it_changes_hands_when_libvirt_comes_later(self):
        process = self.machine("as-qemu")
        self.driver.add("as-libvirt", process)
        self.start(uri="qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        self.wait_until_billed("as-qemu")
        self.host.end(signal.SIGKILL)
        self.start(uri=self.driver.uri)
        wait_for(lambda: set(self.host.list()) == {"as-libvirt"}, "libvirt's word")
        self.wait_until_billed("as-libvirt")
        self.assert_conserved()

    def test_settings_of_single_domains(self):
        self.driver.add("quiet", self.driver.burn(), metadata=settings(measure="no"))
        self.driver.add("slow", self.driver.burn(), metadata=settings(interval="1s", resolution="10mJ"))
        self.driver.add("odd", self.driver.burn(), metadata=settings(interval="often", resolution="5uJ"))
        config = os.path.join(self.host.root, "config")
        with open(config, "w") as out:
            out.write("[guest]\nresolution = 2mJ\n")
        self.start("--config", config, uri=self.driver.uri)
        self.wait_until_billed("slow", "odd")
        domains = self.host.list()
        self.assertEqual(domains["quiet"]["energy_uj"]["package-0"], 0)
        self.assertEqual(domains["quiet"]["settings"]["measure"], {"value": "no", "origin": "domain"})
        self.assertEqual(domains["quiet"]["settings"]["resolution"], {"value": "2mJ", "origin": "config"})
        self.assertEqual(domains["slow"]["settings"]["interval"], {"value": "1s", "origin": "domain"})
        self.assertEqual(domains["slow"]["settings"]["static-policy"], {"value": "separate", "origin": "default"})
        self.assertIn("often", domains["odd"]["settings_problem"])
        self.assertEqual(domains["odd"]["settings"]["interval"], {"value": "100ms", "origin": "default"})
        self.assertEqual(domains["odd"]["settings"]["resolution"], {"value": "5uJ", "origin": "domain"})
        self.assertEqual(self.host.said().count("is taken as not said"), 1)
        self.assert_conserved()


class Connecting(ManagersCase):
    def test_a_guest_connects_is_told_and_comes_back_to_a_restarted_agent(self):
        self.start()
        self.machine("guest", connects=True)  # nobody tells of it: its connection does
        wait_for(lambda: self.heard("guest"), "a first frame")
        self.burn_until(lambda: self.heard("guest")[-1]["zones"]["package-0"] > 0, "energy in the guest")
        channel = self.host.list()["guest"]["channel"]
        self.assertEqual((channel["state"], channel["way"]), ("open", "connect"))
        for how in (signal.SIGKILL, signal.SIGTERM):
            before = self.heard("guest")[-1]
            self.host.end(how)
            frames = len(self.heard("guest"))
            self.start()
            wait_for(lambda: len(self.heard("guest")) > frames, "frames of the next agent")
            self.burn_until(lambda: self.heard("guest")[-1]["zones"]["package-0"] > before["zones"]["package-0"], "more energy")
            self.assertEqual(self.heard("guest")[-1]["epoch"], before["epoch"])
        told = [frame["zones"]["package-0"] for frame in self.heard("guest")]
        self.assertEqual(told, sorted(told))
        self.assert_conserved()

    def test_who_is_not_a_domains_qemu_is_refused(self):
        self.machine("guest", connects=True)
        self.start()
        wait_for(lambda: self.heard("guest"), "a first frame")
        refused = self.host.status()["guest_socket"]["refused"]
        with socket.socket(socket.AF_UNIX) as impostor:
            impostor.settimeout(240)
            impostor.connect(self.guest_socket)
            wait_for(lambda: self.host.status()["guest_socket"]["refused"] > refused, "the refusal")
            self.assertEqual(impostor.recv(100), b"")
        self.assertEqual(self.host.list()["guest"]["channel"]["state"], "open")


class Lasting(ManagersCase):
    identity = "11111111-2222-4333-8444-555555555555"

    def test_a_domain_that_stops_and_starts_goes_on(self):
        first = self.machine("vm", self.identity)
        self.start("--counter-lifetime", "forever")
        self.wait_until_billed("vm")
        self.stop(first)
        wait_for(lambda: not self.host.list(), "the end")
        self.burn_once()
        self.burn_once()  # its last sample is settled
        self.assertEqual(sum(self.host.status()["endings"].values()), 1)
        second = self.machine("vm", self.identity)
        self.note()
        wait_for(lambda: self.host.list().get("vm", {}).get("pid") == second.pid, "the second run")
        self.wait_until_billed("vm")
        self.host.after_ticks(2)
        self.assertEqual(self.energy("vm"), self.host.zone("package-0")["attributed_uj"])
        self.assert_conserved()

    def test_neither_a_crash_nor_a_new_boot_takes_it_back(self):
        self.machine("vm", self.identity)
        self.start("--counter-lifetime", "forever")
        self.wait_until_billed("vm")
        self.host.after_ticks(2)
        before = self.host.list()["vm"]
        self.host.end(signal.SIGKILL)
        self.start("--counter-lifetime", "forever")
        after = self.host.list()["vm"]
        self.assertEqual(after["epoch"], before["epoch"])
        self.assertGreaterEqual(after["energy_uj"]["package-0"], before["energy_uj"]["package-0"])
        self.host.end(signal.SIGTERM)
        os.unlink(os.path.join(self.host.run, "ledger"))  # as /run is empty then
        self.start("--counter-lifetime", "forever")
        anew = wait_for(lambda: self.host.list().get("vm"), "the machine")
        self.assertEqual(anew["epoch"], before["epoch"])
        self.assertGreaterEqual(anew["energy_uj"]["package-0"], after["energy_uj"]["package-0"])
        self.assertEqual(self.host.zone("package-0")["attributed_uj"], 0)

    def test_a_domain_that_ended_while_no_agent_ran_goes_on_too(self):
        first = self.machine("vm", self.identity)
        self.start("--counter-lifetime", "forever")
        self.wait_until_billed("vm")
        self.host.after_ticks(2)
        before = self.energy("vm")
        self.host.end(signal.SIGKILL)
        self.stop(first)
        self.machine("vm", self.identity)
        self.start("--counter-lifetime", "forever")
        self.wait_until_billed("vm")
        self.assertGreaterEqual(self.energy("vm"), before)
        self.assert_conserved()

    def test_by_default_each_run_begins_at_zero(self):
        first = self.machine("vm", self.identity)
        self.start()
        self.wait_until_billed("vm")
        before = self.host.list()["vm"]
        self.stop(first)
        wait_for(lambda: not self.host.list(), "the end")
        self.machine("vm", self.identity)
        self.note()
        wait_for(lambda: self.host.list(), "the second run")
        after = self.host.list()["vm"]
        self.assertNotEqual(after["epoch"], before["epoch"])
        self.assertLess(after["energy_uj"]["package-0"], before["energy_uj"]["package-0"])


class Expected(ManagersCase):
    managers = "auto"

    def test_a_host_of_proxmox_is_not_warned_of_a_libvirt_that_is_not_there(self):
        rundir = os.path.join(self.host.root, "qemu-server")
        os.mkdir(rundir)
        self.start("--proxmox-rundir", rundir, uri="qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        wait_for(lambda: "cannot connect" in self.host.said(), "the message")
        self.assertNotIn("WARNING", self.host.said())
        self.assertEqual(self.host.status()["managers"], ["libvirt", "proxmox"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
