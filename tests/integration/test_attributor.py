#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule-attributor on a node of files."""
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attributor_node import DEADLINE_S, ID, POD, Node, parse, wait_for  # noqa: E402

PROGRAM = os.path.join(os.environ["VJ_BIN"], "virtjoule-attributor")
CONTAINER = f"{POD}/cri-containerd-{ID}.scope"


class NodeCase(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.addCleanup(self.assert_ends_well)

    def assert_ends_well(self):
        if self.node.process is not None:
            self.assertEqual(self.node.stop(), 0, self.node.said())

    def run_to_the_end(self, *arguments):
        return subprocess.run(self.node.command(PROGRAM, *arguments), capture_output=True, text=True,
                              timeout=DEADLINE_S * 2, check=False)

    def assert_one_line(self, result, code, *words):
        self.assertEqual((result.returncode, result.stdout), (code, ""), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in ("virtjoule-attributor: ", *words):
            self.assertIn(word, result.stderr)


class Sums(NodeCase):
    def assert_metrics_add_up(self, series, zone):
        def sum_of(*names, outermost=False):
            return sum(value for (name, labels), value in series.items()
                       if name in names and dict(labels).get("zone") == zone
                       and (not outermost or dict(labels)["cgroup"].count("/") == 1))
        parts = sum_of("virtjoule_kernel_energy_joules_total", "virtjoule_folded_energy_joules_total") + sum_of(
            "virtjoule_slice_energy_joules_total", "virtjoule_unit_energy_joules_total", outermost=True)
        self.assertEqual(sum_of("virtjoule_node_energy_joules_total"), parts)

    def assert_document_adds_up(self, document):
        for zone in document["zones"]:
            outermost = [group for group in document["groups"] if group["cgroup"].count("/") == 1]
            given = sum(group["energy_uj"][zone["id"]] for group in outermost)
            self.assertEqual(zone["measured_uj"], zone["kernel_uj"] + zone["folded_uj"] + given)
            for group in document["groups"]:
                inner = [child["energy_uj"][zone["id"]] for child in document["groups"]
                         if os.path.dirname(child["cgroup"]) == group["cgroup"]]
                self.assertEqual(group["energy_uj"][zone["id"]],
                                 group["own_uj"][zone["id"]] + group["folded_uj"][zone["id"]] + sum(inner))

    def assert_no_counter_falls(self, before, after):
        for key, value in after.items():
            if key[0].endswith("_total"):
                self.assertGreaterEqual(value, before.get(key, 0), key)

    def change_something(self, rand):
        pod = "kubepods.slice/kubepods-pod6f2c3c1e_5b1a_4e0f_9c55_0a1b2c3d4e%02x.slice" % rand.randrange(3)
        container = f"{pod}/cri-containerd-{rand.randrange(2)}{ID[1:]}.scope"
        if rand.randrange(5) == 0 and os.fsencode(pod) in self.node.cpu_us:
            self.node.end(pod)
        else:
            self.node.use(container, rand.randrange(3000))
        self.node.use("system.slice/a.service", rand.randrange(1000))

    def test_hold_through_many_intervals(self):
        rand = random.Random(4711)
        self.node.use(CONTAINER, 0)
        self.node.update()
        self.node.start(PROGRAM, "--keep=0s", "--levels=workload,pod,container,unit,process")
        before = {}
        total_uj = 0
        for _ in range(60):
            uj = rand.randrange(3000000)
            total_uj += uj
            self.change_something(rand)
            self.node.attribute(uj)
            series = parse(self.node.get("/metrics"))
            self.assert_no_counter_falls(before, series)
            self.assert_document_adds_up(self.node.document())
            for zone in ("package-0", "package-0/core", "package-0/dram"):
                self.assert_metrics_add_up(series, zone)
            before = series
        self.assertEqual(series[("virtjoule_node_energy_joules_total", (("zone", "package-0"),))], total_uj)
        given = [value for (name, labels), value in series.items()
                 if name == "virtjoule_slice_energy_joules_total" and ("zone", "package-0") in labels]
        self.assertGreater(sum(given), 0)

    def test_restarted_service_is_one_series(self):
        self.node.use("system.slice/a.service", 0)
        self.node.update()
        self.node.start(PROGRAM)
        self.node.attribute()
        values = []
        for _ in range(4):
            self.node.use("system.slice/a.service", 5000)
            self.node.attribute(1000000)
            series = parse(self.node.get("/metrics"))
            values += [value for (name, labels), value in series.items()
                       if name == "virtjoule_unit_energy_joules_total" and ("zone", "package-0") in labels]
            self.node.end("system.slice/a.service")
        self.assertEqual(len(values), 4)
        self.assertEqual(values, sorted(set(values)))

    def test_any_name(self):
        odd = b"user.slice/user@1000.service/"
        for name in (b"\xff", b"\xfe", b'"\n\\', b"\x1b[2J", b"\\xff\xff", "\u202e".encode()):
            self.node.use(odd + name + b"/" + ID.encode(), 100)
        self.node.update()
        self.node.start(PROGRAM)
        self.node.attribute(1000)
        series = parse(self.node.get("/metrics"))
        containers = [key for key in series if key[0] == "virtjoule_container_cpu_seconds_total"]
        self.assertEqual(len(containers), 6)
        self.assert_document_adds_up(self.node.document())


class Tree(NodeCase):
    def test_comes_late_goes_and_comes_back(self):
        self.node.use(CONTAINER, 0)
        self.node.start(PROGRAM)
        wait_for(lambda: "no energy counters" in self.node.said(), "the message")
        self.assertNotIn("virtjoule_node_energy_joules_total{", self.node.get("/metrics"))
        self.node.attribute()
        self.node.use(CONTAINER, 1000)
        self.node.attribute(5000000)
        self.node.take_tree_away()
        self.node.use(CONTAINER, 1000)
        self.assertIn('virtjoule_node_energy_joules_total{zone="package-0"} 5.000000', self.node.get("/metrics"))
        self.node.attribute(2000000)
        self.node.attribute(1000000)
        self.assertEqual(self.node.document()["zones"][0]["measured_uj"], 8000000)
        self.assertEqual(self.node.said().count("\n"), 1, self.node.said())


class Ends(NodeCase):
    def test_signals(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            self.node.start(PROGRAM)
            self.assertEqual(self.node.stop(how), 0)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.assert_one_line(self.run_to_the_end(f"--listen={address}"), 1, "--listen", address)

    def test_no_control_groups(self):
        result = self.run_to_the_end("--cgroupfs=/nowhere", "--listen=none")
        self.assert_one_line(result, 1, "/nowhere")

    def test_wrong_options(self):
        for arguments, words in (
            (["--interval=5"], ["--interval 5", "100ms to 60s"]),
            (["--interval=61s"], ["--interval 61s", "100ms to 60s"]),
            (["--levels=pods"], ["--levels pods", "container"]),
            (["--levels="], ["--levels", "container"]),
            (["--keep=1w"], ["--keep 1w", "0s to 86400s"]),
            (["--max-groups=0"], ["--max-groups 0", "1 to 1000000"]),
            (["--listen=localhost:1"], ["--listen", "localhost:1", "127.0.0.1:"]),
            (["--listen=127.0.0.1"], ["--listen", "127.0.0.1:"]),
            (["--json"], ["--json goes with --once"]),
            (["--metrics"], ["--metrics goes with --once"]),
            (["--once", "--json", "--metrics"], ["exclude"]),
            (["--once", "--top"], ["exclude"]),
            (["--once", "more"], ['"more"', "virtjoule-attributor --help lists what is allowed"]),
            (["--never"], ["--never", "virtjoule-attributor --help lists what is allowed"]),
        ):
            with self.subTest(arguments):
                self.assert_one_line(self.run_to_the_end(*arguments), 2, *words)


class Once(NodeCase):
    def keep_updating(self):
        """One joule and 5 ms an interval, until the test is over."""
        stopped = threading.Event()

        def run():
            while not stopped.wait(0.5):
                self.node.use(CONTAINER, 5000)
                self.node.update(1000000)
        self.node.use(CONTAINER, 0)
        self.node.update()
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stopped.set)

    def test_is_one_whole_interval(self):
        """Or several, if it was kept from the next update; of energy and CPU time alike."""
        self.keep_updating()
        result = self.run_to_the_end("--once", "--json")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        document = json.loads(result.stdout)
        updates, part = divmod(document["zones"][0]["measured_uj"], 1000000)
        self.assertEqual(part, 0)
        self.assertGreater(updates, 0)
        container = next(group for group in document["groups"] if group["kind"] == "container")
        self.assertEqual(container["cpu_ns"], 5000000 * updates)
        self.assertGreater(container["energy_uj"]["package-0"], 0)

    def test_table_and_metrics(self):
        self.keep_updating()
        table = self.run_to_the_end("--once")
        self.assertEqual((table.returncode, table.stderr), (0, ""))
        self.assertRegex(table.stdout, r"(?m)^ package-0 +[0-9.]+ +[0-9.]+ +[1-9]\.000 +[0-9.]+$")
        self.assertRegex(table.stdout, r"(?m) container +0123456789ab$")
        metrics = self.run_to_the_end("--once", "--metrics")
        self.assertRegex(metrics.stdout, r'virtjoule_node_energy_joules_total\{zone="package-0"\} [1-9]\.000000')

    def test_no_tree(self):
        self.assert_one_line(self.run_to_the_end("--once"), 1, "no energy counters below", "virtjoule-reader")

    def test_sigterm(self):
        self.node.update()
        with subprocess.Popen(self.node.command(PROGRAM, "--once"), stderr=subprocess.PIPE) as process:
            wait_for(lambda: has_inotify(process.pid), "the program to follow the tree")
            process.terminate()
            self.assertEqual(process.wait(timeout=DEADLINE_S), 1)


def has_inotify(pid):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:inotify" for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
