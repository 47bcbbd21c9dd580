#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the attributor's component installs, the sandbox of its unit, and the Kubernetes manifests against what the program
has and needs. No cluster is asked. The few operations of kustomize that the overlays use are done here, and compared with
kubectl's where there is one."""
import argparse
import copy
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest

try:
    import yaml
except ImportError:
    yaml = None

TOP = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = TOP / "data/kubernetes"
DAEMONSET = "DaemonSet/virtjoule-attributor"
UNIT = "usr/lib/systemd/system/virtjoule-attributor.service"
OPTIONS = None


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, **options)


class Staged(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        result = run("cmake", "--install", OPTIONS.build, "--component", "attributor", "--prefix", "/usr",
                     env=dict(os.environ, DESTDIR=str(self.root)))
        self.assertEqual(result.returncode, 0, result.stderr)


class Install(Staged):
    def test_places(self):
        installed = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        self.assertLessEqual({"usr/sbin/virtjoule-attributor", UNIT}, installed)
        self.assertEqual({path for path in installed if "reader" in path or "virtjouled" in path}, set())


class Unit(Staged):
    def unit(self):
        """The installed unit, with the program where it was staged."""
        text, named = re.subn("^ExecStart=virtjoule-attributor$", f"ExecStart={self.root}/usr/sbin/virtjoule-attributor",
                              (self.root / UNIT).read_text(), flags=re.M)
        self.assertEqual(named, 1)
        checked = self.root / "virtjoule-attributor.service"
        checked.write_text(text)
        return str(checked)

    def test_verify(self):
        result = run("systemd-analyze", "verify", "--man=no", self.unit())
        complaints = [line for line in (result.stdout + result.stderr).splitlines() if "attributor" in line]
        self.assertEqual((result.returncode, complaints), (0, []))

    def test_exposure(self):
        """Hardening may grow, not shrink: the exposure level (0 is best, 100 worst) that systemd computes."""
        result = run("systemd-analyze", "security", "--offline=yes", "--threshold=15", self.unit())
        self.assertEqual(result.returncode, 0, result.stdout[-300:])


class Overlay:
    """What kubectl kustomize DIRECTORY would print: {"Kind/name": document}, with components."""

    def __init__(self, directory, *components):
        self.parts = (directory, components)
        self.documents = {}
        self.take(KUBERNETES / directory)
        for component in components:
            self.take(KUBERNETES / component)
        self.daemonset = self.documents[DAEMONSET]
        self.pod = self.daemonset["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        self.args = self.container["args"]

    def take(self, path):
        if path.is_dir():
            kustomization, = load(path / "kustomization.yaml")
            for resource in kustomization.pop("resources", []):
                self.take(path / resource)
            for patch in kustomization.pop("patches", []):
                target = self.documents[f"{patch['target']['kind']}/{patch['target']['name']}"]
                for operation in load(path / patch["path"])[0]:
                    self.apply(target, **operation)
            assert set(kustomization) == {"apiVersion", "kind"}, kustomization
            return
        for document in load(path):
            name = f"{document['kind']}/{document['metadata']['name']}"
            assert name not in self.documents, name
            self.documents[name] = document

    def apply(self, target, op, path, value):
        """RFC 6902, "add" and "replace" alone: what is replaced must be there, what is added must not."""
        *steps, last = path.split("/")[1:]
        for step in steps:
            target = target[int(step) if isinstance(target, list) else step]
        if isinstance(target, list) and last == "-":
            assert op == "add", path
            target.append(copy.deepcopy(value))
            return
        key = int(last) if isinstance(target, list) else last
        present = key < len(target) if isinstance(target, list) else key in target
        assert present == (op == "replace"), f"{op} {path}"
        target[key] = copy.deepcopy(value)

    def option(self, name):
        values = [arg.split("=", 1)[1] for arg in self.args if arg.startswith(f"--{name}=")]
        return values[0] if len(values) == 1 else None

    def mounts(self):
        """{path in the container: path on the node}"""
        volumes = {volume["name"]: volume["hostPath"]["path"] for volume in self.pod["volumes"]}
        return {mount["mountPath"]: volumes.pop(mount["name"]) for mount in self.container["volumeMounts"]}


def load(path):
    with open(path, encoding="utf-8") as text:
        return list(yaml.safe_load_all(text))


def load_kind(directory):
    return load(KUBERNETES / directory / "kustomization.yaml")[0]["kind"]


DIRECTORIES = sorted(path.name for path in KUBERNETES.iterdir() if path.is_dir())


def for_each_overlay(test):
    """With each of the components, and with all."""
    def wrapper(self):
        components = [directory for directory in DIRECTORIES if load_kind(directory) == "Component"]
        for base in (directory for directory in DIRECTORIES if load_kind(directory) == "Kustomization"):
            for more in ((), *((component,) for component in components), components):
                with self.subTest("+".join((base, *more))):
                    test(self, Overlay(base, *more))
    return wrapper


def kustomize(directory, components):
    """The same, by kubectl."""
    with tempfile.TemporaryDirectory() as scratch:
        there = os.path.relpath(KUBERNETES, os.path.realpath(scratch))
        text = {"resources": [f"{there}/{directory}"], "components": [f"{there}/{component}" for component in components]}
        pathlib.Path(scratch, "kustomization.yaml").write_text(yaml.safe_dump(text))
        result = run("kubectl", "kustomize", scratch)
        assert result.returncode == 0, result.stderr
        documents = yaml.safe_load_all(result.stdout)
        return {f"{document['kind']}/{document['metadata']['name']}": document for document in documents}


class Kubernetes(unittest.TestCase):
    @for_each_overlay
    def test_kubectl_agrees(self, overlay):
        if not shutil.which("kubectl") or "Kustomize" not in run("kubectl", "version", "--client").stdout:
            self.skipTest("no kubectl of 1.24 or later")
        self.assertEqual(kustomize(*overlay.parts), overlay.documents)

    @for_each_overlay
    def test_all_options_exist(self, overlay):
        options = set(re.findall("--[a-z-]+", run(OPTIONS.attributor, "--help-all").stdout))
        given = [arg.split("=")[0] for arg in overlay.args]
        self.assertLessEqual(set(given), options)
        self.assertEqual(len(given), len(set(given)))

    @for_each_overlay
    def test_the_program_takes_them(self, overlay):
        """It fails for want of control groups, which is after the command line."""
        args = [arg for arg in overlay.args if not arg.startswith(("--listen=", "--cgroupfs="))]
        environment = {"NODE_NAME": "n1", "KUBERNETES_SERVICE_HOST": "192.0.2.1"}
        result = run(OPTIONS.attributor, *args, "--listen=none", "--cgroupfs=/nonexistent",
                     env=environment if "NODE_NAME" in str(overlay.container.get("env")) else {})
        self.assertEqual(result.returncode, 1, result.stderr)  # 2: usage

    @for_each_overlay
    def test_least_privilege(self, overlay):
        metal, processes = overlay.option("sysfs") == "/host/sys", "process" in (overlay.option("levels") or "")
        self.assertEqual(overlay.container["securityContext"], {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
        self.assertEqual(overlay.pod["securityContext"]["runAsNonRoot"], not metal)
        self.assertEqual(overlay.pod["securityContext"]["runAsUser"] == 0, metal)
        self.assertIn(overlay.pod["securityContext"]["runAsUser"], (0, 39178))
        self.assertEqual(overlay.pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertEqual(overlay.pod.get("hostPID", False), processes)
        self.assertFalse({"hostNetwork", "hostIPC"} & set(overlay.pod))
        self.assertTrue(all(mount["readOnly"] for mount in overlay.container["volumeMounts"]))

    @for_each_overlay
    def test_mounts_are_what_it_opens(self, overlay):
        """No more than that: by a default of the program or by an option."""
        mounts = overlay.mounts()
        self.assertEqual(len(mounts), len(overlay.pod["volumes"]))
        cgroup, sysfs = overlay.option("cgroupfs"), overlay.option("sysfs")
        energy = {"/run/virtjoule": "/run/virtjoule"}
        if sysfs == "/host/sys":  # links, and where they lead to; no mounts are below these
            energy = {"/host" + path: path for path in ("/sys/class/powercap", "/sys/devices/virtual")}
        self.assertEqual(mounts, {cgroup: "/sys/fs/cgroup", "/var/log/containers": "/var/log/containers", **energy})
        self.assertTrue(next(iter(energy)).startswith(sysfs) or f"{sysfs}/".startswith(next(iter(energy)) + "/"))
        propagated = {mount["name"]: mount["mountPropagation"] for mount in overlay.container["volumeMounts"]
                      if "mountPropagation" in mount}
        self.assertEqual(propagated, {"energy": "HostToContainer"} if "fuse" in overlay.parts[1] else {})
        self.assertIsNone(overlay.option("log-dir"))
        self.assertIn("(/var/log)", run(OPTIONS.attributor, "--help").stdout)

    @for_each_overlay
    def test_api_access_is_what_the_code_asks_for(self, overlay):
        """The requests as the code writes them, against RBAC; and none at all without --kubernetes."""
        role = overlay.documents.get("ClusterRole/virtjoule-attributor")
        self.assertEqual(role is not None, overlay.option("kubernetes") == "api")
        self.assertEqual(overlay.pod["automountServiceAccountToken"], role is not None)
        self.assertFalse(overlay.documents["ServiceAccount/virtjoule-attributor"]["automountServiceAccountToken"])
        if role is None:
            self.assertFalse([name for name in overlay.documents if "Role" in name])
            return
        granted = {(group, resource): set(rule["verbs"]) for rule in role["rules"]
                   for group in rule["apiGroups"] for resource in rule["resources"]}
        source = "".join(path.read_text() for path in (TOP / "src/guest/names").glob("kubernetes*.c"))
        needed = {("", "pods"): {"list"} if "/api/v1/pods?" in source else set()}
        if "watch=true" in source:
            needed["", "pods"].add("watch")
        for group, resource in re.findall(r'"(apps|batch)/v1", "\w+", "(\w+)"', source):
            needed[group, resource] = {"get"}
        self.assertEqual(len(needed), 3, needed)
        self.assertEqual(granted, needed)
        binding = overlay.documents["ClusterRoleBinding/virtjoule-attributor"]
        self.assertEqual(binding["roleRef"]["name"], role["metadata"]["name"])
        account = {"kind": "ServiceAccount", "name": overlay.pod["serviceAccountName"], "namespace": "virtjoule"}
        self.assertEqual(binding["subjects"], [account])

    @for_each_overlay
    def test_scraped_where_it_listens(self, overlay):
        host, port = overlay.option("listen").split(":")
        self.assertEqual(host, "0.0.0.0")
        ports = {entry["name"]: entry["containerPort"] for entry in overlay.container["ports"]}
        template = overlay.daemonset["spec"]["template"]["metadata"]
        service = overlay.documents["Service/virtjoule-attributor"]["spec"]
        self.assertEqual(ports, {"metrics": int(port)})
        self.assertEqual(template["annotations"]["prometheus.io/port"], port)
        self.assertEqual(overlay.container["livenessProbe"]["httpGet"], {"path": "/metrics", "port": "metrics"})
        self.assertEqual(service["ports"][0]["targetPort"], "metrics")
        self.assertEqual(service["selector"], template["labels"])
        self.assertEqual(overlay.daemonset["spec"]["selector"]["matchLabels"], template["labels"])


class Image(unittest.TestCase):
    def setUp(self):
        self.stages = (KUBERNETES / "Containerfile").read_text().replace("\\\n", " ").split("\nFROM ")[1:]

    def packages(self, stage):
        return set(re.search(r"--no-install-recommends\s+([^&\n]*)", stage).group(1).split())

    def test_build(self):
        setup = (TOP / "setup").read_text()
        known = set(re.search(r"build_packages=\(([^)]*)\)", setup).group(1).split())
        self.assertLessEqual(self.packages(self.stages[0]), known)
        cmake = (TOP / "CMakeLists.txt").read_text()
        options = set(re.findall(r"-D(\w+)=", self.stages[0])) - {"CMAKE_BUILD_TYPE", "BUILD_TESTING"}
        self.assertLessEqual(options, set(re.findall(r"option \((\w+)", cmake)))

    def test_run(self):
        """Every library that the program is linked with, but for a sanitizer's, comes with a package that is installed."""
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", OPTIONS.attributor).stdout)
        self.assertTrue(needed)
        packages = set()
        for library in needed:
            if re.match("lib[a-z]*san[.]", library):
                continue
            if "ncurses" in library or "tinfo" in library:
                self.assertIn("-DVJ_TOP=OFF", self.stages[0])
                continue
            owner = run("dpkg-query", "--search", f"*/{sysconfig.get_config_var('MULTIARCH')}/{library}").stdout.split(":")[0]
            packages.add(owner)
        self.assertLessEqual(packages, self.packages(self.stages[1]))
        self.assertIn("USER 39178:39178", self.stages[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--attributor", required=True)
    parser.add_argument("--build", required=True, help="build directory")
    parser.add_argument("suite")
    OPTIONS = parser.parse_args()
    missing = {"Unit": not shutil.which("systemd-analyze") and "systemd-analyze", "Kubernetes": yaml is None and "python3-yaml",
               "Image": not shutil.which("dpkg-query") and "dpkg-query"}
    if missing.get(OPTIONS.suite):
        print(f"SKIP: {missing[OPTIONS.suite]} is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], OPTIONS.suite])
