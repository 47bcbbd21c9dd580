#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule-attributor's names, against a stand-in for Kubernetes (fake_kubernetes.py) and made-up control groups. What it shows is
that the program keeps to the API's documentation, not what a real cluster does."""

import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_kubernetes import NODE, Authority, FakeKubernetes, owner, pod, refusal  # noqa: E402

DEADLINE_S = 120  # for events that come in seconds at most, on a machine that is busy
PROGRAM = os.path.join(os.environ["VJ_BIN"], "virtjoule-attributor")
WEB = "11111111-5b1a-4e0f-9c55-0a1b2c3d4e5f"
JOB = "22222222-5b1a-4e0f-9c55-0a1b2c3d4e5f"
SET = "33333333-5b1a-4e0f-9c55-0a1b2c3d4e5f"
HASH = "0123456789abcdef0123456789abcdef"
APP, SIDE, INIT, ETCD = "a" * 64, "b" * 64, "c" * 64, "d" * 64
# LeakSanitizer's tracer crashes on the threads of GLib's TLS. What it can look at is what runs without TLS.
TLS = {"ASAN_OPTIONS": "detect_leaks=0"}
DEPLOYMENT = owner("apps/v1", "Deployment", "web", "d-1")
REPLICASETS = "/apis/apps/v1/namespaces/shop/replicasets"
REPLICASET = owner("apps/v1", "ReplicaSet", "web-5d4f8", "r-1")


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Machine:
    """A reader's tree and control groups, of files; the attributor on them."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="vj-kubernetes-")
        self.energy_uj = 1000
        self.cpu_us = {}
        self.process = None
        self.write("cgroup/cgroup.controllers", "cpu memory\n")
        for name, text in (("name", "package-0"), ("max_energy_range_uj", str(1 << 62))):
            self.write(f"sys/class/powercap/intel-rapl:0/{name}", text + "\n")
        self.write("log/pods/.keep", "")
        self.update()

    def close(self):
        if self.process:
            self.stop()
        shutil.rmtree(self.root)

    def path(self, relative):
        return os.path.join(self.root, relative)

    def write(self, relative, text):
        path = self.path(relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + "~", "w", encoding="ascii") as out:
            out.write(text)
        os.replace(path + "~", path)

    def use(self, group, us=1000):
        self.cpu_us[group] = self.cpu_us.get(group, 0) + us
        path = self.path("cgroup/" + group)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "cpu.stat"), "w", encoding="ascii") as out:
            out.write(f"usage_usec {self.cpu_us[group]}\n")

    def update(self, uj=1000000):
        """An interval: energy, then the file that says so."""
        self.energy_uj += uj
        self.write("sys/class/powercap/intel-rapl:0/energy_uj", f"{self.energy_uj}\n")
        self.write("sys/class/generation", '{"generation":1,"quality":"measured","source":"powercap"}\n')

    def start(self, *args, environment=None):
        self.port = free_port()
        self.log = open(self.path("log.txt"), "w+", encoding="utf-8")
        variables = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
        self.process = subprocess.Popen(
            [PROGRAM, "--sysfs", self.path("sys"), "--cgroupfs", self.path("cgroup"), "--log-dir", self.path("log"),
             "--runtime-root", self.path("host"), "--listen", f"127.0.0.1:{self.port}", *args],
            stderr=self.log, env={**variables, **(environment or {})})
        wait_for(lambda: self.fetch() is not None, "the attributor")

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=DEADLINE_S)
        self.process = None
        self.log.close()
        if code != 0:
            raise AssertionError(f"the attributor ended with {code}: {self.said()}")

    def said(self):
        with open(self.path("log.txt"), encoding="utf-8") as text:
            return text.read()

    def fetch(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=DEADLINE_S) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def series(self, family):
        """Of a family: (labels, value)."""
        found = []
        for line in self.fetch().splitlines():
            match = re.fullmatch(re.escape(family) + r"\{(.*)\} (\S+)", line)
            if match:
                found.append((dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(1))), float(match.group(2))))
        return found

    def pod(self, uid):
        for labels, value in self.series("virtjoule_pod_energy_joules_total"):
            if labels["pod_uid"] == uid:
                return labels, value
        return {}, 0

    def container(self, container_id):
        for labels, _ in self.series("virtjoule_container_energy_joules_total"):
            if labels["container_id"] == container_id:
                return labels
        return {}

    def workload(self, uid):
        labels = self.pod(uid)[0]
        return labels.get("workload_kind"), labels.get("workload")


def group_of(uid, *containers):
    return "/".join((f"kubepods/burstable/pod{uid}", *containers))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vj-authority-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.authority = Authority(cls.directory)
        cls.certificate = cls.authority.issue("server", "IP:127.0.0.1")

    def setUp(self):
        self.fake = FakeKubernetes(self.certificate)
        self.addCleanup(self.fake.stop)
        self.machine = Machine()
        self.addCleanup(self.machine.close)
        self.machine.use(group_of(WEB, APP))
        self.machine.use(group_of(WEB))
        self.machine.write("token", "first\n")

    def start(self, *args, mode="api", ca=None):
        self.machine.start("--kubernetes", mode, "--kubernetes-url", self.fake.url, "--kubernetes-token",
                           self.machine.path("token"), "--kubernetes-ca", ca or self.authority.cert, "--node-name", NODE,
                           *args, environment=TLS)

    def put_web(self, name="web-5d4f8-x", **more):
        self.fake.put_object("apps/v1", "replicasets", "shop", "web-5d4f8", "r-1", DEPLOYMENT)
        self.fake.put(pod(WEB, "shop", name, [("app", APP), ("side", SIDE)], REPLICASET, init=[("init", INIT)], **more))

    def wait_named(self, uid, name):
        wait_for(lambda: self.machine.pod(uid)[0].get("pod") == name, f"the name {name}; {self.machine.said()}")


class Names(Case):
    def test_pods_have_names_owners_and_labels(self):
        self.put_web(labels={"app.kubernetes.io/name": "web", "secret": "s"})
        self.fake.put_object("batch/v1", "jobs", "shop", "bill-28", "j-1", owner("batch/v1", "CronJob", "bill", "c-1"))
        self.fake.put(pod(JOB, "shop", "bill-28-q", owner_reference=owner("batch/v1", "Job", "bill-28", "j-1")))
        self.fake.put(pod(SET, "data", "db-0", owner_reference=owner("apps/v1", "StatefulSet", "db", "s-1")))
        for group in (group_of(WEB, SIDE), group_of(WEB, INIT), group_of(JOB), group_of(SET)):
            self.machine.use(group)
        self.start("--labels", "app.kubernetes.io/name,tier")
        wait_for(lambda: self.machine.workload(JOB) == ("CronJob", "bill"), "the job's owner")
        wait_for(lambda: self.machine.workload(WEB) == ("Deployment", "web"), "the replica set's owner")
        self.assertEqual(self.machine.workload(SET), ("StatefulSet", "db"))
        labels = self.machine.pod(WEB)[0]
        self.assertEqual((labels["namespace"], labels["pod"]), ("shop", "web-5d4f8-x"))
        self.assertEqual({name: value for name, value in labels.items() if name.startswith("label_")},
                         {"label_app_kubernetes_io_name": "web"})
        for container, name in ((APP, "app"), (SIDE, "side"), (INIT, "init")):
            self.assertEqual(self.machine.container(container)["container"], name)
        self.assertEqual(self.machine.container(APP)["workload"], "web")
        owners = {labels["workload"] for labels, _ in self.machine.series("virtjoule_workload_energy_joules_total")}
        self.assertEqual(owners, {"web", "bill", "db"})
        self.assertEqual(self.fake.lists(), 1)

    def test_a_late_name_is_of_the_account_that_is_there(self):
        self.start()
        wait_for(lambda: self.fake.watches() >= 1, "the watch")
        self.machine.use(group_of(WEB), 50000)
        self.machine.update(5000000)
        wait_for(lambda: self.machine.pod(WEB)[1] > 0, "energy")
        labels, before = self.machine.pod(WEB)
        self.assertEqual((labels["pod"], labels["namespace"], labels["workload"]), ("", "", ""))
        self.put_web()
        self.wait_named(WEB, "web-5d4f8-x")
        self.assertEqual(self.machine.pod(WEB)[1], before)

    def test_what_is_unknown_stays_unknown(self):
        self.machine.use(group_of(SET, SIDE))
        self.machine.use(f"user.slice/user-1000.slice/session-1.scope/{group_of(WEB, APP)}")
        self.put_web()
        self.start()
        self.wait_named(WEB, "web-5d4f8-x")
        self.assertEqual([self.machine.pod(SET)[0][name] for name in ("pod", "namespace", "workload")], [""] * 3)
        containers = [labels for labels, _ in self.machine.series("virtjoule_container_energy_joules_total")
                      if labels["container_id"] == APP]
        self.assertEqual(sorted((one["cgroup"].startswith("/user.slice"), one["container"]) for one in containers),
                         [(False, "app"), (True, "")])

    def test_a_container_of_another_pod_has_no_name_rather_than_a_wrong_one(self):
        """Who may write the status of a pod may claim any container, but not move its control group."""
        self.put_web()
        self.start()
        wait_for(lambda: self.machine.container(APP).get("container") == "app", "the container's name")
        self.fake.put(pod(SET, "evil", "not-me", [("mine", APP)]))
        wait_for(lambda: self.machine.container(APP)["container"] != "app", "the claim")
        labels = self.machine.container(APP)
        self.assertEqual((labels["container"], labels["namespace"], labels["pod"]), ("", "shop", "web-5d4f8-x"))

    def test_a_static_pod_has_the_hash_of_its_manifest(self):
        annotations = {"kubernetes.io/config.hash": HASH, "kubernetes.io/config.mirror": HASH}
        self.machine.use(group_of(HASH, ETCD))
        self.fake.put(pod(SET, "kube-system", "etcd-node-1", [("etcd", ETCD)], annotations=annotations,
                          owner_reference=owner("v1", "Node", NODE, "n-1")))
        self.start()
        self.wait_named(HASH, "etcd-node-1")
        self.assertEqual(self.machine.container(ETCD)["pod"], "etcd-node-1")
        self.assertEqual(self.machine.workload(HASH), ("", ""))

    def test_nobody_can_claim_to_be_a_static_pod(self):
        """Whoever may make pods may give one the annotations and the owner of a mirror. The containers of the group are not its."""
        annotations = {"kubernetes.io/config.hash": HASH, "kubernetes.io/config.mirror": HASH}
        self.machine.use(group_of(HASH, ETCD))
        self.fake.put(pod(SET, "evil", "not-me", annotations=annotations, owner_reference=owner("v1", "Node", NODE, "n-1")))
        self.put_web()
        self.start()
        self.wait_named(WEB, "web-5d4f8-x")
        labels = self.machine.pod(HASH)[0]
        self.assertEqual([labels[name] for name in ("namespace", "pod", "workload")], [""] * 3)
        self.fake.put(pod(JOB, "kube-system", "etcd-node-1", [("etcd", ETCD)], owner_reference=owner("v1", "Node", NODE, "n-1")))
        self.wait_named(HASH, "etcd-node-1")

    def test_nobody_takes_the_container_of_a_static_pod_that_kubelet_names(self):
        logs = self.machine.path(f"log/pods/kube-system_etcd-node-1_{HASH}/etcd")
        self.machine.write("log/containers/.keep", "")
        os.symlink(f"{logs}/0.log", self.machine.path(f"log/containers/etcd-node-1_kube-system_etcd-{ETCD}.log"))
        self.machine.use(group_of(HASH, ETCD))
        self.machine.use(group_of(HASH))
        self.fake.put(pod(JOB, "kube-system", "etcd-node-1", [("etcd", ETCD)], labels={"app": "etcd"}))
        self.start("--labels", "app")
        wait_for(lambda: self.machine.pod(HASH)[0].get("label_app") == "etcd", "the mirror's label")
        self.assertEqual(self.machine.container(ETCD)["container"], "etcd")
        self.fake.put(pod(SET, "evil", "not-me", [("mine", ETCD)], labels={"app": "mine"}))
        wait_for(lambda: self.machine.container(ETCD)["container"] != "etcd", "the claim")
        labels = self.machine.container(ETCD)
        self.assertEqual([labels[name] for name in ("container", "namespace", "pod", "label_app")],
                         ["", "kube-system", "etcd-node-1", "etcd"])

    def test_nobody_can_name_a_static_pod_by_groups_of_his_own(self):
        """Whoever may make groups may make one that has the hash, with another pod's container in it."""
        self.machine.use(group_of(HASH, ETCD))
        self.machine.use(f"user.slice/user-1000.slice/session-1.scope/{group_of(HASH, APP)}")
        self.put_web()
        self.start()
        self.wait_named(WEB, "web-5d4f8-x")
        names = [labels["pod"] for labels, _ in self.machine.series("virtjoule_pod_energy_joules_total")
                 if labels["pod_uid"] == HASH]
        self.assertEqual(set(names), {""})

    def test_a_static_pod_has_a_name_whatever_comes_first(self):
        self.fake.put(pod(SET, "kube-system", "etcd-node-1", [("etcd", ETCD)], owner_reference=owner("v1", "Node", NODE, "n-1")))
        self.put_web()
        self.start()
        self.wait_named(WEB, "web-5d4f8-x")
        self.machine.use(group_of(HASH, ETCD))
        self.machine.use(group_of(HASH))
        self.machine.update()
        self.wait_named(HASH, "etcd-node-1")

    def test_owners_that_may_not_be_read_are_told_of_once(self):
        self.fake.instead.append((r"/apis/.*", lambda handler: handler.answer(403, refusal(403, "Forbidden", "no"))))
        self.put_web()
        self.fake.put(pod(SET, "shop", "other", owner_reference=owner("apps/v1", "ReplicaSet", "other-1", "r-2")))
        self.machine.use(group_of(SET))
        self.start()
        wait_for(lambda: self.machine.workload(WEB) == ("ReplicaSet", "web-5d4f8"), "the replica set")
        wait_for(lambda: self.machine.workload(SET) == ("ReplicaSet", "other-1"), "the other replica set")
        self.assertEqual(self.machine.said().count("cannot be read"), 1, self.machine.said())
        self.fake.put_object("apps/v1", "replicasets", "shop", "other-1", "r-2", owner("apps/v1", "Deployment", "other", "d-2"))
        self.fake.end_watches()
        wait_for(lambda: self.fake.count(f"{REPLICASETS}/web-5d4f8") + self.fake.count(f"{REPLICASETS}/other-1") >= 3,
                 "one of them to be asked for again")
        self.fake.instead.clear()  # somebody has allowed it
        self.fake.end_watches()
        wait_for(lambda: self.machine.workload(WEB) == ("Deployment", "web"), "the deployment")
        wait_for(lambda: self.machine.workload(SET) == ("Deployment", "other"), "the other deployment")
        self.assertEqual(self.machine.said().count("cannot be read"), 1, self.machine.said())

    def test_the_longest_list_fits_into_the_memory_that_the_manifest_allows(self):
        """Of the dearest form, as a tree: small objects, which whoever may make pods may have made."""
        self.put_web()
        spec = self.fake.pods[WEB]["spec"]
        spec["ephemeralContainers"] = [{}] * (5 << 20)  # 20 MiB
        self.start()
        wait_for(lambda: "of this length" in self.machine.said(), "the refusal")
        spec["ephemeralContainers"] = [{}] * ((4 << 20) - 10000)
        self.wait_named(WEB, "web-5d4f8-x")
        with open(os.path.join(HERE, "../../data/kubernetes/base/attributor.yaml"), encoding="ascii") as manifest:
            limit = re.search(r"limits:\s+memory: (\d+)Mi\n", manifest.read())
        with open(PROGRAM, "rb") as program, open(f"/proc/{self.machine.process.pid}/status", encoding="ascii") as status:
            most = re.search(r"VmHWM:\s+(\d+) kB", status.read())
            if b"__asan_init" not in program.read():
                self.assertLess(int(most.group(1)) / 1024, int(limit.group(1)) * 0.75)

    def test_an_owner_that_fails_holds_no_other_up(self):
        self.fake.instead.append((r"/apis/.*/web-5d4f8",
                                  lambda handler: handler.answer(500, refusal(500, "InternalError", "no"))))
        self.put_web()
        self.fake.put_object("apps/v1", "replicasets", "shop", "other-1", "r-2", owner("apps/v1", "Deployment", "other", "d-2"))
        self.fake.put(pod(SET, "shop", "other-1-x", owner_reference=owner("apps/v1", "ReplicaSet", "other-1", "r-2")))
        self.machine.use(group_of(SET))
        self.start()
        wait_for(lambda: self.machine.workload(SET) == ("Deployment", "other"), "the other's owner")
        self.assertEqual(self.machine.workload(WEB), ("", ""))

    def test_another_object_of_the_same_name_is_no_owner(self):
        self.put_web()
        self.fake.put_object("apps/v1", "replicasets", "shop", "web-5d4f8", "r-2", DEPLOYMENT)
        self.start()
        wait_for(lambda: self.machine.workload(WEB) == ("ReplicaSet", "web-5d4f8"), "the replica set")


