#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One guest that is handed between two hosts, by QEMU's own live migration, there and back: each host's agent counts its own
part under an epoch of its own, the guest adds up, and what it shows never goes back.

Both hosts are this machine: two agents with directories, host ids, meters and QEMU users of their own."""
import collections
import contextlib
import json
import os
import shutil
import socket
import subprocess
import unittest

import vjtest
from vjtest.agent import Agent, ledger_of
from vjtest.guest import COMMANDS, PORT, TREE, Guest
from vjtest.simulator import Simulator

UUID = "5ca1ab1e-0000-4000-8000-0000000000a1"
WATCH = """
(while :; do
  for zone in intel-rapl:0 intel-rapl:0:0; do
    [ ! -e {tree}/$zone ] || cat {tree}/$zone/energy_uj >>/tmp/seen-$zone 2>>/tmp/seen-errors || echo unreadable >>/tmp/seen-errors
  done
  sleep 0.1
done) >/dev/null 2>&1 &
"""


def channel_options(runtime):
    """Of QEMU, as virtjouled.conf(5) has them."""
    with open(os.path.join(vjtest.TOP, "docs/virtjouled.conf.5"), encoding="utf-8") as page:
        words = " ".join(line for line in page.read().splitlines() if line.startswith("-")).split()
    assert f"name={PORT}" in words[-1], words
    return [word.replace("/run/virtjoule", runtime) for word in words]


class Monitor:
    """QEMU's, by QMP."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        vjtest.wait_until(lambda: self.socket.connect_ex(path) == 0, "QEMU's monitor answers")
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lines.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]
        raise RuntimeError(f"{command}: QEMU has gone")

    def close(self):
        self.lines.close()
        self.socket.close()


class Place:
    """One host: a meter, an agent that follows the QEMUs of one user, and at most one such QEMU."""

    def __init__(self, stack, work, image, name, user, watts):
        self.name, self.user, self.image = name, user, image
        self.work = os.path.join(work, name)
        os.mkdir(self.work)
        os.chown(self.work, user, user)
        simulator = stack.enter_context(Simulator(self.work, "--machine", "--static-watts", "3", "--watts-per-cpu",
                                                  str(watts), "--core-fraction", "0.6"))
        self.agent = stack.enter_context(Agent(
            self.work, "--interval", "250ms", sysfs=simulator.root, uri="none",
            config=f"[agent]\nmanager = qemu\nqemu-users = {user}\n[static-watts]\npackage-0 = 3\n"))
        self.qemu = self.monitor = None
        self.runs = 0
        stack.callback(self.end)

    def path(self, name):
        return os.path.join(self.work, f"{name}-{self.runs}")

    def start(self, *options):
        self.runs += 1
        arguments = [
            "setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "qemu-system-x86_64",
            "-name", "wanderer", "-uuid", UUID, "-accel", "tcg", "-machine", "q35", "-m", "160", "-nodefaults",
            "-display", "none", "-no-reboot", "-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd",
            "-append", "console=ttyS0 quiet no_timer_check nowatchdog",
            "-chardev", f"file,id=console,path={self.path('console')}", "-serial", "chardev:console",
            "-chardev", f"socket,id=monitor,path={self.path('monitor')},server=on,wait=off",
            "-mon", "chardev=monitor,mode=control",
            "-device", "virtio-serial", "-chardev", f"socket,id=commands,path={self.path('commands')},server=on,wait=off",
            "-device", f"virtserialport,chardev=commands,name={COMMANDS}",
            *channel_options(self.agent.runtime), *options]
        self.qemu = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
        self.monitor = Monitor(self.path("monitor"))

    def end(self):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
            self.monitor.close()
        self.qemu = None

    def attributed(self):
        """All that this host has ever given to domains: the guest is the only one."""
        return {zone["id"]: zone["attributed_uj"] for zone in self.agent.status()["zones"]}

    def domain(self):
        return next((domain for domain in self.agent.list().values() if domain["pid"]), None)


class Wanderer(Guest):
    """The guest, wherever it is."""

    def __init__(self):
        self.name, self.place = "wanderer", None
        self.socket, self.pending = None, b""

    def console(self):
        with open(self.place.path("console"), encoding="utf-8", errors="replace") as text:
            return text.read()

    def go_to(self, place):
        self.disconnect()
        self.place = place
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(place.path("commands"))


class Lost(Exception):
    """The guest ran before its migration, and says nothing at any of its ports after it."""


