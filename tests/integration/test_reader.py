#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule-reader against a host that this test plays, over a unix socket in the place of the virtio port."""
import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

DEADLINE_S = 120  # for events that come in milliseconds, on a machine that is busy
# After three of them without a frame a reader says hello: so long that no test is that slow.
INTERVAL_US = 20000000
SHORT_US = 100000  # where that hello is waited for
HOST = "00000000-0000-4000-8000-000000000001"
ARGS = None


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.005)


class Host:
    """Listens where the reader looks for its port, and speaks the host's side of the protocol."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.listener.settimeout(DEADLINE_S)
        self.connection = None
        self.lines = None
        self.session = None
        self.sequence = 0

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(DEADLINE_S)
        self.lines = self.connection.makefile("rb")
        first = self.lines.readline()
        assert first == b"\n", f"a connection begins with a newline, not with {first!r}"
        self.read_hello()

    def read_hello(self):
        line = self.lines.readline()
        assert self.take_hello(line), f"no hello: {line!r}"

    def take_hello(self, line):
        """Begins its session, if it is one."""
        match = re.fullmatch(rb'\{"v":1,"hello":"([0-9a-f]{16})"\}\n', line)
        if match:
            self.session = match.group(1).decode()
            self.sequence = 0
        return match

    def frame(self, zones, epoch="1" * 16, session=None, sequence=None, interval_us=INTERVAL_US, **more):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        frame = {"v": 1, "session": session or self.session, "host": HOST, "epoch": epoch, "seq": sequence,
                 "mono_us": 1, "interval_us": interval_us, "age_us": 0, "quality": "measured",
                 "source": "powercap", "static": "separate", "zones": zones}
        frame.update(more)
        return json.dumps(frame, separators=(",", ":")).encode() + b"\n"

    def send(self, *args, **kwargs):
        self.connection.sendall(self.frame(*args, **kwargs))

    def show(self, zones, **kwargs):
        """Sends a frame and returns when the reader says that the tree shows it. Before the first one its patience is short."""
        if self.sequence == 0:
            self.show_in_the_end(zones, **kwargs)
            return
        self.send(zones, **kwargs)
        self.expect_ack()

    def show_in_the_end(self, zones, **kwargs):
        """The same to a reader that waits in vain, and says hello again and again until this comes."""
        while True:
            self.send(zones, **kwargs)
            line = self.lines.readline()
            if not self.take_hello(line):
                break
        self.expect_ack(line)

    def expect_ack(self, line=None):
        line = line or self.lines.readline()
        expected = f'{{"v":1,"ack":"{self.session}","seq":{self.sequence}}}\n'.encode()
        assert line == expected, f"{line!r} instead of {expected!r}"

    def disconnect(self):
        self.lines.close()
        self.connection.close()

    def close(self):
        if self.connection is not None:
            self.disconnect()
        self.listener.close()


class ReaderCase(unittest.TestCase):
    backend = "files"

    def setUp(self):
        self.root = tempfile.TemporaryDirectory(prefix="virtjoule-reader.")
        self.addCleanup(self.root.cleanup)
        os.chmod(self.root.name, 0o755)
        self.port = os.path.join(self.root.name, "port")
        self.parent = os.path.join(self.root.name, "sys/class")
        self.tree = os.path.join(self.parent, "powercap")
        self.reader = None
        self.log = open(os.path.join(self.root.name, "log"), "w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.addCleanup(self.stop)
        self.host = Host(self.port)
        self.addCleanup(self.host.close)

    def command(self, *more):
        return [ARGS.reader, "--port", self.port, "--tree", self.tree, "--backend", self.backend, *more]

    def start(self, *more, accept=True):
        self.reader = subprocess.Popen(self.command(*more), stderr=self.log)
        if accept:
            self.host.accept()

    def stop(self, how=signal.SIGTERM):
        if self.reader is None:
            return
        self.reader.send_signal(how)
        code = self.reader.wait(DEADLINE_S)
        self.reader = None
        self.assertIn(code, (0, -signal.SIGKILL), self.read_log())

    def read_log(self):
        with open(self.log.name, encoding="utf-8") as log:
            return log.read()

    def read(self, zone, name="energy_uj"):
        with open(os.path.join(self.tree, zone, name), encoding="ascii") as file:
            return file.read().rstrip("\n")

    def energies(self, *zones):
        return [int(self.read(zone)) for zone in zones]


PACKAGE, CORE = "intel-rapl:0", "intel-rapl:0:0"


class Contract(ReaderCase):
    """What holds for both backends."""

    def test_layouts(self):
        self.start()
        self.assertFalse(os.path.exists(os.path.join(self.tree, "intel-rapl")), "nothing is shown before the first frame")
        self.host.show({"package-0": 5, "package-0/core": 3, "package-0/dram": 1, "package-1": 7, "psys": 99, "storage": 2})
        self.assertEqual(sorted(os.listdir(self.tree)),
                         ["intel-rapl", "intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:2"])
        nested = os.path.join(self.tree, "intel-rapl")
        self.assertEqual(sorted(os.listdir(nested)), ["enabled", "intel-rapl:0", "intel-rapl:1", "intel-rapl:2"])
        names = {zone: self.read(zone, "name") for zone in os.listdir(self.tree) if ":" in zone}
        self.assertEqual(names, {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram",
                                 "intel-rapl:1": "package-1", "intel-rapl:2": "storage"})
        for zone, energy in (("intel-rapl:0", 5), ("intel-rapl:0:0", 3), ("intel-rapl:0:1", 1), ("intel-rapl:1", 7),
                             ("intel-rapl:2", 2)):
            self.assertTrue(os.path.islink(os.path.join(self.tree, zone)))
            self.assertEqual(int(self.read(zone)), energy)
            self.assertEqual(self.read(zone, "enabled"), "1")
            self.assertGreater(int(self.read(zone, "max_energy_range_uj")), 2**61)
        self.assertEqual(self.read("intel-rapl/intel-rapl:0/intel-rapl:0:1", "name"), "dram")

    def test_modes(self):
        old = os.umask(0o077)
        try:
            self.start("--mode", "0440")
        finally:
            os.umask(old)
        self.host.show({"package-0": 5, "package-0/core": 3})
        for directory, _, files in os.walk(self.tree):
            self.assertEqual(os.stat(directory).st_mode & 0o7777, 0o755, directory)
            for name in files:
                path = os.path.join(directory, name)
                self.assertEqual(os.stat(path).st_mode & 0o7777, 0o440, path)

    def test_new_epoch_and_restarts(self):
        self.start()
        self.host.show({"package-0": 100, "package-0/core": 60})
        self.host.show({"package-0": 150, "package-0/core": 80})
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.stop(how)
            self.start()
            self.assertEqual(self.energies(PACKAGE, CORE), [150, 80], "shown again before the host speaks")
        self.host.show({"package-0": 160, "package-0/core": 81})
        self.assertEqual(self.energies(PACKAGE, CORE), [160, 81])
        self.host.show({"package-0": 7, "package-0/core": 2}, epoch="2" * 16)
        self.assertEqual(self.energies(PACKAGE, CORE), [167, 83])
        self.host.show({"package-0": 6, "package-0/core": 3}, epoch="2" * 16)
        self.assertEqual(self.energies(PACKAGE, CORE), [167, 84], "held, not lowered")

    def test_zones_come_and_go(self):
        self.start()
        self.host.show({"package-0": 10, "package-0/core": 5})
        self.host.show({"package-1": 1, "package-0": 20, "package-0/dram": 2}, epoch="2" * 16)
        self.assertEqual(self.energies(PACKAGE, CORE, "intel-rapl:0:1", "intel-rapl:1"), [30, 5, 2, 1])
        self.assertEqual(self.read("intel-rapl:1", "name"), "package-1")
        self.stop()
        self.start()
        self.host.show({"package-1": 3}, epoch="2" * 16)
        self.assertEqual(self.energies(PACKAGE, CORE, "intel-rapl:0:1", "intel-rapl:1"), [30, 5, 2, 3])

    def test_core_always(self):
        self.start("--core", "always")
        self.host.show({"package-0": 10, "package-1": 4, "package-1/core": 3})
        self.assertEqual(self.energies(PACKAGE, CORE, "intel-rapl:1", "intel-rapl:1:0"), [10, 10, 4, 3])
        self.assertEqual(self.read(CORE, "name"), "core")

    def test_generation(self):
        self.start()
        for generation in (1, 2):
            self.host.show({"package-0": generation}, quality="estimated", source="model")
            with open(os.path.join(self.parent, "generation"), encoding="utf-8") as file:
                told = json.loads(file.read())
            self.assertEqual(told, {"generation": generation, "quality": "estimated", "source": "model",
                                    "static": "separate", "interval_us": INTERVAL_US, "age_us": 0, "epoch": "1" * 16})

    def test_hammered(self):
        """Somebody reads all the time: nothing is ever empty, torn, or lower than before; no part exceeds the whole."""
        self.start()
        self.host.show({"package-0": 9, "package-0/core": 9})
        done, wrong = threading.Event(), []

        def hammer():
            last = {PACKAGE: 0, CORE: 0}
            while not done.is_set():
                for zone in (CORE, PACKAGE):
                    text = open(os.path.join(self.tree, zone, "energy_uj"), encoding="ascii").read()
                    if not re.fullmatch(r"[0-9]+\n", text) or int(text) < last[zone]:
                        wrong.append((zone, last[zone], text))
                    else:
                        last[zone] = int(text)
                if last[CORE] > last[PACKAGE]:
                    wrong.append(dict(last))

        threads = [threading.Thread(target=hammer) for _ in range(2)]
        for thread in threads:
            thread.start()
        value, epoch = 9, 1
        for step in range(600):
            value = value * 10 + 9 if value < 10**15 else 9
            epoch += value == 9
            self.host.show({"package-0": value, "package-0/core": value}, epoch=f"{epoch:016x}")
            if step % 150 == 149 and self.backend == "files":
                self.stop(signal.SIGKILL)
                self.start()
        done.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Files(Contract):
    def test_directory_keeps_its_inode(self):
        os.makedirs(self.tree)
        inode = os.stat(self.tree).st_ino
        self.start()
        self.host.show({"package-0": 1})
        self.stop()
        self.assertEqual(self.energies(PACKAGE), [1], "the tree stays")
        self.start()
        self.host.show({"package-0": 2})
        self.assertEqual(self.energies(PACKAGE), [2])
        self.assertEqual(os.stat(self.tree).st_ino, inode)

    def test_rewritten_even_if_unchanged(self):
        self.start()
        path = os.path.join(self.tree, PACKAGE, "energy_uj")
        self.host.show({"package-0": 1})
        with open(path, encoding="ascii") as old:
            self.host.show({"package-0": 1})
            self.assertNotEqual(os.stat(path).st_ino, os.fstat(old.fileno()).st_ino)

    def test_lost_state(self):
        self.start()
        self.host.show({"package-1": 70, "package-1/dram": 7, "package-0": 10})
        for spoil in (os.unlink, lambda path: open(path, "w", encoding="utf-8").write("not a state")):
            self.stop()
            spoil(os.path.join(self.parent, "virtjoule.state"))
            self.start()
            self.assertEqual(self.energies("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"), [70, 7, 10])
        self.host.show({"package-0": 1, "package-1": 5, "package-1/dram": 2}, epoch="2" * 16)
        self.assertEqual(self.energies("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"), [75, 9, 11])

    def test_failed_write_is_not_acknowledged(self):
        self.start()
        self.host.show({"package-0": 1}, interval_us=SHORT_US)
        os.rename(self.parent, self.parent + ".away")
        while "cannot write" not in self.read_log():  # else a hello was under way, and the frame too late
            self.host.send({"package-0": 2}, interval_us=SHORT_US)
            self.host.read_hello()  # no ack: silence, and after three intervals a new hello
        os.rename(self.parent + ".away", self.parent)
        self.host.show_in_the_end({"package-0": 3}, interval_us=INTERVAL_US)
        self.assertEqual(self.energies(PACKAGE), [3])

    def test_removed_tree_is_built_again(self):
        self.start()
        self.host.show({"package-0": 1, "package-0/core": 1}, interval_us=SHORT_US)
        shutil.rmtree(self.tree)
        self.host.send({"package-0": 2, "package-0/core": 1}, interval_us=SHORT_US)
        self.host.read_hello()
        self.host.show_in_the_end({"package-0": 3, "package-0/core": 1})
        self.assertEqual(self.energies(PACKAGE, CORE), [3, 1])

    def test_a_new_part_never_appears_before_its_package_has_grown(self):
        """Nor after a reader was killed between keeping values and showing them."""
        self.start()
        self.host.show({"package-0": 10}, interval_us=SHORT_US)
        blocked = os.path.join(self.tree, PACKAGE, ".energy_uj.new")
        os.mkdir(blocked)
        while "cannot write" not in self.read_log():  # what was kept before
            self.host.send({"package-0": 30, "package-0/core": 25}, interval_us=SHORT_US)
            self.host.read_hello()
        self.assertFalse(os.path.exists(os.path.join(self.tree, CORE)))
        self.assertEqual(self.energies(PACKAGE), [10])
        self.stop(signal.SIGKILL)
        os.rmdir(blocked)
        self.start()
        self.assertEqual(self.energies(PACKAGE, CORE), [30, 25])

    def test_second_reader_is_refused(self):
        self.start()
        self.host.show({"package-0": 1})
        second = subprocess.run(self.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another", second.stderr)
        self.host.show({"package-0": 2})
        self.assertEqual(self.energies(PACKAGE), [2])

    def test_killed_at_any_moment(self):
        """Every file is complete at any time, and nothing goes backwards, whatever the killed reader was at."""
        random_ = random.Random(1)
        last, value = {}, 0
        for life in range(40):
            self.start()
            if life == 0:  # one at least comes through on any machine
                self.host.show({"package-0": 1})
            deadline = time.monotonic() + random_.uniform(0, 0.03)
            while time.monotonic() < deadline:
                value += 1000
                zones = {"package-0": value, "package-0/core": value}
                if life > 10:
                    zones.update({"package-1": value, "package-1/dram": 1})
                with contextlib.suppress(OSError):
                    self.host.send(zones, epoch=f"{1 + life // 7:016x}")
            self.stop(signal.SIGKILL)
            self.host.disconnect()
            value = 0 if (life + 1) % 7 == 0 else value
            self.check_complete(last)
        self.assertGreater(last[PACKAGE], 0)

    def check_complete(self, last):
        zones = [name for name in (os.listdir(self.tree) if os.path.isdir(self.tree) else []) if ":" in name]
        for zone in zones:
            for name in ("name", "max_energy_range_uj", "enabled"):
                self.assertNotEqual(self.read(zone, name), "")
            energy = int(self.read(zone))
            self.assertGreaterEqual(energy, last.get(zone, 0), zone)
            last[zone] = energy
            if ":0:0" in zone:
                self.assertLessEqual(energy, int(self.read(PACKAGE)))
        self.assertLessEqual(set(last), set(zones))

    @unittest.skipUnless(os.geteuid() == 0, "mounts a file system")
    def test_full_file_system(self):
        os.makedirs(self.parent)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", self.parent], check=False).returncode:
            self.skipTest("cannot mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", self.parent], check=True)
        self.addCleanup(self.stop)
        self.start()
        self.host.show({"package-0": 10, "package-0/core": 5}, interval_us=SHORT_US)
        hog = os.path.join(self.parent, "hog")
        with contextlib.suppress(OSError), open(hog, "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        for value in (20, 30):
            self.host.send({"package-0": value, "package-0/core": 6, "package-1": value}, interval_us=SHORT_US)
            self.host.read_hello()
        while "No space left" not in self.read_log():  # a hello was under way, and the frame too late
            self.host.send({"package-0": 30, "package-0/core": 6, "package-1": 30}, interval_us=SHORT_US)
            self.host.read_hello()
        self.assertEqual(self.energies(PACKAGE, CORE), [10, 5])
        self.assertEqual(self.read_log().count("No space left"), 1, self.read_log())
        os.unlink(hog)
        self.host.show_in_the_end({"package-0": 40, "package-0/core": 7, "package-1": 41})
        self.assertEqual(self.energies(PACKAGE, CORE, "intel-rapl:1"), [40, 7, 41])

    def test_tree_is_a_link_to_a_directory(self):
        real = os.path.join(self.root.name, "sys/real")
        os.makedirs(real)
        os.makedirs(self.parent)
        os.symlink(real, self.tree)
        self.start()
        self.host.show({"package-0": 3, "package-0/core": 2})
        self.assertTrue(os.path.islink(self.tree))
        self.assertEqual(self.energies(PACKAGE, CORE), [3, 2])


class Line(ReaderCase):
    def test_garbage(self):
        self.start()
        self.host.connection.sendall(b"\x00\xff{{{ no newline yet")
        self.host.connection.sendall(b"\n{}\n[1,2]\n" + b"x" * 100000 + b"\n\n\r\n")
        self.host.connection.sendall(self.host.frame({"package-0": 1}, v=2, sequence=1))
        self.host.connection.sendall(self.host.frame({"package-0": -1}, sequence=1))
        self.host.show({"package-0": 2})
        self.assertEqual(self.energies(PACKAGE), [2])
        self.assertEqual(self.read_log().count("no frame"), 1, "said once")

    def test_pieces(self):
        self.start()
        self.host.show({"package-0": 11})
        for byte in self.host.frame({"package-0": 12}):
            self.host.connection.sendall(bytes([byte]))
        self.host.expect_ack()
        self.host.connection.sendall(self.host.frame({"package-0": 13}) + self.host.frame({"package-0": 14}))
        for self.host.sequence in (3, 4):
            self.host.expect_ack()
        self.assertEqual(self.energies(PACKAGE), [14])

    def test_other_sessions_and_old_frames(self):
        self.start()
        self.host.show({"package-0": 5})
        self.host.send({"package-0": 99}, session="f" * 16, sequence=9)
        self.host.send({"package-0": 98}, sequence=1)
        self.host.show({"package-0": 6}, sequence=None)
        self.assertEqual(self.energies(PACKAGE), [6])

    def test_silence_makes_it_say_hello(self):
        self.start()
        self.host.show({"package-0": 5}, interval_us=SHORT_US)
        old = self.host.session
        self.host.read_hello()
        self.assertNotEqual(self.host.session, old)
        self.host.send({"package-0": 9}, session=old, sequence=2)
        self.host.show({"package-0": 6})
        self.assertEqual(self.energies(PACKAGE), [6])

    def test_first_frame_lost(self):
        self.start()
        self.host.read_hello()
        self.host.show({"package-0": 1})

    def test_host_restarts(self):
        self.start()
        self.host.show({"package-0": 5})
        for value in (6, 7, 8):
            self.host.connection.sendall(b'{"v":1,"half')
            self.host.disconnect()
            self.host.accept()
            self.host.connection.sendall(b"\n")
            self.host.show({"package-0": value})
            self.assertEqual(self.energies(PACKAGE), [value])

    def test_host_that_does_not_read(self):
        """Neither acks nor hellos block the reader, and it picks up again."""
        self.start()
        for value in range(1, 6000):
            self.host.send({"package-0": value})
        wait_for(lambda: os.path.exists(self.tree) and self.energies(PACKAGE) == [5999], "the last value")
        self.host.disconnect()
        self.host.accept()
        self.host.show({"package-0": 6000})

    def test_port_comes_later(self):
        self.host.close()
        os.unlink(self.port)
        self.start(accept=False)
        wait_for(lambda: f"waiting for {self.port}" in self.read_log(), "the line")
        self.host = Host(self.port)
        self.addCleanup(self.host.close)
        self.host.accept()
        self.host.show({"package-0": 1})
        self.assertEqual(self.read_log().count("waiting for"), 1)

    def test_found_by_name(self):
        """With udev's link, and without it through the name in sysfs."""
        dev, sysfs = os.path.join(self.root.name, "dev"), os.path.join(self.root.name, "sysfs")
        for number, name in ((1, "org.other.0"), (3, "org.virtjoule.energy.0")):
            os.makedirs(os.path.join(sysfs, f"class/virtio-ports/vport0p{number}"))
            with open(os.path.join(sysfs, f"class/virtio-ports/vport0p{number}/name"), "w", encoding="ascii") as file:
                file.write(name + "\n")
        os.makedirs(dev)
        link = os.path.join(dev, "virtio-ports/org.virtjoule.energy.0")
        for path in (os.path.join(dev, "vport0p3"), link):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            host = Host(path)
            self.addCleanup(host.close)
            self.reader = subprocess.Popen([ARGS.reader, "--tree", self.tree, "--dev", dev, "--sysfs", sysfs], stderr=self.log)
            host.accept()
            self.stop()


