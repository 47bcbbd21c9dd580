# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests under a real libvirt, for tests and for the demo. Whatever is started here is stopped here, and nothing else."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("VJ_BUILD", os.path.join(TOP, "build"))
SKIP = 77
# For events that come in milliseconds to seconds: a machine that is slow, or has much else to do, takes its time. Only what
# fails waits so long.
DEADLINE_S = 240
# Of a whole file, a little less than CTest's patience (CMakeLists.txt), so that what was started is stopped in order.
LIMIT_S = 1780


class Timeout(Exception):
    """Something that should have happened did not."""


def wait_until(condition, what, seconds=DEADLINE_S, interval=0.1):
    """Returns the first true value of condition (); raises Timeout after a deadline that is generous on purpose."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {seconds} s")
        time.sleep(interval)


@contextlib.contextmanager
def work_directory():
    """A directory that QEMU, which is not root, can look into."""
    path = tempfile.mkdtemp(prefix="vjtest-")
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def image(kind, work):
    """Builds the image if need be, and copies it into work: libvirt changes the owner of what it boots."""
    made = subprocess.run([os.path.join(TOP, "tests/e2e/build-image"), kind, BUILD], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
    target = os.path.join(work, kind)
    shutil.copytree(made, target)
    return target


def missing():
    """What this machine lacks for a real guest, or None."""
    if os.geteuid() != 0:
        return "real guests need root: libvirt's qemu:///system"
    for program in ("virsh", "libvirtd", "virtlogd", "qemu-system-x86_64", "cpio", "busybox"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"{program} is not installed: sudo ./setup deps"
    return None


def interrupt_on(*signals):
    """Turns signals into exceptions, so that context managers clean up."""
    def leave(number, _frame):
        raise KeyboardInterrupt(signal.Signals(number).name)
    for number in signals:
        signal.signal(number, leave)


def main():
    """Runs the calling module's tests. A skip of one is a skip of all: none goes unseen."""
    reason = missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIP)
    interrupt_on(signal.SIGTERM, signal.SIGALRM, signal.SIGHUP)
    signal.alarm(LIMIT_S)
    result = unittest.main(module="__main__", exit=False, verbosity=2, failfast=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIP if result.skipped else 0)
