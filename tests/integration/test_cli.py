#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule against an agent that the test plays: HTTP on a unix socket, with the golden documents."""
import argparse
import http.server
import json
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
PROGRAM = None


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from server.documents: path -> (status, body)."""

    def do_GET(self):  # noqa: N802 (the base class's name)
        status, body = self.server.documents.get(self.path, (404, b"no such document"))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *_arguments):
        pass


class Agent(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, directory, documents):
        super().__init__(os.path.join(directory, "api.sock"), Handler)
        self.documents = documents
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


def golden(name):
    return (DATA / name).read_bytes()


def virtjoule(*arguments, stdout=subprocess.PIPE):
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    return subprocess.run([PROGRAM, *arguments], stdout=stdout, stderr=subprocess.PIPE, env=environment, timeout=240,
                          check=False)


class WithAgent(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="vj-cli-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.documents = {"/v1/domains": (200, golden("api/list.json")), "/v1/status": (200, golden("api/status.json"))}
        self.addCleanup(Agent(self.directory, self.documents).stop)

    def run_verb(self, *arguments, **options):
        return virtjoule("--runtime-dir", self.directory, *arguments, **options)

    def test_tables(self):
        for arguments, name in ((("list",), "list.txt"), (("list", "--uuid"), "list-uuid.txt"),
                                (("status",), "status.txt")):
            with self.subTest(arguments):
                result = self.run_verb(*arguments)
                self.assertEqual((result.returncode, result.stderr), (0, b""))
                self.assertEqual(result.stdout, golden(f"cli/{name}"))

    def test_json_is_the_agents_document(self):
        for verb in ("list", "status"):
            with self.subTest(verb):
                result = self.run_verb(verb, "--json")
                self.assertEqual((result.returncode, result.stderr), (0, b""))
                self.assertEqual(result.stdout, golden(f"api/{verb}.json"))
                json.loads(result.stdout)

    def test_large_document(self):
        domain = json.loads(golden("api/list.json"))[0]
        self.documents["/v1/domains"] = (200, json.dumps([domain] * 1000).encode())
        result = self.run_verb("list")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stdout.count(b"\n web-1 "), 1000)

    def check_failure(self, result, *words):
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertEqual(result.stderr.count(b"\n"), 1)
        self.assertTrue(result.stderr.startswith(b"virtjoule: "), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_answer_of_another_form(self):
        self.documents["/v1/domains"] = (200, b"<html>")
        self.check_failure(self.run_verb("list"), b"documented form")

    def test_agent_that_refuses(self):
        self.documents["/v1/status"] = (503, b"the first tick is still to come")
        self.check_failure(self.run_verb("status"), b"the first tick is still to come")

    def test_unwritable_output(self):
        with open("/dev/full", "wb") as full:
            result = self.run_verb("list", stdout=full)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"standard output", result.stderr)


class WithoutAgent(unittest.TestCase):
    def test_no_agent(self):
        with tempfile.TemporaryDirectory(prefix="vj-cli-") as directory:
            self.check(directory)
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(os.path.join(directory, "api.sock"))
            self.check(directory)  # the file is there, and nobody listens

    def check(self, directory):
        result = virtjoule("--runtime-dir", directory, "list")
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertEqual(result.stderr.count(b"\n"), 1)
        self.assertIn(f"virtjoule: no agent answers at {directory}/api.sock: is virtjouled running?".encode(),
                      result.stderr)

    def test_wrong_usage(self):
        for arguments in ((), ("lst",), ("--nonsense",), ("list", "--nonsense"), ("list", "web-1"),
                          ("status", "--uuid"), ("calibrate", "60s"), ("--runtime-dir",), ("channel",), ("channel", "ad"),
                          ("channel", "add"), ("channel", "add", "--all", "web"), ("channel", "remove", "web", "--connect"),
                          ("channel", "add", "web", "--current", "--live"), ("channel", "status", "--live"),
                          ("channel", "status", "--all", "web"), ("domain",), ("domain", "set", "web"),
                          ("domain", "set", "web", "interval"), ("domain", "set", "web", "interval=5"),
                          ("domain", "set", "web", "measure=no", "colour=red"), ("domain", "unset", "web", "colour"),
                          ("domain", "unset", "web"), ("domain", "show"), ("domain", "show", "web", "db")):
            with self.subTest(arguments):
                result = virtjoule(*arguments)
                self.assertEqual((result.returncode, result.stdout), (2, b""))
                self.assertEqual(result.stderr.count(b"\n"), 1)
                self.assertIn(b"--help", result.stderr)

    def test_help_and_version(self):
        self.assertRegex(virtjoule("--version").stdout, rb"^virtjoule \d+\.\d+\.\d+\n$")
        for name in ("virtjoule", "virtjouled", "virtjoule-reader", "virtjoule-attributor"):
            program = os.path.join(os.path.dirname(PROGRAM), name)
            with open("/dev/full", "wb") as full:
                shown = subprocess.run([program, "--version"], stdout=full, stderr=subprocess.DEVNULL, timeout=60, check=False)
            self.assertEqual(shown.returncode, 1, name)
        for arguments in (("--help",), ("list", "--help"), ("status", "--help"), ("calibrate", "--help"),
                          ("channel", "--help"), ("channel", "add", "--help"), ("domain", "set", "-h")):
            result = virtjoule(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertTrue(result.stdout.startswith(b"Usage:"))

    def test_libvirt(self):
        """Without an agent; the test driver's domain runs, and nothing can be attached to it."""
        driver = ("--uri", "test:///default")
        for arguments, code, words in ((("channel", "status", "test"), 0, b"none"), (("channel", "remove", "1"), 0, b"does not have"),
                                       (("channel", "add", "test"), 1, b"virtjoule: test: libvirt refuses"),
                                       (("channel", "add", "none"), 1, b"virtjoule: none: there is no such domain"),
                                       (("channel", "remove", "--all"), 0, b"Of 1: 1 done"),
                                       (("domain", "set", "test", "interval=5s"), 0, b"until it stops"),
                                       (("domain", "unset", "test", "interval", "--live", "--config"), 0, b"unset in"),
                                       (("domain", "show", "test"), 0, b"static-policy"),
                                       (("domain", "show", "none"), 1, b"virtjoule: none: there is no such domain")):
            with self.subTest(arguments):
                result = virtjoule("--runtime-dir", "/nonexistent", *arguments, *driver)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(words, result.stdout + result.stderr)
        result = virtjoule("--runtime-dir", "/nonexistent", "channel", "status", "none", *driver)
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertIn(b"virtjoule: none: there is no such domain", result.stderr)

    def test_libvirt_that_does_not_answer(self):
        for arguments in (("channel", "add", "web"), ("channel", "status"), ("domain", "show", "web")):
            with self.subTest(arguments):
                result = virtjoule(*arguments, "--uri", "qemu+unix:///system?socket=/nonexistent")
                self.assertEqual((result.returncode, result.stdout), (1, b""))
                self.assertEqual(result.stderr.count(b"\n"), 1)
                self.assertIn(b"libvirt cannot be reached at qemu+unix:///system", result.stderr)

    def test_libvirt_that_hangs(self):
        """An interrupt ends the wait."""
        with tempfile.TemporaryDirectory(prefix="vj-cli-") as directory, socket.socket(socket.AF_UNIX) as hung:
            hung.bind(os.path.join(directory, "libvirt"))
            hung.listen()
            hung.settimeout(240)
            process = subprocess.Popen([PROGRAM, "channel", "add", "web", "--uri",
                                        f"qemu+unix:///system?socket={directory}/libvirt"], stderr=subprocess.DEVNULL)
            connection, _ = hung.accept()
            with connection:
                connection.recv(1)  # it waits for the answer to its first question
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(240), -signal.SIGINT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--virtjoule", required=True)
    options, rest = parser.parse_known_args()
    PROGRAM = os.path.abspath(options.virtjoule)
    unittest.main(argv=[sys.argv[0], *rest])
