# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulated machine of tests/support: a sysfs root whose counters follow real CPU time."""
import os
import subprocess

from . import BUILD, DEADLINE_S, SKIP


def available():
    return os.path.exists("/dev/fuse") and os.path.exists(os.path.join(BUILD, "tests/simpowercap"))

# Hardware answers at once: whoever stands for it runs before all others. (Without the privilege it runs all the same.)
AT_ONCE = ("nice", "-n", "-20")


class Simulator:
    """with Simulator (work, "--machine", "--watts-per-cpu", "10") as simulator: Agent (..., sysfs=simulator.root)"""

    def __init__(self, work, *options):
        self.root = os.path.join(work, "sys")
        self.options = options
        self.process = None

    def __enter__(self):
        if not available():
            print("skipped: the simulator needs /dev/fuse and libfuse3")
            raise SystemExit(SKIP)
        os.makedirs(self.root, exist_ok=True)
        self.process = subprocess.Popen([*AT_ONCE, os.path.join(BUILD, "tests/simpowercap"), *self.options, self.root],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            self.__exit__()
            raise RuntimeError("the simulator does not start")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()

    def control(self, command):
        with open(os.path.join(self.root, "control"), "w", encoding="ascii") as out:
            out.write(command)

    def truth(self):
        """{("zone", "package-0"): µJ, ("machine",): ns, ...} of one instant."""
        with open(os.path.join(self.root, "truth"), encoding="ascii") as text:
            return {tuple(line.split()[:-1]): int(line.split()[-1]) for line in text}