@contextlib.contextmanager
def two_hosts():
    """here, there, and the guest that is to go between them."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(vjtest.work_directory())
        image = vjtest.image("small", work)
        here = Place(stack, work, image, "here", 64901, 20)
        there = Place(stack, work, image, "there", 64902, 45)
        guest = Wanderer()
        stack.callback(guest.disconnect)
        yield here, there, guest


class Migration(unittest.TestCase):
    def wait_shows(self, place, base):
        """Until the guest shows base + what the agent of its host has for it, as of one tick; returns that."""
        with ledger_of(place.domain) as figures:
            def look():
                inside = self.guest.energy()
                return inside if {zone: energy - base.get(zone, 0) for zone, energy in inside.items()} in figures else None
            return vjtest.wait_until(look, f"the guest shows {base} + what {place.name} has")

    def migrate(self, origin, target):
        """Returns what the guest showed just before."""
        incoming = target.path("incoming")
        target.start("-incoming", f"unix:{incoming}")
        os.chown(incoming, origin.user, origin.user)
        shown = self.guest.energy()
        origin.monitor("migrate", uri=f"unix:{incoming}")

        def is_over():
            status = origin.monitor("query-migrate").get("status")
            self.assertNotIn(status, ("failed", "cancelled"))
            return status == "completed"
        vjtest.wait_until(is_over, "the migration is over")
        vjtest.wait_until(lambda: target.monitor("query-status")["status"] == "running", "the guest runs on")
        self.guest.go_to(target)
        origin.end()
        vjtest.wait_until(lambda: origin.domain() is None, f"{origin.name} has seen its end")
        self.look_for_life(target)
        return shown

    def look_for_life(self, place):
        """An emulator may lose a guest on its way, once in hundreds of times: no port of it says anything then."""
        try:
            self.guest.check("true", timeout=120)
        except vjtest.Timeout:
            channel = place.domain()["channel"]
            registers = place.monitor("human-monitor-command", **{"command-line": "info registers"})
            print(f"{place.name}: {place.monitor('query-status')}, {channel}\n{registers}", flush=True)
            if channel["lag_us"] is None or channel["lag_us"] > 60e6:
                raise Lost from None
            raise

    def base(self, place):
        """What the guest shows beyond what this host's agent has for it: its base. Neither is still, so it is the one
        difference that several moments have in common."""
        shown = []
        with ledger_of(place.domain) as figures:
            def look():
                inside = self.guest.energy()
                shown.extend([inside] if inside and inside not in shown else [])
                votes = collections.Counter(tuple((zone, one[zone] - figure[zone]) for zone in one)
                                            for one in shown for figure in figures)
                found, count = votes.most_common(1)[0] if votes else (None, 0)
                return dict(found) if count >= 5 else None
            return vjtest.wait_until(look, f"the guest's base at {place.name} is clear")

    def test_there_and_back(self):
        for attempt in range(1, 4):
            with two_hosts() as (self.here, self.there, self.guest):
                try:
                    return self.there_and_back()
                except Lost:
                    print(f"attempt {attempt}: QEMU lost the guest", flush=True)
        self.fail("QEMU lost the guest in every attempt")

    def there_and_back(self):
        here, there, guest = self.here, self.there, self.guest
        self.assertNotEqual(here.agent.status()["host"], there.agent.status()["host"])
        here.start()
        guest.go_to(here)
        guest.wait_up()
        vjtest.wait_until(guest.energy, "the guest has a tree")
        guest.check(WATCH.format(tree=TREE))
        guest.load()
        self.wait_shows(here, {})
        epochs = [here.domain()["epoch"]]
        base = {}
        for origin, target in ((here, there), (there, here)):
            shown = self.migrate(origin, target)
            given = {zone: base.get(zone, 0) + energy_uj for zone, energy_uj in origin.attributed().items()}
            base = self.base(target)
            for zone, energy_uj in base.items():
                self.assertGreaterEqual(energy_uj, shown[zone])
                self.assertLessEqual(energy_uj, given[zone])
            print(f"of {given['package-0'] / 1e6:.3f} J given up to the handing over from {origin.name}, the guest has "
                  f"{base['package-0'] / 1e6:.3f} J: the rest came after the last frame that it acknowledged", flush=True)
            epochs.append(target.domain()["epoch"])
        guest.unload()
        end = self.wait_shows(here, base)
        self.assertEqual(len(set(epochs)), 3)
        for place in (here, there):
            for zone in place.agent.status()["zones"]:
                self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
        self.assertLessEqual(end["package-0"], here.attributed()["package-0"] + there.attributed()["package-0"])
        guest.check("for f in /tmp/seen-intel*; do grep -vE '^[0-9]+$' $f && exit 1; sort -nc $f || exit 1; done")
        self.assertEqual(guest.run("cat /tmp/seen-errors 2>/dev/null")[1], "")


if __name__ == "__main__":
    if shutil.which("setpriv") is None:
        print("skipped: setpriv (util-linux) is not installed")
        raise SystemExit(vjtest.SKIP)
    vjtest.main()
