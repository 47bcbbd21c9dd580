#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""README's "Proxmox in five minutes", command by command, on a stand-in for a node."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))
from fake_pve import FakePve  # noqa: E402 (found by the line above)

BIN = pathlib.Path(os.environ.get("VJ_BIN", "build/bin")).resolve()
PORT = b"virtserialport,bus=virtjoule.0,chardev=virtjoule,name=org.virtjoule.energy.0"


def commands():
    section = (SOURCE / "README.md").read_text().split("\n## Proxmox in five minutes\n")[1].split("\n## ")[0]
    return [line.strip() for line in section.split("\n") if line.startswith("       ")]


class Readme(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("qm wants root, and so does its stand-in")
        top = tempfile.TemporaryDirectory(prefix="vj-proxmox-readme-")
        self.addCleanup(top.cleanup)
        self.node = FakePve(top.name)
        self.node.program("systemctl", "exit 0")
        self.node.program("pvesm", "exit 0")
        self.node.program("virtjoule", f'[ "$1" = proxmox ] || exit 0; shift\n'
                          f'exec "{BIN}/virtjoule" proxmox --pve-dir "{self.node.pve}" "$@"')
        self.config = self.node.top / "virtjouled.conf"
        self.config.write_text((SOURCE / "data/host/virtjouled.conf").read_text())
        self.places = {"/etc/virtjoule/virtjouled.conf": self.config, "/usr/local/share/virtjoule": SOURCE,
                       "/var/lib/vz": self.node.top}

    def run_line(self, line):
        for real, place in self.places.items():
            line = line.replace(real, str(place))
        environment = dict(os.environ, LC_ALL="C.UTF-8", PATH=f"{self.node.bin}:{os.environ['PATH']}")
        return subprocess.run(line, shell=True, capture_output=True, text=True, timeout=240, check=False, env=environment)

    def test_five_minutes(self):
        for vmid in (100, 101):
            self.node.define(vmid, f"args: -cpu host\nname: vm{vmid}\n")
        subprocess.run([self.node.bin / "qm", "start", "100"], check=True, capture_output=True)
        lines = commands()
        self.assertGreaterEqual(len(lines), 12)
        for line in lines:
            with self.subTest(line):
                result = self.run_line(line)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
            if line.startswith("qm reboot"):
                self.assertIn(PORT, self.node.argv(100))
                self.assertTrue(self.node.args(101).endswith(PORT.decode()))
            if "--hookscript" in line:
                self.assertIn(b"hookscript: local:snippets/virtjoule", self.node.config(100).read_bytes())
        self.assertIn("\nmanager = proxmox\n", self.config.read_text())
        self.assertTrue(os.access(self.node.top / "snippets/virtjoule", os.X_OK))
        self.assertEqual(self.node.config(101).read_text(), "args: -cpu host\nname: vm101\n")
        self.assertEqual(self.node.args(100, "PENDING"), "-cpu host")
        self.assertNotIn(b"hookscript", self.node.config(100).read_bytes())


if __name__ == "__main__":
    unittest.main()
