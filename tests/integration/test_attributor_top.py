#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule-attributor --top on a terminal that the test plays."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attributor_node import DEADLINE_S, ID, POD, Node, wait_for  # noqa: E402

PROGRAM = os.path.join(os.environ["VJ_BIN"], "virtjoule-attributor")
CONTAINER = f"{POD}/cri-containerd-{ID}.scope"
CONTROL = re.compile(r"\x1b\[([?>]?[0-9;]*)([A-Za-z@])|\x1b[()].|\x1b[=>78cDEHM]|[\x00-\x1f]|[^\x00-\x1f\x1b]")
KNOWN = set("HfJKABCDGdXm") | {"h", "l", "r", "t"}


class Terminal:
    """As much of a VT100 as curses uses of one. Anything else that reaches it is an error: a name's bytes, say."""

    def __init__(self, process, fd):
        self.process = process
        self.fd = fd
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.rest = ""
        self.clear(24, 80)

    def clear(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0

    def resize(self, rows, columns):
        self.clear(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def erase(self, row, first, last):
        """What is outside of the screen is of one that was larger, and on its way when that was resized."""
        if row < self.rows:
            for column in range(first, min(last, self.columns)):
                self.cells[row][column] = " "

    def control(self, parameters, final):
        assert final in KNOWN, f"not for this terminal: {parameters}{final}"
        if not parameters[:1] in ("?", ">"):
            numbers = [int(number or 0) for number in parameters.split(";")]
            self.move_or_erase(final, numbers, max(numbers[0], 1))

    def move_or_erase(self, final, numbers, count):
        if final in "Hf":
            self.row, self.column = count - 1, max(numbers[1] if len(numbers) > 1 else 1, 1) - 1
        elif final in "AB":
            self.row += count if final == "B" else -count
        elif final in "CD":
            self.column += count if final == "C" else -count
        elif final == "G":
            self.column = count - 1
        elif final == "d":
            self.row = count - 1
        elif final == "X":
            self.erase(self.row, self.column, min(self.column + count, self.columns))
        elif final == "K":
            self.erase(self.row, 0 if numbers[0] else self.column, self.column + 1 if numbers[0] == 1 else self.columns)
        elif final == "J":
            self.erase(self.row, self.column, self.columns)
            for row in range(self.row + 1, self.rows):
                self.erase(row, 0, self.columns)

    def put(self, character):
        if character == "\n":
            self.row += 1
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column -= 1
        elif character >= " ":
            if self.row < self.rows and self.column < self.columns:
                self.cells[self.row][self.column] = character
            self.column += 1
        else:
            assert character in "\0\x0e\x0f", f"{character!r} reaches the terminal"

    def feed(self, text):
        text = self.rest + text
        end = 0
        for found in CONTROL.finditer(text):
            if found.start() != end:
                break
            end = found.end()
            if found.group(2):
                self.control(found.group(1), found.group(2))
            elif not found.group().startswith("\x1b"):
                self.put(found.group())
        self.rest = text[end:]
        assert len(self.rest) < 20, f"not for this terminal: {self.rest!r}"

    def read(self):
        """False at the end."""
        if not select.select([self.fd], [], [], 0.02)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.feed(self.decoder.decode(data))
        return bool(data)

    def wait_for(self, what):
        end = time.monotonic() + DEADLINE_S
        while not re.search(what, self.text(), re.M):
            assert self.read() and time.monotonic() < end, f"waited in vain for {what}:\n{self.text()}"

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def wait(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def on_terminal(command, **environment):
    process, fd = pty.fork()
    if process == 0:
        os.execve(command[0], command, {**os.environ, "TERM": "vt100", "LC_ALL": "C.UTF-8", **environment})
    return Terminal(process, fd)


class TopCase(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.terminal = None

    def start(self, *arguments, **environment):
        self.terminal = on_terminal(self.node.command(PROGRAM, "--top", *arguments), **environment)
        self.addCleanup(end, self.terminal)
        self.terminal.resize(24, 100)


def end(terminal):
    try:
        if os.waitpid(terminal.process, os.WNOHANG) == (0, 0):
            os.kill(terminal.process, signal.SIGKILL)
            os.waitpid(terminal.process, 0)
    except ChildProcessError:
        pass
    os.close(terminal.fd)


class Terminals(TopCase):
    def start_with_an_interval(self, *arguments, **environment):
        self.node.use(CONTAINER, 0)
        self.node.use("system.slice/b.service", 0)
        self.node.update()
        self.start(*arguments, **environment)
        self.terminal.wait_for("package-0")
        self.node.use(CONTAINER, 3000)
        self.node.use("system.slice/b.service", 1000)
        self.node.update(7000000)
        self.terminal.wait_for(r"package-0 .* 7\.000 ")

    def test_refreshes_with_each_interval_until_q(self):
        self.start_with_an_interval()
        self.terminal.wait_for(r"container +0123456789ab$")
        self.terminal.wait_for(r"unit +b\.service$")
        self.terminal.wait_for("(?s)container.*b.service")
        self.node.use("system.slice/b.service", 9000)
        self.node.update(1000000)
        self.terminal.wait_for(r"package-0 .* 8\.000 ")
        self.terminal.wait_for("(?s)b.service.*container")
        self.terminal.type("q")
        self.assertEqual(self.terminal.wait(), 0)

    def test_keys(self):
        self.start_with_an_interval()
        for name in ("joules", "CPU", "name", "power"):
            self.terminal.type("s")
            self.terminal.wait_for(f"sorted by {name}")
        for level in ("workload", "pod", "container", "unit", "all"):
            self.terminal.type("l")
            self.terminal.wait_for(f"level: {level}$")
            self.terminal.wait_for("b.service" if level in ("unit", "all") else r"\A(?!(?s:.*)b.service)")
        self.terminal.type("\x1b[A\x1bOPxyz")
        self.terminal.type("q")
        self.assertEqual(self.terminal.wait(), 0)

    def test_resizes(self):
        self.start_with_an_interval()
        for rows, columns in ((10, 40), (50, 200), (1, 1), (5, 20), (30, 120)):
            self.terminal.resize(rows, columns)
            if columns >= 20:
                self.terminal.wait_for("q quit")
        self.terminal.wait_for("b.service")
        self.terminal.type("q")
        self.assertEqual(self.terminal.wait(), 0)

    def test_signals(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            self.start_with_an_interval()
            os.kill(self.terminal.process, how)
            self.assertEqual(self.terminal.wait(), 0)

    def test_waits_for_the_tree(self):
        self.start()
        self.terminal.wait_for("no energy counters")
        self.node.update()
        self.terminal.wait_for("package-0")
        self.terminal.type("q")
        self.assertEqual(self.terminal.wait(), 0)

    def test_names_do_not_reach_the_terminal(self):
        for name in (b"\x1b[2J\x1b]0;x\x07.service", b"\xff\x9b2J.service", "\u202e\u0085a.service".encode(), b"\n\r.service"):
            self.node.use(b"system.slice/" + name, 1000)
        for locale in ("C.UTF-8", "C"):
            self.start_with_an_interval(LC_ALL=locale)
            self.terminal.wait_for(r"\?\[2J\?\]0;x\?\.service")
            self.terminal.type("q")
            self.assertEqual(self.terminal.wait(), 0)

    def test_terminal_that_goes_away(self):
        self.start_with_an_interval()
        master, self.terminal.fd = self.terminal.fd, os.open(os.devnull, os.O_RDONLY)
        os.close(master)
        wait_for(lambda: os.waitpid(self.terminal.process, os.WNOHANG) != (0, 0), "the program to end with its terminal")

    def test_unknown_terminal(self):
        self.node.update()
        self.start(TERM="never-heard-of")
        self.terminal.wait_for("never-heard-of")
        self.assertEqual(self.terminal.wait(), 1)


class NoTerminal(TopCase):
    def test_is_one_line(self):
        result = subprocess.run(self.node.command(PROGRAM, "--top"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=DEADLINE_S, check=False)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Avirtjoule-attributor: --top .*--once[^\n]*\n\Z")


if __name__ == "__main__":
    unittest.main()
