#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real node: systemd, containerd and runc, containers placed and named as kubelet does it, reader and attributor as
services, and energy from the agent outside through the real channel. One boot for all of it."""
import contextlib
import re
import time
import unittest

import vjtest
from vjtest import wait_until
from vjtest.agent import Agent
from vjtest.guest import Guest, parse_energies
from vjtest.libvirt import Libvirtd
from vjtest.node import UNIT, Attributor, Container, Pod, prepare
from vjtest.simulator import Simulator

SIMULATED = ("--machine", "--static-watts", "10", "--watts-per-cpu", "20", "--core-fraction", "0.6", "--dram-watts", "4")
BUSY = "/bin.d/sh -c 'while :; do :; done'"
STORM = "/bin.d/sh -c 'while :; do /bin.d/true; done'"
IDLE = "/bin.d/sleep 100000"
PACKAGE = "package-0"


def above(path):
    return path.rsplit("/", 1)[0]


class Node(unittest.TestCase):
    def test_node(self):
        with contextlib.ExitStack() as stack:
            work = stack.enter_context(vjtest.work_directory())
            stack.enter_context(Libvirtd())
            simulator = stack.enter_context(Simulator(work, *SIMULATED))
            self.agent = stack.enter_context(Agent(work, "--interval", "1s", sysfs=simulator.root,
                                                   config="[static-watts]\npackage-0 = 10\n"))
            self.guest = stack.enter_context(Guest(vjtest.image("node", work), work, "node", memory=2048, vcpus=2))
            self.guest.wait_up()
            self.attributor = Attributor(self.guest)
            self.last = {}
            self.slowest_look_s = 0
            for step in (self.services, self.names, self.lions_share, self.reader_restarts, self.fork_storm, self.attributor_restarts,
                         self.processes, self.ends, self.units, self.same_as_the_ledger):
                begin = time.monotonic()
                step()
                print(f"  {step.__name__}: {time.monotonic() - begin:.0f} s", flush=True)

    # What is shown, judged each time that it is looked at.

    def look(self):
        """The document, whose sums hold to the microjoule and in which nothing has fallen."""
        begin = time.monotonic()
        document = self.attributor.look()[1]
        self.slowest_look_s = max(self.slowest_look_s, time.monotonic() - begin)
        return self.judge(document)

    def judge(self, document):
        for zone in document["zones"]:
            given = sum(group["energy_uj"][zone["id"]] for group in document["groups"] if group["cgroup"].count("/") == 1)
            self.assertEqual(zone["kernel_uj"] + given + zone["folded_uj"], zone["measured_uj"], zone)
            self.assertLessEqual(zone["gap_uj"], zone["kernel_uj"])
            self.has_not_fallen(("zone", zone["id"]), zone["measured_uj"])
            for group in document["groups"]:
                if group["kind"] in ("pod", "container"):
                    self.has_not_fallen((group["cgroup"], zone["id"]), group["energy_uj"][zone["id"]])
        self.assertEqual(document["cgroups"], "v2")
        return document

    def look_closely(self, containers):
        """The document; and µs of CPU time that containers have used, by the kernel's word before its interval ended, and after."""
        texts = list(self.attributor.look(*(f"/sys/fs/cgroup{container.cgroup}/cpu.stat" for container in containers)))
        document = self.judge(texts.pop(1))
        return document, *([int(used) for used in re.findall(r":usage_usec (\d+)$", text, re.M)] for text in texts)

    def has_not_fallen(self, key, energy):
        self.assertGreaterEqual(energy, self.last.get(key, 0), key)
        self.last[key] = energy

    def group(self, document, cgroup):
        return next((group for group in document["groups"] if group["cgroup"] == cgroup), None)

    def wait_group(self, cgroup, condition=lambda group: True):
        def find():
            group = self.group(self.look(), cgroup)
            return group if group and condition(group) else None
        return wait_until(find, f"{cgroup} is shown so", interval=0)

    def moved(self, before, after, cgroup):
        """µJ of the package that went there between two documents."""
        then, now = (self.group(document, cgroup) for document in (before, after))
        return now["energy_uj"][PACKAGE] - (then["energy_uj"][PACKAGE] if then else 0)

    def used(self, before, after, container):
        """CPU time of a container between two documents, in µs."""
        return (self.group(after, container.cgroup)["cpu_ns"] - self.group(before, container.cgroup)["cpu_ns"]) // 1000

    def zone(self, document, member, zone=PACKAGE):
        return next(entry[member] for entry in document["zones"] if entry["id"] == zone)

    def start_attributor(self, options):
        """Returns how much the tree had given before it, which stays so for as long as it runs."""
        self.last = {}
        self.attributor.start(options)
        wait_until(lambda: self.look()["intervals"] >= 3, "it attributes", interval=0)
        seen = []

        def find():
            seen.append(self.before_it())
            return seen[-1] if seen[-1] in seen[:-1] else None
        return wait_until(find, "what was before it stays the same", interval=0)

    def before_it(self):
        """What the tree shows less what was measured, in every zone; any other number if the tree moved on before it was read."""
        _, document, text = self.attributor.look("intel-rapl:*/name", "intel-rapl:*/energy_uj")
        energies = parse_energies(text)
        return {zone["id"]: energies[zone["id"]] - zone["measured_uj"] for zone in document["zones"]} if energies else None

    def all_came(self):
        """Everything that the tree gave since the beginning of this attributor's life has been measured: no more, no less."""
        wait_until(lambda: self.before_it() == self.before, "all of the tree's energy is there", interval=0)

    # The steps.

    def services(self):
        self.agent.wait_for(self.guest)
        wait_until(self.guest.energy, "the tree is there")
        prepare(self.guest)
        self.before = self.start_attributor("--keep 10s")
        document = self.look()
        self.assertEqual({zone["id"] for zone in document["zones"]}, set(self.guest.energy()))
        for unit in ("virtjoule-reader.service", "containerd.service", UNIT):
            self.assertEqual(self.group(document, f"/system.slice/{unit}")["kind"], "unit")

    def names(self):
        self.shop = Pod(self.guest, "web", "shop-7d9c5b6f8-x2v4k")
        self.batch = Pod(self.guest, "jobs", "count-28300", qos="besteffort")
        self.pause = Container(self.shop, "pause", IDLE)
        self.busy = Container(self.shop, "server", BUSY)
        self.late = Container(self.batch, "worker", IDLE, early=False)
        self.assertNotIn("name", self.wait_group(self.late.cgroup))
        self.late.link()
        for container in (self.pause, self.busy, self.late):
            pod = container.pod
            shown = self.wait_group(container.cgroup, lambda group: "name" in group)
            expected = {"kind": "container", "runtime": "containerd", "name": container.name, "container_id": container.id,
                        "namespace": pod.namespace, "pod": pod.name, "pod_uid": pod.uid}
            self.assertEqual(expected, {key: shown.get(key) for key in expected})
            shown = self.group(self.look(), pod.cgroup)
            expected = {"kind": "pod", "pod": pod.name, "namespace": pod.namespace, "pod_uid": pod.uid, "qos": pod.qos}
            self.assertEqual(expected, {key: shown.get(key) for key in expected})

    def lions_share(self):
        before = self.look()
        self.busy.use(3000000)
        after = self.look()
        busy, pod, idle = (self.moved(before, after, cgroup) for cgroup in (self.busy.cgroup, self.shop.cgroup, self.pause.cgroup))
        measured, kernel = (self.zone(after, member) - self.zone(before, member) for member in ("measured_uj", "kernel_uj"))
        print(f"    {busy / measured:.0%} to the busy container, {idle / measured:.2%} to the idle one, {kernel / measured:.0%} to the kernel")
        # Of what groups were given it has its share of their CPU time: most of it, where the guest has nothing else to do.
        cpu_ns = [sum(group["cpu_ns"] for group in document["groups"] if group["cgroup"].count("/") == 1) for document in (before, after)]
        share = self.used(before, after, self.busy) * 1000 / (cpu_ns[1] - cpu_ns[0])
        self.assertAlmostEqual(busy / (measured - kernel) / share, 1, delta=0.25)
        self.assertGreater(busy, 50 * idle)
        self.assertGreaterEqual(pod, busy + idle)

    def reader_restarts(self):
        measured = self.zone(self.look(), "measured_uj")
        self.guest.check("systemctl restart virtjoule-reader.service")
        self.agent.wait_for(self.guest)
        wait_until(lambda: self.zone(self.look(), "measured_uj") > measured, "it goes on", interval=0)
        self.all_came()

    def fork_storm(self):
        """Short processes, hundreds a second: what they used is their own container's, as the kernel counts it."""
        self.storm = Container(self.batch, "storm", STORM)
        self.wait_group(self.storm.cgroup)
        both = (self.storm, self.busy)
        before, *begin = self.look_closely(both)
        self.storm.use(4000000)
        after, *end = self.look_closely(both)
        used = [self.used(before, after, container) for container in both]
        for i, used_us in enumerate(used):
            self.assertGreaterEqual(used_us, end[0][i] - begin[1][i])
            self.assertLessEqual(used_us, end[1][i] - begin[0][i])
        given = [self.moved(before, after, container.cgroup) for container in both]
        print(f"    storm {given[0] / used[0]:.3f} J, the other {given[1] / used[1]:.3f} J for a second of CPU time")
        self.assertAlmostEqual(given[0] / used[0] / (given[1] / used[1]), 1, delta=0.15)
        self.assertLess(50 * self.moved(before, after, self.late.cgroup), given[0])
        self.assertLess(50 * self.moved(before, after, self.pause.cgroup), given[0])

    def keep_s(self):
        """So long that what has ended is looked at before it is folded, however slow the guest is."""
        return max(10, round(4 * self.slowest_look_s))

    def attributor_restarts(self):
        """What it shows begins anew, as any program's counters, with the same names at once."""
        before = self.start_attributor(f"--keep {self.keep_s()}s --levels workload,pod,container,unit,process")
        self.assertGreater(before[PACKAGE], self.before[PACKAGE])
        self.before = before
        self.assertEqual(self.group(self.look(), self.late.cgroup)["name"], "worker")

    def processes(self):
        """All of a group is its own and its children's; all of its own its processes' and that of those that are not shown."""
        before = self.look()
        self.storm.use(2000000)
        after = self.look()
        for zone in after["zones"]:
            self.judge_groups(after["groups"], zone["id"])
        shown = self.group(after, self.busy.cgroup)["processes"]
        self.assertEqual([process["command"] for process in shown], ["sh"])
        by_it = shown[0]["energy_uj"][PACKAGE] - self.group(before, self.busy.cgroup)["processes"][0]["energy_uj"][PACKAGE]
        self.assertGreater(100 * by_it, 99 * self.moved(before, after, self.busy.cgroup))
        storm = self.group(after, self.storm.cgroup)
        print(f"    of the storm's energy {storm['exited_uj'][PACKAGE] / storm['own_uj'][PACKAGE]:.0%} is that of processes that exited")
        self.assertGreater(storm["exited_uj"][PACKAGE], 0)
        self.all_came()

    def judge_groups(self, groups, zone):
        """Parents come right before all that is below them."""
        enclosing = []
        below = {}
        for index, group in enumerate(groups):
            while enclosing and groups[enclosing[-1]]["cgroup"] != above(group["cgroup"]):
                enclosing.pop()
            if enclosing:
                below[enclosing[-1]] = below.get(enclosing[-1], 0) + group["energy_uj"][zone]
            else:
                self.assertEqual(group["cgroup"].count("/"), 1, group)
            enclosing.append(index)
        for index, group in enumerate(groups):
            self.assertEqual(group["own_uj"][zone] + below.get(index, 0) + group["folded_uj"][zone], group["energy_uj"][zone], group)
            if "processes" in group:
                shown = sum(process["energy_uj"][zone] for process in group["processes"])
                self.assertEqual(shown + group["exited_uj"][zone], group["own_uj"][zone], group)

    def ends(self):
        """A container ends: shown as such, then folded into its pod; the pod ends: into the slice above. All sums hold."""
        self.storm.end()
        last = self.group(self.look(), self.busy.cgroup)["energy_uj"][PACKAGE]
        self.busy.end()
        ended = self.wait_group(self.busy.cgroup, lambda group: group.get("terminated"))
        self.assertEqual(ended["name"], "server")
        self.assertGreaterEqual(ended["energy_uj"][PACKAGE], last)
        wait_until(lambda: not self.group(self.look(), self.busy.cgroup), "it is folded", interval=0)
        pod = self.group(self.look(), self.shop.cgroup)
        self.assertGreaterEqual(pod["folded_uj"][PACKAGE], ended["energy_uj"][PACKAGE])
        self.pause.end()
        self.shop.end()
        wait_until(lambda: not self.group(self.look(), self.shop.cgroup), "the pod is folded", interval=0)
        # The slice goes with its last pod, as systemd has it; then what it had is the one's above.
        document = self.look()
        folded = self.group(document, above(self.shop.cgroup)) or self.group(document, "/kubepods.slice")
        self.assertGreaterEqual(folded["energy_uj"][PACKAGE], pod["energy_uj"][PACKAGE])
        self.all_came()

    def units(self):
        self.guest.check("systemd-run --quiet --slice=user-1000.slice --unit=session-7 --scope sh -c "
                         "'while :; do :; done' >/dev/null 2>&1 & echo $! >/run/session.pid")
        session = "/user.slice/user-1000.slice/session-7.scope"
        shown = self.wait_group(session, lambda group: group["energy_uj"][PACKAGE] > 0)
        self.assertEqual((shown["kind"], shown["name"]), ("unit", "session-7.scope"))
        document = self.look()
        self.assertEqual(self.group(document, above(session))["kind"], "slice")
        self.assertGreaterEqual(self.group(document, "/user.slice")["energy_uj"][PACKAGE], shown["energy_uj"][PACKAGE])
        self.guest.check("systemctl stop session-7.scope")

    def same_as_the_ledger(self):
        print(f"    {self.agent.wait_same(self.guest)}")
        words = self.guest.check(f"journalctl -b -q -o cat -u {UNIT}")
        print("".join(f"    | {line}\n" for line in words.splitlines()), end="")
        self.assertEqual(self.guest.check("systemctl --failed --no-legend --plain | grep -E 'virtjoule|powercap' || :"), "")


if __name__ == "__main__":
    vjtest.main()
