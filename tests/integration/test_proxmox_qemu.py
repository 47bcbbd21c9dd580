#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real QEMU processes, wired as Proxmox VE wires its machines, with the args that virtjoule proxmox enable has made. Every
address that Proxmox VE may give to a device is taken, so that a clash with one of them would end QEMU."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from fake_pve import FakePve  # noqa: E402 (found by the line above)

BIN = pathlib.Path(os.environ.get("VJ_BIN", "build/bin")).resolve()
QEMU = "qemu-system-x86_64"

# Slots of Proxmox VE's devices on its conventional buses: get_pci_addr_map () in qemu-server's PCI.pm, 9.2.6. Those of the
# bridges themselves are left out here.
PCI_SLOTS = {0: range(1, 32), 1: range(1, 31), 2: range(1, 25), 3: range(1, 32), 4: range(1, 4)}
PC_BRIDGES = {1: (0, 0x1e), 2: (0, 0x1f), 3: (0, 5), 4: (1, 0x1c)}
PC_OWN = {(0, 1), (0, 0x1d)}  # PIIX3; the USB controllers of pve-usb.cfg


def device(*properties):
    return ["-device", ",".join(properties)]


def bridge(number, bus, slot):
    return device("pci-bridge", f"id=pci.{number}", f"chassis_nr={number + 1}", f"bus={bus}", f"addr={slot:#x}")


def others(taken):
    """A small device in each slot that is not taken."""
    words = []
    for bus, slots in PCI_SLOTS.items():
        for slot in slots:
            if (bus, slot) not in taken:
                words += device("pci-testdev", f"bus=pci.{bus}", f"addr={slot:#x}")
    return words


def machine_pc():
    """i440fx: bridges 1 and 2 always, 3 for virtio-scsi-single, 4 for many controllers."""
    words = ["-machine", "pc,accel=tcg"]
    for number, (bus, slot) in PC_BRIDGES.items():
        words += bridge(number, f"pci.{bus}", slot)
    words += device("ich9-usb-ehci1", "id=ehci", "addr=1d.7", "multifunction=on")
    return words + others(PC_OWN | set(PC_BRIDGES.values()))


def machine_q35():
    """What pve-q35-4.0.cfg defines: the bridges pci.0 to pci.3 behind a bridge from PCI Express; and pci.4 in pci.1."""
    words = ["-machine", "q35,accel=tcg", *device("i82801b11-bridge", "id=pcidmi", "bus=pcie.0", "addr=1e.0")]
    for number in range(4):
        words += bridge(number, "pcidmi", number + 1)
    for port in range(4):
        words += device("pcie-root-port", f"id=ich9-pcie-port-{port + 1}", "bus=pcie.0", f"addr=1c.{port}", "multifunction=on",
                        f"port={port + 1}", f"chassis={port + 10}")
    words += bridge(4, "pci.1", 0x1c)
    return words + others({(1, 0x1c)})


class Qemu(contextlib.AbstractContextManager):
    """A machine that does not run its CPUs, with QMP on standard input and output."""

    def __init__(self, words):
        command = [QEMU, "-S", "-nodefaults", "-display", "none", "-m", "64", "-qmp", "stdio", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.stdout.readline()  # its greeting, which comes before it makes devices

    def __enter__(self):
        self.ask("qmp_capabilities")
        return self

    def ask(self, command, **arguments):
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"QEMU ended: {self.process.communicate(timeout=240)[1].decode()}")
            answer = json.loads(line)
            if "event" not in answer:
                return answer["return"]

    def __exit__(self, *_error):
        self.process.kill()
        self.process.communicate()


def listen(path):
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(240)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server.bind(path)
    server.listen()
    return server


def peer_pid(connection):
    return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


class Wired(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("args may be set by root only, and so may its stand-in")
        if shutil.which(QEMU) is None:
            self.skipTest(f"{QEMU} is not installed")
        top = tempfile.TemporaryDirectory(prefix="vj-proxmox-qemu-")
        self.addCleanup(top.cleanup)
        version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
        self.node = FakePve(top.name, re.search(r"version (\S+)", version).group(1))
        self.runtime = f"{top.name}/virtjoule"
        self.path = f"{self.runtime}/guest.sock"
        os.mkdir(self.runtime)
        os.environ["PATH"] = f"{self.node.bin}:{os.environ['PATH']}"

    def words(self):
        """What Proxmox would append for args."""
        self.node.define(100, "args: -smbios 'type=1,serial=a b'\nname: web\n")
        subprocess.run([f"{BIN}/virtjoule", "--runtime-dir", self.runtime, "proxmox", "--pve-dir", self.node.pve, "enable", "100"],
                       check=True, capture_output=True)
        subprocess.run([self.node.bin / "qm", "start", "100"], check=True, capture_output=True)
        return [word.decode() for word in self.node.argv(100)]

    def check_machine(self, machine):
        words = self.words()
        with listen(self.path) as server, Qemu(machine + words) as qemu:
            with server.accept()[0] as connection:
                self.assertEqual(peer_pid(connection), qemu.process.pid)
            devices = [member["name"] for member in qemu.ask("qom-list", path="/machine/peripheral")]
            self.assertIn("virtjoule", devices)
            bus = qemu.ask("qom-get", path="/machine/peripheral/virtjoule", property="parent_bus")
            self.assertTrue(bus.endswith("/pci.2"), bus)
            self.assertEqual(qemu.ask("qom-get", path="/machine/peripheral/virtjoule", property="addr"), 0x1f << 3)
            with server.accept()[0] as connection:  # the first was closed: it connects again
                self.assertEqual(peer_pid(connection), qemu.process.pid)

    def test_pc(self):
        self.check_machine(machine_pc())

    def test_q35(self):
        self.check_machine(machine_q35())

    def test_agent_comes_later(self):
        """A VM starts and runs without the agent, and is there soon after it."""
        os.rmdir(self.runtime)
        with Qemu(machine_pc() + self.words()) as qemu:
            os.mkdir(self.runtime)
            with listen(self.path) as server, server.accept()[0] as connection:
                self.assertEqual(peer_pid(connection), qemu.process.pid)

    def test_a_clash_would_be_seen(self):
        with self.assertRaisesRegex(RuntimeError, "slot 31 function 0 not available"):
            with Qemu(machine_pc() + device("pci-testdev", "bus=pci.2", "addr=0x1f") + self.words()):
                pass


if __name__ == "__main__":
    unittest.main()