class BadInput(ReaderCase):
    def refused(self, code, words, *arguments):
        result = subprocess.run([ARGS.reader, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(words, result.stderr)

    def test_usage(self):
        self.refused(2, "--bogus; virtjoule-reader --help lists what is allowed", "--bogus")
        self.refused(2, 'unexpected argument "extra"; virtjoule-reader --help lists what is allowed', "extra")
        self.refused(2, "files or fuse", "--backend", "tape")
        self.refused(2, "auto or always", "--core", "never")
        self.refused(2, "octal", "--mode", "9")
        self.refused(2, "octal", "--mode", "0666")
        self.refused(2, "below the root", "--tree", "/")

    def test_version_and_help(self):
        for option, words in (("--version", "virtjoule-reader 0."), ("--help", "--no-wait")):
            output = subprocess.run([ARGS.reader, option], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
            self.assertIn(words, output.stdout)
            self.assertEqual(output.stderr, "")

    def test_port(self):
        missing, plain = os.path.join(self.root.name, "missing"), os.path.join(self.root.name, "plain")
        open(plain, "w", encoding="ascii").close()
        self.refused(1, f"{missing}: No such file", "--no-wait", "--port", missing, "--tree", self.tree)
        self.refused(1, f"{plain} is neither", "--port", plain, "--tree", self.tree)
        self.refused(1, "org.virtjoule.energy.0", "--no-wait", "--dev", self.root.name, "--sysfs", self.root.name,
                     "--tree", self.tree)

    def test_tree(self):
        plain = os.path.join(self.root.name, "plain")
        open(plain, "w", encoding="ascii").close()
        for backend in ("files", "fuse"):
            self.refused(1, plain, "--port", self.port, "--backend", backend, "--tree", os.path.join(plain, "tree"))
        self.refused(1, "not a directory", "--port", self.port, "--tree", plain)


class Fuse(Contract):
    backend = "fuse"

    def open_energy(self, zone):
        descriptor = os.open(os.path.join(self.tree, zone, "energy_uj"), os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def test_kept_open_and_rewound(self):
        self.start()
        self.host.show({"package-0": 1})
        descriptor = self.open_energy(PACKAGE)
        for value in (1, 2, 3, 40, 500):
            self.host.show({"package-0": value})
            os.lseek(descriptor, 0, os.SEEK_SET)
            self.assertEqual(os.read(descriptor, 64), f"{value}\n".encode())
            self.assertEqual(os.read(descriptor, 64), b"")

    def test_read_in_pieces_is_one_value(self):
        self.start()
        self.host.show({"package-0": 1111})
        descriptor = self.open_energy(PACKAGE)
        self.assertEqual(os.read(descriptor, 2), b"11")
        self.host.show({"package-0": 2222})
        self.assertEqual(os.read(descriptor, 2), b"11")
        self.assertEqual(os.pread(descriptor, 64, 0), b"2222\n")

    def test_unmounted_at_the_end(self):
        self.start()
        self.host.show({"package-0": 1})
        self.assertTrue(os.path.ismount(self.tree))
        self.stop()
        self.assertFalse(os.path.ismount(self.tree))

    def test_stale_mount_is_replaced(self):
        self.start()
        self.host.show({"package-0": 1})
        self.stop(signal.SIGKILL)
        self.start()
        self.host.show({"package-0": 2})
        self.assertEqual(self.energies(PACKAGE), [2])

    def test_second_reader_is_refused(self):
        self.start()
        self.host.show({"package-0": 1})
        second = subprocess.run(self.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another", second.stderr)
        self.assertEqual(self.energies(PACKAGE), [1])

    def test_unmounted_by_others(self):
        self.start()
        self.host.show({"package-0": 1})
        subprocess.run(["umount", self.tree], check=True)
        wait_for(lambda: not os.path.ismount(self.tree), "the end of the mount")
        self.host.show({"package-0": 2})
        self.host.show({"package-0": 3})
        self.assertEqual(self.energies(PACKAGE), [3])

    def stop(self, how=signal.SIGTERM):
        super().stop(how)
        if how != signal.SIGKILL and self.tree in open("/proc/self/mounts", encoding="utf-8").read():
            subprocess.run(["umount", "-l", self.tree], check=False)


def main():
    global ARGS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", required=True)
    parser.add_argument("--fuse", action="store_true", help="the fuse backend instead of the rest")
    ARGS, rest = parser.parse_known_args()
    if ARGS.fuse and (not os.path.exists("/dev/fuse") or os.geteuid() != 0):
        print("SKIP: the fuse backend needs /dev/fuse and root")
        sys.exit(77)
    suite = unittest.TestSuite()
    loader = unittest.defaultTestLoader
    if rest:
        suite.addTests(loader.loadTestsFromNames(rest, sys.modules[__name__]))
    else:
        for case in (Fuse,) if ARGS.fuse else (Files, Line, BadInput):
            suite.addTests(loader.loadTestsFromTestCase(case))
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
