#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the reading of the energy to the new value in the guest's file, in two parts that add up.

usage: tests/bench/latency.py [--bin build/bin] [--domains 1,100,1000] [--ticks 20] [--guest]

Host: from the reading (the frame's mono_us) to the frame's arrival at the guest's socket, on one clock.
Guest (--guest, needs root and libvirt): from a frame sent into a real guest's port to its acknowledgement, which the
reader gives once the value is in its file. The way back is in it, so it is an upper bound.
"""

import argparse
import contextlib
import json
import os
import select
import socket
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests/bench"), os.path.join(TOP, "tests/e2e")]
from hosts import Domains  # noqa: E402
from tick import Agent, make_powercap, memory_directory, wait_for_frames  # noqa: E402


def spread(label, seconds):
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99, 1)]
    print("%-34s %8d %10.2f %10.2f %10.2f" % (label, len(ordered), *at))


def host_part(arguments, count):
    with tempfile.TemporaryDirectory(prefix="vj-bench-", dir=memory_directory()) as root:
        make_powercap(os.path.join(root, "sys"))
        domains = Domains(root, count)
        try:
            agent = Agent(arguments.bin, root, domains)
            wait_for_frames(domains, count, 3)
            domains.guests.ages.clear()
            wait_for_frames(domains, count, arguments.ticks)
            spread("host, %d domains" % count, list(domains.guests.ages))
            agent.close()
        finally:
            domains.close()


class Host:
    """The host's end of a real guest's port, played by the benchmark."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path)
        self.connection.sendall(b"\n")
        self.pending = b""

    def line(self, seconds=30):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.pending:
            if not select.select([self.connection], [], [], max(0, deadline - time.monotonic()))[0]:
                raise SystemExit("latency.py: the guest's reader does not answer")
            self.pending += self.connection.recv(4096)
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line) if line.strip() else self.line(seconds)

    def wait_hello(self):
        while True:
            line = self.line()
            if "hello" in line:
                return line["hello"]

    def send(self, session, sequence, energy_uj):
        """Returns how long the acknowledgement took."""
        zones = {"package-0": energy_uj, "package-0/core": energy_uj // 2, "package-0/dram": energy_uj // 4}
        frame = {
            "v": 1, "session": session, "host": "6f0b5b2e-0000-4000-8000-000000000001", "epoch": "00000000000000aa",
            "seq": sequence, "mono_us": time.monotonic_ns() // 1000, "interval_us": 1000000, "age_us": 0,
            "quality": "measured", "source": "powercap", "static": "separate", "zones": zones,
        }  # fmt: skip
        line = json.dumps(frame, separators=(",", ":")).encode() + b"\n"
        begin = time.monotonic()
        self.connection.sendall(line)
        while self.line().get("seq") != sequence:
            pass
        return time.monotonic() - begin


def guest_part(arguments):
    import vjtest
    from vjtest.guest import PORT, Guest
    from vjtest.libvirt import Libvirtd

    with contextlib.ExitStack() as stack:
        work = stack.enter_context(vjtest.work_directory())
        stack.enter_context(Libvirtd())
        guest = stack.enter_context(Guest(vjtest.image("small", work), work, "latency"))
        guest.wait_up()
        host = Host(guest.channel_path(PORT))
        session = host.wait_hello()
        host.send(session, 1, 1000000)
        taken = [host.send(session, 2 + i, 2000000 + i * 1000) for i in range(200)]
        spread("guest, emulated, 3 zones", taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--domains", default="1,100,1000")
    parser.add_argument("--ticks", type=int, default=20)
    parser.add_argument("--guest", action="store_true", help="boot a real guest too")
    arguments = parser.parse_args()
    print("%-34s %8s %10s %10s %10s" % ("part", "frames", "median ms", "99 % ms", "most ms"))
    for count in map(int, arguments.domains.split(",")):
        host_part(arguments, count)
    if arguments.guest:
        guest_part(arguments)


if __name__ == "__main__":
    main()
