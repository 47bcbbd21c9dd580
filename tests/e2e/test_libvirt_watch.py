#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the watch tells of real QEMU processes: start, suspend, resume, hot-plug, settings, rename, crash, end, what is
forgotten, and a restart of libvirtd.

The domains have no disk and no kernel: their firmware is all that runs.
"""
import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
import unittest
import uuid
from xml.etree import ElementTree

import vjtest
from vjtest.libvirt import URI, Libvirtd, virsh

RUNDIR = "/run/libvirt/qemu"
CGROUPS = "/sys/fs/cgroup"
CHANNEL = "<channel type='unix'><target type='virtio' name='org.virtjoule.energy.0'/></channel>"


class Watch:
    """watch_print, and the lines that it prints."""

    def __init__(self):
        self.process = subprocess.Popen([os.path.join(vjtest.BUILD, "tests/watch_print"), URI, RUNDIR],
                                        stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def read(self):
        for line in self.process.stdout:
            print("  " + line, end="", flush=True)
            self.lines.put(line.rstrip("\n"))
        self.lines.put("ended")

    def until(self, *parts, pattern=""):
        """The lines up to the next that holds all parts, and the pattern."""
        deadline = time.monotonic() + vjtest.DEADLINE_S
        lines = []
        while not lines or not (all(part in lines[-1] for part in parts) and re.search(pattern, lines[-1])):
            try:
                lines.append(self.lines.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                raise vjtest.Timeout(f"no line with {parts} {pattern} after {lines}") from None
            if lines[-1] == "ended":
                raise RuntimeError(f"watch_print ended: no line with {parts} {pattern} after {lines}")
        return lines

    def next(self, *parts, pattern=""):
        return self.until(*parts, pattern=pattern)[-1]

    def stop(self):
        self.process.terminate()
        self.reader.join()
        self.process.stdout.close()
        return self.process.wait()


class Domain:
    def __init__(self, work, name):
        self.uuid = str(uuid.uuid4())
        self.name = f"vjtest-{os.getpid()}-{name}"
        self.file = os.path.join(work, f"{name}.xml")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(f"<domain type='qemu'><name>{self.name}</name><uuid>{self.uuid}</uuid>"
                       "<memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>"
                       "<devices><controller type='virtio-serial'/><memballoon model='none'/></devices></domain>")

    def __enter__(self):
        virsh("create", self.file)
        return self

    def __exit__(self, *_):
        virsh("destroy", self.name, check=False)
        self.remove_cgroups()

    def remove_cgroups(self):
        """libvirt leaves those of a QEMU that died while it was not there; else it may be about to remove them itself."""
        def are_gone():
            left = [path for path, _, _ in os.walk(CGROUPS, topdown=False) if f"-{self.name}.libvirt-qemu" in path]
            for path in left:
                with contextlib.suppress(OSError):
                    os.rmdir(path)
            return not left
        vjtest.wait_until(are_gone, f"{self.name}'s control groups are gone")

    def __call__(self, verb, *arguments):
        virsh(verb, self.name, *arguments)

    def pid(self):
        with open(os.path.join(RUNDIR, f"{self.name}.pid"), encoding="ascii") as file:
            return int(file.read())

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)

    def channel_file(self):
        """The energy channel as it is now, for detach-device."""
        live = ElementTree.fromstring(virsh("dumpxml", self.name))
        path = self.file + ".channel"
        with open(path, "wb") as file:
            file.write(ElementTree.tostring(live.find("devices/channel")))
        return path


class LibvirtWatch(unittest.TestCase):
    def setUp(self):
        self.work = self.enterContext(vjtest.work_directory())
        self.daemon = self.enterContext(Libvirtd())
        self.watch = self.enterContext(Watch())

    def test_follows_a_life(self):
        self.watch.next("listed")
        with Domain(self.work, "life") as domain:
            self.watch.next("present", domain.uuid, f" {domain.name} running pid={domain.pid()} channel=none usage=cgroup-")
            domain("suspend")
            self.watch.next("present", domain.uuid, "paused")
            domain("resume")
            self.watch.next("present", domain.uuid, "running")
            domain("destroy")
            self.assertIn(f"ending {domain.uuid}", self.watch.until("absent", domain.uuid))

    def test_follows_the_settings(self):
        def change(*arguments):
            virsh("metadata", domain.uuid, "urn:virtjoule:domain:1", "--live", *arguments)
        with Domain(self.work, "settings") as domain:
            change("--key", "virtjoule", "--set", "<settings interval='5s' resolution='10mJ'/>")
            self.watch.next("present", domain.uuid, " interval=5s resolution=10mJ")
            change("--key", "any", "--set", "<settings measure='no' interval='soon'/>")
            self.watch.next("present", domain.uuid, " measure=no (interval: \"soon\"")
            change("--remove")
            self.watch.next("present", domain.uuid, pattern=r" usage=\S+$")

    def test_forgets_at_the_end_what_was_undefined_before(self):
        with Domain(self.work, "undefined") as domain:
            virsh("define", domain.file)
            domain("undefine")
            domain("destroy")
            self.assertIn(f"absent {domain.uuid}", self.watch.until("forgotten", domain.uuid))

    def test_follows_a_rename(self):
        with Domain(self.work, "before") as domain:
            virsh("define", domain.file)
            domain("destroy")
            self.watch.next("absent", domain.uuid)
            domain("domrename", domain.name + "-renamed")
            domain.name += "-renamed"
            domain("start")
            told = self.watch.until("present", domain.uuid, f" {domain.name} ", f" pid={domain.pid()} ")
            domain("destroy")
            domain("undefine")
            told += self.watch.until("forgotten", domain.uuid)
            self.assertEqual([line for line in told if line.startswith("forgotten")], [f"forgotten {domain.uuid}"])

    def test_follows_the_channel(self):
        file = os.path.join(self.work, "channel.xml")
        with open(file, "w", encoding="utf-8") as text:
            text.write(CHANNEL)
        with Domain(self.work, "plug") as domain:
            self.watch.next("present", domain.uuid, "channel=none")
            domain("attach-device", file)
            line = self.watch.next("present", domain.uuid, "channel=/")
            self.assertTrue(os.path.exists(line.split("channel=")[1].split(" usage=")[0]))
            domain("detach-device", domain.channel_file())
            self.watch.next("present", domain.uuid, "channel=none")

    def test_notices_a_crash(self):
        with Domain(self.work, "crash") as domain:
            self.watch.next("present", domain.uuid)
            domain.kill()
            self.watch.next("absent", domain.uuid)

    def test_keeps_domains_while_libvirtd_restarts(self):
        if "libvirtd" not in self.daemon.started:
            print("libvirtd is somebody else's: not restarted", flush=True)
            return
        with Domain(self.work, "stays") as stays, Domain(self.work, "dies") as dies:
            told = self.watch.until("present", dies.uuid)
            if not any(line.startswith(f"present {stays.uuid}") for line in told):
                self.watch.next("present", stays.uuid)
            self.daemon.stop("libvirtd")
            dies.kill()
            self.daemon.start("libvirtd")
            told = self.watch.until("up ")
            self.assertTrue(any(line.startswith("down lost the connection") for line in told))
            self.assertFalse([line for line in told if line.startswith("absent")])
            told = self.watch.until("listed")
            self.assertTrue(any(line.startswith(f"present {stays.uuid}") for line in told))
            if f"absent {dies.uuid}" not in told:
                told += self.watch.until("absent", dies.uuid)
            self.assertNotIn(f"absent {stays.uuid}", told)

    def test_ends_on_request(self):
        self.watch.next("listed")
        self.assertEqual(self.watch.stop(), 0)


if __name__ == "__main__":
    vjtest.main()
