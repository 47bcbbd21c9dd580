#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""hooks/qemu in every shell that may be /bin/sh: it leaves its note, and ends with 0 and
without a word whatever happens."""
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

HOOK = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "hooks/qemu")
DEADLINE_S = 240
NOBODY = 65534


class Hook:
    SHELL = ()

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="vj-hook-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        os.chmod(self.top, 0o755)
        self.notes = os.path.join(self.top, "notes")
        os.mkdir(self.notes)
        with open(HOOK, encoding="ascii") as source:
            text = source.read()
        self.assertEqual(text.count("/run/virtjoule/notes/"), 1)
        self.hook = os.path.join(self.top, "hook")
        with open(self.hook, "w", encoding="ascii") as out:
            out.write(text.replace("/run/virtjoule/notes/", f"{self.notes}/"))

    def run_hook(self, *arguments, **options):
        """As libvirt calls it: NAME OPERATION SUBOPERATION EXTRA, and the domain's XML on stdin."""
        options = {"input": b"<domain/>", **options} if "stdin" not in options else options
        done = subprocess.run([*self.SHELL, self.hook, *arguments], capture_output=True, timeout=DEADLINE_S,
                              check=False, **options)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def left(self):
        return sorted(os.listdir(self.notes))

    def test_is_executable(self):
        self.assertTrue(os.stat(HOOK).st_mode & stat.S_IXOTH)

    def test_leaves_a_note_of_what_can_be_seen(self):
        for operation in ("started", "stopped", "release", "migrate", "reconnect"):
            self.run_hook("web-1.example_A", operation, "begin", "-")
            self.assertEqual(self.left(), [f"libvirt.{operation}"])
            note = os.path.join(self.notes, self.left()[0])
            self.assertEqual(os.path.getsize(note), 0)
            self.run_hook("web-1.example_A", operation, "begin", "-")
            os.unlink(note)

    def test_leaves_nothing_else(self):
        for arguments in ((), ("a",), ("a", ""), ("a", "prepare"), ("a", "start"), ("a", "restore"), ("a", "../x"),
                          ("a", "started "), ("a", "-n"), ("a", "STARTED"), ("a", "*"), ("-c", "id", "begin", "-")):
            self.run_hook(*arguments)
            self.assertEqual(self.left(), [])

    def test_takes_nothing_from_names(self):
        for name in (b"", b".", b"../../etc/passwd", b"/", b"a b", b"a\nb\n", b"$(touch x)`id`;reboot", b"*?[a]\\'\"", b"-e",
                     b"\xc3\xa4\xff\x01\x7f", b"%s%n" * 30000):
            self.run_hook(name, "started", "begin", "-", cwd=self.top)
            self.assertEqual(self.left(), ["libvirt.started"], name)
            os.unlink(os.path.join(self.notes, "libvirt.started"))
        self.assertEqual(sorted(os.listdir(self.top)), ["hook", "notes"])

    def test_never_leaves_many(self):
        """However many domains come and go while no agent takes the notes."""
        for number in range(50):
            self.run_hook(f"runner-{number}", ("started", "stopped", "release")[number % 3], "begin", "-")
        self.assertEqual(self.left(), ["libvirt.release", "libvirt.started", "libvirt.stopped"])

    def test_without_an_agent(self):
        os.rmdir(self.notes)
        self.run_hook("a", "started", "begin", "-")
        self.assertFalse(os.path.exists(self.notes))
        with open(self.notes, "w", encoding="ascii"):
            pass
        self.run_hook("a", "started", "begin", "-")
        os.unlink(self.notes)
        os.symlink("away", self.notes)
        self.run_hook("a", "started", "begin", "-")
        os.unlink(self.notes)
        os.mkdir(self.notes)

    def test_opens_nothing_that_is_there(self):
        target = os.path.join(self.top, "target")
        note = os.path.join(self.notes, "libvirt.started")
        os.mkfifo(note)
        self.run_hook("a", "started", "begin", "-")
        os.unlink(note)
        os.symlink(target, note)
        self.run_hook("a", "started", "begin", "-")
        self.assertFalse(os.path.exists(target))
        with open(target, "w", encoding="ascii") as out:
            out.write("kept")
        self.run_hook("a", "started", "begin", "-")
        with open(target, encoding="ascii") as text:
            self.assertEqual(text.read(), "kept")
        os.unlink(target)
        os.unlink(note)
        os.mkdir(note)
        self.run_hook("a", "started", "begin", "-")
        self.assertEqual(os.listdir(note), [])
        os.rmdir(note)

    def test_reads_nothing(self):
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        try:
            while os.write(write_end, b"<" * 65536):
                pass
        except BlockingIOError:
            pass
        try:
            self.run_hook("a", "started", "begin", "-", stdin=read_end)
            with self.assertRaises(BlockingIOError):
                os.write(write_end, b"<" * 4096)
        finally:
            os.close(read_end)
            os.close(write_end)
        self.assertEqual(self.left(), ["libvirt.started"])

    def close_all(self):
        for fd in (0, 1, 2):
            os.close(fd)

    def test_poor_surroundings(self):
        surroundings = {
            "no environment": {"env": {}},
            "odd environment": {"env": {"PATH": "/nowhere", "IFS": "/.", "ENV": "/dev/zero", "subject": "x",
                                        "note": "/x", "POSIXLY_CORRECT": "1", "notes": "/etc"}},
            "no stdin, stdout and stderr": {"preexec_fn": self.close_all},
            "no files": {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))},
            "no directory": {"cwd": "/proc/self/fdinfo"},
        }
        for name, options in surroundings.items():
            with self.subTest(name):
                self.run_hook("a b", "started", "begin", "-", **options)
                self.assertEqual(self.left(), ["libvirt.started"])
                os.unlink(os.path.join(self.notes, "libvirt.started"))

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_may_not_write_and_may_not_fork(self):
        def become_nobody():
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        os.chmod(self.notes, 0o700)
        self.run_hook("a", "started", "begin", "-", preexec_fn=become_nobody)
        self.assertEqual(self.left(), [])
        os.chmod(self.notes, 0o777)
        self.run_hook("a b", "started", "begin", "-", preexec_fn=become_nobody)
        self.assertEqual(self.left(), ["libvirt.started"])

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_disk_full(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "full", self.notes], check=True)
        try:
            self.run_hook("a", "started", "begin", "-")
            self.assertEqual(self.left(), [])
            subprocess.run(["mount", "-o", "remount,ro", self.notes], check=True)
            self.run_hook("a", "started", "begin", "-")
        finally:
            subprocess.run(["umount", self.notes], check=True)

    def test_signals(self):
        """It may be told to end at any point of its short life, but before the shell has read its first line."""
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM):
            marked = self.hook + "-marked"
            with open(self.hook, encoding="ascii") as text, open(marked, "w", encoding="ascii") as out:
                out.write(text.read().replace("exec </dev/null", "kill -%d $$\nexec </dev/null" % number))
            done = subprocess.run([*self.SHELL, marked, "a", "started"], capture_output=True, timeout=DEADLINE_S, check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""), number)

    def test_takes_little_time(self):
        begin = time.monotonic()
        for _round in range(20):
            self.run_hook("domain with spaces", "started", "begin", "-")
        print(f"{self.SHELL[0]}: {(time.monotonic() - begin) * 50:.1f} ms each", flush=True)


class Dash(Hook, unittest.TestCase):
    SHELL = ("/bin/dash",)


class Busybox(Hook, unittest.TestCase):
    SHELL = ("/bin/busybox", "sh")


class Bash(Hook, unittest.TestCase):
    SHELL = ("/bin/bash", "--posix")


if __name__ == "__main__":
    missing = [case.SHELL[0] for case in (Dash, Busybox, Bash) if shutil.which(case.SHELL[0]) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} is not installed")
        sys.exit(77)
    unittest.main()
