#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests that abuse their ports, beside one that does not: its frames keep coming, and the agent stays as it was.
What a tick costs is printed, not judged: the machine has other work too."""
import contextlib
import os
import time
import unittest

import vjtest
from vjtest import wait_until
from vjtest.agent import Agent
from vjtest.guest import Guest
from vjtest.libvirt import Libvirtd, virsh

INTERVAL_US = 1000000
TICKS = 10
HONEST = "honest"
HELLO = """printf '\\n{"v":1,"hello":"%016x"}\\n' $i"""
# $port is the energy port. Each begins with what opens the channel, then never behaves.
ABUSES = {
    "closed": "exit",  # nobody ever opens it
    "unread": f"exec 3<>$port; i=1; {HELLO} >&3; sleep 100000",
    "slow": f"exec 3<>$port; i=1; while :; do {HELLO} >&3; dd bs=1 count=1 <&3 >/dev/null 2>&1; sleep 1; i=$((i + 1)); done",
    "reopens": f"i=1; while :; do ( {HELLO}; sleep 0.02 ) <>$port >&0; i=$((i + 1)); done",
    "garbage": "dd if=/dev/urandom of=$port bs=64k",
    "hellos": f"exec 3<>$port; cat <&3 >/dev/null & i=1; while :; do {HELLO}; i=$((i + 1)); done >&3",
}
PORT = "port=/dev/$(basename $(dirname $(grep -l energy /sys/class/virtio-ports/*/name)))\n"


class Hostile(unittest.TestCase):
    def test_hostile_neighbours(self):
        with contextlib.ExitStack() as stack:
            work = stack.enter_context(vjtest.work_directory())
            stack.enter_context(Libvirtd())
            image = vjtest.image("small", work)
            self.honest = stack.enter_context(Guest(image, work, HONEST))
            self.guests = {name: stack.enter_context(Guest(image, work, name, options="vjtest.reader=off")) for name in ABUSES}
            for guest in (self.honest, *self.guests.values()):
                guest.wait_up()
            # How the machine shares its processors among guests is not tested here, and seven of them keep it busy.
            virsh("schedinfo", self.honest.name, "--live", "cpu_shares=20480", check=False)
            config = "[agent]\nsource = model\n"
            self.agent = stack.enter_context(Agent(work, "--interval", f"{INTERVAL_US // 1000}ms", config=config))
            wait_until(lambda: self.agent.wait_for(self.honest)["channel"]["lag_us"] is not None, "the honest guest acknowledges")
            self.agent.wait_ticks(2)
            self.suffer()

    def suffer(self):
        before_kib = self.observe("before")
        for name, guest in self.guests.items():
            guest.write_file("/tmp/abuse", PORT + ABUSES[name])
            guest.check("setsid sh /tmp/abuse >/dev/null 2>&1 & echo $! >/tmp/abuse.pid")
        for name in ("unread", "slow", "reopens", "hellos"):
            self.agent.wait_for(self.guests[name])
        wait_until(lambda: self.channel("garbage")["lines_dropped"] > 0, "garbage arrives")
        while_abused_kib = self.observe("while abused")
        self.assertLess(while_abused_kib, before_kib + 1024)
        self.bounded()
        self.heals()

    def channel(self, name):
        return self.agent.list()[self.guests[name].uuid]["channel"]

    def agent_cpu_ns(self):
        tasks = f"/proc/{self.agent.process.pid}/task"
        total = 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat", encoding="ascii") as text:
                total += int(text.read().split()[0])
        return total

    def agent_rss_kib(self):
        with open(f"/proc/{self.agent.process.pid}/status", encoding="ascii") as text:
            return int(text.read().split("VmRSS:")[1].split()[0])

    def sample(self):
        """Ticks, each guest's channel by name, and the agent's CPU time: of one tick."""
        status, domains = self.agent.at_one_tick()
        channels = {name: domains[guest.uuid]["channel"] for name, guest in {**self.guests, HONEST: self.honest}.items()}
        return status["ticks"], channels, self.agent_cpu_ns()

    def answer_us(self):
        """How long the honest guest takes for anything at all, be the agent as it may."""
        begin = time.monotonic_ns()
        self.honest.check("true")
        return (time.monotonic_ns() - begin) // 1000

    def observe(self, when):
        """For some ticks: the honest guest gets a frame in each."""
        ticks, start, cpu_ns = self.sample()
        end = ticks["count"] + TICKS
        lag_us = slowest_us = 0

        def look():
            nonlocal lag_us, slowest_us
            channel = self.agent.domain(self.honest)["channel"]
            self.assertEqual(channel["state"], "open")
            lag_us = max(lag_us, channel["lag_us"] or 0)
            slowest_us = max(slowest_us, self.answer_us())
            return self.agent.ticks() >= end
        wait_until(look, "the agent ticks", interval=0.3)
        ticks_end, channels, cpu_end_ns = self.sample()
        moved = {name: channels[HONEST][name] - start[HONEST][name] for name in ("frames_sent", "frames_skipped", "hellos")}
        taken = ticks_end["count"] - ticks["count"]
        rss_kib = self.agent_rss_kib()
        print(f"  {when}: {taken} ticks, {ticks_end['late'] - ticks['late']} late, {ticks_end['skipped'] - ticks['skipped']} "
              f"skipped; {(cpu_end_ns - cpu_ns) // taken // 1000} µs CPU per tick with our questions, {rss_kib} KiB; the honest "
              f"guest: {moved}, at most {lag_us // 1000} ms behind, and {slowest_us // 1000} ms for anything else", flush=True)
        self.judge(moved, taken, lag_us, slowest_us)
        # In a tick, one frame that is due and one that answers a hello, whatever the number of hellos.
        for name in self.guests:
            self.assertLessEqual(channels[name]["frames_sent"] - start[name]["frames_sent"], 2 * (taken + 1), name)
        return rss_kib

    def judge(self, moved, taken, lag_us, slowest_us):
        """A guest that gets no processor for an interval cannot acknowledge a frame in it; that is not the agent's doing."""
        self.assertLessEqual(lag_us, 2 * INTERVAL_US + 4 * slowest_us)
        self.assertGreaterEqual(moved["frames_sent"] + moved["frames_skipped"], taken)
        self.assertLessEqual(moved["frames_sent"] + moved["frames_skipped"], taken + moved["hellos"])
        if slowest_us < INTERVAL_US // 2:
            self.assertEqual(moved, {"frames_sent": taken, "frames_skipped": 0, "hellos": 0})

    def bounded(self):
        """What each abuser got, and what was thrown away of it."""
        wait_until(lambda: self.channel("garbage")["lines_dropped"] > TICKS, "more garbage is thrown away")
        wait_until(lambda: self.channel("hellos")["hellos"] > 4 * TICKS, "there are more hellos")
        channels = self.sample()[1]
        for name in self.guests:
            print(f"    {name}: {channels[name]}", flush=True)
        self.assertEqual((channels["closed"]["state"], channels["closed"]["frames_sent"]), ("waiting", 0))
        self.assertEqual(channels["unread"]["frames_sent"], 1)
        self.assertEqual(channels["garbage"]["frames_sent"], 0)

    def heals(self):
        """Once an abuser starts a reader, it is a guest like any other. What it has left in the way is thrown away."""
        for name in set(ABUSES) - {"closed"}:
            guest = self.guests[name]
            guest.check("kill -- -$(cat /tmp/abuse.pid)")
            guest.start_reader()
            wait_until(guest.energy, f"{guest.name} has a tree")


if __name__ == "__main__":
    vjtest.main()
