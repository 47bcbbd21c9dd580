#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""README's "libvirt in five minutes", command by command, on a real guest under the real libvirt; then the same guest with
the port that connects to the agent."""
import os
import re
import stat
import subprocess
import unittest

import vjtest
from vjtest.agent import Agent
from vjtest.guest import PORT, TREE, Guest
from vjtest.libvirt import ENVIRONMENT, URI, Libvirtd, virsh

IN_GUEST = "cat /sys/"
UDEV = "udevadm "  # in the guest too, which has none here: test_units does it


def commands():
    with open(os.path.join(vjtest.TOP, "README.md"), encoding="utf-8") as readme:
        section = readme.read().split("\n## libvirt in five minutes\n")[1].split("\n## ")[0]
    return [line.strip() for line in section.split("\n") if line.startswith("       ")]


class PersistentGuest(Guest):
    """Defined as a user's domain is, with a controller and without the energy port."""

    def start(self):
        virsh("define", self.write("domain.xml", self.definition))
        virsh("start", self.name)
        self.connect()

    def destroy(self):
        super().destroy()
        virsh("undefine", self.name, check=False)

    def inactive(self):
        """The persistent definition; libvirt leaves an empty element where there was metadata."""
        return virsh("dumpxml", "--inactive", self.name).replace("  <metadata/>\n", "")


class Readme(unittest.TestCase):
    def setUp(self):
        self.work = self.enterContext(vjtest.work_directory())
        self.daemon = self.enterContext(Libvirtd())
        self.agent = Agent(self.work, "--interval", "500ms")
        self.addCleanup(lambda: self.agent.process and self.agent.stop())
        self.guest = self.enterContext(PersistentGuest(vjtest.image("small", self.work), self.work, "web", channel=False))
        self.guest.wait_up()
        self.guest.check(f"mkdir -p {TREE} && mount --bind {TREE} /sys/class/powercap")  # as the guest half's unit does
        self.bin = os.path.join(self.work, "bin")
        os.mkdir(self.bin)
        self.program("systemctl", "exit 0")
        self.program("virtjoule", f'exec {vjtest.BUILD}/bin/virtjoule --runtime-dir {self.agent.runtime} "$@"')
        self.program("virsh", f'exec /usr/bin/virsh -q -c {URI} "$@"')
        self.places = {"/usr/local/share/virtjoule/channel.xml": os.path.join(vjtest.TOP, "data/channel.xml"),
                       "/usr/local/share/virtjoule": vjtest.TOP, "/etc/libvirt": self.work}
        others = [name for name in virsh("list", "--all", "--name").split() if name != self.guest.name]
        if others:
            print(f"{others} are on this machine: --all becomes the test's own domain", flush=True)
            self.places["--all"] = self.guest.name

    def program(self, name, body):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"#!/bin/sh\n{body}\n")
        os.chmod(path, stat.S_IRWXU)

    def run_line(self, line):
        line = re.sub(r"\bweb\b", self.guest.name, line)
        for real, place in self.places.items():
            line = line.replace(real, place)
        return subprocess.run(line, shell=True, capture_output=True, text=True, timeout=vjtest.DEADLINE_S, check=False,
                              env={**ENVIRONMENT, "PATH": f"{self.bin}:{ENVIRONMENT['PATH']}"})

    def settings(self):
        domain = self.agent.domain(self.guest)
        return domain and {name: (setting["value"], setting["origin"]) for name, setting in domain["settings"].items()}

    def after(self, line):
        """What the reader of the section may expect of a line, where that is more than success."""
        if line.startswith("systemctl enable"):
            self.agent.start()
            vjtest.wait_until(lambda: self.agent.domain(self.guest), "the agent knows the domain")
        if line.startswith("systemctl restart") and self.daemon.can_restart():
            self.daemon.restart()
            self.assertIn(self.guest.name, virsh("list", "--name").split())
            vjtest.wait_until(lambda: self.agent.status()["libvirt"]["connected"], "the agent is connected again")
            self.agent.wait_for(self.guest)
        if line.startswith("virtjoule channel add"):
            self.assertIsNotNone(self.guest.channel(PORT))
            self.assertIn(PORT, self.guest.inactive())
            self.agent.wait_for(self.guest)
            vjtest.wait_until(self.guest.energy, "the guest has a tree")
        if line.startswith("virtjoule domain set"):
            vjtest.wait_until(lambda: (self.settings() or {}).get("interval") == ("2s", "domain"), "the agent applies it")
        if line.startswith("virsh attach"):
            self.agent.wait_for(self.guest)
        if "remove" in line or line.startswith("virsh detach"):
            vjtest.wait_until(lambda: self.guest.channel(PORT) is None, "the port is gone")

    def test_five_minutes(self):
        before = self.guest.inactive()
        lines = commands()
        self.assertGreaterEqual(len(lines), 14)
        for line in lines:
            if line.startswith(UDEV):
                continue
            with self.subTest(line):
                if line.startswith(IN_GUEST):
                    vjtest.wait_until(lambda at=line: int(self.guest.check(at)) > 0, "the guest has used energy")
                    continue
                result = self.run_line(line)
                print(f"  $ {line}\n{result.stdout}{result.stderr}", end="", flush=True)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.after(line)
            if line.startswith("virtjoule channel status"):
                self.assertRegex(result.stdout, rf"{self.guest.name} +bind +bind +open")
        self.assertEqual(self.guest.inactive(), before)
        self.connect_way()

    def connect_way(self):
        """From its next start on; and again after the agent was away."""
        result = self.run_line("virtjoule channel add --connect --persistent web")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("there after a full stop and start", result.stdout)
        virsh("destroy", self.guest.name)
        virsh("start", self.guest.name)
        self.guest.connect()
        self.guest.wait_up()
        for _ in range(2):
            self.assertEqual(self.agent.wait_for(self.guest)["channel"]["way"], "connect")
            self.agent.stop()
            self.agent.start()
        self.assertRegex(self.run_line("virtjoule channel status web").stdout, r"web +connect +connect ")


if __name__ == "__main__":
    vjtest.main()