class Watching(Case):
    def start_watching(self):
        self.put_web()
        self.start()
        self.wait_named(WEB, "web-5d4f8-x")
        wait_for(lambda: self.fake.watches() >= 1, "the watch")
        self.machine.use(group_of(SET))

    def put_set(self):
        self.fake.put(pod(SET, "data", "db-0", owner_reference=owner("apps/v1", "StatefulSet", "db", "s-1")))

    def test_an_ordinary_end_goes_on_from_the_last_version(self):
        self.start_watching()
        self.fake.bookmark()
        wait_for(lambda: self.fake.told == self.fake.version, "the bookmark")
        self.fake.end_watches()
        self.fake.forget_history()  # but the bookmark was later
        wait_for(lambda: self.fake.watches() >= 2, "the next watch")
        self.put_set()
        self.wait_named(SET, "db-0")
        self.assertEqual(self.fake.lists(), 1)
        self.assertEqual(self.machine.said(), "")

    def test_a_version_that_is_too_old_means_to_list_again(self):
        self.start_watching()
        self.fake.stop()
        self.put_set()
        self.fake.forget_history()
        self.fake.start()
        self.wait_named(SET, "db-0")
        self.assertEqual(self.fake.lists(), 2)
        self.assertEqual(self.fake.count("/api/v1/pods", resourceVersion="0"), 1)  # the second is not of the cache

    def test_gone_may_be_the_status_of_the_answer(self):
        self.start_watching()
        gone = (r".*watch=true.*", lambda handler: handler.answer(410, refusal(410, "Expired", "too old")))
        self.fake.instead.append(gone)
        self.fake.end_watches()
        wait_for(lambda: self.fake.lists() >= 2, "the list")
        self.fake.instead.clear()
        self.put_set()
        self.wait_named(SET, "db-0")

    def test_a_server_that_restarts_is_found_again(self):
        self.start_watching()
        self.fake.stop()
        wait_for(lambda: "trying again" in self.machine.said(), "a complaint")
        self.put_set()
        self.assertEqual(self.machine.pod(WEB)[0]["pod"], "web-5d4f8-x")
        self.fake.start()
        self.wait_named(SET, "db-0")
        wait_for(lambda: "they come again" in self.machine.said(), "the end of the complaint")
        self.assertEqual(self.fake.lists(), 1)

    def test_a_token_that_rotates_is_read_again(self):
        self.start_watching()
        self.fake.token = "second"
        self.fake.end_watches()  # of which the next one is refused
        wait_for(lambda: "401" in self.machine.said(), "a complaint")
        self.machine.write("token", "second\n")
        self.put_set()
        self.wait_named(SET, "db-0")
        self.assertEqual(self.machine.said().count("401"), 1, self.machine.said())

    def test_streams_that_break_or_say_nonsense_are_begun_anew(self):
        def broken(data):
            def answer(handler):
                handler.begin_stream()
                handler.chunk(data)
                self.fake.instead.clear()
                if data != b"":
                    handler.connection.shutdown(socket.SHUT_RDWR)
            return (r".*watch=true.*", answer)
        self.start_watching()
        for i, data in enumerate((b'{"type":"ADDED","object":{"meta', b"not JSON\n", b'{"type":"NEW","object":{}}\n', b"[]\n",
                                  b"\n\n", b"[" * 100000 + b"\n")):
            self.fake.instead.append(broken(data))
            self.fake.end_watches()
            wait_for(lambda: not self.fake.instead, "the broken watch")
            self.put_web(name=f"web-{i}")
            self.wait_named(WEB, f"web-{i}")

    def test_a_watch_that_fails_is_not_that_its_version_is_too_old(self):
        """A list that is not of the cache is dear to the server, and a server that fails is one that has much to do."""
        self.start_watching()

        def fail(handler):
            handler.begin_stream()
            handler.event("ERROR", refusal(500, "InternalError", "etcd: busy\x1b[2J"))
            handler.chunk(b"")
        self.fake.instead.append((r".*watch=true.*", fail))
        self.fake.end_watches()
        wait_for(lambda: self.fake.lists() >= 3, "two more lists")
        self.fake.instead.clear()
        self.put_set()
        self.wait_named(SET, "db-0")
        self.assertEqual(self.fake.count("/api/v1/pods", resourceVersion="0"), self.fake.lists())
        self.assertIn("etcd: busy?[2J; trying again", self.machine.said())

    def test_a_line_without_end_is_refused(self):
        self.start_watching()

        def endless(handler):
            handler.begin_stream()
            self.fake.instead.clear()
            while True:
                handler.chunk(b"x" * (1 << 20))
        self.fake.instead.append((r".*watch=true.*", endless))
        self.fake.end_watches()
        wait_for(lambda: "of this length" in self.machine.said(), "the refusal")
        self.put_set()
        self.wait_named(SET, "db-0")

    def test_a_stream_that_hangs_holds_nothing_up(self):
        self.start_watching()

        def hang(handler):
            handler.begin_stream()
            handler.chunk(b'{"type":"ADDED","obj')
            handler.rfile.read(1)
        self.fake.instead.append((r".*watch=true.*", hang))
        self.fake.end_watches()
        wait_for(lambda: self.fake.watches() >= 2, "the watch that hangs")
        before = self.machine.series("virtjoule_node_energy_joules_total")[0][1]
        self.machine.update()
        wait_for(lambda: self.machine.series("virtjoule_node_energy_joules_total")[0][1] > before, "an interval")
        self.machine.stop()  # at once, and in order


