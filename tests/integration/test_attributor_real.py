#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule-attributor on control groups and processes of this machine, with a tree of files: what only a kernel can do."""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attributor_node import Node, wait_for  # noqa: E402

PROGRAM = os.path.join(os.environ["VJ_BIN"], "virtjoule-attributor")
HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
LONG_NS = 200 * 10**6
SPINNERS = """
import threading, time
def spin():
    while True:
        for _ in range(1000):
            pass
        time.sleep(0.005)
thread = threading.Thread(target=spin, daemon=True)
thread.start()
print(thread.native_id, flush=True)
spin()
"""


def put(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class RealCase(unittest.TestCase):
    def setUp(self):
        found = [path for path in HIERARCHIES if os.path.exists(path + "/cgroup.controllers")]
        if not found:
            self.skipTest("no cgroup v2 hierarchy here")
        self.hierarchy = found[0]
        self.name = f"vj-real-{os.getpid()}.service"
        self.group = os.path.join(self.hierarchy, self.name)
        try:
            os.mkdir(self.group)
        except OSError as error:
            self.skipTest(f"no control group can be made here: {error}")
        self.addCleanup(self.remove_group)
        self.node = Node()
        os.chmod(self.node.root, 0o755)
        self.addCleanup(self.node.close)
        self.spinner = subprocess.Popen([sys.executable, "-c", SPINNERS], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_spinner)
        self.thread = int(self.spinner.stdout.readline())
        put(self.group + "/cgroup.procs", str(self.spinner.pid))

    def end_spinner(self):
        self.spinner.kill()
        self.spinner.wait()
        self.spinner.stdout.close()

    def remove_group(self):
        for directory in (self.group + "/threads", self.group):
            wait_for(lambda path=directory: not os.path.exists(path) or not self.keeps(path), "the group's end")

    @staticmethod
    def keeps(path):
        try:
            os.rmdir(path)
        except OSError:
            return True
        return False

    def start(self, *prefix, procfs="/proc"):
        class Prefixed(Node):  # the same node, run by another command
            def command(node, program, *more):
                return [*prefix, *Node.command(node, program, *more), f"--cgroupfs={self.hierarchy}",
                        f"--procfs={procfs}", "--levels=unit,process"]
        self.node.__class__ = Prefixed
        self.node.update()
        self.node.start(PROGRAM)

    def groups(self):
        return {group["cgroup"]: group for group in self.node.document()["groups"]}

    def used(self, *inner):
        """Updates until the group, and groups in it, have been given something; and so long that it does not matter that one is
        read a little sooner than another. Returns the group."""
        def attribute():
            self.node.attribute(10000000)
            groups = self.groups()
            group = groups["/" + self.name]
            enough = group["cpu_ns"] > LONG_NS and all(groups[f"/{self.name}/{name}"]["cpu_ns"] > 0 for name in inner)
            return group if enough and group["energy_uj"]["package-0"] > 0 else None
        return wait_for(attribute, "the group to use a CPU")

    def test_threads_of_a_threaded_group_are_their_processs(self):
        inner = self.group + "/threads"
        os.mkdir(inner)
        put(inner + "/cgroup.type", "threaded")
        put(inner + "/cgroup.threads", str(self.thread))
        self.start()
        group = self.used("threads")
        self.assertEqual(self.groups()[f"/{self.name}/threads"]["energy_uj"]["package-0"], 0)
        process = [one for one in group["processes"] if one["pid"] == self.spinner.pid]
        self.assertEqual(len(process), 1)
        self.assertEqual(group["own_uj"], group["energy_uj"])
        self.assertEqual(group["own_uj"]["package-0"],
                         group["exited_uj"]["package-0"] + process[0]["energy_uj"]["package-0"])
        # Its process's clock has all of it, so that hardly anything is left for the group.
        self.assertGreater(process[0]["energy_uj"]["package-0"], group["own_uj"]["package-0"] // 2)

    def test_hidden_processes_leave_their_groups_what_they_used(self):
        if os.geteuid() != 0:
            self.skipTest("only root can mount")
        hidden = os.path.join(self.node.root, "hidden")
        os.mkdir(hidden)
        mount = f"mount -t proc -o hidepid=2 proc '{hidden}'"
        if subprocess.run(["unshare", "-m", "sh", "-c", mount], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("no /proc can be mounted here")
        as_nobody = 'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
        self.start("unshare", "-m", "sh", "-c", f"{mount} && {as_nobody}", "sh", procfs=hidden)
        group = self.used()
        self.assertEqual(group["processes"], [])
        self.assertEqual(group["exited_uj"], group["own_uj"])


if __name__ == "__main__":
    unittest.main()
