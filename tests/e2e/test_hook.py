#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real libvirtd runs hooks/qemu with the agent absent, up, hung and killed: every start, stop and reconnect succeeds. And
what a real QEMU used up to its end is billed, whether its cgroup is still there then or not."""
import atexit
import contextlib
import os
import re
import select
import shutil
import signal
import sys
import threading
import time
import unittest
import uuid

import vjtest
from vjtest.agent import Agent
from vjtest.libvirt import Libvirtd, virsh
from vjtest.simulator import Simulator

HOOK = os.path.join(vjtest.TOP, "hooks/qemu")
HOOKS = "/etc/libvirt/hooks/qemu.d"
INSTALLED = os.path.join(HOOKS, "virtjoule-test")
RUNTIME = "/run/virtjoule"
NOTES = os.path.join(RUNTIME, "notes")
RUNDIR = "/run/libvirt/qemu"
# Does nothing but use its vCPU: a boot sector that jumps to itself.
BOOT_SECTOR = b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa"
DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><description>{description}</description>
<memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os>
<devices><disk type='file' device='floppy'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='fda'/>
<readonly/></disk><memballoon model='none'/></devices></domain>"""
# What the end of QEMU may use after its exit record.
SLACK_NS = 200_000_000
QEMU_CPUS = 2  # its vCPU and its main loop
# Of the start. What is missing is at most what QEMU used before libvirt answered, where an interval ended in that time: without
# its pid file being watched, that would be nearly all.
START_BILLED = 0.5


class Domain:
    """Uses one CPU as soon as its firmware is through."""

    def __init__(self, work, name, *options, description=""):
        self.options = options
        self.name = f"vjtest-{os.getpid()}-{name}"
        self.uuid = str(uuid.uuid4())
        disk = os.path.join(work, f"{name}.img")
        with open(disk, "wb") as out:
            out.write(BOOT_SECTOR.ljust(1474560, b"\0"))
        self.file = os.path.join(work, f"{name}.xml")
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(DOMAIN.format(name=self.name, uuid=self.uuid, disk=disk, description=description))

    def __enter__(self):
        virsh("create", self.file, *self.options)
        return self

    def __exit__(self, *_):
        virsh("destroy", self.name, check=False)

    def pid(self):
        with open(os.path.join(RUNDIR, f"{self.name}.pid"), encoding="ascii") as text:
            return int(text.read())

    def cgroup(self):
        with open(f"/proc/{self.pid()}/cgroup", encoding="ascii") as text:
            path = next(line[3:] for line in text.read().splitlines() if line.startswith("0::"))
        path = re.sub(r"(/libvirt)?(/emulator|/vcpu\d+)?$", "", path)
        return next(root + path for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.isdir(root + path))

    def note(self, operation):
        return os.path.join(NOTES, f"libvirt.{operation}")


def usage_ns(stat):
    """Of an open cpu.stat; None once its cgroup has gone."""
    try:
        return int(os.pread(stat, 4096, 0).split(b"usage_usec ")[1].split()[0]) * 1000
    except OSError:
        return None


def remove_cgroups(top):
    for path, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)


def endings(agent):
    """{"exact": n, "completed": n, "unknown": n} so far."""
    return {line.split('"')[1]: int(line.split()[-1]) for line in agent.get("/metrics").splitlines()
            if line.startswith("virtjoule_domain_endings_total{")}


class HookTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.path.lexists(RUNTIME) or os.path.lexists(INSTALLED):
            raise unittest.SkipTest(f"an agent has {RUNTIME}, or a hook is installed")
        cls.work = cls.enterClassContext(vjtest.work_directory())
        # What is outside of work must go even if this ends early.
        if not os.path.isdir(HOOKS):
            os.makedirs(HOOKS)
            atexit.register(os.rmdir, HOOKS)
        shutil.copy(HOOK, INSTALLED)
        atexit.register(os.unlink, INSTALLED)
        cls.daemon = cls.enterClassContext(Libvirtd())
        if "libvirtd" not in cls.daemon.started:
            if not cls.daemon.can_restart():
                raise unittest.SkipTest("libvirtd is somebody else's, and looks for hooks only when it starts")
            cls.daemon.restart()
        # The hook knows one place; the agent of this test has another.
        os.makedirs(os.path.join(cls.work, "run"))
        os.symlink(os.path.join(cls.work, "run"), RUNTIME)
        atexit.register(os.unlink, RUNTIME)
        cls.simulator = cls.enterClassContext(Simulator(cls.work, "--machine", "--watts-per-cpu", "20"))

    def tearDown(self):
        shutil.rmtree(os.path.join(self.work, "run"))
        shutil.rmtree(os.path.join(self.work, "state"), ignore_errors=True)
        os.makedirs(os.path.join(self.work, "run"))

    def agent(self, config="[agent]\ncounter-lifetime = forever\n", interval="500ms"):
        return Agent(self.work, "--interval", interval, sysfs=self.simulator.root, config=config)

    def test_agent_absent(self):
        with Domain(self.work, "absent") as domain:
            self.assertFalse(os.path.exists(NOTES))
            virsh("destroy", domain.name)

    def test_agent_down(self):
        """Notes lie there; and the XML is longer than any pipe holds, and is not read."""
        os.mkdir(NOTES, 0o700)
        with Domain(self.work, "down", description="long " * 100000) as domain:
            self.assertEqual(os.listdir(NOTES), [os.path.basename(domain.note("started"))])
            self.assertEqual(os.path.getsize(domain.note("started")), 0)
            virsh("destroy", domain.name)
            for operation in ("stopped", "release"):
                self.assertTrue(os.path.exists(domain.note(operation)), operation)

    def test_notes_cannot_be_left(self):
        os.mkdir(NOTES, 0o700)
        domain = Domain(self.work, "odd")
        os.mkfifo(domain.note("started"))
        os.symlink("/nowhere/at/all", domain.note("stopped"))
        with domain:
            virsh("destroy", domain.name)

    def test_agent_hung(self):
        with self.agent() as agent, Domain(self.work, "before") as before:
            vjtest.wait_until(lambda: before.uuid in agent.list(), "the agent knows the domain")
            agent.process.send_signal(signal.SIGSTOP)
            try:
                with Domain(self.work, "hung") as domain:
                    virsh("destroy", before.name)
                    self.assertTrue(os.path.exists(domain.note("started")))
                    self.assertTrue(os.path.exists(before.note("stopped")))
                    agent.process.send_signal(signal.SIGCONT)
                    vjtest.wait_until(lambda: domain.uuid in agent.list(), "the agent sees the start")
                    vjtest.wait_until(lambda: before.uuid not in agent.list(), "the agent sees the end")
                    vjtest.wait_until(lambda: not os.listdir(NOTES), "the notes are taken")
                    self.assertGreaterEqual(agent.status()["hook_notes"], 3)
            finally:
                agent.process.send_signal(signal.SIGCONT)

    def test_libvirtd_reconnects(self):
        """A hook that failed on reconnect would kill the domain."""
        if "libvirtd" not in self.daemon.started:
            self.skipTest("libvirtd is somebody else's")
        os.mkdir(NOTES, 0o700)
        with Domain(self.work, "stays") as domain:
            pid = domain.pid()
            self.daemon.restart()
            vjtest.wait_until(lambda: os.path.exists(domain.note("reconnect")), "the hook is run on reconnect")
            self.assertIn(domain.name, virsh("list", "--name"))
            self.assertEqual(domain.pid(), pid)

    def wait_billed(self, agent, domain):
        """CPU time that the book of lifetimes has for the domain, once its last sample has been settled: by the tick that
        follows its end."""
        vjtest.wait_until(lambda: domain.uuid not in agent.list(), "the agent sees the end")
        agent.wait_ticks(2)
        with open(os.path.join(self.work, "state/lifetimes"), encoding="ascii") as book:
            return next(int(line.split()[3]) for line in book if line.startswith(f"domain {domain.uuid} "))

    def follow_to_the_end(self, agent, domain, remove_cgroup):
        """Destroys the domain. Returns between which bounds its cgroup was when QEMU had exited, and what the agent billed. The
        upper one is what could be used since the last reading, where libvirt had removed it by then."""
        pid = domain.pid()
        cgroup = domain.cgroup()
        stat = os.open(os.path.join(cgroup, "cpu.stat"), os.O_RDONLY)
        pidfd = os.pidfd_open(pid)
        self.addCleanup(os.close, stat)
        self.addCleanup(os.close, pidfd)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        destroy = threading.Thread(target=virsh, args=("destroy", domain.name), kwargs={"check": False})
        last = usage_ns(stat)
        seen = time.monotonic_ns()
        if remove_cgroup:
            # The agent must not be quicker than this.
            agent.process.send_signal(signal.SIGSTOP)
        destroy.start()
        while not poll.poll(0):
            now = time.monotonic_ns()
            reading = usage_ns(stat)
            if reading is not None:
                last, seen = reading, now
            time.sleep(0.0005)
        at_exit = usage_ns(stat)
        most = at_exit or last + QEMU_CPUS * (time.monotonic_ns() - seen)
        destroy.join()
        if remove_cgroup:
            remove_cgroups(cgroup)
            agent.process.send_signal(signal.SIGCONT)
        billed = self.wait_billed(agent, domain)
        print(f"\n{'cgroup removed' if remove_cgroup else 'cgroup left'}: it said {(at_exit or last) / 1e6:.1f} ms, and at the "
              f"wake-up of the pidfd it was {'gone' if at_exit is None else 'there'}; billed {billed / 1e6:.1f} ms; "
              f"endings {endings(agent)}", flush=True)
        return at_exit or last, most, billed

    def used_and_billed(self, agent, domain):
        """CPU time of the domain, which is paused and so uses next to nothing more, and what the agent has of it."""
        with open(os.path.join(domain.cgroup(), "cpu.stat"), "rb") as stat:
            agent.wait_ticks(2)
            billed = agent.list()[domain.uuid]["cpu_ns"]
            return usage_ns(stat.fileno()), billed

    def missed_before(self, agent, domain):
        """What the agent does not have of the domain's CPU time up to now: QEMU's own start, if an interval ended before libvirt
        told of it."""
        virsh("suspend", domain.name)
        used, billed = self.used_and_billed(agent, domain)
        virsh("resume", domain.name)
        return used - billed

    def assert_end_is_billed(self, remove_cgroup, *ways):
        with self.agent() as agent, Domain(self.work, ways[0]) as domain:
            vjtest.wait_until(lambda: domain.uuid in agent.list(), "the agent knows the domain")
            vjtest.wait_until(lambda: agent.list()[domain.uuid]["cpu_ns"] > 10**9, "it uses its vCPU")
            missed = self.missed_before(agent, domain)
            known = agent.list()[domain.uuid]["cpu_ns"]
            vjtest.wait_until(lambda: agent.list()[domain.uuid]["cpu_ns"] > known + 10**9 // 2, "it goes on")
            used, most, billed = self.follow_to_the_end(agent, domain, remove_cgroup)
            print(f"of its start {missed / 1e6:.1f} ms were missed; of the rest {(used - missed - billed) / 1e6:+.1f} ms")
            counted = endings(agent)
            self.assertGreater(billed, known)
            self.assertGreater(billed + missed, used - SLACK_NS)
            self.assertLess(billed + missed, most + SLACK_NS)
            self.assertEqual(sum(counted[way] for way in ways), sum(counted.values()), counted)
            self.assertGreater(sum(counted.values()), 0)
            for zone in agent.status()["zones"]:
                self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)

    def start_paused(self, agent, name):
        """What QEMU used to start, of which nothing else is added as long as its guest does not run, and what was billed."""
        with Domain(self.work, name, "--paused") as domain:
            vjtest.wait_until(lambda: agent.list().get(domain.uuid, {}).get("cpu_ns"), "the agent knows the domain")
            return self.used_and_billed(agent, domain)

    def test_start_is_billed(self):
        """Whatever the tick's place in it: the shortest interval ends several times while QEMU starts."""
        with self.agent(interval="100ms") as agent:
            starts = [self.start_paused(agent, f"start{i}") for i in range(4)]
        for used, billed in starts:
            print(f"\nQEMU used {used / 1e6:.1f} ms to start; {(used - billed) / 1e6:.1f} ms were missed", end="", flush=True)
        used, billed = (sum(column) for column in zip(*starts))
        self.assertLessEqual(billed, used)
        self.assertGreater(billed, used * START_BILLED)

    def test_end_is_billed(self):
        self.assert_end_is_billed(False, "exact", "completed")

    def test_end_is_billed_when_the_cgroup_has_gone(self):
        """As where systemd removes the scope sooner than the agent looks."""
        self.assert_end_is_billed(True, "completed")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    vjtest.main()