class Trust(Case):
    def assert_refused(self, *needles):
        wait_for(lambda: all(needle in self.machine.said() for needle in needles), f"{needles}: {self.machine.said()}")
        self.assertEqual(self.fake.requests, [])
        self.assertEqual(self.machine.pod(WEB)[0]["pod"], "")

    def test_a_certificate_of_another_authority_is_refused(self):
        other = Authority(self.directory, "other")
        self.put_web()
        self.start(ca=other.cert)
        self.assert_refused("certificate", "--kubernetes-ca")

    def test_the_systems_authorities_do_not_do_either(self):
        self.put_web()
        self.start(ca="none")
        self.assert_refused("certificate", "--kubernetes-ca")

    def test_a_certificate_of_another_name_is_refused(self):
        self.fake.tls.load_cert_chain(self.authority.issue("elsewhere", "IP:127.0.0.2,DNS:localhost"))
        self.put_web()
        self.start()
        self.assert_refused("certificate")

    def test_an_authority_that_is_replaced_is_read_again(self):
        other = Authority(self.directory, "old")
        shutil.copy(other.cert, self.machine.path("ca.crt"))
        self.put_web()
        self.start(ca=self.machine.path("ca.crt"))
        self.assert_refused("certificate")
        shutil.copy(self.authority.cert, self.machine.path("ca.crt"))
        self.wait_named(WEB, "web-5d4f8-x")

    def test_an_authority_may_be_named_from_here(self):
        self.put_web()
        self.start(ca=os.path.relpath(self.authority.cert))
        self.wait_named(WEB, "web-5d4f8-x")

    def test_the_token_follows_no_redirect(self):
        elsewhere = FakeKubernetes(self.certificate)
        self.addCleanup(elsewhere.stop)
        self.fake.instead.append((r".*", lambda handler: handler.answer(
            302, {}, [("Location", elsewhere.url + handler.path)])))
        self.start()
        wait_for(lambda: "HTTP status 302" in self.machine.said(), "a complaint")
        self.assertEqual(elsewhere.requests, [])

    def test_without_tls_there_is_no_token(self):
        plain = FakeKubernetes(None, token=None)
        self.addCleanup(plain.stop)
        plain.put(pod(WEB, "shop", "web", owner_reference=owner("apps/v1", "StatefulSet", "web", "s-1")))
        self.machine.start("--kubernetes", "api", "--kubernetes-url", plain.url.replace("http:", "HTTP:"),
                           "--kubernetes-token", self.machine.path("token"), "--node-name", NODE)
        self.wait_named(WEB, "web")
        self.assertEqual({authorization for _, _, authorization in plain.requests}, {None})

    def test_what_is_not_allowed_is_said(self):
        self.fake.instead.append((r".*", lambda handler: handler.answer(403, refusal(403, "Forbidden", "no"))))
        self.start()
        wait_for(lambda: '"list" and "watch" of pods' in self.machine.said(), "a complaint")
        self.fake.instead.clear()
        self.put_web()
        self.wait_named(WEB, "web-5d4f8-x")

    def write_kubeconfig(self, **cluster):
        config = {"kind": "Config", "apiVersion": "v1", "current-context": "here",
                  "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                  "clusters": [{"name": "c", "cluster": {"server": self.fake.url, **cluster}}],
                  "users": [{"name": "u", "user": {"token": "first"}}]}
        self.machine.write("kubeconfig", json.dumps(config))
        return ("--kubernetes", "api", "--kubernetes-config", self.machine.path("kubeconfig"), "--node-name", NODE)

    def authority_data(self):
        with open(self.authority.cert, "rb") as cert:
            return base64.b64encode(cert.read()).decode()

    def test_a_kubeconfig_says_it_all(self):
        options = self.write_kubeconfig(**{"certificate-authority-data": self.authority_data()})
        self.put_web()
        self.machine.start(*options, environment=TLS)
        self.wait_named(WEB, "web-5d4f8-x")

    def test_a_kubeconfig_names_files_from_where_it_is(self):
        shutil.copy(self.authority.cert, self.machine.path("ca.crt"))
        options = [os.path.relpath(word) if word == self.machine.path("kubeconfig") else word
                   for word in self.write_kubeconfig(**{"certificate-authority": "ca.crt"})]
        self.put_web()
        self.machine.start(*options, environment=TLS)
        self.wait_named(WEB, "web-5d4f8-x")

    def test_a_kubeconfig_with_data_that_is_none_is_refused(self):
        for data in ("!!!", base64.b64encode(b"no certificate").decode()):
            options = self.write_kubeconfig(**{"certificate-authority-data": data})
            done = subprocess.run([PROGRAM, *options], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
            self.assertEqual((done.returncode, done.stderr), (2, (
                f"virtjoule-attributor: {self.machine.path('kubeconfig')}: holds data that is no certificate or key (PEM, in "
                "base64); make it anew: kubectl config view --raw --minify --flatten -o json\n")))

    def test_a_kubeconfig_that_cannot_be_kept_is_an_error(self):
        """A file may not grow here, in memory neither."""
        options = self.write_kubeconfig(**{"certificate-authority-data": self.authority_data()})
        done = subprocess.run(["sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$0" "$@"', PROGRAM, *options],
                              capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("kubeconfig: cannot keep", done.stderr)

    def test_a_pod_finds_its_api_server(self):
        self.put_web()
        self.machine.start("--kubernetes", "api", "--kubernetes-ca", self.authority.cert, "--kubernetes-token",
                           self.machine.path("token"),
                           environment={**TLS, "NODE_NAME": NODE, "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                                        "KUBERNETES_SERVICE_PORT": str(self.fake.port)})
        self.wait_named(WEB, "web-5d4f8-x")


class Kubelet(Case):
    def test_a_kubelet_is_asked_and_asked_again_when_something_appears(self):
        self.put_web()
        self.start(mode="kubelet")
        wait_for(lambda: self.machine.workload(WEB) == ("ReplicaSet", "web-5d4f8"), "the pod")
        self.assertEqual(self.machine.container(APP)["container"], "app")
        wait_for(lambda: self.fake.count("/pods") >= 4, "its rest, after what was there at first")
        self.fake.put(pod(SET, "data", "db-0", [("db", SIDE)], owner("apps/v1", "StatefulSet", "db", "s-1")))
        self.machine.use(group_of(SET))
        self.machine.update()
        self.wait_named(SET, "db-0")
        self.assertEqual({path for path, _, _ in self.fake.requests}, {"/pods"})


class CommandLine(unittest.TestCase):
    def refused(self, *args):
        environment = {name: value for name, value in os.environ.items()
                       if name != "NODE_NAME" and not name.startswith("KUBERNETES_")}
        done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, check=False, env=environment,
                              timeout=DEADLINE_S)
        self.assertEqual(done.returncode, 2, done)
        return done.stderr

    def test_says_what_is_missing(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as yaml:
            yaml.write("apiVersion: v1\nkind: Config\n")
            yaml.flush()
            for args, needle in (
                    (["--kubernetes", "api"], "--node-name"),
                    (["--kubernetes", "api", "--node-name", "n"], "--kubernetes-url"),
                    (["--kubernetes", "kubelet"], "--kubernetes-url"),
                    (["--kubernetes", "cluster"], "api, kubelet or none"),
                    (["--kubernetes", "api", "--node-name", "n", "--kubernetes-url", "http://10.0.0.1:8080"], "https"),
                    (["--kubernetes", "api", "--node-name", "n", "--kubernetes-url", "https://u:p@h"], "https://HOST"),
                    (["--kubernetes", "api", "--node-name", "a&b", "--kubernetes-url", "https://h"], "no name of a node"),
                    (["--kubernetes", "api", "--node-name", "n", "--labels", "a b"], "label"),
                    (["--labels", "app"], "--labels: goes with --kubernetes"),
                    (["--kubernetes-config", yaml.name], "--kubernetes-config: goes with --kubernetes"),
                    (["--kubernetes-url", "https://h", "--kubernetes", "none"], "--kubernetes-url: goes with --kubernetes"),
                    (["--kubernetes", "api", "--node-name", "n", "--kubernetes-config", yaml.name], "kubectl config view"),
            ):
                self.assertIn(needle, self.refused(*args), args)


class Runtimes(unittest.TestCase):
    def test_containers_have_the_names_that_their_runtime_wrote(self):
        machine = Machine()
        self.addCleanup(machine.close)
        state = "host/run/containerd/io.containerd.runtime.v2.task/k8s.io"
        prefix = "io.kubernetes.cri."
        pod_of = {prefix + "sandbox-name": "web-0", prefix + "sandbox-namespace": "shop", prefix + "sandbox-uid": WEB}
        machine.use(group_of(WEB))
        for container, annotations in (
                (APP, {prefix + "container-type": "container", prefix + "container-name": "app", **pod_of}),
                (SIDE, {prefix + "container-type": "sandbox", **pod_of})):
            machine.use(group_of(WEB, container))
            machine.write(f"{state}/{container}/config.json", json.dumps({"ociVersion": "1.1.0", "annotations": annotations}))
        machine.start()
        wait_for(lambda: machine.container(APP).get("container") == "app", "the container's name")
        wait_for(lambda: machine.container(SIDE).get("container") == "POD", "the sandbox's name")
        self.assertEqual((machine.pod(WEB)[0]["namespace"], machine.pod(WEB)[0]["pod"]), ("shop", "web-0"))
        machine.use("system.slice/docker-" + INIT + ".scope")
        machine.write(f"host/var/lib/docker/containers/{INIT}/config.v2.json", json.dumps({"Name": "/db"}))
        machine.update()
        wait_for(lambda: machine.container(INIT).get("container") == "db", "docker's name")
        self.assertEqual(machine.said(), "")


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: openssl is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
